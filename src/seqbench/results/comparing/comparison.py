"""The comparison of models: every contrast, models over tasks, and what a reader must know of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

from seqbench.errors import ConfigError
from seqbench.results.comparing.contrasts import QUANTITIES, Contrast, contrasts, told
from seqbench.results.comparing.overall import Overall, overall
from seqbench.results.comparing.problems import Problem, problems, remarks
from seqbench.runs.result import Result


@dataclass(frozen=True)
class ModelComparison:
    """What `compare_models` found.

    Attributes:
        models: the names that were compared.
        contrasts: every pair of them, on every problem, in every quantity.
        overall: models over tasks; None where fewer than two tasks have runs of all of them, or models were
            compared in several groups.
        told: what so many seeds can tell, in words.
        remarks: what models differ in beside themselves, and platforms that runs do not share.
    """

    models: tuple[str, ...]
    contrasts: tuple[Contrast, ...]
    overall: Overall | None
    told: str
    remarks: tuple[str, ...]


def compare_models(
    results: Sequence[Result], *groups: Sequence[str], of: Sequence[str] = QUANTITIES
) -> ModelComparison:
    """Compare models by their runs, see `problems.problems`, `contrasts.contrasts` and `overall.overall`.

        compare_models(results, ["lstm", "gru", "rnn"])

    Args:
        results: the runs.
        groups: names of models, see `problems.problems`. All pairs of a group are compared.
        of: in which quantities, see `QUANTITIES`. The fewer, the more Holm's correction leaves of each.

    Raises:
        ConfigError, StoreError: the runs cannot be compared.
    """
    pairs = list(dict.fromkeys(pair for group in groups for pair in combinations(dict.fromkeys(group), 2)))
    if any(len({*group}) < 2 for group in groups):
        raise ConfigError("--models wants two models or more to compare, --models lstm,gru.")
    names = tuple(dict.fromkeys(name for group in groups for name in group))
    found = problems(results, names)
    every = tuple(contrasts(found, pairs, of))
    over_tasks = overall(found, names) if len(groups) == 1 else None
    return ModelComparison(names, every, over_tasks, told(every), _remarks(found, groups))


def _remarks(problems: Sequence[Problem], groups: Sequence[Sequence[str]]) -> tuple[str, ...]:
    """Return each remark once, with the problems that it is about unless it is about all."""
    about: dict[str, list[str]] = defaultdict(list)
    for problem in problems:
        for remark in dict.fromkeys(remark for group in groups for remark in remarks(problem, group)):
            about[remark].append(str(problem))
    return tuple(
        f"Note: {remark}." if len(where) == len(problems) else f"Note: on {', '.join(where)} {remark}."
        for remark, where in about.items()
    )

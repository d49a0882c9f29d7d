"""The comparison of models: every contrast, models over tasks, and what a reader must know of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations

from seqbench.errors import ConfigError, StoreError
from seqbench.results.comparing.contrasts import QUANTITIES, Contrast, contrasts, lacking, told
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
        remarks: what was asked for and cannot be compared, what models differ in beside themselves, and
            platforms that runs do not share.
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
        ConfigError, StoreError: the runs cannot be compared, or there is nothing of them to compare.
    """
    pairs = list(dict.fromkeys(pair for group in groups for pair in combinations(dict.fromkeys(group), 2)))
    if any(len({*group}) < 2 for group in groups):
        raise ConfigError("--models wants two models or more to compare, --models lstm,gru.")
    names = tuple(dict.fromkeys(name for group in groups for name in group))
    found = problems(results, names)
    every = tuple(contrasts(found, pairs, of))
    over_tasks = overall(found, names) if len(groups) == 1 else None
    without = [*_apart(found, pairs), *_once(found, lambda problem: lacking(problem, pairs, of))]
    if not every and over_tasks is None:
        raise StoreError(f"there is nothing to compare: {'; '.join(without)}.")
    if len(groups) == 1 and over_tasks is None and len({problem.task for problem in found}) > 1:
        without.append("fewer than two tasks have runs of all models, so that none is scored over tasks")
    differing = _once(found, lambda problem: [each for group in groups for each in remarks(problem, group)])
    notes = tuple(f"Note: {each}." for each in (*without, *differing))
    return ModelComparison(names, every, over_tasks, told(every), notes)


def _apart(problems: Sequence[Problem], pairs: Sequence[tuple[str, str]]) -> list[str]:
    """Return which models and pairs are on no problem together, so that no line is about them."""
    together = {pair for pair in pairs if any({*pair} <= {*problem.runs} for problem in problems)}
    met = {name for pair in together for name in pair}
    alone = [name for name in dict.fromkeys(name for pair in pairs for name in pair) if name not in met]
    return [
        *(f"{name} has no runs of a task and length of a model that it is compared with" for name in alone),
        *(
            f"{first} and {second} have no runs of one task and length"
            for first, second in pairs
            if (first, second) not in together and {first, second} <= met
        ),
    ]


def _once(problems: Sequence[Problem], say: Callable[[Problem], Sequence[str]]) -> list[str]:
    """Return what is said of problems, each once, with those that it is about unless it is about all."""
    about: dict[str, list[str]] = defaultdict(list)
    for problem in problems:
        for remark in dict.fromkeys(say(problem)):
            about[remark].append(str(problem))
    return [
        remark if len(where) == len(problems) else f"on {', '.join(where)} {remark}"
        for remark, where in about.items()
    ]

"""The comparison of models: every contrast, models over tasks, and what a reader must know of both."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from seqbench.results.comparing.contrasts import Contrast, contrasts, told
from seqbench.results.comparing.overall import Overall, overall
from seqbench.results.comparing.problems import Problem, problems, remarks
from seqbench.runs.result import Result


@dataclass(frozen=True)
class ModelComparison:
    """What `compare_models` found.

    Attributes:
        models: the names that were compared.
        contrasts: every pair of them, on every problem, in every quantity.
        overall: models over tasks; None where fewer than two tasks have runs of all of them.
        told: what so many seeds can tell, in words.
        remarks: what models differ in beside themselves, and platforms that runs do not share.
    """

    models: tuple[str, ...]
    contrasts: tuple[Contrast, ...]
    overall: Overall | None
    told: str
    remarks: tuple[str, ...]


def compare_models(results: Sequence[Result], models: Sequence[str]) -> ModelComparison:
    """Compare models by their runs, see `problems.problems`, `contrasts.contrasts` and `overall.overall`.

    Raises:
        ConfigError, StoreError: the runs cannot be compared.
    """
    found = problems(results, models)
    names = tuple(dict.fromkeys(models))
    every = tuple(contrasts(found))
    return ModelComparison(names, every, overall(found, names), told(every), _remarks(found))


def _remarks(problems: Sequence[Problem]) -> tuple[str, ...]:
    """Return each remark once, with the problems that it is about unless it is about all."""
    about: dict[str, list[str]] = defaultdict(list)
    for problem in problems:
        for remark in remarks(problem):
            about[remark].append(str(problem))
    return tuple(
        f"Note: {remark}." if len(where) == len(problems) else f"Note: on {', '.join(where)} {remark}."
        for remark, where in about.items()
    )

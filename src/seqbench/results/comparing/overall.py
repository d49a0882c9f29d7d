"""Models over many tasks: one score each with its interval, and average ranks."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median

from scipy import stats

from seqbench.results.comparing.problems import Problem
from seqbench.results.statistics.over_tasks import Ranks, average_ranks, interquartile_mean
from seqbench.runs.result import Result

#: The fewest seeds on every problem for an interquartile mean.
LEAST_SEEDS = 3


@dataclass(frozen=True)
class Overall:
    """Models over the problems that all of them have runs of.

    Attributes:
        problems: how many there are.
        tasks: how many tasks these are of.
        scores: model to its interquartile mean of scores with the 95 % interval (value, low, high); empty
            where a metric has no scale that tasks share, or a model has fewer than three seeds on a problem.
        unscored: which problems these are, in words; empty where there are scores.
        ranks: the average ranks over tasks; None under three models.
    """

    problems: int
    tasks: int
    scores: dict[str, tuple[float, float, float]]
    unscored: str
    ranks: Ranks | None


def overall(problems: Sequence[Problem], models: Sequence[str]) -> Overall | None:
    """Return how models compare over tasks; None under two tasks of which all have runs.

    Score of a run: a share as it is, or 1 less it where lower is better; a loss as the part of the baseline's
    that it takes away, no less than 0; 0 for a run that diverged. Ranks: by the median metric at each length,
    averaged over the lengths of a task, so that a task counts once however many lengths it has.
    """
    shared = [problem for problem in problems if all(model in problem.runs for model in models)]
    tasks = {problem.task for problem in shared}
    if len(tasks) < 2:
        return None
    scores = {
        model: [[score(run, problem.length) for run in problem.runs[model]] for problem in shared]
        for model in models
    }
    unscored = _unscored(shared, scores)
    middles = {
        model: interquartile_mean([[value or 0.0 for value in seeds] for seeds in its])
        for model, its in scores.items()
        if not unscored
    }
    ranks = None
    if len(models) > 2:
        of_task: dict[str, list[list[float]]] = defaultdict(list)
        for problem in shared:
            of_task[problem.task].append(_ranks(problem, models))
        means_of_task = [[fmean(column) for column in zip(*its, strict=True)] for its in of_task.values()]
        by_model = {model: [its[i] for its in means_of_task] for i, model in enumerate(models)}
        ranks = average_ranks(by_model, higher=[False] * len(of_task))
    return Overall(len(shared), len(tasks), middles, unscored, ranks)


def _unscored(problems: Sequence[Problem], scores: Mapping[str, Sequence[Sequence[float | None]]]) -> str:
    """Return why there is no score of models whose runs on these problems have such scores; else nothing."""
    of_problem = list(zip(problems, zip(*scores.values(), strict=True), strict=True))
    without = [str(problem) for problem, its in of_problem if any(None in seeds for seeds in its)]
    if without:
        return f"the metric of {', '.join(without)} has no scale that tasks share"
    few = [str(problem) for problem, its in of_problem if min(map(len, its)) < LEAST_SEEDS]
    return f"a model has fewer than {LEAST_SEEDS} seeds on {', '.join(few)}" if few else ""


def score(run: Result, length: int) -> float | None:
    """Return how well a run did, from 0 to 1; None where its metric has no such scale."""
    metric, value = run.headline, run.value_at(length)
    if run.status == "diverged":
        return 0.0
    if metric is None or value is None:
        return None
    if metric.unit == "share":
        return value if metric.direction == "max" else 1 - value
    baseline = run.baseline_loss.get(str(length))
    return max(0.0, 1 - value / baseline) if metric.name == "loss" and baseline else None


def _ranks(problem: Problem, models: Sequence[str]) -> list[float]:
    """Return the ranks of models by their median metric, the best first; a diverged run is worse than any."""
    medians = []
    for model in models:
        runs = problem.runs[model]
        sign = -1 if any(run.direction == "max" for run in runs) else 1
        values = [run.value_at(problem.length) for run in runs]
        medians.append(median(math.inf if value is None else sign * value for value in values))
    return [float(rank) for rank in stats.rankdata(medians)]

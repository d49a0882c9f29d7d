"""Every pair of models on every problem: how they differ, and whether that can be chance."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from statistics import fmean

from seqbench.results.comparing.problems import Problem
from seqbench.results.statistics.compare import holm, least_p, permutation_test
from seqbench.results.statistics.metrics import LEAST_SEEDS
from seqbench.results.statistics.proportion import boschloo, compare_rates, least_told
from seqbench.results.statistics.survival import kaplan_meier, log_rank

#: What can be compared.
QUANTITIES = ("solved", "steps", "metric")
#: Under so many seeds a test of pairs cannot give 0.05: five pairs give 0.0625 at the least.
LEAST_PAIRS = 6
#: A p-value at or below it, after Holm's correction, tells a difference.
LEVEL = 0.05


@dataclass(frozen=True)
class Contrast:
    """One test: two models, one quantity.

    Attributes:
        task: the label of the task.
        train_length: the training length.
        length: the test length.
        first, second: the models.
        measure: `solved`, `steps`, or the name of a metric.
        unit: of the metric; `share` for solve rates, `steps` for steps.
        n_first, n_second: how many runs of each are compared.
        left_out: how many runs diverged or have no finite metric, and are left out.
        value_first, value_second: the solve rates; the mean metrics, geometric where `ratio`; the median
            numbers of steps, infinite where half of the runs or more did not solve the task. Of fewer than
            three runs there is no mean or median: nan.
        ratio: whether `difference` is the first over the second, for losses and steps, and not first less
            second.
        difference: see `ratio`; nan where a value is infinite or nan.
        low, high: the 95 % interval of a difference of solve rates (Newcombe); else nan.
        p: the two-sided p-value; nan for metrics and steps of fewer than three runs of a model.
        least_p: the smallest p-value that so many runs can give.
        p_holm: p after Holm's correction for all contrasts that are shown together.
        paired: whether runs of one seed were compared with one another.
        zeros: how many losses are exactly 0, which have no geometric mean, so that `ratio` is false.
    """

    task: str
    train_length: int
    length: int
    first: str
    second: str
    measure: str
    unit: str
    n_first: int
    n_second: int
    left_out: int
    value_first: float
    value_second: float
    ratio: bool
    difference: float
    low: float
    high: float
    p: float
    least_p: float
    p_holm: float = math.nan
    paired: bool = False
    zeros: int = 0


def contrasts(
    problems: Sequence[Problem], pairs: Sequence[tuple[str, str]], of: Sequence[str] = QUANTITIES
) -> list[Contrast]:
    """Compare pairs of models on every problem that has runs of both, in each of the quantities `of`.

    Solve rates: Boschloo's exact test, Newcombe's interval. Metrics: a permutation test of the means, of the
    logarithms of losses. Steps to solve: the log-rank test with its exact permutation distribution. Holm's
    correction is over all of them.

    Training batches follow from task, seed and batch size alone (`tasks.base.generator`), so that two models
    see the same data with the same seed. Their metrics are compared pair by pair where both have the same
    seeds and at least six. With fewer pairs no p-value could be 0.05, and seeds are compared as if each had
    data of its own, which holds as well.
    """
    found = [
        contrast
        for problem in problems
        for first, second in pairs
        if first in problem.runs and second in problem.runs
        for contrast in _pair(problem, first, second, of)
    ]
    tested = [i for i, contrast in enumerate(found) if not math.isnan(contrast.p)]
    for i, adjusted in zip(tested, holm([found[i].p for i in tested]), strict=True):
        found[i] = replace(found[i], p_holm=adjusted)
    return found


def _pair(problem: Problem, first: str, second: str, of: Sequence[str]) -> Iterator[Contrast]:
    """Yield the contrasts of two models on a problem: solve rates, steps, then metrics by test length."""
    if _solvable(problem, first, second):
        if "solved" in of:
            yield _solved(problem, first, second)
        if "steps" in of:
            yield _steps(problem, first, second)
    if "metric" in of:
        for length in _lengths(problem, first, second):
            yield _metric(problem, first, second, length)


def lacking(problem: Problem, pairs: Sequence[tuple[str, str]], of: Sequence[str]) -> list[str]:
    """Return in words which of the quantities `of` pairs of models cannot be compared in on a problem."""
    here = [pair for pair in pairs if {*pair} <= {*problem.runs}]
    found = []
    if {"solved", "steps"} & {*of} and not all(_solvable(problem, *pair) for pair in here):
        found.append("not every run says when it counts as solved, so that solved and steps are not compared")
    if "metric" in of:
        found += [
            f"{first} and {second} have no test metric {problem.runs[first][0].metric} at one length"
            for first, second in here
            if not _lengths(problem, first, second)
        ]
    return found


def _solvable(problem: Problem, first: str, second: str) -> bool:
    """Return whether all runs of two models say when they count as solved."""
    return all(run.solved_when for run in (*problem.runs[first], *problem.runs[second]))


def _lengths(problem: Problem, first: str, second: str) -> list[int]:
    """Return the test lengths at which runs of both models were measured in the headline metric."""
    of_first, of_second = (
        {
            int(length)
            for run in problem.runs[model]
            for length, its in run.test.items()
            if run.headline is not None and run.metric in its
        }
        for model in (first, second)
    )
    return sorted(of_first & of_second)


def _solved(problem: Problem, first: str, second: str) -> Contrast:
    a, b = ([run.steps_to_solve for run in problem.runs[model]] for model in (first, second))
    solved_a, solved_b = (sum(step is not None for step in its) for its in (a, b))
    found = compare_rates(solved_a, len(a), solved_b, len(b))
    return Contrast(
        *(problem.task, problem.length, problem.length, first, second, "solved", "share", len(a), len(b), 0),
        *(solved_a / len(a), solved_b / len(b), False),
        *(found.difference, found.low, found.high, found.p, found.least_p),
    )


def _steps(problem: Problem, first: str, second: str) -> Contrast:
    runs_a, runs_b = problem.runs[first], problem.runs[second]
    a, b = (([run.steps_to_solve for run in runs], [run.budget for run in runs]) for runs in (runs_a, runs_b))
    median_a, median_b = (
        kaplan_meier(*its).median if len(its[0]) >= LEAST_SEEDS else math.nan for its in (a, b)
    )
    ratio = median_a / median_b if math.isfinite(median_a) and math.isfinite(median_b) else math.nan
    p = least = math.nan
    if min(len(runs_a), len(runs_b)) >= LEAST_SEEDS:
        p, least = log_rank(*a, *b), least_p(len(runs_a), len(runs_b))
    return Contrast(
        *(problem.task, problem.length, problem.length, first, second, "steps", "steps"),
        *(len(runs_a), len(runs_b), 0),
        *(median_a, median_b, True),
        *(ratio, math.nan, math.nan, p, least),
    )


def _metric(problem: Problem, first: str, second: str, length: int) -> Contrast:
    """Compare the headline metric at a test length. Runs without a value, as diverged ones, are left out."""
    metric = next(run.headline for run in problem.runs[first] if run.headline is not None)
    of_a, of_b = (
        {run.seed: value for run in problem.runs[model] if (value := run.value_at(length)) is not None}
        for model in (first, second)
    )
    values = [*of_a.values(), *of_b.values()]
    is_loss = metric.unit != "share" and metric.low == 0
    zeros = values.count(0) if is_loss else 0
    ratio = is_loss and not zeros
    a, b = ([math.log(its[seed]) if ratio else its[seed] for seed in sorted(its)] for its in (of_a, of_b))
    mean_a, mean_b = (fmean(its) if len(its) >= LEAST_SEEDS else math.nan for its in (a, b))
    difference, p, least = mean_a - mean_b, math.nan, math.nan
    paired = of_a.keys() == of_b.keys() and len(of_a) >= LEAST_PAIRS
    if min(len(a), len(b)) >= LEAST_SEEDS:
        found = permutation_test(a, b, paired)
        p, least = found.p, found.least_p
    if ratio:
        mean_a, mean_b, difference = math.exp(mean_a), math.exp(mean_b), math.exp(difference)
    left_out = len(problem.runs[first]) + len(problem.runs[second]) - len(values)
    return Contrast(
        *(problem.task, problem.length, length, first, second, metric.name, metric.unit, len(a), len(b)),
        *(left_out, mean_a, mean_b, ratio, difference, math.nan, math.nan, p, least),
        paired=paired,
        zeros=zeros,
    )


def told(contrasts: Sequence[Contrast]) -> str:
    """Return what so many seeds can tell, and what they cannot, as sentences."""
    sizes = sorted({(c.n_first, c.n_second) for c in contrasts if c.measure in QUANTITIES})
    sentences = []
    for n, m in sizes:
        all_or_none = boschloo(n, n, 0, m)
        least = least_told(n, LEVEL) if n == m else None
        sentence = f"{n} run{'s' * (n > 1)} against {m}: {n}/{n} against 0/{m} is p = {all_or_none:.2g}"
        if least is None:
            sentences.append(sentence + ("" if all_or_none < LEVEL else ", which tells nothing") + ".")
        else:
            weaker = f"; {least - 1}/{n} against 0/{m}, {boschloo(least - 1, n, 0, m):.2g}, tells nothing"
            sentences.append(f"{sentence}{weaker if least > 1 else ''}.")
    tested = [c for c in contrasts if not math.isnan(c.p)]
    if len(tested) > 1 and len(tested) * min(c.least_p for c in tested) > LEVEL:
        sentences.append(
            f"After Holm's correction for {len(tested)} comparisons no one of them alone can be told from "
            "chance with so few seeds: compare fewer at a time, or train more seeds."
        )
    return " ".join(sentences)

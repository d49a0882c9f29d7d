"""What a search looks for: how many runs solve the task, then in how few steps, then the metric.

All of it is measured on the validation set. No test figure is read.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

from seqbench.runs.result import Result, Status, solved_step
from seqbench.tasks.metrics import Metric

#: The objective in words.
OBJECTIVE = "runs that solve the task, then their median steps to solve, then the metric; on validation"


@dataclass(frozen=True)
class Outcome:
    """How a run of a trial stands, as far as it has been trained.

    Attributes:
        length: the value of the key that sets the span of the task, `task.length`; None for a task without.
        seed: of the run.
        status: of its result.
        steps: optimisation steps taken.
        ended: whether it would take no more, were it allowed to.
        solved_at_step: the first evaluation that was solved; `solved_step` says whether that counts.
        solvable: whether the task says when it is solved.
        metric: the name of the headline metric.
        value: what it is at the best evaluation; None if there is no such number.
        quality: the same in [0, 1], where larger is better.
        seconds: of one core.
        device: that trained it.
        commit: of the code.
    """

    length: int | None
    seed: int
    status: Status
    steps: int
    ended: bool
    solved_at_step: int | None
    solvable: bool
    metric: str | None
    value: float | None
    quality: float
    seconds: float
    device: str
    commit: str | None


def outcome(result: Result, span_key: str) -> Outcome:
    """Return how a run stands, of which there is a result.

    Args:
        result: of the run.
        span_key: of its task.
    """
    diverged = result.status == "diverged"  # and is worth nothing, whatever it was before
    measured = None if diverged else result.validation.get(result.metric or "")
    threads = result.execution.get("threads", 1)
    protocol = result.config["trainer"]
    return Outcome(
        length=result.config["task"].get(span_key),
        seed=result.seed,
        status=result.status,
        steps=result.steps,
        ended=result.steps < protocol["max_steps"]
        or diverged
        or (result.status == "solved" and protocol.get("stop_when_solved", True)),
        solved_at_step=result.solved_at_step,
        solvable=result.solved_when is not None,
        metric=result.metric,
        value=measured,
        quality=quality(result.headline, measured),
        seconds=result.wall_time_s * (threads if isinstance(threads, int) else 1),
        device=result.device,
        commit=result.commit,
    )


def quality(metric: Metric | None, value: float | None) -> float:
    """Return a number in [0, 1] that is larger for a better value; 0 if there is none.

    Between two bounds it is linear. Elsewhere it is (1 + x / (1 + |x|)) / 2 for a value x that is better
    larger.
    """
    if metric is None or value is None or math.isnan(value):
        return 0.0
    sign = 1 if metric.direction == "max" else -1
    if metric.low is not None and metric.high is not None:
        share = min(max((value - metric.low) / (metric.high - metric.low), 0.0), 1.0)
        return share if sign > 0 else 1 - share
    return (1 + sign * (value / (1 + abs(value)) if math.isfinite(value) else math.copysign(1, value))) / 2


class Score(NamedTuple):
    """How good a trial is. A better one is larger.

    solved: runs that solved the task.
    early: the median of their steps to solve, negative; 0 if there is none.
    quality: the mean of all runs.
    """

    solved: int
    early: float
    quality: float


def score(outcomes: Sequence[Outcome]) -> Score:
    """Return how good a trial is, by how its runs stand: all of them, of each length and seed."""
    steps = [step for run in outcomes if (step := solved_step(run)) is not None]
    return Score(
        solved=len(steps),
        early=-float(statistics.median(steps)) if steps else 0.0,
        quality=statistics.fmean(run.quality for run in outcomes),
    )


def value(score: Score, max_steps: int) -> float:
    """Return a score as one number, in the same order: 2.75 if two runs solve, after a quarter of the steps.

    Medians are whole or half, so that the metric moves between two of them. Qualities that agree to nine
    digits may become equal.

    Args:
        score: of a trial.
        max_steps: that its runs may take, at most.
    """
    levels = 2 * max_steps
    level = levels + 2 * score.early if score.solved else 0.0
    return score.solved + (level + score.quality / 2) / levels

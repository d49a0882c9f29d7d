"""What a run came to, as it is put into its result."""

from __future__ import annotations

import math
from typing import Any

from seqbench.models.model import Model
from seqbench.runs import devices
from seqbench.runs.plan import Plan
from seqbench.runs.record import Record
from seqbench.runs.result import Result


def blank(job: Plan, seed: int) -> Result:
    """Return the result of a run of which nothing is known yet."""
    return Result(
        task=job.task_name,
        model=job.model_name,
        hash=job.hash,
        seed=seed,
        status="failed",
        config=job.config_of(seed),
        identity=job.identity.digest,
        data=job.data,
        revisions=job.identity.revisions,
        metric=job.task.metric,
        metrics={job.task.metric: job.task.metric_of(job.task.metric)},
        solved_when=job.task.solved_when,
        solved_metric=job.task.solved_metric,
        execution=job.mode.canonical,
        mode=str(job.mode),
        device=devices.processor(),
        versions=devices.versions(),
        commit=devices.commit(),
    )


def fill(job: Plan, result: Result, record: Record, model: Model) -> None:
    """Put what a run came to into its result."""
    task, lengths = job.task, job.task.eval_lengths
    result.status = record.status
    result.solved_at_step = record.solved_at_step
    result.steps = record.step
    result.sequences = record.step * job.batch_size
    result.best_step = record.best_step
    result.validation = dict(record.best_metrics)
    result.test = {str(n): dict(m) for n, m in zip(lengths, record.tested, strict=False)}
    measured = {name for metrics in (result.validation, *result.test.values()) for name in metrics}
    result.metrics |= {name: task.metric_of(name) for name in sorted(measured)}
    result.commit = _joined("commit", record) or None
    result.versions = {name: _joined(name, record) for name in result.versions}
    result.continued_from = record.continued_from
    if (at_length := result.test.get(str(task.length))) is not None:
        finite = {name: math.nan if value is None else value for name, value in at_length.items()}
        result.solved_on_test = task.solved(finite)
    result.baseline_loss = {str(n): task.baseline_loss(n) for n in lengths}
    result.chance = {str(n): task.chance(n) for n in lengths}
    result.parameters = model.live_parameters()
    result.state_size = model.state_size
    result.wall_time_s = round(record.wall_seconds, 3)
    if record.train_seconds > 0:
        result.sequences_per_s = round(result.sequences / record.train_seconds, 1)


def _joined(fact: str, record: Record) -> str:
    """Return what a run was made with; where that changed between its processes, one after another."""
    return ", ".join(dict.fromkeys(by[fact] for by in record.made_with if by.get(fact)))


def summary(result: Result) -> dict[str, Any]:
    """Return the figures that summarise a result, flat."""
    keys = ("status", "solved_at_step", "steps", "parameters", "state_size", "wall_time_s", "sequences_per_s")
    summary = {key: getattr(result, key) for key in keys}
    for length, metrics in result.test.items():
        summary |= {f"test/{length}/{name}": value for name, value in metrics.items()}
    return summary

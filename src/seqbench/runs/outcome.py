"""What a run came to, as it is put into its result."""

from __future__ import annotations

import math
import signal
from typing import Any

import pandas as pd

from seqbench.config.identity import with_defaults
from seqbench.errors import SeqbenchError
from seqbench.models.model import Model
from seqbench.runs import devices
from seqbench.runs.plan import Plan
from seqbench.runs.record import Record
from seqbench.runs.result import Result
from seqbench.runs.store import RESULT_FILE
from seqbench.training.loggers import Ending


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
        code=job.identity.code,
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
    result.device = _joined("device", record)
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


def ending(job: Plan, result: Result) -> Ending:
    """Return how a run ended, as a dashboard shows it.

    Args:
        job: the plan.
        result: which is stored.
    """
    folder, span = job.folder(result.seed), job.task.span
    task = with_defaults(result.config)["task"]
    asked = {"span": task[span.key]} if span is not None and span.key in task else {}
    return Ending(
        outcome=result.status,
        summary=summary(result) | asked,
        table=_test_table(result),
        files=[
            folder / name for name in (RESULT_FILE, "metrics.csv", "config.yaml") if (folder / name).exists()
        ],
        exit_code=1 if result.status == "failed" else 0,
    )


def stopped(end: BaseException) -> Ending:
    """Return how a run ended that was stopped: by a signal, after which it can be resumed, or by an error."""
    if isinstance(end, SeqbenchError):
        return Ending("failed", {"outcome": "failed"}, exit_code=end.exit_code)
    code = end.code if isinstance(end, SystemExit) and isinstance(end.code, int) else 128 + signal.SIGINT
    return Ending("preempted", {"outcome": "preempted"}, exit_code=code)


def summary(result: Result) -> dict[str, Any]:
    """Return the figures that summarise a result, flat, for a leaderboard; what is not known is left out.

    `solved` is 0 or 1, so that its mean is the solve rate; `test/<metric>` is the headline metric at the
    training length; `best/…` is the evaluation whose weights were tested.
    """
    keys = ("steps", "sequences", "parameters", "state_size", "wall_time_s", "sequences_per_s")
    figures: dict[str, Any] = {"outcome": result.status, "solved": int(result.steps_to_solve is not None)}
    figures["steps_to_solve"] = result.steps_to_solve
    figures |= {key: getattr(result, key) for key in (*keys, "peak_memory_bytes")}
    length = result.config.get("task", {}).get("length")
    if length is not None:
        figures["length"] = length
        figures[f"test/{result.metric}"] = result.value_at(length)
    figures |= {f"best/{name}": value for name, value in result.validation.items()}
    for row in _test_table(result).to_dict("records"):
        figures[f"test/{row['length']}/{row['metric']}"] = row["value"]
        figures[f"baseline/{row['length']}/{row['metric']}"] = row["baseline"]
    return {
        name: value
        for name, value in figures.items()
        if value is not None and not (isinstance(value, float) and not math.isfinite(value))
    }


def _test_table(result: Result) -> pd.DataFrame:
    """Return a row for each test length and metric, beside what the best predictor without input has.

    None for a run that diverged, whose test says nothing, see `Result.value_at`.
    """
    rows = [
        (int(length), name, value, result.baseline_at(name, length))
        for length, metrics in (result.test if result.status != "diverged" else {}).items()
        for name, value in metrics.items()
    ]
    return pd.DataFrame(rows, columns=["length", "metric", "value", "baseline"])

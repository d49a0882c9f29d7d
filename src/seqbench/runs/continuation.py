"""More steps: a run goes on from the last checkpoint of the run that is equal to it but for fewer steps.

Its numbers are, bit for bit, those of a run that takes all steps in one go. Where that is not certain the run
starts at step 0, and the reason is given.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any, NamedTuple

from seqbench.errors import StoreError
from seqbench.runs import devices
from seqbench.runs.files import DamagedFileError
from seqbench.runs.plan import Plan
from seqbench.runs.record import CHECKPOINTS, load_checkpoint
from seqbench.runs.result import Result
from seqbench.runs.store import read_result, run_folder


class Continuation(NamedTuple):
    """What a run may go on from.

    run: the folder `<model>-<hash>` of the run of fewer steps.
    steps: how many it took.
    checkpoint: its last; None if this run cannot go on from it.
    obstacle: why it cannot, in words that follow "because"; empty if it can.
    """

    run: str
    steps: int
    checkpoint: dict[str, Any] | None
    obstacle: str


def continuation(job: Plan, seed: int) -> Continuation | None:
    """Return what a run may go on from: the longest of the runs of fewer steps; None if there is none."""
    shorter = [result for result in _siblings(job, seed) if _is_shorter(job, result)]
    found = [_from(job, result) for result in sorted(shorter, key=_steps_asked, reverse=True)]
    return next((each for each in found if not each.obstacle), found[0]) if found else None


def _from(job: Plan, result: Result) -> Continuation:
    folder = run_folder(result.task, result.model, result.hash)
    obstacle, checkpoint = _obstacle(job, result), None
    if not obstacle:
        run = f"{folder.as_posix()}/seed-{result.seed}"
        try:
            checkpoint = load_checkpoint(job.runs_dir / run / CHECKPOINTS[0], run)
            if checkpoint["record"]["step"] != result.steps:
                obstacle = "its last checkpoint is of another step"
        except FileNotFoundError:
            obstacle = "it kept no last checkpoint, as a run does that has ended early"
        except DamagedFileError as error:
            obstacle = f"its last checkpoint cannot be used: {str(error).rstrip('.')}"
    return Continuation(folder.name, result.steps, None if obstacle else checkpoint, obstacle)


def _siblings(job: Plan, seed: int) -> list[Result]:
    """Return the results of a seed that the model has on the task, those that can be read."""
    own = job.folder(seed).parent
    found = []
    for folder in own.parent.glob(f"{own.name.removesuffix(job.hash)}*"):
        try:
            found.append(None if folder == own else read_result(Path(folder, f"seed-{seed}")))
        except StoreError:
            continue
    return [result for result in found if result is not None]


def _steps_asked(result: Result) -> int:
    steps = result.config["trainer"]["max_steps"]
    assert isinstance(steps, int)
    return steps


def _is_shorter(job: Plan, result: Result) -> bool:
    """Return whether a run is equal to the job's but for fewer steps."""
    steps = _steps_asked(result)
    return steps < job.settings.max_steps and job.identify(steps).digest == result.identity


def _obstacle(job: Plan, result: Result) -> str:
    """Return why a run cannot go on from a shorter one; nothing if it can."""
    first, last = job.settings.teacher_rates
    if result.steps < _steps_asked(result) or result.status in ("diverged", "failed"):
        return "that one ended early"
    if job.optimizer.schedule in ("linear", "cosine"):
        return "the learning rate follows a schedule over all steps"
    if job.optimizer.warmup_steps > result.steps:
        return "its warm-up was not over"
    if first != last:
        return "the rate of teacher forcing changes over all steps"
    if result.steps % job.settings.eval_every:
        return "that one ended between two evaluations"
    mine = {**devices.versions(), "commit": devices.commit(), "device": job.device}
    theirs = {**result.versions, "commit": result.commit, "device": result.device}
    if mine != theirs:
        return "other code or another machine made that one"
    if result.config["trainer"].get("strategy") != job.config["trainer"].get("strategy"):
        return "that one had another trainer.strategy"
    return ""

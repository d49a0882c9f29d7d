"""Runs: a seed in any company, a run that was stopped, and devices that share batches."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from unittest.mock import patch

import torch

import seqbench
from seqbench.runs.differences import differences
from seqbench.runs.files import from_bytes, read
from seqbench.runs.plan import plan as plan_of_runs
from seqbench.runs.result import Result
from seqbench.runs.store import BEST_WEIGHTS, read_result
from seqbench.runs.surroundings import WORKSPACE
from seqbench.training.execution_mode import ExecutionMode
from seqbench.training.learner import SequenceLearner

from .outcome import Outcome, Row, distance, reason
from .plan import Plan

#: A short run that is evaluated, and writes a checkpoint, every second step.
PROTOCOL = (
    *("logger=none", "trainer.progress=false", "trainer.stop_when_solved=false", "task.eval_size=21"),
    *("trainer.max_steps=6", "trainer.eval_every=2", "trainer.checkpoint_every=1"),
)
#: The step at which a run is stopped.
STOPPED_AT = 4
#: The seed that is followed.
SEED = 2
#: What is said of a model that cannot, which is no failure: by torch, of an operation that rounds otherwise
#: each time; and by seqbench, of seeds that cannot share a pass.
CANNOT = ("does not have a deterministic implementation", "trainer.seeds_together=true cannot be, because ")
#: The line of a traceback that says what happened.
MESSAGE = re.compile(r"^[\w.]+(?:Error|Exception): (.*?)(?:, but you set .*)?$", re.MULTILINE)


class RunError(Exception):
    """A run that failed."""


def seeds(plan: Plan) -> Outcome:
    """Seed 2 alone, among four as the third and among four others as the second: the same bits in its files.

    By deterministic algorithms; `by rule` as seqbench executes seeds unless told otherwise, and `together` in
    one stack, with trainer.seeds_together=true.
    """

    def company(args: list[str], folder: Path) -> list[str]:
        train(*args, f"seed={SEED}", f"runs_dir={folder / 'alone'}")
        found = []
        for first in (SEED - 2, SEED - 1):
            name = f"seeds {first} to {first + plan.seeds - 1}"
            train(*args, f"seed={first}", f"n_seeds={plan.seeds}", f"runs_dir={folder / name}")
            found += [f"among {name}: {its}" for its in _differences(folder / "alone", folder / name)]
        return found

    return _every_preset(plan, company)


def resume(plan: Plan) -> Outcome:
    """A run that was stopped at step 4 and went on, against one that was not: the same bits in its files."""

    def stopped(args: list[str], folder: Path) -> list[str]:
        train(*args, f"seed={SEED}", f"runs_dir={folder / 'whole'}")
        step = SequenceLearner.training_step

        def stop(learner: SequenceLearner, batches: Any, index: int) -> Any:
            if learner.step >= STOPPED_AT:
                raise KeyboardInterrupt
            return step(learner, batches, index)

        again = [*args, f"seed={SEED}", f"runs_dir={folder / 'stopped'}"]
        try:
            with patch.object(SequenceLearner, "training_step", stop):
                train(*again)
        except KeyboardInterrupt:
            train(*again)
            return _differences(folder / "whole", folder / "stopped")
        raise RunError("it could not be stopped")

    return _every_preset(plan, stopped)


def _every_preset(plan: Plan, check: Callable[[list[str], Path], list[str]]) -> Outcome:
    """Check every preset, with seeds executed by rule and together.

    Args:
        plan: of what is checked.
        check: from overrides and an empty folder to what differs, a sentence each.
    """
    # cuBLAS rounds the same each time only with buffers of fixed sizes, and reads this when it starts.
    os.environ[WORKSPACE] = ":4096:8"
    outcome = Outcome()
    for preset in plan.models:
        args = [*arguments(plan, preset), "+trainer.lightning.deterministic=true"]
        row: Row = {"model": preset}
        outcome.rows.append(row)
        modes: list[ExecutionMode] = []
        for column, override in (("by rule", "auto"), ("together", "true")):
            try:
                given = [*args, f"trainer.seeds_together={override}"]
                mode = plan_of_runs(seqbench.compose(given)).mode
                if mode in modes:
                    row[column] = "as by rule"
                    continue
                modes.append(mode)
                with TemporaryDirectory() as folder:
                    found = check(given, Path(folder))
                row[column] = f"{mode}: " + ("differs" if found else "the same bits")
                if found:
                    more = f", and {len(found) - 1} more" if len(found) > 1 else ""
                    outcome.failed.append(f"{preset}, {column} ({mode}): {found[0]}{more}")
            except Exception as error:  # whatever it is, the other presets are still to be checked
                row[column] = (
                    f"cannot: {reason(error).removeprefix(CANNOT[1]).removesuffix('; leave it out')}"
                )
                if not any(words in str(error) for words in CANNOT):
                    outcome.failed.append(f"{preset}, {column}: {reason(error)}")
    return outcome


def arguments(plan: Plan, preset: str) -> list[str]:
    """Return the overrides of a small run of a preset; of sequences those that differ in length."""
    accelerator = f"trainer.accelerator={plan.device}"
    task = plan.tasks(preset, plan.small)[-1]
    batch_size = f"batch_size={plan.small.batch}"
    return [*PROTOCOL, accelerator, batch_size, *task, *plan.model(preset, plan.small)]


def train(*overrides: str) -> None:
    """Train.

    Raises:
        RunError: a run failed.
    """
    for result in seqbench.train(seqbench.compose(list(overrides))):
        if result.error:
            raise RunError((MESSAGE.findall(result.error) or result.error.strip().splitlines())[-1])


def _differences(one: Path, other: Path) -> list[str]:
    return differences(*(_folder(runs_dir) for runs_dir in (one, other)))


def _folder(runs_dir: Path) -> Path:
    (found,) = runs_dir.glob(f"*/*/seed-{SEED}")
    return found


def ddp(plan: Plan) -> Outcome:
    """Runs whose batches all devices share against runs on one, in double precision: the largest distance.

    Of the best weights, and of all metrics of the test.
    """
    outcome = Outcome()
    devices = 2 if plan.device == "cpu" else torch.cuda.device_count()
    for preset in plan.ddp_of:
        try:
            with TemporaryDirectory() as folder:
                numbers = [_numbers(plan, preset, count, Path(folder)) for count in (1, devices)]
        except (RunError, subprocess.TimeoutExpired) as error:
            outcome.failed.append(f"{preset} on {devices} devices: {error}")
            continue
        far = distance(numbers[1], numbers[0])
        outcome.rows.append({"model": preset, "devices": devices, "distance": far})
        if far > plan.tolerances[torch.float64]:
            outcome.failed.append(f"{preset} on {devices} devices: {far:.1e} from the run on one")
    return outcome


def _numbers(plan: Plan, preset: str, devices: int, folder: Path) -> list[torch.Tensor]:
    """Return the metrics and the best weights of a run.

    Lightning starts the program again for each device: so it is the command line's own.
    """
    runs_dir = folder / str(devices)
    args = [*arguments(plan, preset), f"seed={SEED}", f"runs_dir={runs_dir}", "trainer.precision=64-true"]
    command = [sys.executable, "-m", "seqbench", *args, f"trainer.devices={devices}"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=plan.seconds / 4, cwd=folder)
    if done.returncode:
        raise RunError((done.stderr.strip() or done.stdout.strip()).splitlines()[-1])
    at = _folder(runs_dir)
    result = read_result(at)
    assert isinstance(result, Result)
    metrics = [value for by_length in result.test.values() for _, value in sorted(by_length.items())]
    weights = from_bytes(read(at / BEST_WEIGHTS), at / BEST_WEIGHTS)
    return [torch.tensor([float("nan") if v is None else v for v in metrics]), *weights.values()]

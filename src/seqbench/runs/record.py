"""The record of a run while it trains: metrics, the best weights, checkpoints to continue from."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Callable, Sequence
from copy import copy
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import Logger
from torch import Tensor, nn
from torch.utils._pytree import tree_map_only

from seqbench.errors import StoreError, one_line, say_once
from seqbench.processes import is_first_process
from seqbench.runs import devices, generators
from seqbench.runs.files import DamagedFileError, load_sealed, read, save_sealed, set_aside
from seqbench.runs.store import LOGGER_ID
from seqbench.tasks.base import Task
from seqbench.training.loggers import log_row

#: The last checkpoint and the one before it, relative to a run's folder.
CHECKPOINTS = ("checkpoints/last.pt", "checkpoints/previous.pt")
#: The most bytes of a file that holds an id.
MOST_ID = 100


class Record:
    """One run, as far as it has been trained.

    A checkpoint holds everything that the further course of a run depends on, or it follows from the seed and
    the step: a run that was killed continues from there bit for bit, alone or among others.

    Attributes:
        plateau: evaluations without a new best one at which the learning rate falls; None where it does not.
        step: optimisation steps taken, as of the last evaluation or checkpoint.
        status: `solved`, `diverged` or `finished`, as of now.
        solved_at_step: the first evaluation at which the task was solved.
        best_step, best_metrics, best_weights: the evaluation with the best headline metric; of equal ones the
            one with the lowest loss.
        train_seconds, wall_seconds: time spent training, and in all, over every restart; a run that trains
            together with others has its share.
        loggers: what logs the run besides `metrics.csv`.
        logger_id: stays the same when the run continues after a stop.
        tested: metrics of the best weights on the test set of each of the task's `eval_lengths`.
        made_with: the code, versions and device of every process that trained the run.
        continued_from: the folder of the run of fewer steps that this one went on from; None for most.
        unlogged: evaluations of that run, which no logger of this one has.
        checkpoint: what was read to continue from: model, optimiser, carried state, generators.
    """

    def __init__(
        self,
        task: Task,
        folder: Path,
        run: str,
        stop_when_solved: bool = True,
        patience: int | None = None,
        logger_id: str = "",
        plateau: int | None = None,
        device: str = "",
    ) -> None:
        self.task = task
        self.folder = folder
        self.run = run
        self.stop_when_solved = stop_when_solved
        self.patience = patience
        self.plateau = plateau
        self.device = device
        self.logger_id = logger_id
        self.loggers: list[Logger] = []
        self.step = 0
        self.status: Literal["solved", "diverged", "finished"] = "finished"
        self.solved_at_step: int | None = None
        self.best_step: int | None = None
        self.best_metrics: dict[str, float] = {}
        self.best_weights: dict[str, Tensor] = {}
        self.train_seconds = 0.0
        self.wall_seconds = 0.0
        self.rows: list[dict[str, float]] = []
        self._columns: list[str] = []
        self.tested: list[dict[str, float]] = []
        self.made_with: list[dict[str, str]] = []
        self.continued_from: str | None = None
        self.unlogged: list[dict[str, float]] = []
        self.checkpoint: dict[str, Any] | None = None

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to train."""
        if self.status == "diverged" or (self.status == "solved" and self.stop_when_solved):
            return True
        waited = sum(row["step"] > (self.best_step or 0) for row in self.rows)
        return self.patience is not None and waited >= self.patience

    @property
    def plateaus(self) -> int:
        """How often `plateau` evaluations in a row were no new best one; each time they are counted anew."""
        found, waited = 0, 0
        best: tuple[float, float] | None = None
        for row in self.rows if self.plateau is not None else ():
            rank = self._rank(row)
            best, waited = (rank, 0) if best is None or rank > best else (best, waited + 1)
            if waited == self.plateau:
                found, waited = found + 1, 0
        return found

    # Evaluations

    def add(self, row: dict[str, float], metrics: dict[str, float], model: nn.Module) -> None:
        """Record an evaluation, at the step of `row`; keep the model's weights if it is the best so far."""
        if not self.rows:  # a metric that the task does not declare is found now, not after training
            for name in metrics:
                self.task.metric_of(name)
        self.step = int(row["step"])
        self.rows.append(row)
        if is_first_process():
            self._write(row)
            for logger in list(self.loggers):
                self._log(logger, row)
        if not math.isfinite(metrics["loss"]) or not math.isfinite(row.get("train_loss", 0.0)):
            self.status = "diverged"
            return
        if self.best_step is None or self._rank(metrics) > self._rank(self.best_metrics):
            self.best_step = self.step
            self.best_metrics = dict(metrics)
            self.best_weights = {k: v.detach().clone() for k, v in model.state_dict().items()}
        if self.solved_at_step is None and self.task.solved(metrics):
            self.solved_at_step = self.step
            self.status = "solved"

    def _log(self, logger: Logger, row: dict[str, float]) -> None:
        """Log an evaluation. A server that is gone, or a full disk, ends no run: `metrics.csv` has it too."""
        try:
            with generators.generators_kept():  # which a model may draw from at the next step
                log_row(logger, row)
        except Exception as error:
            self.loggers.remove(logger)
            say_once(f"{type(logger).__name__} logs no more of {self.run}: {one_line(error)}.")

    def _rank(self, metrics: dict[str, float]) -> tuple[float, float]:
        """Return what is larger for better metrics; where the headline metric is perfect the loss decides.

        A metric that is no number, such as a precision without a positive, is worse than every other: it is
        neither larger nor smaller than any, so that no later evaluation would be better.
        """
        sign = 1 if self.task.direction == "max" else -1
        value = sign * metrics[self.task.metric]
        return -math.inf if math.isnan(value) else value, -metrics["loss"]

    def _write(self, row: dict[str, float]) -> None:
        """Add a row to `metrics.csv`; one with other columns than those so far writes the file anew."""
        path = self.folder / "metrics.csv"
        columns = list(dict.fromkeys(name for each in self.rows for name in each))
        anew = columns != self._columns or not path.exists()
        with path.open("w" if anew else "a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=columns, restval="")
            if anew:
                writer.writeheader()
                writer.writerows(self.rows)
            else:
                writer.writerow(row)
        self._columns = columns

    def discard(self) -> None:
        """Remove what a run that was refused has written, unless it has a checkpoint to continue from."""
        if is_first_process() and not any(path.exists() for path in self.paths):
            for name in ("config.yaml", "metrics.csv", LOGGER_ID):
                (self.folder / name).unlink(missing_ok=True)

    # Checkpoints

    _kept = (
        *("step", "status", "solved_at_step", "best_step", "best_metrics", "best_weights"),
        *("train_seconds", "wall_seconds", "rows", "logger_id", "made_with", "continued_from"),
    )

    @property
    def path(self) -> Path:
        """The last checkpoint."""
        return self.folder / CHECKPOINTS[0]

    @property
    def paths(self) -> tuple[Path, Path]:
        """The last checkpoint and the one before it."""
        return self.path, self.folder / CHECKPOINTS[1]

    def snapshot(
        self, model: nn.Module, optimizer: dict[str, Any], carried: Sequence[Tensor] = ()
    ) -> dict[str, Any]:
        """Return a checkpoint of now, which training further does not change.

        Args:
            model: of the run.
            optimizer: its state.
            carried: the state that the next step of a task with streams goes on from.
        """
        return {
            "run": self.run,
            "model": _copied(model.state_dict()),
            "optimizer": _copied(optimizer),
            "carried": _copied(list(carried)),
            **generators.states(),
            "record": {name: copy(getattr(self, name)) for name in self._kept},
        }

    def save(self, checkpoint: dict[str, Any]) -> None:
        """Write a checkpoint, and keep the one before it."""
        last, before = self.paths
        if last.exists():
            last.replace(before)
        save_sealed(checkpoint, last)

    def drop_checkpoints(self, max_steps: int) -> None:
        """Remove what a finished run needs no more: all but the last checkpoint, if more steps may follow."""
        (self.folder / LOGGER_ID).unlink(missing_ok=True)
        last, before = self.paths
        before.unlink(missing_ok=True)
        if self.ended or self.step < max_steps:
            last.unlink(missing_ok=True)

    def load(self, warn: Callable[[str], object]) -> None:
        """Read the last checkpoint that is whole, if there is one.

        Args:
            warn: called with a sentence about each that is not.

        Raises:
            StoreError: a checkpoint cannot be read.
        """
        for path in self.paths:
            try:
                checkpoint = load_checkpoint(path, self.run)
            except FileNotFoundError:
                continue
            except DamagedFileError as error:
                warn(f"{error} The run goes on from the checkpoint before it, or else from the beginning.")
                if is_first_process():  # else the next checkpoint would replace the one before by it
                    set_aside(path)
                continue
            self._take(checkpoint)
            break
        else:
            self._take(None)

    def take_over(self, checkpoint: dict[str, Any], run: str) -> None:
        """Go on from the checkpoint of another run, whose folder is `run`; the loggers begin a new one."""
        logger_id = self.logger_id
        self._take(checkpoint)
        self.logger_id, self.continued_from, self.unlogged = logger_id, run, list(self.rows)

    def _take(self, checkpoint: dict[str, Any] | None) -> None:
        self.checkpoint = checkpoint
        for name, value in {} if checkpoint is None else checkpoint.pop("record").items():
            setattr(self, name, value)
        made_with = devices.made_with() | {"device": self.device}
        if made_with not in self.made_with:
            self.made_with.append(made_with)
        if is_first_process():  # drop what a killed run wrote after its last checkpoint
            (self.folder / "metrics.csv").unlink(missing_ok=True)
            for row in self.rows[-1:]:
                self._write(row)


def begun_id(folder: Path) -> str | None:
    """Return the id by which loggers know a run that was stopped, before its first checkpoint too."""
    try:
        text = read(folder / LOGGER_ID, MOST_ID).decode()
    except (FileNotFoundError, StoreError, UnicodeDecodeError):
        return None
    return text if re.fullmatch(r"[0-9a-f]{8}-\d+-[0-9a-f]{6}", text) else None


def _copied(state: Any) -> Any:
    """Return a copy of a state on the CPU, where a model's memory on a device is not doubled by it."""
    return tree_map_only(Tensor, lambda value: value.detach().to("cpu", copy=True), state)


def load_checkpoint(path: Path, run: str) -> dict[str, Any]:
    """Return the checkpoint of a run.

    Args:
        path: the file.
        run: `<task>/<model>-<hash>/seed-<n>`.

    Raises:
        FileNotFoundError: there is none.
        DamagedFileError: it is not what was written, or was written by another run.
        StoreError: it cannot be read.
    """
    checkpoint: dict[str, Any] = load_sealed(path)
    if checkpoint.get("run") != run:
        raise DamagedFileError(f"{path} is the checkpoint of another run, {checkpoint.get('run')}.")
    return checkpoint

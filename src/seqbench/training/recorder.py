"""What is kept of a run while it goes: metrics, the best weights, checkpoints to go on from."""

from __future__ import annotations

import csv
import math
import os
import time
from pathlib import Path
from typing import Any, Literal

import lightning as L
import torch
from torch import Tensor

from seqbench.errors import StoreError
from seqbench.processes import is_first_process
from seqbench.tasks.base import Task
from seqbench.training.module import SequenceLearner


class Recorder(L.Callback):
    """Writes `metrics.csv` and checkpoints, and decides at each evaluation how the run goes on.

    Everything that a run's further course depends on is in a checkpoint, or follows from the seed and the
    step: a run that was killed goes on from there bit for bit.

    Attributes:
        status: `solved`, `diverged` or `finished`, as it stands.
        solved_at_step: the first evaluation that met the task's criterion.
        best_step, best_metrics, best_weights: the evaluation with the best headline metric.
        train_seconds, wall_seconds: time spent training, and in all, over every restart.
    """

    def __init__(
        self, task: Task, folder: Path, checkpoint_seconds: float, stop_when_solved: bool, logger_id: str
    ) -> None:
        self.task = task
        self.folder = folder
        self.checkpoint_seconds = checkpoint_seconds
        self.stop_when_solved = stop_when_solved
        self.logger_id = logger_id
        self.status: Literal["solved", "diverged", "finished"] = "finished"
        self.solved_at_step: int | None = None
        self.best_step: int | None = None
        self.best_metrics: dict[str, float] = {}
        self.best_weights: dict[str, Tensor] = {}
        self.train_seconds = 0.0
        self.wall_seconds = 0.0
        self.rows: list[dict[str, float]] = []
        self._mark = self._saved_at = time.perf_counter()

    @property
    def ended(self) -> bool:
        """Whether there is nothing more to train."""
        return self.status == "diverged" or (self.status == "solved" and self.stop_when_solved)

    # Time

    def _lap(self) -> float:
        now = time.perf_counter()
        seconds, self._mark = now - self._mark, now
        self.wall_seconds += seconds
        return seconds

    def on_train_epoch_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._lap()

    # Evaluation

    def on_validation_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SequenceLearner)
        self._row: dict[str, float] = {"step": pl_module.step}
        self._row |= pl_module.take_training_means()  # waits for the device, so the lap is honest
        self.train_seconds += self._lap()

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SequenceLearner)
        metrics = pl_module.evaluation
        self._lap()
        self._row |= {"lr": trainer.optimizers[0].param_groups[0]["lr"], **metrics}
        self._row["seconds"] = round(self.wall_seconds, 3)
        self.rows.append(self._row)
        self._judge(pl_module, metrics)
        trainer.should_stop = self.ended or pl_module.step >= pl_module.max_steps
        if not trainer.is_global_zero:
            return
        self._write(self._row)
        for logger in trainer.loggers:
            logger.log_metrics({k: v for k, v in self._row.items() if k != "step"}, step=pl_module.step)
        if time.perf_counter() - self._saved_at >= self.checkpoint_seconds:
            self.save(pl_module)

    def _judge(self, learner: SequenceLearner, metrics: dict[str, float]) -> None:
        if not math.isfinite(metrics["loss"]) or not math.isfinite(self._row.get("train_loss", 0.0)):
            self.status = "diverged"
            return
        sign = 1 if self.task.best == "max" else -1
        value = metrics[self.task.metric]
        if self.best_step is None or sign * value > sign * self.best_metrics[self.task.metric]:
            self.best_step = learner.step
            self.best_metrics = dict(metrics)
            self.best_weights = {k: v.detach().clone() for k, v in learner.model.state_dict().items()}
        if self.solved_at_step is None and self.task.solved(metrics):
            self.solved_at_step = learner.step
            self.status = "solved"

    def _write(self, row: dict[str, float]) -> None:
        path = self.folder / "metrics.csv"
        fresh = not path.exists()
        with path.open("a", newline="") as file:
            writer = csv.DictWriter(file, fieldnames=list(row))
            if fresh:
                writer.writeheader()
            writer.writerow(row)

    def _rewrite_rows(self) -> None:
        """Drop what a killed run wrote after its last checkpoint."""
        if not is_first_process():
            return
        (self.folder / "metrics.csv").unlink(missing_ok=True)
        for row in self.rows:
            self._write(row)

    # Checkpoints

    @property
    def checkpoint(self) -> Path:
        """Where the run goes on from."""
        return self.folder / "checkpoints" / "last.pt"

    def save(self, learner: SequenceLearner) -> None:
        """Write a checkpoint; a reader finds the whole of it or the one before."""
        state: dict[str, Any] = {
            "step": learner.step,
            "model": learner.model.state_dict(),
            "optimizer": learner.trainer.optimizers[0].state_dict(),
            "rng": torch.get_rng_state(),
            "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
            "recorder": {name: getattr(self, name) for name in self._kept},
        }
        save_atomically(state, self.checkpoint)
        self._saved_at = time.perf_counter()

    _kept = (
        *("status", "solved_at_step", "best_step", "best_metrics", "best_weights"),
        *("train_seconds", "wall_seconds", "rows", "logger_id"),
    )

    def load(self, learner: SequenceLearner) -> None:
        """Go on from the last checkpoint, if there is one.

        Raises:
            StoreError: the checkpoint cannot be read.
        """
        try:
            state = torch.load(self.checkpoint, map_location="cpu", weights_only=True)
            learner.model.load_state_dict(state["model"])
            learner.resumed_optimizer = state["optimizer"]
            learner.step = state["step"]
            for name in self._kept:
                setattr(self, name, state["recorder"][name])
            self._rng = state["rng"], state["cuda_rng"]
        except FileNotFoundError:
            self._rewrite_rows()
            return
        except Exception as error:  # torch.load raises many kinds for a damaged file
            raise StoreError(
                f"{self.checkpoint} cannot be read ({type(error).__name__}). "
                "Delete it and the run starts from the beginning."
            ) from error
        self._rewrite_rows()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        if hasattr(self, "_rng"):
            torch.set_rng_state(self._rng[0])
            if self._rng[1]:
                torch.cuda.set_rng_state_all(self._rng[1])
        self._mark = self._saved_at = time.perf_counter()


def save_atomically(state: Any, path: Path) -> None:
    """Save with torch so that a reader, or a crash, finds all of the file or none."""
    path.parent.mkdir(exist_ok=True)
    part = path.with_suffix(f".{os.getpid()}.part")
    torch.save(state, part)
    part.replace(path)

"""The progress of a run: a line in a terminal, or a report to whoever launched it."""

from __future__ import annotations

import sys
from collections.abc import Callable

import lightning as L
from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn, TimeRemainingColumn
from rich.text import Text

from seqbench.errors import printable
from seqbench.processes import is_parallel_job
from seqbench.training.learner import SequenceLearner


class _Rate(ProgressColumn):
    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f} steps/s" if task.speed else "", style="dim")


#: Called with the step as training goes on, and at an evaluation with what it found: set by a launcher.
listener: Callable[[int, str | None], object] | None = None


def shown(metric: str, evaluation: list[dict[str, float]]) -> str:
    """Return `loss 0.1–0.3`: the least and the largest of the seeds in training."""
    values = [metrics[metric] for metrics in evaluation]
    return f"{metric} " + "–".join(f"{value:.3g}" for value in dict.fromkeys([min(values), max(values)]))


class ProgressReport(L.Callback):
    """Reports to the `listener`."""

    def __init__(self, metric: str) -> None:
        self.metric = metric

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, SequenceLearner) and listener is not None
        listener(pl_module.step, None)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SequenceLearner) and listener is not None
        listener(pl_module.step, shown(self.metric, pl_module.evaluation))


class ProgressLine(L.Callback):
    """One line in a terminal: steps, rate, time left, the last evaluation. Nothing is written to a file."""

    def __init__(self, title: str, metric: str) -> None:
        self.title = printable(title)
        self.metric = metric

    @staticmethod
    def wanted() -> bool:
        """Whether the output is a terminal that no other process draws a line in."""
        return sys.stderr.isatty() and not is_parallel_job()

    def on_train_start(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SequenceLearner)
        self._progress = Progress(
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=20),
            TextColumn("{task.completed:.0f}/{task.total:.0f}"),
            _Rate(),
            TimeRemainingColumn(compact=True),
            TextColumn("{task.fields[metric]}", markup=False),
            console=Console(stderr=True),
            transient=True,
            refresh_per_second=4,
        )
        self._progress.start()
        self._task = self._progress.add_task(
            self.title, total=pl_module.max_steps, completed=pl_module.step, metric=""
        )

    def on_train_batch_end(
        self, trainer: L.Trainer, pl_module: L.LightningModule, outputs: object, batch: object, batch_idx: int
    ) -> None:
        assert isinstance(pl_module, SequenceLearner)
        self._progress.update(self._task, completed=pl_module.step)

    def on_validation_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        assert isinstance(pl_module, SequenceLearner)
        self._progress.update(self._task, metric=shown(self.metric, pl_module.evaluation))

    def on_train_end(self, trainer: L.Trainer, pl_module: L.LightningModule) -> None:
        self._progress.stop()

    def on_exception(
        self, trainer: L.Trainer, pl_module: L.LightningModule, exception: BaseException
    ) -> None:
        if hasattr(self, "_progress"):
            self._progress.stop()

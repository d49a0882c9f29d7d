"""What the tasks of real-valued time series share: errors relative to the variance of the series."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, Metric
from seqbench.tasks.specs import Values, Vectors
from seqbench.tasks.streams.fresh import SyntheticTask


def relative_errors(suffix: str = "") -> tuple[Metric, ...]:
    """Return the metrics of an error relative to the variance, and of its root."""
    square = Metric(f"nmse{suffix}", "min", "share of the variance", 0.0)
    return square, Metric(f"nrmse{suffix}", "min", "share of the standard deviation", 0.0)


class SeriesTask(SyntheticTask):
    """A task with one number as the target of every step; subclasses set `variance`, that of the targets.

    The loss is the squared error, and `nmse` the squared error over the variance. `nrmse` and similar metrics
    are roots of means, which `summary` adds. The loss ranks models as `nrmse` does, and has a baseline.

    Args:
        length: steps of a training sequence.
        eval_lengths: lengths to test at.
        eval_size: sequences to evaluate on.
        washout: steps at the start of each sequence whose targets do not count.
        min_length: the length of the shortest meaningful sequence.
    """

    metric: ClassVar[str] = "loss"
    extra_metrics = relative_errors()
    inputs = Vectors(1)
    targets = Values(1, per_step=True)

    variance: float

    def __init__(
        self,
        length: int,
        eval_lengths: Sequence[int] | None,
        eval_size: int,
        washout: int = 0,
        *,
        min_length: int,
    ) -> None:
        super().__init__(length, eval_lengths, eval_size, min_length=min_length)
        shortest = min(self.length, *self.eval_lengths) - self.horizon
        if not 0 <= washout < shortest:
            raise ConfigError(
                f"task.washout={washout} must be at least 0 and under {shortest}, or no step counts at "
                f"{self.shortest_in_words}."
            )
        self.washout = washout

    @property
    def shortest_in_words(self) -> str:
        """The length of the shortest sequence, by the key that says it: `task.length=10`."""
        shortest = min(self.eval_lengths)
        if self.length <= shortest:
            return f"task.length={self.length}"
        return f"task.eval_lengths={list(self.eval_lengths)}"

    def washout_mask(self, batch_size: int, length: int) -> Bool[Tensor, "B T"] | None:
        """Return the mask of a batch; None if all steps count."""
        if not self.washout:
            return None
        return (torch.arange(length) >= self.washout).expand(batch_size, length)

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        loss, weights = measures["loss"]
        return {**measures, "nmse": (loss / self.variance, weights)}

    def chance(self, length: int) -> dict[str, float]:
        nmse = self.baseline_loss(length) / self.variance
        return {"nmse": nmse, "nrmse": math.sqrt(nmse)}

    def summary(self, metrics: dict[str, float]) -> dict[str, float]:
        roots = {
            name.replace("nmse", "nrmse"): math.sqrt(metrics[name]) for name in metrics if "nmse" in name
        }
        return {**metrics, **roots}

"""What tasks of real-valued time series share: errors told against the variance of the series."""

from __future__ import annotations

import math
from typing import ClassVar

import torch
from jaxtyping import Bool
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, Metric
from seqbench.tasks.streams.fresh import SyntheticTask


class SeriesTask(SyntheticTask):
    """A task whose targets are numbers at every step; subclasses set `variance`, that of the targets.

    The loss is the squared error, `nmse` the same over the variance. `nrmse` and its like are roots of means,
    which the summary adds. The loss ranks models as `nrmse` does, and has a baseline.
    """

    metric: ClassVar[str] = "loss"

    variance: float
    #: Steps at the start of each sequence whose targets do not count, while models take in where they are.
    washout: int = 0

    def counted(self, batch_size: int, length: int) -> Bool[Tensor, "B T"] | None:
        """Return the mask of a batch."""
        if not self.washout:
            return None
        return (torch.arange(length) >= self.washout).expand(batch_size, length)

    def check_washout(self) -> None:
        """Raise a ConfigError where the washout leaves nothing, or is negative."""
        shortest = min(self.length, *self.eval_lengths) - self.horizon
        if not 0 <= self.washout < shortest:
            raise ConfigError(
                f"task.washout={self.washout} must be at least 0, and under {shortest}: else no step counts."
            )

    @property
    def metrics(self) -> tuple[Metric, ...]:
        errors = (Metric(name, "min", "share of the variance", 0.0) for name in ("nmse", "nrmse"))
        return *super().metrics, *errors

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        loss, weights = measures["loss"]
        return {**measures, "nmse": (loss / self.variance, weights)}

    def summary(self, metrics: dict[str, float]) -> dict[str, float]:
        roots = {
            name.replace("nmse", "nrmse"): math.sqrt(metrics[name]) for name in metrics if "nmse" in name
        }
        return {**metrics, **roots}

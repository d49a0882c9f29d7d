"""Metrics as objects: what a number means, which direction is better, and how it is shown."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:  # results store metrics, and are read without torch
    from torch import Tensor

#: Name -> (value of each target, weight of each target); a metric is the weighted mean.
Measures = dict[str, tuple["Tensor", "Tensor"]]
Direction = Literal["max", "min"]
#: Names of what is recorded at an evaluation beside its metrics. No metric may have one of them.
COLUMNS = (
    *("step", "train_loss", "gradient_norm", "lr", "seconds"),
    *("spectral_radius", "largest_singular_value"),
)
#: How names begin of a metric in the other loop, of the gap between both, and of what the gap is taken from.
LOOPS = ("open_", "closed_", "gap_", "beside_")


@dataclass(frozen=True)
class Metric:
    """One measured quantity. Tasks declare theirs, and a result stores those of its numbers.

    Attributes:
        name: the key in results.
        direction: max if larger is better, min if smaller is better.
        unit: `share` for a part of a whole, shown in per cent; else the unit as printed, such as nats.
        low: the least possible value; None without a bound.
        high: the largest possible value; None without a bound.
    """

    name: str
    direction: Direction
    unit: str = ""
    low: float | None = None
    high: float | None = None

    def in_loop(self, loop: str) -> Metric:
        """Return the metric of the same quantity in the other loop: `open_…`, `closed_…`."""
        return replace(self, name=f"{loop}_{self.name}")

    def gap(self) -> Metric:
        """Return the metric of the loss from the open to the closed loop, `gap_…`."""
        widest = None if self.low is None or self.high is None else self.high - self.low
        low = None if widest is None else -widest
        return replace(self, name=f"gap_{self.name}", low=low, high=widest)


def share(name: str, direction: Direction = "max") -> Metric:
    """Return a metric that is a part of a whole, in [0, 1]."""
    return Metric(name, direction, "share", 0.0, 1.0)


def loss(unit: str) -> Metric:
    """Return the metric `loss`, which is never negative."""
    return Metric("loss", "min", unit, 0.0)

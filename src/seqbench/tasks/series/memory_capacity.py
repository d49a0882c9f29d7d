"""Memory capacity: how much of its past input a reservoir still holds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, Metric
from seqbench.tasks.series.base import SeriesTask
from seqbench.tasks.specs import Values


class MemoryCapacity(SeriesTask):
    """Output, at each step, the last K inputs before that of the step.

        input       0.31  0.07 −0.45  0.22  0.18        u(t) from U[−0.5, 0.5]
        target 1       .  0.31  0.07 −0.45  0.22        u(t − 1)
        target 2       .     .  0.31  0.07 −0.45        u(t − 2); K = 2, and the first steps do not count

        MC = Σₖ r²(u(t − k), yₖ(t)),   k = 1, …, K

    `capacity` is MC, the sum of the squared correlations of inputs and outputs over the steps of a sequence,
    and its mean over sequences (Jaeger, 2001, "Short term memory in echo state networks"). Of a reservoir
    with N units and a linear readout it is at most N, and as much where the units are linear and hold N
    different mixtures of the past, as in a shift register. So K must be above N, by far where units forget
    slowly. Even outputs that know nothing correlate: over n steps that count each adds 1 / (n − 1).

    More delays are more to hold, so that they are no span.

    Args:
        length: steps of a sequence.
        delays: the number K of inputs to recall.
        washout: steps at the start of each sequence that do not count; at least K.
        eval_lengths: lengths to test at.
        eval_size: sequences to evaluate on.
    """

    metric = "capacity"
    solved_when = (
        "a capacity of 99 % of task.delays (no mark is published; N units hold at most N: Jaeger, 2001)"
    )
    variance = 1 / 12

    def __init__(
        self,
        length: int = 1000,
        delays: int = 40,
        washout: int = 100,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 100,
    ) -> None:
        if delays < 1:
            raise ConfigError(f"task.delays={delays} leaves nothing to recall; give at least 1.")
        super().__init__(length, eval_lengths, eval_size, washout, min_length=3)
        if washout < delays:
            raise ConfigError(
                f"task.washout={washout} is less than task.delays={delays}, so that some targets would be "
                f"unknown; give at least {delays}."
            )
        if min(length, *self.eval_lengths) < washout + 3:  # two points always lie on a line
            raise ConfigError(
                f"{self.shortest_in_words} leaves fewer than three steps after task.washout={washout}, and "
                f"every correlation is perfect; give at least {washout + 3}."
            )
        self.variant = f"{delays} delays"
        self.delays = delays
        self.targets = Values(delays, per_step=True)

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return *super().metrics, Metric("capacity", "max", "inputs", 0.0, float(self.delays))

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        u = torch.rand(batch_size, length, generator=generator) - 0.5
        before = torch.nn.functional.pad(u, (self.delays, 0)).unfold(1, self.delays, 1)[:, :length].flip(2)
        return Batch(u[..., None], before.contiguous(), self.washout_mask(batch_size, length))

    def baseline_loss(self, length: int) -> float:
        """Return 1/12, the variance of the inputs."""
        return self.variance

    def chance(self, length: int) -> dict[str, float]:
        """Return the capacity of outputs that know nothing, K / (n − 1), beside the errors."""
        return super().chance(length) | {"capacity": self.delays / (length - self.washout - 1)}

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        weights = torch.ones_like(outputs[:, :, :1]) if batch.mask is None else batch.mask[..., None]
        capacity = squared_correlations(outputs, batch.targets, weights).sum(1)
        return {**super().measure(outputs, batch), "capacity": (capacity, torch.ones_like(capacity))}

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["capacity"] >= 0.99 * self.delays


def squared_correlations(x: Tensor, y: Tensor, weights: Tensor) -> Tensor:
    """Return r² (B, K) of two series (B, T, K) over the steps of weight 1; 0 where one is constant."""
    x, y, weights = x.double(), y.double(), weights.double()
    count = weights.sum(1, keepdim=True)
    x, y = ((part - (part * weights).sum(1, keepdim=True) / count) * weights for part in (x, y))
    both = x.square().sum(1) * y.square().sum(1)
    return torch.where(both > 0, (x * y).sum(1).square() / both.clamp_min(1e-300), 0.0).float()

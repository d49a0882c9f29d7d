"""NARMA of order ten: follow a nonlinear system that multiplies its input with an earlier one."""

from __future__ import annotations

import functools
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.series.base import SeriesTask

ORDER = 10

#: Sequences whose output exceeds this bound are drawn again; nearly all of them diverge.
BOUND = 1.5


class Narma10(SeriesTask):
    """Compute a nonlinear autoregressive moving average of order ten of random input.

        input    0.31  0.07  0.45  0.22  0.18  …      u(t) from U[0, 0.5]
        target   0.10  0.13  0.14  0.14  0.15  …      y(t+1), known once u(t) is

        y(t+1) = 0.3 y(t) + 0.05 y(t) Σᵢ₌₀…₉ y(t−i) + 1.5 u(t−9) u(t) + 0.1

    The system of Atiya & Parlos (2000), in the form that tests reservoirs (Jaeger, 2003). It starts from
    zeros, so that the inputs read determine the target from the first step on. One in a thousand sequences of
    200 steps diverges and is drawn again. (Others clip y, or squash it.)

    `nrmse` is the root of the mean squared error over the stationary variance of y. Some papers print its
    square, `nmse`.

    Args:
        length: steps T.
        washout: steps at the start of each sequence that do not count.
        eval_lengths: lengths to test at.
        eval_size: sequences to evaluate on.
    """

    solved_when = (
        "NMSE under 0.032, the error of the first echo state network on it (Jaeger, 2003; from memory: it "
        "could not be read in the paper)"
    )
    variant = "from zeros, target y(t+1)"

    def __init__(
        self,
        length: int = 200,
        washout: int = 0,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        super().__init__(length, eval_lengths, eval_size, washout, min_length=ORDER + 1)
        self.variance = _variances(200)[100:].mean().item()

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        u, y = _sample(generator, batch_size, length)
        return Batch(u.T[..., None], y.T[..., None].float(), self.washout_mask(batch_size, length))

    def baseline_loss(self, length: int) -> float:
        """Return the mean over steps of the target's variance; measured, as no closed form exists."""
        return _variances(length)[self.washout :].mean().item()

    @property
    def solved_metric(self) -> str:
        return "nmse"

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["nmse"] < 0.032


def respond(u: Float[Tensor, "T B"]) -> Float[Tensor, "T B"]:
    """Return y(1), …, y(T) of the system for the inputs u(0), …, u(T − 1), in float64."""
    zeros = torch.zeros(ORDER, u.shape[1], dtype=torch.float64)
    u = torch.cat([zeros[1:], u.double()])
    y = torch.cat([zeros, torch.zeros_like(u[ORDER - 1 :])])
    for t in range(len(y) - ORDER):
        before = y[t + ORDER - 1]
        driven = 1.5 * u[t] * u[t + ORDER - 1] + 0.1
        y[t + ORDER] = before * (0.3 + 0.05 * y[t : t + ORDER].sum(0)) + driven
    return y[ORDER:]


def _sample(generator: torch.Generator, batch_size: int, length: int) -> tuple[Tensor, Tensor]:
    """Draw inputs and outputs (T, B); sequences that diverge are drawn again."""
    u = torch.rand(length, batch_size, generator=generator) / 2
    y = respond(u)
    while len(away := (~(y.amax(0) < BOUND)).nonzero()[:, 0]):
        u[:, away] = torch.rand(length, len(away), generator=generator) / 2
        y[:, away] = respond(u[:, away])
    return u, y


@functools.cache
def _variances(length: int) -> Tensor:
    """Return the variance of the target at each step, measured on four million fixed steps."""
    rows = max(1000, 4_000_000 // length)
    return _sample(torch.Generator().manual_seed(0), rows, length)[1].var(1)

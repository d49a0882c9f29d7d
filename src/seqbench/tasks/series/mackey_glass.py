"""The Mackey-Glass series: predict a chaotic delay equation, one step and many steps ahead."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures
from seqbench.tasks.series.base import SeriesTask, relative_errors

#: dy/dt = β y(t − τ) / (1 + y(t − τ)ⁿ) − γ y(t)
BETA, GAMMA, N = 0.2, 0.1, 10

#: Integration steps per unit of time.
STEPS = 10

#: The start of a series that is dropped, in delays: a fixed part, and the bound of a part drawn for each.
TRANSIENT, SPREAD = 20, 10

#: Units of time ahead at which the literature gives the error.
AHEAD = 84

#: The error there of the best predictor before echo state networks.
BEST_BEFORE = 0.0088

#: The largest |x| that is transformed back: tanh never reaches 1.
LARGEST = 1 - 1e-6


class MackeyGlass(SeriesTask):
    """Predict x(t+1) from x(t), x(t−1), …; then, in closed loop, up to 84 steps ahead.

        input    0.20   0.15   0.09   0.02  −0.06       x(t) = tanh(y(t) − 1), t in units of time
        target   0.15   0.09   0.02  −0.06  −0.14       x(t+1)

        dy/dt = 0.2 y(t−τ) / (1 + y(t−τ)¹⁰) − 0.1 y(t)       (Mackey & Glass, 1977)

    Squashed and sampled as in Jaeger & Haas (2004). They have one long series. Here each sequence has its own
    history, a constant from U[0.5, 1.5], and begins after 20 τ to 30 τ, drawn at random. So no step is
    special: the orbit is so regular that equal starts stay in phase for hundreds of units.

    `nrmse` is the root of the mean squared error over the variance of x, one step ahead. `closed_nrmse` is
    the same over the closed loop. `closed_nrmse84` is the NRMSE84 of the literature, at the step 84 after the
    last true input: outputs and targets are first transformed back into y, and the variance is that of y.
    (An output beyond ±(1 − 10⁻⁶) has no y; that of ±(1 − 10⁻⁶) stands for it.)

    The best NRMSE84 before echo state networks was 0.0088 = 10^-2.06, and 0.015 to 0.02 where a method had
    2,000 points to train on (Jaeger, 2001, section 6.4). The abstract of Jaeger & Haas (2004) says that echo
    state networks improve on that 2,400 times; their figure 10^-4.2, which is often quoted, could not be read
    in the paper.

    Args:
        length: steps T, of one unit of time each.
        tau: the delay τ in units of time; at 17 the series is mildly chaotic, at 30 strongly.
        washout: steps at the start of each sequence that do not count.
        eval_lengths: lengths to test at.
        eval_size: sequences to evaluate on.
    """

    solved_when = (
        f"closed-loop NRMSE 84 steps ahead, in the original coordinates, under {BEST_BEFORE}, the best "
        "before echo state networks (as Jaeger, 2001, reports)"
    )
    #: The NRMSE is in the original coordinates since the second, and the gap between the loops over the same
    #: steps since the third.
    revisions: ClassVar[dict[str, int]] = {"_target_": 3}
    extra_metrics = (*relative_errors(), *relative_errors(f"{AHEAD}"))
    horizon = AHEAD

    def __init__(
        self,
        length: int = 500,
        tau: int = 17,
        washout: int = 0,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        if tau < 17:
            raise ConfigError(f"task.tau={tau} gives a series that settles or repeats; give at least 17.")
        # A model reads 16 steps at least before the loop is closed.
        super().__init__(length, eval_lengths, eval_size, washout, min_length=AHEAD + 16)
        self.variant = f"tau {tau}"
        self.tau = tau
        self.variance, self.original_variance = _variances(tau)

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        x = _sample(generator, self.tau, batch_size, length + 1)
        return Batch(x[:, :-1], x[:, 1:], self.washout_mask(batch_size, length))

    def baseline_loss(self, length: int) -> float:
        """Return the variance of the series, the same at every step; measured, as no closed form exists."""
        return self.variance

    def measure_closed(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure_closed(outputs, batch)
        _, weights = measures["closed_nmse"]
        error = original(outputs[:, -1]) - original(batch.targets[:, -1])
        return {**measures, "closed_nmse84": (error.square() / self.original_variance, weights[:, -1, None])}

    @property
    def solved_metric(self) -> str:
        return "closed_nmse84"

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return math.sqrt(metrics.get("closed_nmse84", math.inf)) < BEST_BEFORE


def original(x: Tensor) -> Tensor:
    """Return y, of which x is tanh(y − 1)."""
    return torch.atanh(x.clamp(-LARGEST, LARGEST)) + 1


def integrate(start: Float[Tensor, " B"], tau: int, units: int) -> Float[Tensor, "units B"]:
    """Return y(1), y(2), … of series with the constant histories `start`, in float64.

    Runge-Kutta of order four with steps of 0.1. For the next τ units all delayed values are known. So their
    production is computed at once, and the rest is linear in y. At half steps, delayed values come from the
    cubic polynomial through both ends and their slopes (Hermite), which is of the same order.
    """
    h = 1 / STEPS
    z = GAMMA * h
    # A Runge-Kutta step of dy/dt = p(t) − γ y: the coefficients of y and of p at its start, middle and end.
    decay = 1 - z + z**2 / 2 - z**3 / 6 + z**4 / 24
    first, middle, last = h / 6 * (1 - z + z**2 / 2 - z**3 / 4), h / 6 * (4 - 2 * z + z**2 / 2), h / 6
    y = start.double().expand(tau * STEPS + 1, -1)  # the last τ units, both ends included
    slope = torch.zeros_like(y)
    series = []
    for _ in range(-(-units // tau)):
        produced = _production(y)
        at_half_steps = _production((y[:-1] + y[1:]) / 2 + h / 8 * (slope[:-1] - slope[1:]))
        added = first * produced[:-1] + middle * at_half_steps + last * produced[1:]
        y = torch.cat([y[-1:], added])
        for before, after in zip(y[:-1].unbind(), y[1:].unbind(), strict=True):
            after.add_(before, alpha=decay)
        slope = produced - GAMMA * y
        series.append(y[STEPS::STEPS])
    return torch.cat(series)[:units]


def _production(delayed: Tensor) -> Tensor:
    return BETA * delayed / (1 + delayed**N)


def _sample(generator: torch.Generator, tau: int, batch_size: int, length: int) -> Tensor:
    """Draw x (B, T, 1)."""
    start = 0.5 + torch.rand(batch_size, generator=generator, dtype=torch.float64)
    skipped = TRANSIENT * tau + torch.randint(SPREAD * tau, (batch_size,), generator=generator)
    y = integrate(start, tau, (TRANSIENT + SPREAD) * tau + length)
    x = torch.tanh(y.gather(0, skipped + torch.arange(length)[:, None]) - 1)
    return x.T[..., None].float()


@functools.cache
def _variances(tau: int) -> tuple[float, float]:
    """Return the variances of x and of y, measured on 500 fixed series of 1,000 steps."""
    x = _sample(torch.Generator().manual_seed(0), tau, 500, 1000).double()
    return x.var().item(), original(x).var().item()

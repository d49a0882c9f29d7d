"""Sums of sines: generate a waveform of slow and fast parts, from nothing or from its beginning."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.series.base import SeriesTask

#: The period of each sine in steps; the longest is a multiple of the others.
PERIODS = (8, 32, 80, 160)


class SumOfSines(SeriesTask):
    """Output, step by step, a sum of four sines with periods of 8, 32, 80 and 160 steps.

        generate   input     1     1     1     1     1      no information
                   target  −0.2   0.0   0.1   0.1   0.0     x(1), x(2), … of one fixed waveform

        continue   input    0.3   0.1  −0.2  −0.4  −0.4     x(0), x(1), … of a waveform with its own phases
                   target   0.1  −0.2  −0.4  −0.4  −0.3     x(1), x(2), …

        x(t) = ¼ Σₖ sin(2π t/pₖ + φₖ), within [−1, 1]

    Variants:
        generate: the first experiment of Koutník et al. (2014), with a waveform of known periods in place of
            audio clips. One waveform is memorised: training, validation and test are the same sequence, so
            that a batch of one is sufficient.
        continue: phases from U[0, 2π], drawn for each sequence. The next value follows from the eight before
            it, so that the result is judged in closed loop, over the last 160 steps: one longest period.

    `nmse` is the mean squared error over the variance, as in the paper.

    Args:
        length: steps T.
        variant: see above.
        phase_seed: the seed of the waveform's phases; for `generate` only.
        eval_lengths: lengths to test at.
        eval_size: sequences to evaluate on; None means 1 for `generate`, which has no other, and 1,000 for
            `continue`.

    Raises:
        ConfigError: a length is too small, or a value has no effect in the variant.
    """

    #: The gap between the loops is over the same steps since the second.
    revisions: ClassVar[dict[str, int]] = {"variant=continue": 2}

    def __init__(
        self,
        length: int = 320,
        variant: Literal["generate", "continue"] = "generate",
        phase_seed: int = 0,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int | None = None,
    ) -> None:
        if variant not in ("generate", "continue"):
            raise ConfigError(f"task.variant={variant} is unknown; there are generate and continue.")
        generate = variant == "generate"
        if not generate and phase_seed:
            raise ConfigError(
                f"task.phase_seed={phase_seed} has no effect: task.variant=continue draws phases for each "
                "sequence; leave it out."
            )
        if not generate:
            self.horizon = max(PERIODS)
        super().__init__(
            length,
            eval_lengths,
            eval_size=(1 if generate else 1000) if eval_size is None else eval_size,
            # At least one period; before the loop is closed the first values must determine the phases.
            min_length=min(PERIODS) if generate else self.horizon + 16,
        )
        if generate and self.eval_size > 1:
            raise ConfigError(
                f"task.eval_size={eval_size} has no effect: all sequences of task.variant=generate are the "
                "same; leave it out."
            )
        self.variant = variant
        self.phases = torch.rand(1, len(PERIODS), generator=torch.Generator().manual_seed(phase_seed))
        self.solved_when = f"{'' if generate else 'closed-loop '}NMSE under 0.007, " + (
            "the clockwork RNN's mean over audio clips (Koutník et al., 2014; from memory: it could not be "
            "read in the paper)"
        )
        self.variance = self.baseline_loss(length)

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        if self.variant == "generate":
            target = waveform(self.phases, length)[:, 1:]
            return Batch(torch.ones(batch_size, length, 1), target.expand(batch_size, length, 1))
        phases = torch.rand(batch_size, len(PERIODS), generator=generator)
        x = waveform(phases, length)
        return Batch(x[:, :-1], x[:, 1:])

    def baseline_loss(self, length: int) -> float:
        """Return the variance of the target: ⅛ over phases.

        generate: the variance over time, which a constant attains. A predictor that knew the time would need
        no input.
        """
        if self.variant == "generate":
            return waveform(self.phases, length)[:, 1:].double().var(correction=0).item()
        return 1 / (2 * len(PERIODS))

    @property
    def solved_metric(self) -> str:
        return "closed_nmse" if self.horizon else "nmse"

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics.get("closed_nmse" if self.horizon else "nmse", math.inf) < 0.007


def waveform(phases: Float[Tensor, "B K"], length: int) -> Float[Tensor, "B steps 1"]:
    """Return x(0), …, x(length) for phases in units of full turns."""
    turns = torch.arange(length + 1, dtype=torch.float64)[:, None] / torch.tensor(PERIODS)
    return torch.sin(2 * math.pi * (turns + phases[:, None])).mean(-1, keepdim=True).float()

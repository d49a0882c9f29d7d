"""The latching problem: remember one bit against noise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, share
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Classes, Vectors
from seqbench.tasks.streams.fresh import SyntheticTask


class Latch(SyntheticTask):
    """Name, after noise, which of two sequences it was: only the first `cue_length` steps differ.

        input   +1   +1   +1   0.3  −0.5  0.1  0.6  −0.2      class 1 after the last step
        input   −1   −1   −1  −0.1   0.4  0.2 −0.7   0.3      class 0

    The two-sequence problem of Bengio, Simard & Frasconi (1994) in the form of Hochreiter & Schmidhuber
    (1997, experiment 3a): Gaussian noise of mean 0 and variance 0.2. They note that random guessing of
    weights solves it sooner than training. So it is a weak test of memory, and a good one of gradients.

    `correct` is the share of sequences where |1 − p(class)| < 0.2.

    Args:
        length: steps T.
        cue_length: the number N of steps that differ.
        noise_variance: variance of the noise.
        eval_lengths: lengths to test at.
        eval_size: sequences to evaluate on.
    """

    extra_metrics = (share("correct"),)
    solved_when = "every sequence with an error under 0.2 (Hochreiter & Schmidhuber, 1997, stopping rule ST1)"
    variant = "two-sequence"
    inputs = Vectors(1)
    targets = Classes(2, per_step=False)

    def __init__(
        self,
        length: int = 50,
        cue_length: int = 3,
        noise_variance: float = 0.2,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        if cue_length < 1:
            raise ConfigError(f"task.cue_length={cue_length} leaves nothing to remember; give at least 1.")
        if noise_variance < 0:
            raise ConfigError(f"task.noise_variance={noise_variance} is negative; a variance is 0 or more.")
        super().__init__(length, eval_lengths, eval_size, min_length=2)
        key, shortest = min(self._lengths(), key=lambda pair: pair[1])
        if cue_length >= shortest:
            raise ConfigError(
                f"task.cue_length={cue_length} must be below every length, and task.{key}={shortest}."
            )
        self.cue_length = cue_length
        self.noise_variance = noise_variance

    @property
    def span(self) -> Span:
        """The length: the cue shows the bit in its steps, from the first to the last."""
        return Span("length", self.cue_length + 1, lambda length: (length - self.cue_length, length - 1))

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        classes = torch.randint(2, (batch_size,), generator=generator)
        inputs = torch.randn(batch_size, length, 1, generator=generator) * math.sqrt(self.noise_variance)
        inputs[:, : self.cue_length, 0] = 2.0 * classes[:, None] - 1
        return Batch(inputs, classes)

    def baseline_loss(self, length: int) -> float:
        """Return log 2."""
        return math.log(2)

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        loss, weights = measures["loss"]
        return {**measures, "correct": ((-torch.expm1(-loss) < 0.2).to(loss.dtype), weights)}

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 0.5}

    @property
    def solved_metric(self) -> str:
        return "correct"

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["correct"] == 1

"""The adding and the multiplication problem: remember two numbers to the end."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import ClassVar, Literal

import torch
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, share
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Values, Vectors
from seqbench.tasks.streams.fresh import SyntheticTask

Variant = Literal["halves", "anywhere", "1997"]
Operation = Literal["sum", "product"]
#: The least length of each variant. 1997: the first length/2 − 1 steps must hold ten for the first mark and
#: one more for the second.
LEAST = {"halves": 2, "anywhere": 2, "1997": 24}


class Adding(SyntheticTask):
    """Add, or multiply, the two marked numbers of a sequence.

        value   0.3  0.9  0.1  0.5  0.7  0.2
        marker   0    1    0    0    1    0      target 1.6, the product 0.63, after the last step

    Variants:
        halves: values from U[0, 1]; one mark in each half of the sequence (Arjovsky, Shah & Bengio, 2016).
        anywhere: values from U[0, 1]; two different steps (Bai, Kolter & Koltun, 2018).
        1997: values from U[−1, 1]; `length` to 1.1 `length` steps, drawn for each sequence; one mark among
            the first ten steps, one among the first length/2 − 1. The first and the last step always carry
            the marker −1, and a marked first step has the value 0. The target is 0.5 + (x₁ + x₂)/4, within
            [0, 1] (Hochreiter & Schmidhuber, 1997, experiment 4). For the product values are from U[0, 1], a
            marked first step has the value 1, and the target is x₁ x₂ (experiment 5).

    The loss is the squared error. `correct` is the share of sequences with an absolute error under 0.04.

    Args:
        length: steps T.
        variant: see above.
        operation: sum or product of the two numbers.
        eval_lengths: lengths to test at.
        eval_size: sequences to evaluate on.
        solved_at: the mean squared error under which a run counts as solved; None: a hundredth of the
            variance of the target. Not with 1997, which has marks of its own.
    """

    metric: ClassVar[str] = "loss"
    extra_metrics = (share("correct"),)

    def __init__(
        self,
        length: int = 100,
        variant: Variant = "halves",
        operation: Operation = "sum",
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        solved_at: float | None = None,
    ) -> None:
        if variant not in ("halves", "anywhere", "1997"):
            raise ConfigError(f"task.variant={variant} is unknown; there are halves, anywhere and 1997.")
        if operation not in ("sum", "product"):
            raise ConfigError(f"task.operation={operation} is unknown; there are sum and product.")
        super().__init__(length, eval_lengths, eval_size, min_length=LEAST[variant])
        self.variant = variant
        self.operation = operation
        if solved_at is not None and variant == "1997":
            raise ConfigError(
                f"task.solved_at={solved_at} has no effect with task.variant=1997, which has its own marks; "
                "leave it out."
            )
        if solved_at is not None and not 0 < solved_at < self.baseline_loss(length):
            raise ConfigError(
                f"task.solved_at={solved_at} is no squared error to reach; give one above 0, and under the "
                f"{self.baseline_loss(length):.3g} that is reached without the input."
            )
        self.solved_at = self.baseline_loss(length) / 100 if solved_at is None else solved_at
        if variant == "1997":
            self.solved_when = (
                "all errors under 0.04, mean squared error under 0.01 (Hochreiter & Schmidhuber, 1997)"
                if operation == "sum"
                else "fewer than 13 of 2,000 errors over 0.04 (Hochreiter & Schmidhuber, 1997)"
            )
        elif solved_at is not None:
            self.solved_when = f"mean squared error under {solved_at:g}, the mark that was typed"
        else:
            source = "Campos et al., 2018" + (", for the sum" if operation == "product" else "")
            self.solved_when = f"mean squared error 100 times under the variance of the target ({source})"
        self.inputs = Vectors(2)
        self.targets = Values(1, per_step=False)

    @property
    def steps(self) -> int:
        return self.length + self.length // 10 if self.variant == "1997" else self.length

    @property
    def span(self) -> Span:
        """The length: the first mark lies in the first half, anywhere, or among the first ten steps."""
        return Span("length", LEAST[self.variant], self._dependency)

    def _dependency(self, length: int) -> tuple[int, int]:
        if self.variant == "1997":
            return length - 10, length + length // 10 - 1
        return (length - length // 2 if self.variant == "halves" else 1), length - 1

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        if self.variant == "1997":
            return self._sample_1997(generator, batch_size, length)
        values = torch.rand(batch_size, length, generator=generator)
        if self.variant == "halves":
            first = torch.randint(length // 2, (batch_size,), generator=generator)
            second = torch.randint(length // 2, length, (batch_size,), generator=generator)
        else:
            first, second = _two_different(generator, batch_size, length, length)
        marks = _marks(first, second, length)
        return Batch(torch.stack([values, marks], dim=-1), self._combine(values, marks))

    def _sample_1997(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        lengths = torch.randint(length, length + length // 10 + 1, (batch_size,), generator=generator)
        steps = length + length // 10
        values = torch.rand(batch_size, steps, generator=generator)
        if self.operation == "sum":
            values = values * 2 - 1
        first, second = _two_different(generator, batch_size, 10, length // 2 - 1)
        marks = _marks(first, second, steps)
        neutral = 0.0 if self.operation == "sum" else 1.0
        values[:, 0] = torch.where(marks[:, 0] > 0, neutral, values[:, 0])
        target = self._combine(values, marks)
        if self.operation == "sum":
            target = 0.5 + target / 4
        marks[:, 0] = -1.0
        marks[torch.arange(batch_size), lengths - 1] = -1.0
        inputs = torch.stack([values, marks], dim=-1)
        valid = torch.arange(steps) < lengths[:, None]
        return Batch(inputs * valid[..., None], target, lengths=lengths)

    def _combine(self, values: Tensor, marks: Tensor) -> Tensor:
        if self.operation == "sum":
            return (values * marks).sum(1, keepdim=True)
        return torch.where(marks > 0, values, 1.0).prod(1, keepdim=True)

    def baseline_loss(self, length: int) -> float:
        """Return the variance of the target: 1/6 for the sum of two from U[0, 1], 7/144 for the product.

        1997: (1/16)(1/3)(2 − p), where p is the chance that a mark falls on the first step; for the product
        (1 + 2p)/9 − ((1 + p)/4)².
        """
        p = 1 / 10 + 9 / 10 / (length // 2 - 2) if self.variant == "1997" else 0.0
        if self.operation == "product":
            return (1 + 2 * p) / 9 - ((1 + p) / 4) ** 2
        return (2 - p) / 48 if self.variant == "1997" else 1 / 6

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        loss, weights = measures["loss"]
        error = (outputs - batch.targets).abs().amax(-1)
        return {**measures, "correct": ((error < 0.04).to(loss.dtype), weights)}

    @property
    def solved_metric(self) -> str:
        return "correct" if self.variant == "1997" else "loss"

    def solved(self, metrics: Mapping[str, float]) -> bool:
        if self.variant == "1997" and self.operation == "product":
            return metrics["correct"] > 1 - 13 / 2000
        if self.variant == "1997":
            return metrics["loss"] < 0.01 and metrics["correct"] == 1
        return metrics["loss"] < self.solved_at


def _two_different(
    generator: torch.Generator, batch_size: int, first_of: int, second_of: int
) -> tuple[Tensor, Tensor]:
    """Draw a step below `first_of` and a different one below `second_of`, where first_of ≤ second_of."""
    first = torch.randint(first_of, (batch_size,), generator=generator)
    second = torch.randint(second_of - 1, (batch_size,), generator=generator)
    return first, second + (second >= first)


def _marks(first: Tensor, second: Tensor, length: int) -> Tensor:
    """Return the marker channel (B, T): 1 at the two steps of each row, else 0."""
    return torch.zeros(len(first), length).scatter_(1, torch.stack([first, second], dim=1), 1.0)

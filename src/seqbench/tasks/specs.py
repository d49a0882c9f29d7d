"""Specs of inputs and targets: what a model reads, what it outputs, and the loss of an output.

A model never sees a task. Its constructor asks for arguments by name, and the specs answer.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, Metric, loss, share


def counted(count: int, name: str) -> str:
    """Return a number of things: `1 number`, `2,000 numbers`."""
    return f"{count:,} {name}{'s' * (count != 1)}"


@dataclass(frozen=True)
class Input(ABC):
    """Input spec. A family with another kind of input derives its own, with further arguments."""

    size: int

    @property
    def in_words(self) -> str:
        """What a model reads, in a phrase."""
        return f"{counted(self.size, 'number')} at each step"

    @abstractmethod
    def arguments(self) -> dict[str, Any]:
        """Return the arguments that a model's constructor may ask for, by name."""


@dataclass(frozen=True)
class Tokens(Input):
    """Input spec: one of `size` symbols at each step."""

    @property
    def in_words(self) -> str:
        return f"one of {self.size} symbols at each step"

    def arguments(self) -> dict[str, Any]:
        return {"input_size": self.size, "tokens": True}


@dataclass(frozen=True)
class Vectors(Input):
    """Input spec: a vector of `size` real numbers at each step."""

    def arguments(self) -> dict[str, Any]:
        return {"input_size": self.size, "tokens": False}


@dataclass(frozen=True)
class Target(ABC):
    """Target spec: a model outputs `size` numbers, at every step (`per_step`) or once per sequence."""

    size: int
    per_step: bool

    @property
    def one_in_words(self) -> str:
        """One target, in a phrase: `1 number`."""
        return counted(self.size, "number")

    @property
    def in_words(self) -> str:
        """The targets of a sequence, in a phrase: `1 number at each step`."""
        return f"{self.one_in_words} {'at each step' if self.per_step else 'after the last step'}"

    def arguments(self) -> dict[str, Any]:
        """Return the arguments that a model's constructor may ask for, by name."""
        return {"output_size": self.size, "per_step": self.per_step, "classes": False}

    @property
    @abstractmethod
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that `measure` returns, `loss` first."""

    @abstractmethod
    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        """Return `loss` and the other measures of each target of the batch."""

    @abstractmethod
    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the loss of each target of the batch."""

    def probabilities(self, outputs: Tensor) -> Tensor:
        """Return the outputs on the scale of the targets: probabilities of classes or bits, or numbers."""
        return outputs

    def shown(self, values: Tensor) -> list[str]:
        """Return values on the scale of the targets as texts."""
        return [f"{value:.6g}" for value in values.flatten().tolist()]

    def loss(self, outputs: Tensor, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean loss over the targets that count: [9]–[11] of the chapter over their number."""
        losses = self.losses(outputs, batch)
        if not self.per_step or batch.mask is None:
            return losses.mean()
        weights = self.weights(losses, batch)
        return (losses * weights).sum() / weights.sum()

    def weights(self, values: Tensor, batch: Batch) -> Tensor:
        """Return 1 for each target that counts and 0 for the others, in the shape of `values`."""
        if self.per_step and batch.mask is not None:
            return batch.mask.to(values.dtype)
        return torch.ones_like(values)


class Classes(Target):
    """One of `size` classes. The outputs are unnormalised log-probabilities; the loss is in nats."""

    @property
    def one_in_words(self) -> str:
        return f"one of {self.size} classes"

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"classes": True}

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return loss("nats"), share("accuracy")

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        loss = F.cross_entropy(outputs.flatten(0, -2), batch.targets.flatten(), reduction="none")
        return loss.view(batch.targets.shape)

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        loss = self.losses(outputs, batch)
        weights = self.weights(loss, batch)
        correct = (outputs.argmax(-1) == batch.targets).to(loss.dtype)
        return {"loss": (loss, weights), "accuracy": (correct, weights)}

    def probabilities(self, outputs: Tensor) -> Tensor:
        return torch.softmax(outputs, dim=-1)


class Values(Target):
    """A vector of `size` real numbers. The loss is the mean squared error over its components."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (loss("squared error"),)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return (outputs - batch.targets).square().mean(-1)

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        loss = self.losses(outputs, batch)
        return {"loss": (loss, self.weights(loss, batch))}


class LabelSet(Target):
    """Any of `size` labels, each there or not: 1 or 0. The outputs are log-odds; the loss is in nats.

    The loss of a target is the sum over the labels: the code length of the set, if they were independent.
    """

    @property
    def one_in_words(self) -> str:
        return f"any of {self.size} labels"

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return (loss("nats"),)

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs, batch.targets, reduction="none").sum(-1)

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        loss = self.losses(outputs, batch)
        return {"loss": (loss, self.weights(loss, batch))}

    def probabilities(self, outputs: Tensor) -> Tensor:
        return torch.sigmoid(outputs)


class Bits(Target):
    """A vector of `size` bits at every step. The outputs are log-odds; the loss is in nats per bit.

    Two metrics are of a sequence and not of a step: `bits`, the code length of all its bits that count, and
    `bit_errors`, the number of these that are predicted wrongly.
    """

    @property
    def one_in_words(self) -> str:
        return counted(self.size, "bit")

    @property
    def metrics(self) -> tuple[Metric, ...]:
        per_sequence = Metric("bits", "min", "bits", 0.0), Metric("bit_errors", "min", "bits", 0.0)
        return loss("nats"), *per_sequence

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs, batch.targets, reduction="none").mean(-1)

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        loss = self.losses(outputs, batch)
        weights = self.weights(loss, batch)
        wrong = ((outputs > 0) != (batch.targets > 0.5)).sum(-1)
        bits = (loss * weights).sum(1) * (self.size / math.log(2))
        errors = (wrong * weights).sum(1)
        one = torch.ones_like(bits)
        return {"loss": (loss, weights), "bits": (bits, one), "bit_errors": (errors, one)}

    def probabilities(self, outputs: Tensor) -> Tensor:
        return torch.sigmoid(outputs)

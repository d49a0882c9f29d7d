"""Specs of targets with names and units: classes by their labels, numbers on the scale of their column."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, Metric, loss
from seqbench.tasks.specs import Classes, Values


@dataclass(frozen=True)
class Labels(Classes):
    """One of the labels of a column.

    Attributes:
        names: of the classes.
        class_weights: what each counts in the loss; on the average of the training targets 1.
    """

    names: tuple[str, ...]
    class_weights: tuple[float, ...] | None = None

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        losses = super().losses(outputs, batch)
        if self.class_weights is None:
            return losses
        return losses * losses.new_tensor(self.class_weights)[batch.targets]


@dataclass(frozen=True)
class Numbers(Values):
    """The numbers of columns, standardised for the loss; errors are in their own units.

    Attributes:
        names: of the columns.
        mean: of each over the training targets.
        scale: its standard deviation there.
    """

    names: tuple[str, ...]
    mean: tuple[float, ...]
    scale: tuple[float, ...]

    @property
    def metrics(self) -> tuple[Metric, ...]:
        errors = [Metric(f"{kind}{of}", "min", self._unit, 0.0) for of in self._each for kind in KINDS]
        return loss("share of the variance"), *errors

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        """Return the measures; those named `rmse` are squares, of which `summary` takes the root."""
        losses = self.losses(outputs, batch)
        weights = self.weights(losses, batch)
        errors = (outputs - batch.targets) * outputs.new_tensor(self.scale)
        found = {"loss": (losses, weights)}
        for i, of in enumerate(self._each):
            found[f"rmse{of}"] = errors[..., i].square(), weights
            found[f"mae{of}"] = errors[..., i].abs(), weights
        return found

    def errors(self, squares: Sequence[float], off: Sequence[float]) -> dict[str, float]:
        """Return means of errors, squared and not, by their metrics' names."""
        both = zip(self._each, squares, off, strict=True)
        return {f"{kind}{of}": value for of, *two in both for kind, value in zip(KINDS, two, strict=True)}

    def probabilities(self, outputs: Tensor) -> Float[Tensor, "... O"]:
        """Return the outputs in the units of the columns."""
        return outputs * outputs.new_tensor(self.scale) + outputs.new_tensor(self.mean)

    @property
    def _each(self) -> list[str]:
        """What follows the name of a metric: nothing for one column, else which column it is of."""
        return [""] if len(self.names) == 1 else [f"_{name}" for name in self.names]

    @property
    def _unit(self) -> str:
        return f"unit of {self.names[0]}" if len(self.names) == 1 else "unit of the column"


#: Errors of numbers: the root of the mean square, and the mean of what they are off.
KINDS = ("rmse", "mae")


def roots(metrics: dict[str, float]) -> dict[str, float]:
    """Return metrics with the roots of those that are named so and are means of squares."""
    return {name: value**0.5 if name.startswith("rmse") else value for name, value in metrics.items()}


def weights_of(counts: Tensor) -> tuple[float, ...]:
    """Return the weights by which each class counts alike: n / (K · n_k)."""
    return tuple((counts.sum() / (len(counts) * counts.double())).tolist())


def frequencies(classes: Tensor, size: int) -> Tensor:
    """Return how often each class occurs, (K,) of float64."""
    return torch.bincount(classes.flatten(), minlength=size).double()

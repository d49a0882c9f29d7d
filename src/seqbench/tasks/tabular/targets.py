"""Specs of targets with names and units: classes by their labels, numbers on the scale of their column."""

from __future__ import annotations

import math
from collections.abc import Mapping
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
        kinds = ("rmse", "mae")  # the root of the mean square, and the mean of what they are off
        errors = [Metric(f"{kind}{of}", "min", self._unit, 0.0) for of in self._each for kind in kinds]
        return loss("share of the variance"), *errors

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        """Return the measures: of errors in standard deviations, squared for `rmse`; see `in_units`."""
        losses = self.losses(outputs, batch)
        weights = self.weights(losses, batch)
        errors = outputs - batch.targets
        found = {"loss": (losses, weights)}
        for i, of in enumerate(self._each):
            found[f"rmse{of}"] = errors[..., i].square(), weights
            found[f"mae{of}"] = errors[..., i].abs(), weights
        return found

    def in_units(self, means: Mapping[str, float]) -> dict[str, float]:
        """Return the metrics of means of measures; errors in the units of the columns, of squares the roots.

        What a float of 32 bits holds of a square of theirs would not do for all units.
        """
        found = dict(means)
        for of, scale in zip(self._each, self.scale, strict=True):
            found[f"rmse{of}"] = means[f"rmse{of}"] ** 0.5 * scale
            found[f"mae{of}"] = means[f"mae{of}"] * scale
        return found

    def errors(self, errors: Float[Tensor, "N O"]) -> dict[str, float]:
        """Return the metrics of errors in standard deviations."""
        squares, off = errors.square().mean(0).tolist(), errors.abs().mean(0).tolist()
        both = zip(self._each, squares, off, strict=True)
        kinds = ("rmse", "mae")
        return self.in_units(
            {f"{kind}{of}": value for of, *two in both for kind, value in zip(kinds, two, strict=True)}
        )

    def probabilities(self, outputs: Tensor) -> Float[Tensor, "... O"]:
        """Return the outputs in the units of the columns, of float64: a mean may be far from zero."""
        outputs = outputs.double()
        return outputs * outputs.new_tensor(self.scale) + outputs.new_tensor(self.mean)

    def shown(self, values: Tensor) -> list[str]:
        """Return numbers with as many digits as six of a standard deviation take."""
        digits = [
            min(6 + max(0, math.ceil(math.log10(abs(mean) / scale))) if mean else 6, 17)
            for mean, scale in zip(self.mean, self.scale, strict=True)
        ]
        rows = values.reshape(-1, self.size).tolist()
        return [f"{value:.{many}g}" for row in rows for value, many in zip(row, digits, strict=True)]

    @property
    def _each(self) -> list[str]:
        """What follows the name of a metric: nothing for one column, else which column it is of."""
        return [""] if len(self.names) == 1 else [f"_{name}" for name in self.names]

    @property
    def _unit(self) -> str:
        return f"unit of {self.names[0]}" if len(self.names) == 1 else "unit of the column"


def weights_of(counts: Tensor) -> tuple[float, ...]:
    """Return the weights by which each class counts alike: n / (K · n_k)."""
    return tuple((counts.sum() / (len(counts) * counts.double())).tolist())


def frequencies(classes: Tensor, size: int) -> Tensor:
    """Return how often each class occurs, (K,) of float64."""
    return torch.bincount(classes.flatten(), minlength=size).double()

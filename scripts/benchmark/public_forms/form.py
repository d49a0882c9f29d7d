"""What a public form is, and what surrounds those that are no layers."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from torch import Tensor, nn

from agreements.cases import around
from seqbench.models.cells.matrix_state import MatrixCell

#: What is done in every layer with q, k, v and more: it returns the outputs (B, T, A, V).
Recurrence = Callable[..., Tensor]


class Form(NamedTuple):
    """A public form of a layer.

    package: as it is installed; torch where a formula is written out in torch's operations.
    part: of the package, in words.
    make: returns the layer, from its width. An ImportError says that the package is not there.
    """

    package: str
    part: str
    make: Callable[[int], nn.Module]


class Function(nn.Module):
    """A function of x as a layer, with the parameters of modules that it uses."""

    def __init__(self, function: Callable[[Tensor], Tensor], *modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.used = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class RecurrenceOf(nn.Module):
    """A layer of seqbench with a recurrence that is not its own."""

    def __init__(self, cell: MatrixCell, recurrence: Recurrence) -> None:
        super().__init__()
        self.cell = cell
        self.recurrence = recurrence

    def forward(self, x: Tensor) -> Tensor:
        return around(self.cell, self.recurrence, x)

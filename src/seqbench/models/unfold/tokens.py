"""Tokens as the input of a cell: a row that is looked up, in place of a product with a one-hot vector."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from seqbench.models.unfold.cell import Cell, State, Step

#: Symbols from which on tokens are looked up. Of fewer the compiled product is as fast as a lookup; so their
#: rounding stays what it was.
LOOKUP_FROM = 256


def is_tokens(x: Any) -> bool:
    """Whether an input is tokens, and not vectors."""
    return isinstance(x, Tensor) and not (x.is_floating_point() or x.is_complex())


def affine(
    x: Float[Tensor, "*steps F"] | Int[Tensor, "*steps"],
    weight: Float[Tensor, "G F"],
    bias: Float[Tensor, " G"] | None = None,
) -> Float[Tensor, "*steps G"]:
    """Return W x + b, of vectors x or of tokens, which stand for one-hot vectors.

    Of a token it is a column of W. The sum over the symbols has one term that is not zero, so that the values
    are those of the product to the bit; in the gradient of W the order of summation differs.
    """
    if not is_tokens(x):
        return nn.functional.linear(x, weight, bias)
    rows = nn.functional.embedding(x, weight.t())
    return rows if bias is None else rows + bias


class Projected(Cell):
    """A cell whose input has been projected: what `project` of the cell returns is the input.

    Args:
        cell: whose step is taken, and whose kernels are.
        x: such an input.
    """

    def __init__(self, cell: Cell, x: Any) -> None:
        super().__init__(tree_leaves(x)[0].shape[-1], cell.hidden_size)
        self.cell = cell
        self.vectorizable = cell.runs_vectorized

    @property
    def runs_native(self) -> bool:
        return self.cell.runs_native

    @property
    def runs_scan(self) -> bool:
        return self.cell.runs_scan

    @property
    def runs_from_start(self) -> bool:
        return self.cell.runs_from_start

    @property
    def owner(self) -> nn.Module:
        return self.cell.owner

    @property
    def output_size(self) -> int:
        return self.cell.output_size

    def project(self, x: Any) -> Any:
        return x

    def step(self, projected: Any, state: State) -> tuple[Any, State]:
        return self.cell.step(projected, state)

    def stepper(self) -> Step:
        return self.cell.stepper()

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size)

    @property
    def runs_narrowed(self) -> bool:
        return self.cell.runs_narrowed

    def narrowed(self, state: State, steps: int) -> State:
        return self.cell.narrowed(state, steps)

    def restored(self, state: State) -> State:
        return self.cell.restored(state)

    def native(self, x: Any, state: State, projected: bool = True) -> tuple[Any, State]:
        return self.cell.native(x, state, projected)

    def scan(self, projected: Any, state: State, valid: Tensor | None) -> tuple[Tensor, State]:
        return self.cell.scan(projected, state, valid)

    def scan_from_start(self, projected: Any, state: State, valid: Tensor | None) -> tuple[Tensor, State]:
        return self.cell.scan_from_start(projected, state, valid)

    def output_of(self, projected: Any, state: State) -> Tensor | None:
        return self.cell.output_after(projected, state)

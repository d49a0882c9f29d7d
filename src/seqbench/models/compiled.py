"""Unfolding in pieces that torch's compiler has made into one.

A piece of `PIECE` steps is compiled once for each kind and size of cell, size of batch, and number of seeds;
sequences may have any length. Torch keeps what it has compiled on disk, where other processes find it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Sequence
from types import FunctionType
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from seqbench.models.unfold import Cell, State, loop

#: Steps compiled as one. More of them take longer to compile and hardly less to run.
PIECE = 10

Dims = tuple[int | None, ...]


def run_compiled(
    cell: Cell, projected: Tensor, state: State, valid: Tensor | None, last: Tensor | None
) -> tuple[Tensor, State]:
    """Do what `loop` does, by it the last T mod `PIECE` steps.

    Without gradients all steps are done by it: evaluations come in batches of other sizes.
    """
    whole = len(projected) // PIECE * PIECE if torch.is_grad_enabled() else 0
    weights = [*cell.parameters(), *cell.buffers()]
    # The first state must look like the later ones (batched by vmap, with a gradient), or there would be two
    # pieces to compile.
    nothing = 0 * projected.flatten()[0]
    state = tuple(part + nothing for part in state)
    last = None if last is None else last + nothing
    outputs = []
    # split, like unbind, has one backward for all pieces.
    sizes = [PIECE] * (whole // PIECE) + [len(projected) - whole]
    pieces = torch.split(projected, sizes)
    for i, piece in enumerate(pieces[:-1]):
        now = None if valid is None else valid[i * PIECE : (i + 1) * PIECE]
        given = (piece, now, last, *state, *weights)
        if any(g is not None and torch._C._functorch.is_batchedtensor(g) for g in given):
            output, *new = _UnderVmap.apply(cell, *given)  # type: ignore[no-untyped-call]
        else:
            output, *new = _compiled(cell, given, None)(*given)
        outputs.append(output)
        # As a view it is never the state itself, which the compiler would take for a case of its own.
        state, last = tuple(new), None if last is None else output.view_as(output)
    if whole < len(projected):
        rest = None if valid is None else valid[whole:]
        output, state = loop(cell, pieces[-1], state, rest, last=last)
        outputs.append(output)
    return torch.cat(outputs) if last is None else outputs[-1], state


class _UnderVmap(torch.autograd.Function):
    """Hands the stacked tensors behind vmap's to a piece that has vmap within.

    The compiler cannot be called from within vmap.
    """

    @staticmethod
    def vmap(info: Any, in_dims: Any, cell: Cell, *given: Tensor | None) -> Any:
        dims = [None if tensor is None else dim for tensor, dim in zip(given, in_dims[1:], strict=True)]
        stacked = [g if g is None or d is None else g.movedim(d, 0) for g, d in zip(given, dims, strict=True)]
        dims = [None if dim is None else 0 for dim in dims]
        found = _compiled(cell, stacked, tuple(dims))(*stacked)
        return found, (0,) * len(found)

    @staticmethod
    def forward(*given: Any) -> Any:
        raise NotImplementedError("This is for vmap alone.")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass


class _Piece(nn.Module):
    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(
        self, projected: Tensor, valid: Tensor | None, last: Tensor | None, *state: Tensor
    ) -> tuple[Tensor, ...]:
        outputs, state = loop(self.cell, projected, state, valid, last=last)
        return outputs, *state


_PIECES: dict[Any, Callable[..., Any]] = {}


def _compiled(cell: Cell, given: Sequence[Tensor | None], dims: Dims | None) -> Callable[..., Any]:
    """Return a compiled piece: `_Piece.forward`, with the cell's weights as further arguments.

    Cells that differ in the values of their weights alone share one.

    Args:
        cell: of the kind that is wanted.
        given: arguments of the sizes and types that it is for.
        dims: which dimension of each argument is vmap's, which is to be within; None for no vmap.
    """
    names = [name for name, _ in [*cell.named_parameters(), *cell.named_buffers()]]
    settings = [
        (name, value)
        for module in cell.modules()
        for name, value in vars(module).items()
        if not name.startswith("_")
    ]
    sizes = tuple(None if g is None else (g.shape, g.dtype, g.device) for g in given)
    key = (type(cell), repr(settings), tuple(names), sizes, dims)
    if key not in _PIECES:
        # A copy without weights, for those of the cell may be vmap's now.
        weightless: dict[int, Any] = {id(p): nn.Parameter(torch.empty(0)) for p in cell.parameters()}
        weightless |= {id(buffer): torch.empty(0) for buffer in cell.buffers()}
        piece = _Piece(copy.deepcopy(cell, weightless))
        weights = [f"cell.{name}" for name in names]

        def one(*given: Tensor | None) -> Any:
            values: dict[str, Any] = dict(zip(weights, given[-len(names) :], strict=True))
            return functional_call(piece, values, given[: -len(names)])

        def run(*given: Tensor | None) -> Any:
            return one(*given) if dims is None else vmap(one, in_dims=dims)(*given)

        # The compiler keeps what it has made by the function's code, and this one is to be of its own kind.
        own = FunctionType(run.__code__.replace(), run.__globals__, run.__name__, None, run.__closure__)
        _PIECES[key] = torch.compile(own, dynamic=False, fullgraph=True)
    return _PIECES[key]

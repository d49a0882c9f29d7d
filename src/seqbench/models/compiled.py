"""Unfolding in pieces that torch's compiler has made into one.

A piece of `PIECE` steps is compiled once for each kind of cell, for any size of batch and any number of seeds
under vmap. Torch keeps what it has compiled on disk, where other processes find it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

from seqbench.models.unfold import Cell, State, loop

#: Steps compiled as one. More of them take longer to compile and hardly less to run.
PIECE = 10

Dims = tuple[int | None, ...]


def run_compiled(cell: Cell, projected: Tensor, state: State, valid: Tensor | None) -> tuple[Tensor, State]:
    """Unfold a cell over its projected input (T, B, G); what is left of T / `PIECE` steps is done in Python.

    So are all steps where no gradient is wanted: evaluations come in batches of other sizes.
    """
    whole = len(projected) // PIECE * PIECE if torch.is_grad_enabled() else 0
    weights = [*cell.parameters(), *cell.buffers()]
    # The first state must look like the later ones (batched by vmap, with a gradient), or there would be two
    # pieces to compile.
    nothing = 0 * projected.flatten()[0]
    state = tuple(part + nothing for part in state)
    outputs = []
    for start in range(0, whole, PIECE):
        part = slice(start, start + PIECE)
        given = (projected[part], *([] if valid is None else [valid[part]]), *state, *weights)
        if any(map(torch._C._functorch.is_batchedtensor, given)):
            output, *last = _UnderVmap.apply(cell, valid is not None, *given)  # type: ignore[no-untyped-call]
        else:
            output, *last = _compiled(cell, valid is not None, None)(*given)
        outputs.append(output)
        state = tuple(last)
    if whole < len(projected):
        rest = None if valid is None else valid[whole:]
        output, state = loop(cell, projected[whole:], state, rest)
        outputs.append(output)
    return torch.cat(outputs), state


class _UnderVmap(torch.autograd.Function):
    """Hands the stacked tensors behind vmap's to a piece that has vmap within.

    The compiler cannot be called from within vmap.
    """

    @staticmethod
    def vmap(info: Any, in_dims: Any, cell: Cell, masked: bool, *given: Tensor) -> Any:
        dims = in_dims[2:]
        stacked = [g if d is None else g.movedim(d, 0) for g, d in zip(given, dims, strict=True)]
        found = _compiled(cell, masked, tuple(None if d is None else 0 for d in dims))(*stacked)
        return found, (0,) * len(found)

    @staticmethod
    def forward(*given: Any) -> Any:
        raise NotImplementedError("This is for vmap alone.")

    @staticmethod
    def setup_context(ctx: Any, inputs: Any, output: Any) -> None:
        pass


class _Piece(nn.Module):
    def __init__(self, cell: Cell, masked: bool) -> None:
        super().__init__()
        self.cell = cell
        self.masked = masked

    def forward(self, projected: Tensor, *rest: Tensor) -> tuple[Tensor, ...]:
        outputs, state = loop(self.cell, projected, rest[self.masked :], rest[0] if self.masked else None)
        return outputs, *state


_PIECES: dict[Any, Callable[..., Any]] = {}


def _compiled(cell: Cell, masked: bool, dims: Dims | None) -> Callable[..., Any]:
    """Return a compiled piece: projected input, validity if `masked`, state, weights → outputs, state.

    Cells that differ in the values of their weights alone share one.

    Args:
        cell: of the kind that is wanted.
        masked: whether some steps are not valid.
        dims: which dimension of each argument is vmap's, which is to be within; None for no vmap.
    """
    names = [name for name, _ in [*cell.named_parameters(), *cell.named_buffers()]]
    settings = [
        (name, value)
        for module in cell.modules()
        for name, value in vars(module).items()
        if not name.startswith("_")
    ]
    key = (type(cell), repr(settings), tuple(names), masked, dims)
    if key not in _PIECES:
        import torch._dynamo

        # Every kind of cell counts as another compilation of the same function.
        torch._dynamo.config.recompile_limit = 256
        # A copy without weights, for those of the cell may be vmap's now.
        weightless: dict[int, Any] = {id(p): nn.Parameter(torch.empty(0)) for p in cell.parameters()}
        weightless |= {id(buffer): torch.empty(0) for buffer in cell.buffers()}
        piece = _Piece(copy.deepcopy(cell, weightless), masked)
        weights = [f"cell.{name}" for name in names]

        def run(*given: Tensor) -> Any:
            rest, values = given[: -len(names)], given[-len(names) :]
            return functional_call(piece, dict(zip(weights, values, strict=True)), rest)

        run = run if dims is None else vmap(run, in_dims=dims)
        _PIECES[key] = torch.compile(run, dynamic=False, fullgraph=True)
    return _PIECES[key]

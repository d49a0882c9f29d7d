"""A step whose output is followed back to the state that it is computed from."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from seqbench.models import Cell, State


def followed_step(cell: Cell, projected: Any, state: State, check: bool) -> tuple[Tensor, State]:
    """Take a step; return its output, as a function of the state after it where it is one, and that state.

    The state has a tensor of its own for every part: one that several states share, or that another part
    is computed from, would have the gradients of all these uses. What a cell computes its output from, as
    it does not say so itself, is found by taking the step once more: then torch's operations return these
    tensors in the place of the parts of the state.

    Args:
        cell, projected, state: of the step.
        check: whether to look if that can be found.

    Raises:
        ValueError: it cannot.
    """
    generator = torch.get_rng_state()  # what a step draws has to be drawn again
    with _Results() as first:
        output, new = cell.step(projected, state)
    own = tree_map(_own, new)
    places = {id(result): place for place, result in enumerate(first.results)}
    pairs = [pair for pair in zip(tree_leaves(new), tree_leaves(own), strict=True) if pair[1].requires_grad]
    instead = {places[id(part)]: mine for part, mine in pairs if id(part) in places}
    torch.set_rng_state(generator)
    with _Results(instead) as second:
        again, _ = cell.step(projected, state)
    if check:
        replaced = [second.results[place] for place in instead]
        given = {id(part) for part in tree_leaves((projected, state))}  # what goes on as it came is no result
        hidden = [part for part, _ in pairs if id(part) not in {*places, *given}]
        same = torch.allclose(again, output, rtol=0, atol=0, equal_nan=True)
        if not same or _depends(again, replaced) or _depends(output, hidden):
            raise ValueError(
                f"What {type(cell).__name__} computes the output of a step from cannot be followed; give it "
                "output_of(projected, state), which returns the output from the state after the step."
            )
    return again, own


def _own(part: Tensor) -> Tensor:
    return part.view_as(part) if part.requires_grad else differentiable(part)


class _Results(TorchFunctionMode):
    """Keeps the tensors that torch's operations return, in their order.

    Args:
        instead: what is returned in the place of some of them, by their number.
    """

    def __init__(self, instead: Mapping[int, Tensor] | None = None) -> None:
        super().__init__()
        self.results: list[Tensor] = []
        self._instead = instead or {}

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        if isinstance(result, Tensor):
            return self._take(result)
        if isinstance(result, (tuple, list)) and any(isinstance(one, Tensor) for one in result):
            return type(result)([self._take(one) if isinstance(one, Tensor) else one for one in result])
        return result

    def _take(self, result: Tensor) -> Tensor:
        self.results.append(result)
        return self._instead.get(len(self.results) - 1, result)


def _depends(output: Tensor, parts: Sequence[Tensor]) -> bool:
    """Return whether an output is computed from a part."""
    asked = [part for part in parts if part.requires_grad]
    if not (asked and output.requires_grad):
        return False
    found = torch.autograd.grad(output, asked, torch.ones_like(output), retain_graph=True, allow_unused=True)
    return any(gradient is not None for gradient in found)


def differentiable(part: Tensor) -> Tensor:
    """Return a part of a state for which a gradient can be computed, though no parameter made it."""
    if part.requires_grad or not is_real_or_complex(part):
        return part
    return part.detach().requires_grad_()


def is_real_or_complex(part: Tensor) -> bool:
    """Return whether a part of a state has numbers that a gradient can be computed at."""
    return part.is_floating_point() or part.is_complex()

"""The loop over time in Python: the engine that every cell has."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten
from torch.utils.checkpoint import checkpoint

from seqbench.models.unfold.cell import State, Step
from seqbench.models.unfold.valid import like


def loop(
    step: Step,
    projected: Any,
    state: State,
    valid: Tensor | None,
    *,
    steps: int = 0,
    last: Tensor | None = None,
) -> tuple[Any, State]:
    """Run steps one after another.

    Args:
        step: the step f.
        projected: the projected input, tensors (T, B, …); None for `steps` steps without one.
        state: the state before the first step.
        valid: (T, B), true where a row has a step; elsewhere its state does not change. None: everywhere.
        steps: T if there is no input.
        last: the last valid output (B, H) before the first step, if only the new last one is wanted.

    Returns:
        The outputs (T, B, …), or the last valid one (B, H); and the state.
    """
    inputs = [None] * steps if projected is None else per_step(projected)
    valids = None if valid is None else valid.unbind(0)
    outputs = []
    kept = tree_leaves(state)
    for t, projected_t in enumerate(inputs):
        output, state = step(projected_t, state)
        if valids is not None:
            leaves, structure = tree_flatten(state)
            kept = [torch.where(like(valids[t], n), n, o) for n, o in zip(leaves, kept, strict=True)]
            state = tree_unflatten(kept, structure)
            output = _or(valids[t], output, last)
        if last is None:
            outputs.append(output)
        else:
            last = output
    if last is not None:
        return last, state
    return stacked(outputs), state


def in_pieces(
    project: Callable[[Any], Any],
    step: Step,
    x: Any,
    state: State,
    valid: Tensor | None,
    last: Tensor | None,
    size: int,
) -> tuple[Any, State]:
    """Run pieces of `size` steps; of each only the input and the first state are kept for the way back.

    A piece projects its input itself: the projected input of all steps and its gradient would be larger than
    the states are.

    Args:
        project: what is done with the input of many steps at once.
        x: the input, tensors (T, B, …).
        size: steps of a piece.

    The other arguments, and what is returned, are those of `loop`.
    """

    def run(piece: Any, now: Tensor | None, state: State, last: Tensor | None) -> tuple[Any, State]:
        return loop(step, project(piece), state, now, last=last)

    leaves, structure = tree_flatten(x)
    pieces = [
        tree_unflatten(parts, structure)
        for parts in zip(*(torch.split(leaf, size) for leaf in leaves), strict=True)
    ]
    valids = [None] * len(pieces) if valid is None else torch.split(valid, size)
    outputs = []
    for piece, now in zip(pieces, valids, strict=True):
        output, state = checkpoint(run, piece, now, state, last, use_reentrant=False)
        outputs.append(output)
        last = None if last is None else output
    return outputs[-1] if last is not None else tree_map(lambda *parts: torch.cat(parts), *outputs), state


def per_step(projected: Any) -> Iterable[Any]:
    """Return the projected input of each step."""
    # unbind has one backward for all steps; indexing x[:, t] would write a full-size gradient at each.
    if isinstance(projected, Tensor):
        return projected.unbind(0)
    leaves, structure = tree_flatten(projected)
    return [
        tree_unflatten(step, structure) for step in zip(*(part.unbind(0) for part in leaves), strict=True)
    ]


def stacked(steps: list[Any]) -> Any:
    """Return the pytrees of T steps as one with tensors (T, …)."""
    return tree_map(lambda *parts: torch.stack(parts), *steps)


def _or(valid: Tensor, output: Any, last: Tensor | None) -> Any:
    """Return the output where it is valid, and elsewhere the last valid one, or zero if that is None."""
    if isinstance(output, Tensor):
        return torch.where(like(valid, output), output, torch.zeros_like(output) if last is None else last)
    return tree_map(lambda part: _or(valid, part, last), output)

"""The loop over time in Python: the engine that every cell has."""

from __future__ import annotations

from collections.abc import Iterable
from functools import partial
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
    checkpoint_steps: int | None = None,
) -> tuple[Any, State]:
    """Run steps one after another.

    Args:
        step: the step f.
        projected: the projected input, tensors (T, B, …); None for `steps` steps without one.
        state: the state before the first step.
        valid: (T, B), true where a row has a step; elsewhere its state does not change. None: everywhere.
        steps: T if there is no input.
        last: the last valid output (B, H) before the first step, if only the new last one is wanted.
        checkpoint_steps: steps between states that are kept for the way back; the others are computed again.

    Returns:
        The outputs (T, B, …), or the last valid one (B, H); and the state.
    """
    if checkpoint_steps is not None and torch.is_grad_enabled():
        return _in_pieces(step, projected, state, valid, last, checkpoint_steps)
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


def _in_pieces(
    step: Step, projected: Any, state: State, valid: Tensor | None, last: Tensor | None, size: int
) -> tuple[Any, State]:
    """Run pieces of `size` steps, of each of which only the first state is kept for the way back."""
    outputs = []
    for start in range(0, len(tree_leaves(projected)[0]), size):
        piece = tree_map(lambda part, at=slice(start, start + size): part[at], projected)
        now = None if valid is None else valid[start : start + size]
        run = partial(loop, step, piece, valid=now)
        output, state = checkpoint(
            lambda state, last, run=run: run(state=state, last=last), state, last, use_reentrant=False
        )
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

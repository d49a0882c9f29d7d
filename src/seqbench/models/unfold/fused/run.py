"""A cell unfolded by its kernel."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_unflatten

from seqbench.models.unfold.cell import Cell, State
from seqbench.models.unfold.fused.function import Call, Kernel, Unfold


def flat(tree: Any) -> tuple[list[Tensor], Any]:
    """Return the leaves of a pytree and its structure: None for a tensor, a number for a tuple of tensors."""
    if isinstance(tree, Tensor):
        return [tree], None
    if type(tree) is tuple and all(isinstance(part, Tensor) for part in tree):  # torch's own way is slow
        return [*tree], len(tree)
    return tree_flatten(tree)


def run_fused(
    made: Kernel, cell: Cell, x: Any, state: State, lengths: Tensor | None, last: bool,
    checkpoint_steps: int | None = None,
) -> tuple[Any, State]:  # fmt: skip
    """Run all steps.

    Args:
        made: the kernel of the cell.
        cell: the step.
        x: the input, a pytree of tensors (B, T, …).
        state: the state before the first step, tensors (B, …).
        lengths: valid steps of each row; None if all are.
        last: return only the last valid output.
        checkpoint_steps: steps whose values are kept for the way back at once; the others are computed again.
            None for all.

    Returns:
        The outputs (B, T, …), or the last valid one (B, …), and the last state.
    """
    step = made.program.step
    inputs, (states, state_spec) = flat(x)[0], flat(state)
    rows, steps = inputs[0].shape[:2]
    dtype = next(part.dtype for part in states if part.is_floating_point())
    xs = [_as(part.transpose(0, 1), dtype) for part in inputs]
    before = [_as(part, dtype) for part in states]
    weights = [weight if weight.dtype == dtype else weight.to(dtype) for weight in step.weights(cell)]
    # The last output follows from the last state, where it is one.
    wanted = tuple(not last or place is None for place in made.program.output_state)
    lengths = (
        None if lengths is None else lengths.long().clone()
    )  # the caller's may change until the way back
    call = Call(made, rows, lengths, wanted, torch.is_grad_enabled(), checkpoint_steps or steps)
    found: tuple[Any, ...] = Unfold.apply(call, (len(xs), len(before)), *xs, *before, *weights)  # type: ignore[no-untyped-call]
    ends, outputs = found[: len(before)], list(found[len(before) :])
    after = [
        end.view(rows, *shape).to(part.dtype)
        for end, shape, part in zip(ends, step.state_shapes, states, strict=True)
    ]
    for i, place in enumerate(made.program.output_state):
        shape = step.output_shapes[i]
        if not last:
            outputs[i] = outputs[i].view(steps, rows, *shape).transpose(0, 1)
        elif place is not None:
            outputs[i] = ends[place].view(rows, *shape)
            if lengths is not None:  # a row without a step has no last output
                some = (lengths > 0).view(rows, *[1] * len(shape))
                outputs[i] = torch.where(some, outputs[i], 0)
        else:
            at = torch.full((rows,), steps) if lengths is None else lengths.clamp(max=steps)
            picked = outputs[i][(at - 1).clamp_min(0), torch.arange(rows)]
            outputs[i] = torch.where((at > 0)[:, None], picked, 0).view(rows, *shape)
    end = tuple(after) if isinstance(state_spec, int) else tree_unflatten(after, step.state_spec)
    return tree_unflatten(outputs, step.output_spec), end


def _as(part: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a contiguous tensor of numbers of a type, with a last dimension of columns."""
    if part.dtype != dtype:
        part = part.to(dtype)
    return part.contiguous()

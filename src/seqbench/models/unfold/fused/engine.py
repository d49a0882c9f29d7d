"""The engine of compiled cells: all steps in one call of C, with its gradient."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

from seqbench.models.unfold.cell import Cell, State
from seqbench.models.unfold.fused.function import DTYPES, Call, Kernel, Unfold
from seqbench.models.unfold.fused.library import NoCompilerError
from seqbench.models.unfold.fused.nodes import NotCoveredError
from seqbench.models.unfold.fused.source import program
from seqbench.models.unfold.fused.trace import ROWS, trace


class Entry(NamedTuple):
    """The kernel of a cell, or why there is none, and the cell's options when it was made."""

    kernel: Kernel | Exception
    options: list[tuple[dict[str, Any], str, Any]]


_ENTRIES: WeakKeyDictionary[torch.nn.Module, dict[Any, Entry]] = WeakKeyDictionary()


def kernel(cell: Cell, x: Any, state: State) -> Kernel:
    """Return the kernel of a cell.

    Args:
        cell: whose step it goes through.
        x: its input, a pytree of tensors (B, T, …).
        state: before the first step, tensors (B, …).

    Raises:
        NotCoveredError: the cell's step cannot be compiled.
        NoCompilerError: nothing can be compiled.
    """
    (inputs, input_spec), (states, state_spec) = flat(x), flat(state)
    key = (
        type(cell),
        (input_spec, *[(part.dtype, part.shape[2:]) for part in inputs]),
        (state_spec, *[(part.dtype, part.shape[1:]) for part in states]),
    )
    mine = _ENTRIES.setdefault(cell.owner, {})
    entry = mine.get(key)
    if entry is None or any(values.get(name) != value for values, name, value in entry.options):
        entry = mine[key] = Entry(_made(cell, x, state, [*inputs, *states]), _options(cell))
    if isinstance(entry.kernel, Exception):
        raise entry.kernel
    return entry.kernel


def flat(tree: Any) -> tuple[list[Tensor], Any]:
    """Return the leaves of a pytree and its structure: None for a tensor, a number for a tuple of tensors."""
    if isinstance(tree, Tensor):
        return [tree], None
    if type(tree) is tuple and all(isinstance(part, Tensor) for part in tree):  # torch's own way is slow
        return [*tree], len(tree)
    return tree_flatten(tree)


def _options(cell: Cell) -> list[tuple[dict[str, Any], str, Any]]:
    """Return the values in the modules of a cell that its step may depend on, with where they stand."""
    return [
        (vars(module), name, value)
        for module in cell.modules()
        for name, value in vars(module).items()
        if isinstance(value, bool | int | float | str | None | torch.dtype)
    ]


def _made(cell: Cell, x: Any, state: State, leaves: Sequence[Tensor]) -> Kernel | Exception:
    types = {part.dtype for part in leaves if part.is_floating_point() or part.is_complex()}
    types |= {
        p.dtype for p in (*cell.parameters(), *cell.buffers()) if p.is_floating_point() or p.is_complex()
    }
    try:
        if len(types) != 1 or not types <= DTYPES.keys():
            raise NotCoveredError(f"numbers of type {', '.join(sorted(map(str, types)))}")
        one = tree_map(lambda part: part[:, 0], x)
        made, other = (program(trace(cell, one, state, rows)) for rows in ROWS)
        if (made.source, made.step.recipe.text) != (other.source, other.step.recipe.text):
            raise NotCoveredError("a step that depends on the number of rows")
        return Kernel(made, types.pop())
    except (NotCoveredError, NoCompilerError) as error:
        return error
    except Exception as error:  # whatever a step raises; the loop will raise it where a user sees it
        return NotCoveredError(f"a step that cannot be traced: {error}")


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
    call = Call(made, rows, lengths, wanted, checkpoint_steps or steps)
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
            at = torch.full((rows,), steps) if lengths is None else lengths
            picked = outputs[i][(at - 1).clamp_min(0), torch.arange(rows)]
            outputs[i] = torch.where((at > 0)[:, None], picked, 0).view(rows, *shape)
    end = tuple(after) if isinstance(state_spec, int) else tree_unflatten(after, step.state_spec)
    return tree_unflatten(outputs, step.output_spec), end


def _as(part: Tensor, dtype: torch.dtype) -> Tensor:
    """Return a contiguous tensor of numbers of a type, with a last dimension of columns."""
    if part.dtype != dtype:
        part = part.to(dtype)
    return part.contiguous()

"""Which cells have a kernel, and whether it is still theirs."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from types import FunctionType, NoneType
from typing import Any, NamedTuple
from weakref import WeakKeyDictionary

import torch
from torch import Tensor
from torch.nn.parameter import is_lazy
from torch.utils._pytree import tree_map

from seqbench.models.unfold.cell import Cell, State
from seqbench.models.unfold.fused.check import check_against_loop
from seqbench.models.unfold.fused.function import DTYPES, Kernel
from seqbench.models.unfold.fused.held import TESTED, generators_kept, held
from seqbench.models.unfold.fused.library import NoCompilerError
from seqbench.models.unfold.fused.nodes import NotCoveredError
from seqbench.models.unfold.fused.run import flat
from seqbench.models.unfold.fused.source import program
from seqbench.models.unfold.fused.trace import ROWS, trace


class Entry(NamedTuple):
    """The kernel of a cell, or why there is none, and what the cell was when it was made."""

    kernel: Kernel | Exception
    cell: list[tuple[dict[str, Any], dict[str, Any]]]
    ties: tuple[int, ...]


_ENTRIES: WeakKeyDictionary[torch.nn.Module, dict[Any, Entry]] = WeakKeyDictionary()


def kernel(cell: Cell, x: Any, state: State, lengths: Tensor | None = None) -> Kernel:
    """Return the kernel of a cell.

    It is made anew where a module of the cell has changed since. (What a step reads elsewhere, a global name
    or an attribute of a class, counts as it was when the kernel was made.)

    Args:
        cell: whose step it goes through.
        x: its input, a pytree of tensors (B, T, …).
        state: before the first step, tensors (B, …).
        lengths: valid steps of each row.

    Raises:
        NotCoveredError: the cell's step cannot be compiled, or not for these tensors.
        NoCompilerError: nothing can be compiled.
    """
    (inputs, input_spec), (states, state_spec) = flat(x), flat(state)
    if not all(isinstance(part, Tensor) for part in (*inputs, *states)):
        raise NotCoveredError("an input or a state that is no tensor")
    lead = inputs[0].shape[:2]
    if (
        any(part.shape[:2] != lead for part in inputs)
        or any(part.shape[:1] != lead[:1] for part in states)
        or (lengths is not None and lengths.shape != lead[:1])
    ):
        raise NotCoveredError("inputs, states and lengths of several numbers of rows or steps")
    key = (
        type(cell),
        cell.owner.training,  # an evaluation does not cost training its kernel
        (input_spec, *[(part.dtype, part.shape[2:]) for part in inputs]),
        (state_spec, *[(part.dtype, part.shape[1:]) for part in states]),
    )
    mine = _ENTRIES.setdefault(cell.owner, {})
    entry = mine.get(key)
    if entry is None or not all(_is_same(*pair) for pair in entry.cell) or entry.ties != _ties(cell):
        # What the cell is goes first: a step may note something in it.
        # (Of a cell that was made for one call the owner is all that matters; and it would keep the owner.)
        it_is = [(vars(module), _attributes(module)) for module in cell.owner.modules()]
        with generators_kept():
            made = _made(cell, x, state, [*inputs, *states])
        entry = mine[key] = Entry(made, it_is, _ties(cell))
    if isinstance(entry.kernel, Exception):
        raise _anew(entry.kernel)
    return entry.kernel


#: Attributes of every module that a step does not read. (Parameters and buffers are looked up for each call.)
IGNORED = vars(torch.nn.Module()).keys() - {
    *("training", "_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
}


def _ties(cell: Cell) -> tuple[int, ...]:
    """Return for each parameter and buffer which is the first that is the same tensor."""
    first: dict[int, int] = {}
    named = (p for m in cell.modules() for parts in (m._parameters, m._buffers) for p in parts.values())
    return tuple(first.setdefault(id(part), i) for i, part in enumerate(named))


def _attributes(module: torch.nn.Module) -> dict[str, Any]:
    """Return what a step may read in a module, beside the numbers of its weights."""
    found = {name: _shown(value) for name, value in vars(module).items() if name not in IGNORED}
    return found | {
        "modules": dict(module._modules),
        "shapes": {
            name: _shape(part) for name, part in (*module._parameters.items(), *module._buffers.items())
        },
    }


def _shape(part: Tensor | None) -> torch.Size | None:
    return None if part is None or is_lazy(part) else part.shape


def _is_same(now: dict[str, Any], before: dict[str, Any]) -> bool:
    """Whether a module is what it was."""
    parts = (*now["_parameters"].items(), *now["_buffers"].items())
    shapes = before["shapes"]
    return (
        len(now) - len(IGNORED & now.keys()) == len(before) - 2
        and now["_modules"] == before["modules"]
        and len(parts) == len(shapes)
        and all(shapes.get(name, 0) == _shape(part) for name, part in parts)
        and all(
            name in now and _shown(now[name]) == value
            for name, value in before.items()
            if name not in ("modules", "shapes")
        )
    )


#: What cannot change.
CONSTANT = (bool, int, float, complex, str, bytes, NoneType, type, FunctionType, torch.dtype)


def _shown(value: Any) -> Any:
    """Return a value that cannot change; of others what they hold."""
    if isinstance(value, CONSTANT):
        return value
    if isinstance(value, tuple):
        return tuple(map(_shown, value))
    if isinstance(value, Tensor):  # no kernel reads the numbers of one that is no parameter and no buffer
        return Tensor, value.shape
    return held(value)


def is_tested(module: torch.nn.Module) -> bool:
    """Whether all of a module is of packages whose cells the tests hold against their loops."""
    return all(f"{type(part).__module__}.".startswith(TESTED) for part in module.modules())


def _anew(error: Exception) -> Exception:
    """Return an exception that says the same. One that was raised keeps all that its frames held: a batch."""
    return type(error)(*error.args)


def _made(cell: Cell, x: Any, state: State, leaves: Sequence[Tensor]) -> Kernel | Exception:
    types = {part.dtype for part in leaves if part.is_floating_point() or part.is_complex()}
    own = (*cell.parameters(), *cell.buffers())
    types |= {part.dtype for part in own if part.is_floating_point() or part.is_complex()}
    try:
        if len(types) != 1 or not types <= DTYPES.keys():
            raise NotCoveredError(f"numbers of type {', '.join(sorted(map(str, types)))}")
        one = tree_map(lambda part: part[:, 0], x)
        trusted = is_tested(cell)
        # A user's step may leave something behind: it is called on a copy.
        watched = cell if trusted else copy.deepcopy(cell)
        made, other = (program(trace(watched, one, state, rows)) for rows in ROWS)
        if (made.source, made.step.recipe.text) != (other.source, other.step.recipe.text):
            raise NotCoveredError("a step that depends on the number of rows")
        found = Kernel(made, types.pop())
        if not trusted and not any(part.is_meta for part in (*leaves, *own)):
            check_against_loop(cell, found, x, state)
        return found
    except (NotCoveredError, NoCompilerError) as error:
        return _anew(error)
    except Exception as error:  # whatever a step raises; the loop will raise it where a user sees it
        return NotCoveredError(f"a step that cannot be traced: {type(error).__name__}: {error}")

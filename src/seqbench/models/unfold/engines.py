"""Unfolding a cell over time, equations [1]–[4] of the chapter.

A recurrent network is one step f with one set of parameters θ, applied τ times:

    s(t) = f(s(t−1); θ)                     [1]  a dynamical system
    s(3) = f(f(s(1); θ); θ)                 [3]  the same, unfolded for τ = 3
    h(t) = f(h(t−1), x(t); θ)               [4]  driven by an input, Fig. 10.2
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils._pytree import tree_leaves, tree_map

from seqbench.models.unfold.cell import Cell, Engine, State
from seqbench.models.unfold.compiled import run_compiled
from seqbench.models.unfold.loop import loop
from seqbench.models.unfold.valid import last_valid, like, reverse_valid


def unfold(
    cell: Cell,
    x: Float[Tensor, "B T F"] | tuple[Any, ...] | None,
    state: State | None = None,
    *,
    lengths: Int[Tensor, " B"] | None = None,
    reverse: bool = False,
    steps: int | None = None,
    last: bool = False,
    dilation: int = 1,
    engine: Engine = "auto",
) -> tuple[Any, State]:
    """Apply a cell at every step of a batch of sequences.

    Args:
        cell: the step f.
        x: the input; a pytree of tensors (B, T, …) if the cell takes one; None for a system without input,
            [1], which then needs `state` and `steps`.
        state: the state before the first step; None for the cell's own initial state.
        lengths: valid steps of each row. After a row's last valid step its state does not change and its
            output is zero.
        reverse: go from the last valid step to the first. Output t still belongs to step t.
        steps: how many steps to take without an input.
        last: return only the last valid output (with `reverse` that of the first step), which is cheaper.
        dilation: d, for a state that comes from d steps before, h(t) = f(h(t−d), x(t)). The tensors of the
            state are then (B, d, …): the states for the next d steps, in order.
        engine: `native` is torch's own kernel, if it computes what the cell does; `scan` runs linear cells
            in parallel over time; `loop` is Python; `compile` is that loop in compiled slices; `auto` takes
            the first of `native`, `scan` and `loop` that the cell has, but not `native` under vmap. They
            differ only in speed.

    Returns:
        The outputs (B, T, H), or the last one (B, H); and the state after the last valid step. A cell whose
        output is a pytree gives the outputs as one.

    Raises:
        ValueError: the cell does not have the engine, or a system without input lacks state or steps.
    """
    check_engine(cell, engine)
    if x is None:
        if state is None or steps is None:
            raise ValueError("A system without input needs its first state and the number of steps.")
        outputs, state = loop(cell, None, state, None, steps=steps)
        return outputs[-1] if last else outputs.transpose(0, 1), state
    if reverse:

        def turned(parts: Any) -> Any:
            return tree_map(lambda part: reverse_valid(part, lengths), parts)

        outputs, state = unfold(
            *(cell, turned(x), state), lengths=lengths, last=last, dilation=dilation, engine=engine
        )
        return outputs if last else turned(outputs), state
    if dilation > 1:
        return _dilated(cell, x, state, lengths, last, dilation, engine)
    like_x = tree_leaves(x)[0]
    rows, steps = like_x.shape[:2]
    if state is None:
        state = cell.initial_state(rows)
    # vmap has no rule for torch's kernels.
    if engine == "native" or (engine == "auto" and cell.has_native and not _under_vmap(cell, like_x)):
        outputs, state = _native(cell, x, state, lengths)
        return last_valid(outputs, lengths) if last else outputs, state
    projected = cell.project(_swapped(x))
    valid = None if lengths is None else torch.arange(steps, device=like_x.device)[:, None] < lengths
    if engine in ("auto", "scan") and cell.has_scan:
        outputs, state = cell.scan(projected, state, None if valid is None else valid[..., None])
        outputs = outputs.transpose(0, 1)
        return last_valid(outputs, lengths) if last else outputs, state
    before = like_x.new_zeros(rows, cell.output_size) if last else None
    run = run_compiled if engine == "compile" else loop
    outputs, state = run(cell, projected, state, valid, last=before)
    return outputs if last else _swapped(outputs), state


def chosen_engine(cell: Cell, engine: Engine, device: str) -> Engine:
    """Return the engine that unfolds a cell, outside vmap: by rule, whatever the load or the sizes.

    Args:
        cell: the step f.
        engine: what was asked for.
        device: the kind of device, `cpu` or `cuda`.
    """
    if engine != "auto":
        return engine
    return "native" if cell.has_native else "scan" if cell.has_scan else "loop"


def check_engine(cell: Cell, engine: Engine) -> None:
    """Raise a ValueError if the cell does not have the engine."""
    has = {"auto": True, "native": cell.has_native, "scan": cell.has_scan, "loop": True, "compile": True}
    if not has.get(engine, False):
        mine = ", ".join(name for name, there in has.items() if there)
        raise ValueError(f"engine={engine}: {type(cell).__name__} has no such engine; it has {mine}.")


def _native(cell: Cell, x: Any, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
    if lengths is None:
        outputs, state = cell.native(x.transpose(0, 1), state)
        assert isinstance(outputs, Tensor)
        return outputs.transpose(0, 1), state
    # A packed sequence has no rows of length 0: they are given one step, whose results are dropped.
    some = lengths > 0
    # Packing orders rows by length: the state goes in and comes out in that order.
    packed = pack_padded_sequence(x, lengths.clamp_min(1).cpu(), batch_first=True, enforce_sorted=False)
    order, back = packed.sorted_indices, packed.unsorted_indices
    outputs, end = cell.native(packed, tree_map(lambda part: part[order], state))
    assert isinstance(outputs, PackedSequence)
    padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
    end = tree_map(lambda new, old: torch.where(some[:, None], new[back], old), end, state)
    return padded * some[:, None, None], end


def _dilated(
    cell: Cell, x: Any, state: State | None, lengths: Tensor | None, last: bool, d: int, engine: Engine
) -> tuple[Tensor, State]:
    """Unfold steps 0, d, 2d, …, steps 1, d + 1, …, and so on, as rows of one batch (Chang et al., 2017)."""
    rows, steps = x.shape[:2]
    turns = -(-steps // d)
    phase = torch.arange(d, device=x.device)
    valid = x.new_full((rows,), steps, dtype=torch.int64) if lengths is None else lengths
    padded = nn.functional.pad(x, (0, 0, 0, turns * d - steps))
    # (B, turns · d, F) to (B · d, turns, F)
    phases = padded.view(rows, turns, d, -1).transpose(1, 2).flatten(0, 1)
    mine = (
        None if lengths is None and steps == turns * d else ((valid[:, None] - phase + d - 1) // d).flatten()
    )
    start = None if state is None else tree_map(lambda part: part.flatten(0, 1), state)
    outputs, end = unfold(cell, phases, start, lengths=mine, engine=engine)
    outputs = outputs.view(rows, d, turns, -1).transpose(1, 2).flatten(1, 2)[:, :steps]
    # The next step need not belong to the first phase.
    order = (phase + valid[:, None]) % d

    def ordered(part: Tensor) -> Tensor:
        part = part.view(rows, d, *part.shape[1:])
        return part.gather(1, like(order, part).expand_as(part))

    return last_valid(outputs, lengths) if last else outputs, tree_map(ordered, end)


def _swapped(parts: Any) -> Any:
    """Return tensors (B, T, …) as (T, B, …), or the other way round."""
    return tree_map(lambda part: part.transpose(0, 1), parts)


def _under_vmap(cell: Cell, x: Tensor) -> bool:
    return any(map(torch._C._functorch.is_batchedtensor, [x, *cell.parameters()]))

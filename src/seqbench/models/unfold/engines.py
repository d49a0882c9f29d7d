"""Unfolding a cell over time, equations [1]–[4] of the chapter.

A recurrent network is one step f with one set of parameters θ, applied τ times:

    s(t) = f(s(t−1); θ)                     [1]  a dynamical system
    s(3) = f(f(s(1); θ); θ)                 [3]  the same, unfolded for τ = 3
    h(t) = f(h(t−1), x(t); θ)               [4]  driven by an input, Fig. 10.2
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence
from torch.utils._pytree import tree_leaves, tree_map

from seqbench.errors import say_once
from seqbench.models.unfold.cell import Cell, Engine, State
from seqbench.models.unfold.fused import (
    CompileError,
    Kernel,
    NoCompilerError,
    NotCoveredError,
    is_tested,
    kernel,
    run_fused,
    what_forbids_pieces,
    what_forbids_sharing,
)
from seqbench.models.unfold.loop import in_pieces, loop
from seqbench.models.unfold.tokens import Projected, is_tokens
from seqbench.models.unfold.valid import last_valid, like, reverse_valid


def unfold(
    cell: Cell,
    x: Float[Tensor, "B T F"] | Int[Tensor, "B T"] | tuple[Any, ...] | None,
    state: State | None = None,
    *,
    lengths: Int[Tensor, " B"] | None = None,
    reverse: bool = False,
    steps: int | None = None,
    last: bool = False,
    dilation: int = 1,
    engine: Engine = "auto",
    checkpoint_steps: int | None = None,
) -> tuple[Any, State]:
    """Apply a cell at every step of a batch of sequences.

    Args:
        cell: the step f.
        x: the input; a pytree of tensors (B, T, …) if the cell takes one, or tokens (B, T) if it reads these;
            None for a system without input, [1], which then needs `state` and `steps`.
        state: the state before the first step; None for the cell's own initial state.
        lengths: valid steps of each row. After a row's last valid step its state does not change and its
            output is zero.
        reverse: go from the last valid step to the first. Output t still belongs to step t.
        steps: how many steps to take without an input.
        last: return only the last valid output (with `reverse` that of the first step), which is cheaper.
        dilation: d, for a state that comes from d steps before, h(t) = f(h(t−d), x(t)). The tensors of the
            state are then (B, d, …): the states for the next d steps, in order.
        engine: see `chosen_engine`. Engines differ only in speed and in the order of summation.
        checkpoint_steps: of so many steps only the first state is kept for the way back, and the others are
            computed again, so that long sequences take little memory. None keeps all.

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
        outputs, state = loop(cell.stepper(), None, state, None, steps=steps)
        return outputs[-1] if last else outputs.transpose(0, 1), state
    if cell.reads_tokens and is_tokens(x):
        x = _swapped(cell.project(_swapped(x)))
        cell = Projected(cell, x)
    if reverse:

        def turned(parts: Any) -> Any:
            return tree_map(lambda part: reverse_valid(part, lengths), parts)

        outputs, state = unfold(
            *(cell, turned(x), state),
            lengths=lengths,
            last=last,
            dilation=dilation,
            engine=engine,
            checkpoint_steps=checkpoint_steps,
        )
        return outputs if last else turned(outputs), state
    if dilation > 1:
        return _dilated(cell, x, state, lengths, last, dilation, engine, checkpoint_steps)
    like_x = tree_leaves(x)[0]
    rows, steps = like_x.shape[:2]
    from_start = state is None
    if state is None:
        state = cell.initial_state(rows)
    made = kernel(cell, x, state, lengths) if engine == "fused" else None
    if engine == "auto":
        made, transformed = _kernel_now(cell, x, state, lengths)
        engine = _unfused(cell, checkpoint_steps is not None, transformed)
    if made is not None:
        part = cell.narrowed(state, steps) if from_start and cell.runs_narrowed else state
        if part is not state:
            made = kernel(cell, x, part, lengths)
        outputs, end = run_fused(made, cell, x, part, lengths, last, checkpoint_steps)
        return outputs, end if part is state else cell.restored(end)
    if engine == "native" and lengths is not None and torch.compiler.is_exporting():
        engine = "loop"  # no graph has a packed sequence
    if engine == "native":
        outputs, state = _native(cell, x, state, lengths)
        return last_valid(outputs, lengths) if last else outputs, state
    valid = None if lengths is None else torch.arange(steps, device=like_x.device)[:, None] < lengths
    before = like_x.new_zeros(rows, cell.output_size) if last else None
    if engine == "loop" and checkpoint_steps is not None and torch.is_grad_enabled():
        outputs, state = in_pieces(
            cell.project, cell.stepper(), _swapped(x), state, valid, before, checkpoint_steps
        )
        return outputs if last else _swapped(outputs), state
    projected = cell.project(_swapped(x))
    if engine == "scan":
        scan = cell.scan_from_start if from_start and cell.runs_from_start else cell.scan
        outputs, state = scan(projected, state, None if valid is None else valid[..., None])
        outputs = outputs.transpose(0, 1)
        return last_valid(outputs, lengths) if last else outputs, state
    outputs, state = loop(cell.stepper(), projected, state, valid, last=before)
    return outputs if last else _swapped(outputs), state


#: The kinds of device on which `auto` takes `fused` where a cell has it.
FUSED_ON = ("cpu",)


def chosen_engine(
    cell: Cell, engine: Engine = "auto", device: str = "cpu", half: bool = False, checkpoints: bool = False
) -> Engine:
    """Return the engine that unfolds a cell, by rule.

    `fused` runs all steps in one call of C, compiled for the cell (see `seqbench.models.unfold.fused`);
    `native` is torch's own kernel, if it computes what the cell does; `scan` runs linear cells in parallel
    over time; `loop` is Python, which every cell has. `auto` takes the first that the cell has: on a CPU
    `fused`, unless there is no compiler, then `native`, `scan`, `loop`.

    Args:
        cell: what is unfolded.
        engine: one of these, or auto.
        device: the kind, `cpu` or another.
        half: whether numbers have half precision, or may have under autocast.
        checkpoints: whether the state is kept at some steps alone, which `fused` and `loop` can.
    """
    if engine != "auto":
        return engine
    if device in FUSED_ON and not half and obstacle_to_fusing(cell) is None:
        return "fused"
    return _unfused(cell, checkpoints)


def _unfused(cell: Cell, checkpoints: bool, mapped: bool = False) -> Engine:
    """Return the first engine but `fused`; under vmap torch's kernels cannot be called."""
    if cell.runs_native and not checkpoints and not mapped:
        return "native"
    return "scan" if cell.runs_scan and not checkpoints else "loop"


def check_engine(cell: Cell, engine: Engine) -> None:
    """Raise a ValueError if the cell does not have the engine."""
    has = {"auto": True, "native": cell.runs_native, "scan": cell.runs_scan, "loop": True}
    on_meta = any(part.is_meta for part in (*cell.parameters(), *cell.buffers()))
    if engine == "fused" and on_meta and not is_tested(cell):
        return  # only with numbers can that be told
    why = obstacle_to_fusing(cell) if engine == "fused" else None
    if why is not None or not has.get(engine, engine == "fused"):
        mine = [name for name, there in has.items() if there]
        if engine != "fused" and obstacle_to_fusing(cell) is None:
            mine.insert(1, "fused")
        raise ValueError(
            f"engine={engine}: {type(cell).__name__} has no such engine{f' ({why})' if why else ''}; it has "
            f"{', '.join(mine)}."
        )


def obstacle_to_pieces(cell: Cell) -> str | None:
    """Return why the steps of a user's cell cannot be taken in pieces, and again; None if they can.

    On the meta device nobody knows.
    """
    return _tried(cell, what_forbids_pieces)


def obstacle_to_sharing(cell: Cell) -> str | None:
    """Return why devices cannot share the rows of a user's cell; None if they can, or on the meta device."""
    return _tried(cell, what_forbids_sharing)


def _tried(cell: Cell, trial: Callable[[Cell, Tensor, State], str | None]) -> str | None:
    if is_tested(cell) or any(part.is_meta for part in (*cell.parameters(), *cell.buffers())):
        return None
    return trial(cell, _input_of(cell).expand(1, 2, -1), cell.initial_state(2))


def obstacle_to_fusing(cell: Cell) -> str | None:
    """Return why a cell that reads vectors cannot be compiled, or None if it can."""
    try:
        _ = kernel(cell, _input_of(cell), cell.initial_state(1)).library  # compiled here, or not at all
    except (NotCoveredError, NoCompilerError) as error:
        return str(error)
    except CompileError as error:
        say_once(f"{type(cell).__name__} is not compiled, and trains slower, because {error}.")
        return str(error)
    return None


def _input_of(cell: Cell) -> Tensor:
    """Return an input of one step, of the type and on the device of the cell's weights."""
    like = next((part for part in tree_leaves(cell.initial_state(1)) if part.is_floating_point()), None)
    return torch.zeros(1, 1, cell.input_size) if like is None else like.new_zeros(1, 1, cell.input_size)


def _kernel_now(cell: Cell, x: Any, state: State, lengths: Tensor | None) -> tuple[Kernel | None, bool]:
    """Return the kernel of a cell if the tensors allow it, and whether vmap is at work on them."""
    transformed = torch._C._functorch.peek_interpreter_stack() is not None
    device = (x if isinstance(x, Tensor) else tree_leaves(x)[0]).device.type
    forward_mode = torch.autograd.forward_ad._current_level >= 0  # the kernels have no such derivative
    exported = torch.compiler.is_exporting()  # into torch's own operations alone
    outer = transformed or forward_mode or exported or torch.is_autocast_enabled("cpu")
    if device in FUSED_ON and not outer:
        with suppress(NotCoveredError, NoCompilerError):
            return kernel(cell, x, state, lengths), False
    # vmap has no rule for torch's kernels.
    tensors = [*tree_leaves(x), *tree_leaves(state), *cell.parameters()]
    return None, transformed and any(map(torch._C._functorch.is_batchedtensor, tensors))


def _native(cell: Cell, x: Any, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
    _check_sizes(cell, x, state)
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


def _check_sizes(cell: Cell, x: Tensor, state: State) -> None:
    """Raise a ValueError where sizes differ, as `torch.lstm` then reads and writes beyond its tensors."""
    if x.ndim != 3 or x.shape[2] != cell.input_size:
        raise ValueError(
            f"{type(cell).__name__} reads sequences (B, T, {cell.input_size}), and this is {tuple(x.shape)}."
        )
    wanted = (x.shape[0], cell.hidden_size)
    for part in tree_leaves(state):
        if part.shape != wanted:
            raise ValueError(
                f"{type(cell).__name__} has a state of tensors {wanted} here, and one is {tuple(part.shape)}."
            )


def _dilated(
    cell: Cell, x: Any, state: State | None, lengths: Tensor | None, last: bool, d: int, engine: Engine,
    checkpoint_steps: int | None,
) -> tuple[Tensor, State]:  # fmt: skip
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
    outputs, end = unfold(cell, phases, start, lengths=mine, engine=engine, checkpoint_steps=checkpoint_steps)
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

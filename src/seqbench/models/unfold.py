"""Unfolding a cell over time, equations [1]–[4] of the chapter.

A recurrent network is one step f with one set of parameters θ, applied τ times:

    s(t) = f(s(t−1); θ)                     [1]  a dynamical system
    s(3) = f(f(s(1); θ); θ)                 [3]  the same, unfolded for τ = 3
    h(t) = f(h(t−1), x(t); θ)               [4]  driven by an input, Fig. 10.2
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence, pack_padded_sequence, pad_packed_sequence

State = tuple[Tensor, ...]
Engine = Literal["auto", "native", "scan", "loop", "compile"]


class Cell(nn.Module, ABC):
    """One step f of a recurrent network.

    A cell keeps nothing between calls: its state is a tuple of tensors (B, …) that comes in and goes out.
    It is safe under `torch.func.vmap`: no branch on a tensor's value, no in-place write into an argument.
    """

    #: Whether `native` is there: the cell is, to the letter, one of torch's own recurrent modules. Cells of
    #: which that is true with some of their options alone set it for each.
    has_native: bool = False
    #: Whether `scan` is there: the next state is linear in the one before.
    has_scan: ClassVar[bool] = False

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__()
        self.input_size = input_size
        self.hidden_size = hidden_size

    @abstractmethod
    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps G"]:
        """Do all that does not depend on the state, for every step at once."""

    @abstractmethod
    def step(self, projected: Any, state: State) -> tuple[Float[Tensor, "B H"], State]:
        """Go one step: the projected input (B, G) and the state give the output (B, H) and the next state."""

    @abstractmethod
    def initial_state(self, batch_size: int) -> State:
        """Return the state before the first step."""

    def native(
        self, x: Float[Tensor, "T B F"] | PackedSequence, state: State
    ) -> tuple[Float[Tensor, "T B H"] | PackedSequence, State]:
        """Run all steps in torch's own kernel (cuDNN, oneDNN); only where `has_native` is true."""
        raise NotImplementedError(f"{type(self).__name__} has no native engine.")

    def scan(self, projected: Any, state: State, valid: Tensor | None) -> tuple[Tensor, State]:
        """Run all steps (T, B, …) in parallel, standing still where `valid` (T, B, 1) is false."""
        raise NotImplementedError(f"{type(self).__name__} has no scan.")

    def check_length(self, steps: int) -> None:
        """Raise a ValueError where sequences of `steps` steps make no sense to the cell."""

    def recurrent_matrices(self) -> dict[str, Tensor]:
        """Return the square matrices (H, H) that the state is multiplied with, by the docstring's letters."""
        return {}

    @property
    def output_size(self) -> int:
        """Numbers that the cell puts out at each step."""
        return self.hidden_size

    @property
    def state_size(self) -> int:
        """Numbers that the cell carries from step to step for one sequence."""
        return sum(part[0].numel() * (1 + part.is_complex()) for part in self.initial_state(1))


def unfold(
    cell: Cell,
    x: Float[Tensor, "B T F"] | None,
    state: State | None = None,
    *,
    lengths: Int[Tensor, " B"] | None = None,
    reverse: bool = False,
    steps: int | None = None,
    last: bool = False,
    dilation: int = 1,
    engine: Engine = "auto",
) -> tuple[Float[Tensor, "B T H"] | Float[Tensor, "B H"], State]:
    """Apply a cell at every step of a batch of sequences.

    Args:
        cell: the step f.
        x: the input; None for a system without one, [1], which then needs `state` and `steps`.
        state: the state before the first step; None for the cell's own initial state.
        lengths: valid steps of each row. Past them a row's state stands still and its output is zero.
        reverse: go from the last valid step to the first. Output t still stands at step t.
        steps: how many steps to take without an input.
        last: return the last valid output alone (that of the first step where `reverse`), which is cheaper.
        dilation: d, for a state that comes from d steps before, h(t) = f(h(t−d), x(t)). The state's parts are
            then (B, d, …), those of the d steps to come in their order.
        engine: `native` is torch's own kernel, where the cell is what that computes; `scan` runs linear cells
            in parallel over time; `loop` is Python; `compile` is pieces of that loop, compiled; `auto` takes
            the first of the former three that the cell has, under vmap not `native`. They differ in speed
            alone.

    Returns:
        The outputs (B, T, H), or the last one (B, H); and the state after the last (valid) step.

    Raises:
        ValueError: the engine is not one that the cell has, or a system without input lacks state or steps.
    """
    check_engine(cell, engine)
    if x is None:
        if state is None or steps is None:
            raise ValueError("A system without input needs its first state and the number of steps.")
        outputs, state = loop(cell, None, state, None, steps=steps)
        return outputs[-1] if last else outputs.transpose(0, 1), state
    if reverse:
        turned = reverse_valid(x, lengths)
        outputs, state = unfold(
            cell, turned, state, lengths=lengths, last=last, dilation=dilation, engine=engine
        )
        return outputs if last else reverse_valid(outputs, lengths), state
    if dilation > 1:
        return _dilated(cell, x, state, lengths, last, dilation, engine)
    if state is None:
        state = cell.initial_state(x.shape[0])
    # vmap has no rule for torch's kernels.
    if engine == "native" or (engine == "auto" and cell.has_native and not _under_vmap(cell, x)):
        outputs, state = _native(cell, x, state, lengths)
        return last_valid(outputs, lengths) if last else outputs, state
    projected = cell.project(x.transpose(0, 1))
    valid = None if lengths is None else torch.arange(x.shape[1], device=x.device)[:, None] < lengths
    if engine in ("auto", "scan") and cell.has_scan:
        outputs, state = cell.scan(projected, state, None if valid is None else valid[..., None])
        outputs = outputs.transpose(0, 1)
        return last_valid(outputs, lengths) if last else outputs, state
    before = x.new_zeros(x.shape[0], cell.output_size) if last else None
    if engine == "compile":
        from seqbench.models.compiled import run_compiled  # which needs this module

        outputs, state = run_compiled(cell, projected, state, valid, before)
    else:
        outputs, state = loop(cell, projected, state, valid, last=before)
    return outputs if last else outputs.transpose(0, 1), state


def check_engine(cell: Cell, engine: Engine) -> None:
    """Raise a ValueError where the engine is not one of the cell's."""
    has = {"auto": True, "native": cell.has_native, "scan": cell.has_scan, "loop": True, "compile": True}
    if not has.get(engine, False):
        mine = ", ".join(name for name, there in has.items() if there)
        raise ValueError(f"engine={engine}: {type(cell).__name__} has no such engine; it has {mine}.")


def loop(
    cell: Cell,
    projected: Tensor | None,
    state: State,
    valid: Tensor | None,
    *,
    steps: int = 0,
    last: Tensor | None = None,
) -> tuple[Tensor, State]:
    """Run steps one after the other.

    Args:
        cell: the step f.
        projected: the projected input (T, B, …); None for `steps` steps without one.
        state: the state before the first step.
        valid: where rows go on (T, B) and do not stand still; None where all do.
        steps: T where there is no input.
        last: the last valid output (B, H) before the first step, where no other is wanted than the new last.

    Returns:
        The outputs (T, B, H), or the last valid one (B, H); and the state.
    """
    # unbind has one backward for all steps; indexing x[:, t] would write a full-size gradient at each.
    inputs = [None] * steps if projected is None else projected.unbind(0)
    outputs = []
    for t, projected_t in enumerate(inputs):
        output, new = cell.step(projected_t, state)
        if valid is not None:
            now = valid[t]
            new = tuple(torch.where(_like(now, n), n, old) for n, old in zip(new, state, strict=True))
            before = torch.zeros_like(output) if last is None else last
            output = torch.where(_like(now, output), output, before)
        state = new
        if last is None:
            outputs.append(output)
        else:
            last = output
    return (torch.stack(outputs) if last is None else last), state


def _native(cell: Cell, x: Tensor, state: State, lengths: Tensor | None) -> tuple[Tensor, State]:
    if lengths is None:
        outputs, state = cell.native(x.transpose(0, 1), state)
        assert isinstance(outputs, Tensor)
        return outputs.transpose(0, 1), state
    # The packed form knows no row without a step; what one makes of a step that is none is put aside.
    some = lengths > 0
    # It orders rows by length: the state goes in and comes out in that order.
    packed = pack_padded_sequence(x, lengths.clamp_min(1).cpu(), batch_first=True, enforce_sorted=False)
    order, back = packed.sorted_indices, packed.unsorted_indices
    outputs, end = cell.native(packed, tuple(part[order] for part in state))
    assert isinstance(outputs, PackedSequence)
    padded, _ = pad_packed_sequence(outputs, batch_first=True, total_length=x.shape[1])
    end = tuple(torch.where(some[:, None], e[back], old) for e, old in zip(end, state, strict=True))
    return padded * some[:, None, None], end


def _dilated(
    cell: Cell, x: Tensor, state: State | None, lengths: Tensor | None, last: bool, d: int, engine: Engine
) -> tuple[Tensor, State]:
    """Unfold steps 0, d, 2d, …, steps 1, d + 1, …, and so on, as rows of one batch (Chang et al., 2017)."""
    rows, steps = x.shape[:2]
    turns = -(-steps // d)
    phase = torch.arange(d, device=x.device)
    valid = x.new_full((rows,), steps, dtype=torch.int64) if lengths is None else lengths
    padded = nn.functional.pad(x, (0, 0, 0, turns * d - steps))
    # (B, turns · d, F) to (B · d, turns, F)
    apart = padded.view(rows, turns, d, -1).transpose(1, 2).flatten(0, 1)
    mine = (
        None if lengths is None and steps == turns * d else ((valid[:, None] - phase + d - 1) // d).flatten()
    )
    start = None if state is None else tuple(part.flatten(0, 1) for part in state)
    outputs, end = unfold(cell, apart, start, lengths=mine, engine=engine)
    outputs = outputs.view(rows, d, turns, -1).transpose(1, 2).flatten(1, 2)[:, :steps]
    # The step that comes next is not the first phase's any more.
    turned = (phase + valid[:, None]) % d
    parts = (part.view(rows, d, *part.shape[1:]) for part in end)
    state = tuple(part.gather(1, _like(turned, part).expand_as(part)) for part in parts)
    return last_valid(outputs, lengths) if last else outputs, state


def _under_vmap(cell: Cell, x: Tensor) -> bool:
    return any(map(torch._C._functorch.is_batchedtensor, [x, *cell.parameters()]))


def _like(valid: Tensor, part: Tensor) -> Tensor:
    return valid.view(*valid.shape, *[1] * (part.ndim - valid.ndim))


def last_valid(x: Float[Tensor, "B T H"], lengths: Int[Tensor, " B"] | None) -> Float[Tensor, "B H"]:
    """Return each row's last valid step."""
    return x[:, -1] if lengths is None else x[torch.arange(len(x), device=x.device), lengths - 1]


def reverse_valid(x: Float[Tensor, "B T F"], lengths: Int[Tensor, " B"] | None) -> Float[Tensor, "B T F"]:
    """Turn the valid steps of each row round; padding stays where it is."""
    if lengths is None:
        return x.flip(1)
    t = torch.arange(x.shape[1], device=x.device)
    index = torch.where(t < lengths[:, None], lengths[:, None] - 1 - t, t)
    return x.gather(1, index[..., None].expand_as(x))

"""The compiled functions as one function of torch, with its gradient."""

from __future__ import annotations

import ctypes
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor

from seqbench.models.unfold.fused.library import check_compiler, library
from seqbench.models.unfold.fused.program import Function, Program

DTYPES = {torch.float32: "float", torch.float64: "double"}


class Kernel:
    """A program and its functions, which are compiled when they are first called."""

    def __init__(self, made: Program, dtype: torch.dtype) -> None:
        self.program = made
        self._dtype = DTYPES[dtype]
        check_compiler(self._dtype)

    @cached_property
    def library(self) -> ctypes.CDLL:
        """The compiled functions."""
        return library(self.program.source, self._dtype)

    def call(self, function: Function, pointers: dict[str, int | None], numbers: dict[str, int]) -> None:
        """Call a C function; other threads go on meanwhile."""
        n = (ctypes.c_long * len(function.numbers))(*[numbers[name] for name in function.numbers])
        p = (ctypes.c_void_p * len(function.pointers))(*[pointers[name] for name in function.pointers])
        if getattr(self.library, function.name)(n, p):
            raise MemoryError(f"no memory for the {function.name} pass")


@dataclass(frozen=True)
class Call:
    """What a call of the kernel has beside its tensors.

    Attributes:
        kernel: what is called.
        rows: B.
        lengths: valid steps of each row; None if all are.
        wanted: which outputs are wanted for all steps.
        saves: whether there may be a way back. (Torch says of a weight that is trained that its gradient is
            needed, under `no_grad` too.)
        checkpoint_steps: steps whose values are kept for the way back together; others are computed again.
    """

    kernel: Kernel
    rows: int
    lengths: Tensor | None
    wanted: tuple[bool, ...]
    saves: bool
    checkpoint_steps: int

    @property
    def program(self) -> Program:
        """The kernel's program."""
        return self.kernel.program


@dataclass
class Stored:
    """What a way forward leaves: kept states (T + 1, B, …), the tape (T, B, …), and outputs (T, B, …)."""

    states: list[Tensor]
    tape: Tensor
    outputs: list[Tensor]


class Unfold(torch.autograd.Function):
    """All steps of a cell: from inputs (T, B, …), states (B, …) and weights to last states and outputs.

    Outputs that are not wanted are None.
    """

    @staticmethod
    def forward(ctx: Any, call: Call, counts: tuple[int, int], *tensors: Tensor) -> tuple[Tensor | None, ...]:
        xs, states, weights = _split(tensors, counts)
        steps, saves = len(xs[0]), call.saves and any(ctx.needs_input_grad)
        ctx.set_materialize_grads(False)
        ctx.call, ctx.counts = call, counts
        if saves and call.checkpoint_steps >= steps:
            stored = _empty(call, xs[0], True)
            ends = forward(call, xs, states, weights, stored)
            ctx.save_for_backward(*tensors, *stored.states, stored.tape)
        else:
            stored, ends, starts = _empty(call, xs[0], False), [*states], list[Tensor]()
            for t in range(0, steps, call.checkpoint_steps if saves else steps):
                starts += ends
                piece = slice(t, t + (call.checkpoint_steps if saves else steps))
                ends = forward(call, [x[piece] for x in xs], ends, weights, stored, t)
            if saves:
                ctx.save_for_backward(*tensors, *starts)
        return *ends, *(out if want else None for out, want in zip(stored.outputs, call.wanted, strict=True))

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor | None) -> tuple[Any, ...]:
        if torch.is_grad_enabled():  # with create_graph=True
            raise RuntimeError(
                "The gradient of a compiled cell has no gradient of its own; unfold it with engine='loop'."
            )
        call, saved, count = ctx.call, ctx.saved_tensors, len(ctx.needs_input_grad) - 2
        (xs, states, weights), kept = _split(saved[:count], ctx.counts), saved[count:]
        back = Back(call, xs, states, weights, gradients, ctx.needs_input_grad[2:])
        steps = len(xs[0])
        if call.checkpoint_steps >= steps:
            back.run(xs, 0, Stored(list(kept[:-1]), kept[-1], []))
        else:
            starts = range(0, steps, call.checkpoint_steps)
            for i in reversed(range(len(starts))):
                piece = [x[starts[i] : starts[i] + call.checkpoint_steps] for x in xs]
                stored = _empty(call, piece[0], True)
                first = kept[i * len(states) : (i + 1) * len(states)]
                forward(call, piece, first, weights, stored, 0, starts[i])
                back.run(piece, starts[i], stored)
        return None, None, *back.results()


def _split(tensors: Sequence[Tensor], counts: tuple[int, int]) -> tuple[Sequence[Tensor], ...]:
    """Return inputs, states and weights."""
    inputs, states = counts
    return tensors[:inputs], tensors[inputs : inputs + states], tensors[inputs + states :]


def _empty(call: Call, like: Tensor, whole: bool) -> Stored:
    """Return arrays for a way forward; `whole` keeps the values of all steps, for the way back.

    Arrays of one step take what nobody wants. Where rows end early, the rest is zero.
    """
    made, steps = call.program, len(like)
    new = like.new_empty if call.lengths is None else like.new_zeros
    every = dict(zip(made.output_state, call.wanted, strict=True))

    def kept(i: int) -> Tensor:
        width = made.step.state_widths[i]
        return new(steps + 1 if whole or every.get(i, False) else 1, call.rows, width)

    states = [kept(i) for i in made.states]
    outputs = []
    for node, place, want in zip(made.step.outputs, made.output_state, call.wanted, strict=True):
        if place is not None:
            outputs.append(states[made.states.index(place)][1:])
        else:
            outputs.append(new(steps if want else 1, call.rows, node.width))
    return Stored(states, new(steps if whole else 1, call.rows, made.tape_width), outputs)


def forward(
    call: Call, xs: Sequence[Tensor], states: Sequence[Tensor], weights: Sequence[Tensor], stored: Stored,
    at: int = 0, offset: int | None = None,
) -> list[Tensor]:  # fmt: skip
    """Go through steps and return the states after them.

    Args:
        call: whose steps.
        xs: inputs of these steps (T, B, …).
        states: before them.
        weights: of the cell.
        stored: takes the values of steps from `at` on.
        offset: the first step's number in the whole sequence, `at` unless given.
    """
    made = call.program
    ends = [torch.empty_like(state) for state in states]
    arrays = _arrays(weights, call.lengths, at if offset is None else offset)
    pointers, numbers = arrays.pointers, arrays.numbers
    numbers |= {"T": len(xs[0]), "B": call.rows}

    def place(name: str, tensor: Tensor, first: int) -> None:
        """Give an array its slots from step `first` on; one of a single step has one slot for all."""
        stride = tensor.stride(0) if len(tensor) > 1 else 0
        pointers[name] = tensor.data_ptr() + first * stride * tensor.element_size()
        numbers[f"{name}_step"] = stride

    for i, kept in zip(made.states, stored.states, strict=True):
        if at == 0:
            kept[0].copy_(states[i].view(kept[0].shape))
        place(f"KEPT{i}", kept, at + 1)
    for i, output in enumerate(stored.outputs):
        if made.output_state[i] is None:
            place(f"OUT{i}", output, at)
    place("TAPE", stored.tape, at)
    for name, tensors in (("X", xs), ("S", states), ("END", ends)):
        pointers |= {f"{name}{i}": tensor.data_ptr() for i, tensor in enumerate(tensors)}
    call.kernel.call(made.forward, pointers, numbers)
    return ends


class Back:
    """The way back, in pieces from the last to the first."""

    def __init__(
        self, call: Call, xs: Sequence[Tensor], states: Sequence[Tensor], weights: Sequence[Tensor],
        gradients: Sequence[Tensor | None], needed: Sequence[bool],
    ) -> None:  # fmt: skip
        self.call = call
        self.weights = weights
        self.needed = needed
        ends = gradients[: len(states)]
        #: The gradients of the states after the steps that are left.
        self.carried = [
            torch.zeros_like(state) if g is None else g.contiguous()
            for g, state in zip(ends, states, strict=True)
        ]
        self.outputs = gradients[len(states) :]
        self.inputs = [torch.zeros_like(x) if need else None for x, need in zip(xs, needed, strict=False)]
        if any(need for need in needed[: len(xs)]):  # the kernel computes all of them or none
            self.inputs = [
                torch.zeros_like(x) if g is None else g for g, x in zip(self.inputs, xs, strict=True)
            ]
        # That of a weight which a step only rounds or compares is zero, and not absent, as in the loop.
        self.of_weights = [torch.zeros_like(weight) for weight in weights]

    def run(self, xs: Sequence[Tensor], at: int, stored: Stored) -> None:
        """Go back through the steps of `xs`, the first of which is number `at`."""
        call, made, steps = self.call, self.call.program, len(xs[0])
        done = [torch.empty_like(g) for g in self.carried]
        arrays = _arrays(self.weights, call.lengths, at)
        pointers, numbers = arrays.pointers, arrays.numbers
        numbers |= {"T": steps, "B": call.rows, "inputs": int(any(g is not None for g in self.inputs))}
        alive = []
        for i, (g, node) in enumerate(zip(self.outputs, made.step.outputs, strict=True)):
            g = (
                xs[0].new_zeros(1, 1, node.width).expand(steps, call.rows, -1)
                if g is None
                else g[at:][:steps]
            )
            if node.width > 1 and g.stride(2) != 1:
                g = g.contiguous()
            alive.append(g)
            pointers[f"DO{i}"] = g.data_ptr()
            numbers |= {f"DO{i}_step": g.stride(0), f"DO{i}_row": g.stride(1)}
        for i, (x, g) in enumerate(zip(xs, self.inputs, strict=True)):
            pointers |= {f"X{i}": x.data_ptr(), f"DX{i}": None if g is None else g[at:].data_ptr()}
        for i, kept in zip(made.states, stored.states, strict=True):
            pointers[f"KEPT{i}"] = kept.data_ptr()
        for i, (g, to) in enumerate(zip(self.carried, done, strict=True)):
            pointers |= {f"DEND{i}": g.data_ptr(), f"DS{i}": to.data_ptr()}
        pointers |= {f"DW{k}": g.data_ptr() for k, g in enumerate(self.of_weights)}
        pointers["TAPE"] = stored.tape.data_ptr()
        call.kernel.call(made.backward, pointers, numbers)
        self.carried = done

    def results(self) -> list[Tensor | None]:
        """Return the gradients of inputs, states and weights."""
        found = [*self.inputs, *self.carried, *self.of_weights]
        return [g if need else None for g, need in zip(found, self.needed, strict=True)]


@dataclass
class Arrays:
    """Pointers and whole numbers of a call, by name; and the tensors that must live until it is over."""

    pointers: dict[str, int | None]
    numbers: dict[str, int]
    alive: list[Tensor]


def _arrays(weights: Sequence[Tensor], lengths: Tensor | None, offset: int) -> Arrays:
    """Return the weights, and the rows from the longest to the shortest, with what is left of each."""
    pointers: dict[str, int | None] = {"order": None, "lengths": None}
    numbers, alive = dict[str, int](), list[Tensor]()
    for k, weight in enumerate(weights):
        pointers[f"W{k}"] = weight.data_ptr()
        if weight.ndim == 2:
            numbers |= {f"W{k}_row": weight.stride(0), f"W{k}_column": weight.stride(1)}
    if lengths is not None:
        left = (lengths.long() - offset).clamp_min(0)
        alive = [left, left.argsort(descending=True, stable=True)]
        pointers |= {"lengths": alive[0].data_ptr(), "order": alive[1].data_ptr()}
    return Arrays(pointers, numbers, alive)

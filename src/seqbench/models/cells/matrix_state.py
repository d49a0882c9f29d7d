"""What cells with a matrix as their state have in common: heads, steps and chunks."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqbench.models.cells.short_convolution import ShortConvolution, TokenShift
from seqbench.models.chunk import EPSILON
from seqbench.models.sizes import at_least_one, check_width
from seqbench.models.unfold import Cell, State
from seqbench.models.unfold.tokens import affine
from seqbench.models.unfold.valid import like

#: The parameters of a recurrence at each step, by the letters of the docstrings.
Given = dict[str, Tensor]


class MatrixCell(Cell):
    """A cell whose state is a matrix for each head, with a recurrence that can be run in chunks.

        x(t) ──U──▶ parts ──(convolution)──▶ q, k, v, gates ──▶ recurrence ──▶ norm, gate, Wᵒ ──▶ h(t)

    A subclass says what the recurrence is given at a step (`enter`), goes one step (`recur`) or all
    (`recur_all`), and makes the output (`leave`). The state is the window of the convolution, if any,
    and the memory.

    Args:
        input_size: F.
        hidden_size: H.
        parts: rows of U for each part of the projected input.
        inner_size: numbers that W reads.
        chunk_size: steps of a chunk; None for at most `usual_chunk`, in even chunks.
        convolution: of the first part; None for none.

    Raises:
        ValueError: a chunk without a step; or, from `check_length`, one that is longer than the sequence.
    """

    has_scan: ClassVar[bool] = True
    vectorizable = True
    reads_tokens = True
    #: The most steps of a chunk where none are given.
    usual_chunk: ClassVar[int] = 64
    #: Whether the numbers of a head are normed.
    norms_heads: ClassVar[bool] = False
    #: What leaves the state as it is, where that is not 0.
    idle: ClassVar[dict[str, float]] = {}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        parts: Sequence[int],
        inner_size: int,
        chunk_size: int | None = None,
        convolution: ShortConvolution | TokenShift | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        if chunk_size is not None:
            at_least_one(chunk_size=(chunk_size, "step"))
        self.chunk_size = chunk_size
        self.parts = list(parts)
        self.U = nn.Parameter(draw(sum(parts), input_size))
        self.convolution = convolution
        self.W = nn.Parameter(draw(hidden_size, inner_size))

    @abstractmethod
    def enter(self, parts: Sequence[Tensor]) -> Given:
        """Return what the recurrence is given at each step (*steps, …). The first part is convolved."""

    @abstractmethod
    def recur(self, given: Given, memory: State) -> tuple[Tensor, State]:
        """Go one step (B, …): return the output of the recurrence and the memory."""

    @abstractmethod
    def recur_all(self, given: Given, memory: State, chunk: int) -> tuple[Tensor, State]:
        """Go all steps (T, B, …)."""

    @abstractmethod
    def leave(self, parts: Sequence[Tensor], given: Given, output: Tensor) -> Float[Tensor, "*steps I"]:
        """Return what W reads, from the output of the recurrence, and from the parts."""

    @abstractmethod
    def initial_memory(self, batch_size: int) -> State:
        """Return the memory before the first step."""

    def project(self, x: Float[Tensor, "*steps F"] | Int[Tensor, "*steps"]) -> Float[Tensor, "*steps G"]:
        return affine(x, self.U)

    def store_by_token(self) -> None:
        self.U.data = self.U.data.t().contiguous().t()

    def initial_state(self, batch_size: int) -> State:
        window: State = (
            () if self.convolution is None else (self.convolution.initial_state(self.U, batch_size),)
        )
        return *window, *self.initial_memory(batch_size)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        parts, window = list(torch.split(projected, self.parts, dim=-1)), cast(State, ())
        if self.convolution is not None:
            first, *state = state
            parts[0], first = self.convolution.step(parts[0], first)
            window = (first,)
        given = self.enter(parts)
        output, memory = self.recur(given, tuple(state))
        return nn.functional.linear(self.leave(parts, given, output), self.W), (*window, *memory)

    def scan(
        self, projected: Float[Tensor, "T B G"], state: State, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        parts, window = list(torch.split(projected, self.parts, dim=-1)), cast(State, ())
        if self.convolution is not None:
            first, *state = state
            parts[0], first = self.convolution.scan(parts[0], first, valid)
            window = (first,)
        given = self.enter(parts)
        if valid is not None:  # after a row's last valid step its state does not change
            given = {
                name: torch.where(like(valid[..., 0], part), part, self.idle.get(name, 0.0))
                for name, part in given.items()
            }
        output, memory = self.recur_all(given, tuple(state), self._chunk(len(projected)))
        outputs = nn.functional.linear(self.leave(parts, given, output), self.W)
        if valid is not None:
            outputs = torch.where(valid, outputs, torch.zeros_like(outputs))
        return outputs, (*window, *memory)

    def _chunk(self, steps: int) -> int:
        """Return the steps of a chunk; even chunks leave hardly a step to fill up the last."""
        if self.chunk_size is not None:
            return min(self.chunk_size, steps)
        return math.ceil(steps / math.ceil(steps / self.usual_chunk))

    def check_length(self, steps: int) -> None:
        if self.chunk_size is not None and self.chunk_size > steps:
            raise ValueError(
                f"chunk_size={self.chunk_size} is longer than a sequence of {steps} steps; give at most "
                "that, or null."
            )
        if self.norms_heads:
            check_width(self.hidden_size)


def draw(rows: int, columns: int) -> Tensor:
    """Draw a matrix from U(−1/√columns, 1/√columns)."""
    return (2 * torch.rand(rows, columns) - 1) / math.sqrt(columns)


def check_heads(heads: int, **widths: int) -> None:
    """Raise a ValueError if heads do not divide a width."""
    at_least_one(heads=(heads, "head"))
    for name, width in widths.items():
        if width % heads:
            raise ValueError(
                f"heads={heads} do not divide the {width} numbers of {name}; give heads that do, or another "
                "hidden_size (a param_budget tries every width, and so wants heads=1)."
            )


def check_norm(heads: int, hidden_size: int) -> None:
    """Raise a ValueError if heads that are normed have one number each.

    One head of one number is spared, as a parameter budget tries all widths from 1 on; see
    `sizes.check_width`.
    """
    if heads == hidden_size > 1:
        raise ValueError(
            f"heads={heads} have one number each, of which a norm leaves the sign or nothing; give fewer."
        )


def rms_norm(x: Tensor) -> Tensor:
    """Return x over the root of the mean of its squares."""
    return x * torch.rsqrt(x.square().mean(-1, keepdim=True) + EPSILON)


def layer_norm(x: Tensor) -> Tensor:
    """Return x less its mean, over the root of the mean of its squares."""
    return rms_norm(x - x.mean(-1, keepdim=True))


def unit_norm(x: Tensor) -> Tensor:
    """Return x over its length."""
    return x * torch.rsqrt(x.square().sum(-1, keepdim=True) + EPSILON)

"""What most cells have in common: affine maps of the input and the state."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import Any, ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqbench.models.init import RecurrentInit, init_recurrent, init_uniform
from seqbench.models.unfold import Cell, State, Step
from seqbench.models.unfold.tokens import affine


class AffineCell(Cell):
    """A cell built from affine maps of its input and its state, one for each gate and candidate.

        a(t) = b + U x(t) + W h(t−1)

    Parameters U (n·H, F), W (m·H, H) and b stack one block of H rows for each map. b is zero at the start,
    with as many blocks as the larger of U and W. Without recurrent blocks there is no W. The state is
    `state_vectors` vectors of size H, the first of which is the output, unless `output_of` says otherwise.

    Args:
        input_size: F.
        hidden_size: H.
        blocks: the n blocks of U, by the letters of the cell's docstring; "" for the one of a single map.
        recurrent_blocks: the m blocks of W; None for those of U.
    """

    U: nn.Parameter
    W: nn.Parameter
    b: nn.Parameter
    revisions: ClassVar[dict[str, int]] = {"recurrent_init=smart_tanh": 2}
    #: Vectors (B, H) in the state.
    state_vectors: int = 1

    vectorizable = True
    reads_tokens = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        blocks: tuple[str, ...] = ("",),
        recurrent_blocks: tuple[str, ...] | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size)
        self.blocks = blocks
        self.recurrent_blocks = blocks if recurrent_blocks is None else recurrent_blocks
        n, m = len(self.blocks), len(self.recurrent_blocks)
        self.U = nn.Parameter(torch.empty(n * hidden_size, input_size))
        if m:
            self.W = nn.Parameter(torch.empty(m * hidden_size, hidden_size))
        self.b = nn.Parameter(torch.zeros(max(n, m) * hidden_size))

    def init_weights(self, recurrent_init: RecurrentInit = "uniform") -> None:
        """Draw U and then each block of W, see `init_recurrent`.

        U is from U(−1/√H, 1/√H), with `smart_tanh` from N(0, 0.01²).
        """
        if recurrent_init == "smart_tanh":
            nn.init.normal_(self.U, std=0.01)
        else:
            init_uniform(self.U, self.hidden_size)
        if self.recurrent_blocks:
            init_recurrent(self.W, recurrent_init)

    def bias(self, block: str) -> Float[Tensor, " H"]:
        """Return the part of b that belongs to a block of U, detached: writing into it sets b."""
        start = self.blocks.index(block) * self.hidden_size
        return self.b.detach()[start : start + self.hidden_size]

    def project(self, x: Float[Tensor, "*steps F"] | Int[Tensor, "*steps"]) -> Float[Tensor, "*steps G"]:
        return affine(x, self.U, self.b)

    def store_by_token(self) -> None:
        self.U.data = self.U.data.t().contiguous().t()

    def input_weights(self, projected: bool) -> tuple[Tensor, Tensor]:
        """Return the input weights and biases for a kernel of torch's: U and b, or those that do nothing."""
        if not projected:
            return self.U, self.b
        size = len(self.U)
        return torch.eye(size, dtype=self.U.dtype, device=self.U.device), torch.zeros_like(self.b)

    def initial_state(self, batch_size: int) -> State:
        return (self.U.new_zeros(batch_size, self.hidden_size),) * self.state_vectors

    def output_of(self, projected: Any, state: State) -> Tensor | None:
        return state[0] if state else None

    def recurrent_matrices(self) -> dict[str, Tensor]:
        if not self.recurrent_blocks:
            return {}
        names = [f"W[{block}]" if block else "W" for block in self.recurrent_blocks]
        return dict(zip(names, self.W.chunk(len(names)), strict=True))


class MadeMatrixCell(AffineCell):
    """An affine cell whose recurrent matrix is made of its weights, once for all steps of a sequence."""

    @property
    @abstractmethod
    def recurrent_matrix(self) -> Float[Tensor, "H H"]:
        """The matrix that multiplies the state."""

    @abstractmethod
    def step_with(
        self, matrix: Tensor, projected: Tensor, state: State
    ) -> tuple[Float[Tensor, "B H"], State]:
        """Take one step with that matrix."""

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        return self.step_with(self.recurrent_matrix, projected, state)

    def stepper(self) -> Step:
        return partial(self.step_with, self.recurrent_matrix)

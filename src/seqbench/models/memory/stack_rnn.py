"""The stack RNN: a network that pushes onto a stack, pops from it, and reads its top."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.cells.rnn import RNN
from seqbench.models.init import init_uniform
from seqbench.models.sizes import MOST_PARTS, at_least_one
from seqbench.models.unfold import Cell, State
from seqbench.models.unfold.cell import as_cell

#: Cells of a stack are left out by so many, so that few kernels are compiled, and sums keep their order.
CELLS = 32


class StackRNN(Cell):
    """A controller with differentiable stacks, of which it reads the top.

        h(t)   = controller([x(t), s₀(t−1)], h(t−1))
        a(t)   = softmax(cᵃ + Vᵃ h(t))                          push, pop, no-op
        v(t)   = cᵛ + Vᵛ h(t)                                   what is pushed
        s₀(t)  = a_push v(t) + a_pop s₁(t−1) + a_noop s₀(t−1)
        sᵢ(t)  = a_push sᵢ₋₁(t−1) + a_pop sᵢ₊₁(t−1) + a_noop sᵢ(t−1)

    An action is a mixture of the three, so that gradients reach all. Below the last cell there are zeros, and
    what is pushed out of it is lost. With several stacks the controller reads all tops, and each has its own
    actions.

    One matrix V with biases c stacks actions and values, stack by stack. The output is h. The state is that
    of the controller and the stacks, stack_size · word_size numbers each, top first; they start empty.

    Args:
        input_size: F.
        hidden_size: H, units of the controller.
        controller: makes the controller: `controller(input_size, hidden_size)`.
        stacks: stacks.
        stack_size: cells of a stack.
        word_size: numbers in a cell.

    Raises:
        ValueError: no stack, fewer than two cells, or cells of no numbers.

    Source: Joulin & Mikolov (2015), "Inferring algorithmic patterns with stack-augmented recurrent nets",
    section 3.2, in the form of Delétang et al. (2023), "Neural networks and the Chomsky hierarchy": cells are
    vectors, and what is pushed is not squashed (the former pushes σ(v), one number).
    """

    actions = 3

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        controller: Callable[[int, int], Cell] = RNN,
        stacks: int = 1,
        stack_size: int = 30,
        word_size: int = 8,
    ) -> None:
        super().__init__(input_size, hidden_size)
        at_least_one(MOST_PARTS, stacks=(stacks, "stack"))
        at_least_one(stack_size=(stack_size, "cell"), word_size=(word_size, "number in a cell"))
        if stack_size < 2:
            raise ValueError(f"stack_size={stack_size} leaves nothing to pop to; give at least 2.")
        self._build(controller, stacks, stack_size, word_size)

    def _build(
        self, controller: Callable[[int, int], Cell], memories: int, memory_size: int, word_size: int
    ) -> None:
        """Make the parts: a controller, and the map from its output to actions and values."""
        self.memories = memories
        self.memory_size = memory_size
        self.word_size = word_size
        self.controller = as_cell(
            controller(self.input_size + memories * word_size, self.hidden_size), "controller"
        )
        self.vectorizable = self.controller.runs_vectorized
        rows, size = memories * (self.actions + word_size), self.controller.output_size
        self.V = nn.Parameter(torch.empty(rows, size))
        self.c = nn.Parameter(torch.zeros(rows))
        init_uniform(self.V, size)

    @property
    def output_size(self) -> int:
        return self.controller.output_size

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps F"]:
        return x  # the controller's input depends on the state

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        before, *memories = state
        read = [memory[:, : self.word_size].to(projected.dtype) for memory in memories]
        x = self.controller.project(torch.cat([projected, *read], dim=1))
        h, controller = self.controller.step(x, before)
        heads = torch.split(torch.addmm(self.c, h, self.V.t()), self.actions + self.word_size, dim=1)
        new = [self._acted(memory, head) for memory, head in zip(memories, heads, strict=True)]
        return h, (controller, *new)

    def _acted(self, memory: Float[Tensor, "B N"], head: Tensor) -> Float[Tensor, "B N"]:
        """Return a memory after a step, from what V h says about it."""
        actions, value = torch.split(head, [self.actions, self.word_size], dim=1)
        weights = torch.split(torch.softmax(actions, dim=1), 1, dim=1)
        moved = self.moved(memory, value.to(memory.dtype))
        acted: Tensor = weights[0] * moved[0]
        for weight, after in zip(weights[1:], moved[1:], strict=True):
            acted = acted + weight * after
        return acted

    def moved(self, memory: Float[Tensor, "B N"], value: Float[Tensor, "B w"]) -> list[Tensor]:
        """Return the memory after each action: push, pop, no-op."""
        pushed = torch.cat([value, memory[:, : -self.word_size]], dim=1)
        popped = torch.cat([memory[:, self.word_size :], torch.zeros_like(value)], dim=1)
        return [pushed, popped, memory]

    def initial_state(self, batch_size: int) -> State:
        empty = self.c.new_zeros(batch_size, self.memory_size * self.word_size)
        return self.controller.initial_state(batch_size), *[empty] * self.memories

    @property
    def runs_narrowed(self) -> bool:
        return super().runs_narrowed and not self._has_anew(("moved", "_acted"), "narrowed")

    def narrowed(self, state: State, steps: int) -> State:
        """Return the state with as many cells as can be filled: one more a step."""
        cells = -(-steps // CELLS) * CELLS
        if cells >= self.memory_size:
            return state
        empty = state[1].new_zeros(len(state[1]), cells * self.word_size)
        return state[0], *[empty] * self.memories

    def restored(self, state: State) -> State:
        size = self.memory_size * self.word_size
        return state[0], *(nn.functional.pad(part, (0, size - part.shape[1])) for part in state[1:])

    def output_of(self, projected: Any, state: State) -> Tensor | None:
        return self.controller.output_after(None, state[0])

    def time_scales(self) -> str | None:
        return f"a stack of {self.memory_size} cells"

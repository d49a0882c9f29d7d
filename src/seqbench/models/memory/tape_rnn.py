"""The tape RNN: a network with a tape that it writes, and moves left and right."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.models.cells.rnn import RNN
from seqbench.models.memory.stack_rnn import StackRNN
from seqbench.models.sizes import MOST_PARTS, at_least_one
from seqbench.models.unfold import Cell, State


class TapeRNN(StackRNN):
    """A controller with a circular tape, of which it reads and writes the cell under its head.

        h(t)   = controller([x(t), m₀(t−1)], h(t−1))
        a(t)   = softmax(cᵃ + Vᵃ h(t))                          stay, left, right; jump left, jump right
        v(t)   = cᵛ + Vᵛ h(t)                                   what is written
        w      = m(t−1), with v(t) in place of m₀
        mᵢ(t)  = a_stay wᵢ + a_left wᵢ₊₁ + a_right wᵢ₋₁ + a_jump left wᵢ₊ⱼ + a_jump right wᵢ₋ⱼ

    Indices count from the head, modulo the number of cells. The tape moves under the head: what was right of
    it comes under it when the tape moves left. Each step writes, and then moves. An action is a mixture, so
    that gradients reach all.

    One matrix V with biases c stacks actions and values, tape by tape. The output is h. The state is that of
    the controller and the tapes, tape_size · word_size numbers each, the head's cell first; they start empty.

    Args:
        input_size: F.
        hidden_size: H, units of the controller.
        controller: makes the controller: `controller(input_size, hidden_size)`.
        tapes: tapes.
        tape_size: cells of a tape.
        word_size: numbers in a cell.
        jump: j, the cells that a jump goes; None has no jumps. The source jumps by the length of the input.

    Raises:
        ValueError: no tape, fewer than three cells, cells of no numbers, or a jump that is no longer than a
            move; or, from `check_length`, one that ends in the same cell either way.

    Source: Delétang et al. (2023), "Neural networks and the Chomsky hierarchy". There two hidden layers lie
    between h and v; here there is none.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        controller: Callable[[int, int], Cell] = RNN,
        tapes: int = 1,
        tape_size: int = 30,
        word_size: int = 8,
        jump: int | None = None,
    ) -> None:
        Cell.__init__(self, input_size, hidden_size)
        at_least_one(MOST_PARTS, tapes=(tapes, "tape"))
        at_least_one(tape_size=(tape_size, "cell"), word_size=(word_size, "number in a cell"))
        if tape_size < 3:
            raise ValueError(f"tape_size={tape_size} makes left and right the same; give at least 3.")
        if jump is not None and not 2 <= jump <= tape_size - 2:
            raise ValueError(
                f"jump={jump} goes no further than a move, on a tape of {tape_size} cells; give 2 to "
                f"{tape_size - 2}, or null."
            )
        self.jump = jump
        self.actions = 3 if jump is None else 5
        self._build(controller, tapes, tape_size, word_size)

    def check_length(self, steps: int) -> None:
        if self.jump is not None and 2 * self.jump == self.memory_size:
            raise ValueError(
                f"jump={self.jump} to the left and to the right ends in the same of "
                f"tape_size={self.memory_size} cells; give another, or null."
            )

    def moved(self, memory: Float[Tensor, "B N"], value: Float[Tensor, "B w"]) -> list[Tensor]:
        """Return the memory after each action: stay, left, right, and the jumps."""
        written = torch.cat([value, memory[:, self.word_size :]], dim=1)
        steps = [1] if self.jump is None else [1, self.jump]
        places = [i * self.word_size for step in steps for i in (step, self.memory_size - step)]
        return [written, *[torch.cat([written[:, at:], written[:, :at]], dim=1) for at in places]]

    def narrowed(self, state: State, steps: int) -> State:
        return state  # its last cell is beside its first

    def time_scales(self) -> str | None:
        return f"a tape of {self.memory_size} cells"

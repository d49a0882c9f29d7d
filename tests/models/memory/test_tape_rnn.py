"""The tape RNN, against a plain loop over rows, cells and actions."""

from __future__ import annotations

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.models.memory.tape_rnn import TapeRNN
from tests.models.cells.formulas import check_against
from tests.models.memory.test_stack_rnn import F, H, M, by_hand


def new_tape(jump):
    def new(m, actions, value):
        m, n = [value, *m[1:]], len(m)
        moves = [0, 1, -1] if jump is None else [0, 1, -1, jump, -jump]
        return [sum(a * m[(i + move) % n] for a, move in zip(actions, moves, strict=True)) for i in range(n)]

    return new


@pytest.mark.parametrize(("jump", "tapes"), [(None, 1), (None, 2), (2, 1), (3, 1)])
def test_a_tape_rnn_is_its_equations(jump, tapes):
    cell = TapeRNN(F, H, tapes=tapes, tape_size=6, word_size=M, jump=jump)
    check_against(cell, by_hand(new_tape(jump), 3 if jump is None else 5, 6, tapes))


def test_a_tape_is_circular():
    cell = TapeRNN(1, 2, tape_size=4, word_size=1, jump=2)
    memory, value = torch.tensor([[1.0, 2.0, 3.0, 4.0]]), torch.tensor([[9.0]])
    stay, left, right, there, back = (part[0].tolist() for part in cell.moved(memory, value))
    assert (stay, left, right) == ([9, 2, 3, 4], [2, 3, 4, 9], [4, 9, 2, 3])
    assert there == back == [3, 4, 9, 2]


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.cell.tape_size=2"], "makes left and right the same; give at least 3"),
        (["model.cell.tapes=0"], "leaves no tape"),
        (["model.cell.jump=1"], "goes no further than a move, .* give 2 to 28"),
        (["model.cell.jump=29"], "goes no further than a move"),
    ],
)
def test_no_tape_is_refused(make_model, overrides, message):
    with pytest.raises(ConfigError, match=message):
        make_model("model=tape_rnn", *overrides, "task=latch")

"""The stack RNN, against a plain loop over rows, cells and actions."""

from __future__ import annotations

import pytest
import torch
from torch.utils._pytree import tree_leaves

from seqbench.errors import ConfigError
from seqbench.models.cells.lstm import LSTM
from seqbench.models.memory.stack_rnn import StackRNN
from seqbench.models.memory.tape_rnn import TapeRNN
from seqbench.models.unfold import unfold
from tests.models.cells.formulas import check_against

F, H, M = 3, 5, 2  # inputs, units, numbers in a cell


def softmax(a):
    powers = [torch.exp(part) for part in a]
    return [power / sum(powers) for power in powers]


def by_hand(new_memory, actions, cells, memories):
    """Return the outputs of a controller that is an RNN, one row, one memory, one cell at a time."""

    def other(w, x):
        U, W, b = (w[f"controller.{name}"] for name in "UWb")
        size, rows = actions + M, []
        for row in x:
            h, outputs = x.new_zeros(H), []
            all_cells = [[x.new_zeros(M) for _ in range(cells)] for _ in range(memories)]
            for x_t in row:
                h = torch.tanh(b + U @ torch.cat([x_t, *(memory[0] for memory in all_cells)]) + W @ h)
                head = [w["c"][k * size : (k + 1) * size] + w["V"][k * size : (k + 1) * size] @ h
                        for k in range(memories)]  # fmt: skip
                all_cells = [
                    new_memory(memory, softmax(part[:actions]), part[actions:])
                    for memory, part in zip(all_cells, head, strict=True)
                ]
                outputs.append(h)
            rows.append(torch.stack(outputs))
        return torch.stack(rows)

    return other


def new_stack(s, actions, value):
    push, pop, noop = actions
    below = [*s[1:], torch.zeros_like(value)]
    above = [value, *s[:-1]]
    return [push * above[i] + pop * below[i] + noop * s[i] for i in range(len(s))]


@pytest.mark.parametrize("stacks", [1, 2])
def test_a_stack_rnn_is_its_equations(stacks):
    cell = StackRNN(F, H, stacks=stacks, stack_size=4, word_size=M)
    check_against(cell, by_hand(new_stack, 3, 4, stacks))


def test_what_was_pushed_is_popped_last_in_first_out():
    cell = StackRNN(1, 2, stack_size=3, word_size=1).double()
    memory = torch.zeros(1, 3).double()
    for value in (1.0, 2.0, 3.0, 4.0):  # a stack of three loses the first
        memory = cell.moved(memory, torch.full((1, 1), value).double())[0]
    tops = []
    for _ in range(4):
        tops.append(memory[0, 0].item())
        memory = cell.moved(memory, torch.zeros(1, 1).double())[1]
    assert tops == [4.0, 3.0, 2.0, 0.0]


def test_any_cell_is_a_controller():
    cell = StackRNN(F, H, controller=LSTM)
    x, state = torch.randn(2, F), cell.initial_state(2)
    output, ((h, _), stack) = cell.step(cell.project(x), state)
    assert torch.equal(output, h) and stack.shape == (2, 30 * 8)
    assert cell.state_size == 2 * H + 240


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.cell.stack_size=1"], "leaves nothing to pop to; give at least 2"),
        (["model.cell.stacks=0"], "leaves no stack"),
        (["model.cell.word_size=0"], "leaves no number in a cell"),
    ],
)
def test_no_stack_is_refused(make_model, overrides, message):
    with pytest.raises(ConfigError, match=message):
        make_model("model=stack_rnn", *overrides, "task=latch")


class Circular(StackRNN):
    """What is popped goes to the bottom."""

    def moved(self, memory, value):
        pushed, _, same = super().moved(memory, value)
        return [pushed, torch.cat([memory[:, self.word_size :], memory[:, : self.word_size]], dim=1), same]


@pytest.mark.parametrize("steps", [1, 20, 33, 70])
@pytest.mark.parametrize("size", [30, 37, 64, 100])
@pytest.mark.parametrize("kind", [StackRNN, TapeRNN, Circular])
def test_cells_that_no_step_reaches_are_left_out_and_nothing_else_changes(kind, size, steps):
    """Bit for bit, by sequences that push, which fill one cell more a step."""
    sizes = {"tapes": 2, "tape_size": size} if kind is TapeRNN else {"stacks": 2, "stack_size": size}
    cell = kind(F, H, word_size=3, **sizes)
    with torch.no_grad():
        cell.c[0] += 2  # the first action: push, or stay
    x = torch.randn(4, steps, F)
    lengths = torch.tensor([steps, 1, steps, (steps + 1) // 2])
    found = []
    for state in (None, cell.initial_state(4)):
        outputs, end = unfold(cell, x, state, lengths=lengths)
        loss = outputs.square().sum() + sum((k + 1) * part.square().sum() for k, part in enumerate(end[1:]))
        found.append([outputs, *tree_leaves(end), *torch.autograd.grad(loss, [*cell.parameters()])])
    assert [part.shape for part in found[0]] == [part.shape for part in found[1]]
    assert all(torch.equal(*pair) for pair in zip(*found, strict=True))
    narrow = cell.runs_narrowed and cell.narrowed(cell.initial_state(1), steps)[1].shape[1] < 3 * size
    assert narrow == (kind is StackRNN and (steps + 31) // 32 * 32 < size)

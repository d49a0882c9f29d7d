"""Unfolding a cell over time, [1]-[4]."""

from __future__ import annotations

import inspect

import pytest
import torch
from torch import nn

from seqbench.models import Cell, unfold
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.leaky import LeakyRNN
from seqbench.models.cells.lru import LRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.rnn import RNN
from seqbench.models.unfold import check_engine, chosen_engine, reverse_valid
from seqbench.models.unfold.fused import library

CELLS = [RNN, LeakyRNN, LSTM, GRU]
ENGINES = [
    (cell, engine)
    for cell in CELLS
    for engine in ("loop", "fused", "native")
    if engine != "native" or cell.has_native
]


class Autonomous(Cell):
    """A system without input, [1]: s(t) = tanh(W s(t−1))."""

    def __init__(self, size: int) -> None:
        super().__init__(0, size)
        self.W = nn.Parameter(torch.randn(size, size))

    def project(self, x):
        raise AssertionError("there is no input")

    def step(self, projected, state):
        assert projected is None
        s = torch.tanh(state[0] @ self.W)
        return s, (s,)

    def initial_state(self, batch_size):
        return (torch.zeros(batch_size, self.hidden_size),)


class Tree(Cell):
    """An LSTM whose input, state and output are pytrees."""

    def __init__(self, input_size: int, hidden_size: int) -> None:
        super().__init__(input_size, hidden_size)
        self.lstm = LSTM(input_size, hidden_size)

    def project(self, x):
        return {"halves": self.lstm.project(x).chunk(2, dim=-1)}

    def step(self, projected, state):
        h, (s,) = state["h"], state["others"]
        h, (_, s) = self.lstm.step(torch.cat(projected["halves"], dim=-1), (h, s))
        return (h, 2 * h), {"h": h, "others": [s]}

    def initial_state(self, batch_size):
        h, s = self.lstm.initial_state(batch_size)
        return {"h": h, "others": [s]}


@pytest.mark.parametrize("ragged", [False, True])
@pytest.mark.parametrize("given", [False, True])
def test_inputs_states_and_outputs_may_be_pytrees(ragged, given):
    cell, x = Tree(2, 3).double(), torch.randn(4, 6, 2).double()
    lengths = torch.tensor([6, 1, 4, 2]) if ragged else None
    start = tuple(torch.randn(4, 3).double() for _ in range(2)) if given else None
    expected, (h, s) = unfold(cell.lstm, x, start, lengths=lengths, engine="loop")
    nested = {"h": start[0], "others": [start[1]]} if given else None
    (outputs, doubled), state = unfold(cell, x, nested, lengths=lengths)
    for found, wanted in [
        (outputs, expected),
        (doubled, 2 * expected),
        (state["h"], h),
        (state["others"][0], s),
    ]:
        torch.testing.assert_close(found, wanted, rtol=1e-13, atol=1e-13)
    assert cell.state_size == cell.lstm.state_size == 6


def test_without_input_three_steps_are_the_nested_call():
    f = Autonomous(4)
    s = torch.randn(2, 4)

    def call(s):
        return f.step(None, (s,))[0]

    outputs, (last,) = unfold(f, None, (s,), steps=3)
    assert torch.equal(last, call(call(call(s))))
    assert torch.equal(outputs, torch.stack([call(s), call(call(s)), call(call(call(s)))], dim=1))
    # [3] counts states, of which the first is given: s(3) is two steps from s(1).
    assert torch.equal(unfold(f, None, (s,), steps=2)[1][0], call(call(s)))


@pytest.mark.parametrize(("kind", "engine"), ENGINES)
def test_every_length_runs_on_the_same_parameters(kind, engine):
    cell = kind(2, 3)
    before = {name: p.detach().clone() for name, p in cell.named_parameters()}
    x = torch.randn(2, 1000, 2)
    with torch.no_grad():
        whole, _ = unfold(cell, x, engine=engine)
        for length in (1, 7, 1000):
            outputs, state = unfold(cell, x[:, :length], engine=engine)
            assert outputs.shape == (2, length, 3)
            torch.testing.assert_close(outputs, whole[:, :length], rtol=0, atol=1e-6)
            torch.testing.assert_close(state[0], outputs[:, -1], rtol=0, atol=1e-6)
    after = dict(cell.named_parameters())
    assert before.keys() == after.keys()
    assert all(torch.equal(before[name], after[name]) for name in before)


@pytest.mark.parametrize(("kind", "engine"), ENGINES)
def test_reverse_reads_each_row_from_its_last_valid_step(kind, engine):
    cell, x, lengths = kind(2, 3).double(), torch.randn(4, 6, 2).double(), torch.tensor([6, 1, 4, 2])
    outputs, state = unfold(cell, x, lengths=lengths, reverse=True, engine=engine)
    for row, length in enumerate(lengths.tolist()):
        alone, end = unfold(cell, x[row : row + 1, :length].flip(1), engine="loop")
        torch.testing.assert_close(outputs[row, :length], alone[0].flip(0), rtol=0, atol=1e-12)
        assert not outputs[row, length:].any()
        for part, expected in zip(state, end, strict=True):
            torch.testing.assert_close(part[row], expected[0], rtol=0, atol=1e-12)


def test_reverse_without_lengths_is_the_flip():
    cell, x = GRU(2, 3), torch.randn(2, 5, 2)
    torch.testing.assert_close(unfold(cell, x, reverse=True)[0], unfold(cell, x.flip(1))[0].flip(1))


def test_reverse_valid_leaves_padding_and_undoes_itself():
    x, lengths = torch.arange(8.0).view(2, 4, 1), torch.tensor([3, 1])
    assert reverse_valid(x, lengths).flatten().tolist() == [2, 1, 0, 3, 4, 5, 6, 7]
    assert torch.equal(reverse_valid(reverse_valid(x, lengths), lengths), x)


@pytest.mark.parametrize(("kind", "engine"), ENGINES)
def test_past_its_length_a_row_stands_still(kind, engine):
    cell, x, lengths = kind(2, 3), torch.randn(2, 5, 2), torch.tensor([5, 2])
    outputs, state = unfold(cell, x, lengths=lengths, engine=engine)
    assert not outputs[1, 2:].any() and outputs[1, :2].all()
    _, early = unfold(cell, x[1:, :2], engine=engine)
    for part, expected in zip(state, early, strict=True):
        torch.testing.assert_close(part[1], expected[0], rtol=0, atol=1e-6)


def test_auto_takes_the_first_engine_that_a_cell_has_on_a_device(monkeypatch):
    assert [chosen_engine(kind(2, 3)) for kind in (*CELLS, LRU)] == [*["fused"] * len(CELLS), "scan"]
    for kind in CELLS:
        first = "native" if kind.has_native else "scan" if kind.has_scan else "loop"
        assert chosen_engine(kind(2, 3), device="cuda") == first
        assert chosen_engine(kind(2, 3), half=True) == first
        assert chosen_engine(kind(2, 3), "loop") == "loop"
    monkeypatch.setattr(library, "compiler", lambda: None)
    library.library.cache_clear()
    library._obstacle.cache_clear()
    assert chosen_engine(LSTM(2, 3)) == "native" and chosen_engine(LeakyRNN(2, 3)) == "loop"
    library._obstacle.cache_clear()


def test_errors_say_what_is_wrong():
    x = torch.randn(1, 3, 2)
    with pytest.raises(
        ValueError, match="engine=fast: RNN has no such engine; it has auto, fused, native, loop"
    ):
        inspect.unwrap(check_engine)(RNN(2, 3), "fast")
    with pytest.raises(ValueError, match="LeakyRNN has no such engine"):
        unfold(LeakyRNN(2, 3), x, engine="native")
    with pytest.raises(NotImplementedError, match="Autonomous has no native engine"):
        Autonomous(2).native(x, ())
    with pytest.raises(ValueError, match="RNN has no memory or attention to look into"):
        RNN(2, 3).observe(x, (), x, 1)
    for given in ({"steps": 3}, {"state": (torch.zeros(1, 4),)}):
        with pytest.raises(ValueError, match="needs its first state and the number of steps"):
            unfold(Autonomous(4), None, **given)


@pytest.mark.parametrize("kind", [RNN, LSTM])
@pytest.mark.parametrize("engine", ["auto", "loop"])
@pytest.mark.parametrize("d", [2, 3, 7])
def test_dilated_steps_follow_the_one_d_steps_before(kind, engine, d):
    cell = kind(2, 3).double()
    x = torch.randn(4, 7, 2, dtype=torch.float64)
    lengths = torch.tensor([7, 1, 4, 6])
    outputs, state = unfold(cell, x, lengths=lengths, dilation=d, engine=engine)
    for row, length in enumerate(lengths.tolist()):
        coming = [cell.initial_state(1)] * d
        for t in range(length):
            output, new = cell.step(cell.project(x[row : row + 1, t]), coming.pop(0))
            coming.append(new)
            torch.testing.assert_close(outputs[row, t], output[0])
        assert not outputs[row, length:].any()
        for part, parts in zip(state, zip(*coming, strict=True), strict=True):
            torch.testing.assert_close(part[row], torch.cat(parts))
    # Cut anywhere, and carried on.
    whole, end = unfold(cell, x, dilation=d, engine=engine)
    first, carried = unfold(cell, x[:, :4], dilation=d, engine=engine)
    second, last = unfold(cell, x[:, 4:], carried, dilation=d, engine=engine)
    torch.testing.assert_close(torch.cat([first, second], 1), whole)
    torch.testing.assert_close(last, end)
    last_only, _ = unfold(cell, x, lengths=lengths, last=True, dilation=d, engine=engine)
    torch.testing.assert_close(last_only, outputs[torch.arange(4), lengths - 1])


@pytest.mark.parametrize("engine", ["native", "loop"])
def test_a_row_without_a_step_keeps_its_state(engine):
    cell = LSTM(2, 3)
    state = tuple(torch.randn(3, 3) for _ in range(2))
    outputs, end = unfold(cell, torch.randn(3, 4, 2), state, lengths=torch.tensor([4, 0, 2]), engine=engine)
    assert not outputs[1].any()
    for part, before in zip(end, state, strict=True):
        assert torch.equal(part[1], before[1]) and not torch.equal(part[0], before[0])


def test_with_few_states_kept_no_more_of_the_input_is_projected_at_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The projected input of all steps, and its gradient, would be larger than the states."""
    cell, x = LSTM(2, 5), torch.randn(3, 23, 2)
    lengths = torch.tensor([23, 9, 1])
    project, steps = LSTM.project, []

    def observed(self: LSTM, piece: torch.Tensor) -> torch.Tensor:
        steps.append(len(piece))
        return project(self, piece)

    found = []
    for kept in (None, 5):
        outputs, state = unfold(cell, x, lengths=lengths, engine="loop", checkpoint_steps=kept)
        loss = outputs.square().sum() + state[1].sum()
        found.append([outputs, *torch.autograd.grad(loss, [*cell.parameters()])])
        monkeypatch.setattr(LSTM, "project", observed)
    torch.testing.assert_close(*found)
    assert steps == [5, 5, 5, 5, 3, 3, 5, 5, 5, 5]  # and once more on the way back

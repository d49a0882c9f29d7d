"""States and gates over one sequence: the layers' own, and gates that make the next state."""

from __future__ import annotations

from functools import partial

import pytest
import torch

from seqbench.analysis.unfolded import Unfolded, unfolded
from seqbench.models import SequenceModel
from seqbench.models.cells.clockwork import ClockworkRNN
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.lstm_variants import LSTMVariant
from seqbench.models.cells.rnn import RNN
from seqbench.tasks.batch import Batch

BATCH = Batch(torch.randint(3, (2, 7)), torch.zeros(2))


def model(cell, **options):
    made = SequenceModel(cell, 3, 2, tokens=True, hidden_size=4, **options)
    for parameter in made.parameters():
        torch.nn.init.normal_(parameter)
    return made


@pytest.mark.parametrize("cell", [RNN, LSTM, GRU])
def test_the_last_state_is_what_the_readout_reads(cell):
    made = model(cell, num_layers=2, per_step=False)
    found = unfolded(made, BATCH)
    assert torch.equal(found["x"], torch.nn.functional.one_hot(BATCH.inputs[0], 3).float())
    outputs, _ = made(BATCH.inputs[:1])
    torch.testing.assert_close(made.readout(found["h, layer 2"][-1]), outputs[0])


@pytest.mark.parametrize("kind", [LSTM, LSTMVariant])
def test_gates_make_the_state_of_an_lstm(kind):
    made = model(kind)
    found = unfolded(made, BATCH)
    assert [*found] == ["x", "f", "g", "q", "s", "h"]
    torch.testing.assert_close(found["h"], found["s"].tanh() * found["q"])  # [28]
    candidate = (found["s"][1:] - found["f"][1:] * found["s"][:-1]) / found["g"][1:]  # [26]
    cell = made.layers[0]
    a = cell.project(found["x"][1:]) + found["h"][:-1] @ cell.W.t()
    torch.testing.assert_close(candidate, a.chunk(4, -1)[2].tanh(), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize(
    ("options", "names"),
    [({"output_gate": False}, "xfgsh"), ({"coupled": True}, "xgqsh"), ({"peepholes": True}, "xsh")],
)
def test_a_variant_shows_the_gates_that_it_has(options, names):
    assert [*unfolded(model(partial(LSTMVariant, **options)), BATCH)] == [*names]


def test_a_class_with_steps_of_its_own_has_no_gates_of_the_base():
    class Hard(LSTM):
        def step(self, projected, state):
            h, s = state
            f, g, a, q = (projected + h @ self.W.t()).clamp(0, 1).chunk(4, dim=-1)
            s = f * s + g * a
            return s * q, (s, s * q)  # and in another order

    class Dropping(RNN):
        def step(self, projected, state):
            return super().step(torch.nn.functional.dropout(projected, 0.5, self.training), state)

    found = unfolded(model(Hard), BATCH)
    assert [*found] == ["x", "h"]
    made = model(Dropping)
    assert torch.equal(unfolded(made, BATCH)["h"], unfolded(made, BATCH)["h"]) and made.training


def test_gates_make_the_state_of_a_gru():
    made = model(GRU)
    found = unfolded(made, BATCH)
    assert [*found] == ["x", "r", "u", "h"]
    cell, before = made.layers[0], found["h"][:-1]
    Ux, Wh = cell.project(found["x"][1:]).chunk(3, -1)[2], (before @ cell.W.t()).chunk(3, -1)[2]
    candidate = torch.tanh(Ux + found["r"][1:] * (Wh + cell.d))
    wanted = found["u"][1:] * before + (1 - found["u"][1:]) * candidate  # [30], [31]
    torch.testing.assert_close(found["h"][1:], wanted)


def test_a_slow_group_moves_at_multiples_of_its_period():
    found = unfolded(model(partial(ClockworkRNN, periods=[1, 4])), BATCH)["h"]
    slow = found[:, 2:]
    moves = [t for t in range(1, 7) if not torch.equal(slow[t], slow[t - 1])]
    assert moves == [4]


def test_steps_after_the_end_are_left_out_and_the_table_has_every_quantity():
    found = unfolded(model(RNN), BATCH._replace(lengths=torch.tensor([5, 7])))
    assert len(found["h"]) == 5
    shown = Unfolded({"rnn": found}, "")
    table = shown.table().set_index("quantity")
    assert float(table.loc["h", "largest"]) == pytest.approx(float(found["h"].max()), rel=5e-3)
    assert table["units"].to_dict() == {"x": "3", "h": "4"}
    assert len(shown.numbers()) == 5 * 7


def test_what_cannot_be_stepped_is_refused():
    with pytest.raises(ValueError, match="bidirectional"):
        unfolded(model(RNN, bidirectional=True), BATCH)

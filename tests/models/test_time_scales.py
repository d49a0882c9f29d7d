"""What a cell says of the steps that it reaches over by its making, and where its equations are."""

from __future__ import annotations

import pytest

from seqbench.models.cells.clockwork import ClockworkRNN
from seqbench.models.cells.echo_state import EchoState
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.leaky import LeakyRNN
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.lstm_variants import LSTMVariant
from seqbench.models.cells.mgu import MGU
from seqbench.models.cells.rnn import RNN
from seqbench.models.cells.skip import SkipRNN
from seqbench.models.readouts import DeepReadout
from seqbench.models.sequence import SequenceModel


@pytest.mark.parametrize(
    ("cell", "phrase"),
    [
        (RNN(1, 4), None),
        (LeakyRNN(1, 4), "time constants of 1 to 100 steps"),
        (LeakyRNN(1, 4, alpha=0.9), "time constants of 10 steps"),
        (EchoState(1, 4, alpha=0.5), "time constants of 2 steps"),
        (EchoState(1, 4), None),
        (GRU(1, 4), "time constants of 2 steps"),
        (LSTM(1, 4, forget_bias=0.0), "time constants of 2 steps"),
        (LSTM(1, 4), "time constants of 3.72 steps"),
        (LSTMVariant(1, 4, forget_gate=False), "a state that is never forgotten"),
        (LSTMVariant(1, 4, coupled=True), "time constants of 2 steps"),
        (MGU(1, 4, gate_bias=-1.0), "time constants of 3.72 steps"),
        (ClockworkRNN(1, 4, periods=[4, 1]), "periods of 1, 4 steps"),
        (SkipRNN(1, 4, delay=5), "edges of 1 and 5 steps"),
        (SkipRNN(1, 4, delay=5, single=False), "edges of 5 steps"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_a_cell_says_over_how_many_steps_it_reaches(cell, phrase):
    assert cell.time_scales() == phrase


def test_a_model_gathers_what_its_cells_say():
    sizes = {"input_size": 1, "output_size": 1, "hidden_size": 4}
    model = SequenceModel(GRU, **sizes, num_layers=3, dilation=2)
    assert model.time_scales() == [
        "states of 1, 2, 4 steps before, layer by layer",
        "time constants of 2 steps",
    ]
    assert model.explained_by() == [GRU]
    assert SequenceModel(LSTMVariant, **sizes, readout=DeepReadout).explained_by() == [LSTM, DeepReadout]

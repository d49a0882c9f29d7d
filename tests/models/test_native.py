"""Cells that torch has too equal torch's modules: outputs, last state, and every gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seqbench.models.cells.gru import GRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.lstm_variants import LSTMVariant
from seqbench.models.cells.rnn import RNN
from seqbench.models.unfold import unfold

CELLS = {
    "tanh": (RNN, nn.RNN(4, 5, batch_first=True)),
    "relu": (lambda i, h: RNN(i, h, activation="relu"), nn.RNN(4, 5, nonlinearity="relu", batch_first=True)),
    "lstm": (LSTM, nn.LSTM(4, 5, batch_first=True)),
    "lstm_variant": (LSTMVariant, nn.LSTM(4, 5, batch_first=True)),
    "gru": (GRU, nn.GRU(4, 5, batch_first=True)),
}


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64], ids=str)
@pytest.mark.parametrize("engine", ["loop", "native"])
@pytest.mark.parametrize(("cell", "theirs"), CELLS.values(), ids=CELLS)
def test_equals_torch(assert_parity, cell, theirs, engine, dtype):
    cell = cell(4, 5)

    def copied():
        second = torch.zeros_like(cell.b)  # torch adds two biases
        if isinstance(cell, GRU):
            second = torch.cat([second[:10], cell.d])
        return cell.U, cell.W, cell.b, second

    assert_parity(cell, theirs, copied, engine, dtype)


@pytest.mark.parametrize("engine", ["auto", "native"])
@pytest.mark.parametrize("cell", [RNN, GRU, LSTM, LSTMVariant])
def test_sizes_that_differ_are_refused(cell, engine):
    """`torch.lstm` does not check them: it gives wrong numbers, and may end the process."""
    cell = cell(4, 5)
    for x in (torch.zeros(3, 6, 3), torch.zeros(3, 6, 5), torch.zeros(3, 6)):
        with pytest.raises(ValueError, match=r"reads sequences \(B, T, 4\), and this is \(3, 6"):
            unfold(cell, x, engine=engine)
    for state in (cell.initial_state(2), cell.initial_state(7)):
        with pytest.raises(ValueError, match=r"has a state of tensors \(3, 5\) here, and one is \([27], 5\)"):
            unfold(cell, torch.zeros(3, 6, 4), state, engine=engine)

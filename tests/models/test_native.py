"""Cells that torch has too equal torch's modules: outputs, last state, and every gradient."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seqbench.models.cells.gru import GRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.lstm_variants import LSTMVariant
from seqbench.models.cells.rnn import RNN

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

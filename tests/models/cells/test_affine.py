"""Affine cells: parameters, zero state, and recurrent matrices by letter."""

from __future__ import annotations

import pytest
import torch

from seqbench.models.cells.affine import AffineCell
from seqbench.models.cells.antisymmetric import AntisymmetricRNN
from seqbench.models.cells.clockwork import ClockworkRNN
from seqbench.models.cells.cornn import CoRNN
from seqbench.models.cells.deep_transition import DeepTransitionRNN
from seqbench.models.cells.echo_state import EchoState
from seqbench.models.cells.feed_forward import FeedForward
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.indrnn import IndRNN
from seqbench.models.cells.leaky import LeakyRNN
from seqbench.models.cells.lem import LEM
from seqbench.models.cells.lru import LRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.lstm_variants import LSTMVariant
from seqbench.models.cells.mgu import MGU
from seqbench.models.cells.min_gru import MinGRU
from seqbench.models.cells.min_lstm import MinLSTM
from seqbench.models.cells.mut1 import MUT1
from seqbench.models.cells.orthogonal import OrthogonalRNN
from seqbench.models.cells.rnn import RNN
from seqbench.models.cells.skip import SkipRNN
from seqbench.models.cells.unicornn import UnICORNN

MATRICES = [
    (RNN, ["W"]),
    (LeakyRNN, ["W"]),
    (EchoState, ["W"]),
    (ClockworkRNN, ["W"]),
    (LSTM, ["W[g]", "W[f]", "W[candidate]", "W[q]"]),
    (lambda i, h: LSTMVariant(i, h, coupled=True, peepholes=True), ["W[g]", "W[candidate]", "W[q]"]),
    (GRU, ["W[r]", "W[u]", "W[candidate]"]),
    (MGU, ["W[f]", "W[candidate]"]),
    (MUT1, ["W[r]", "W[candidate]"]),
    (SkipRNN, ["W", "D"]),
    (lambda i, h: SkipRNN(i, h, single=False), ["D"]),
    (lambda i, h: DeepTransitionRNN(i, h, depth=3, skip=True), ["W[1]", "W[2]", "W[3]", "S"]),
    (LRU, ["λ"]),
    (MinGRU, []),
    (MinLSTM, []),
    (IndRNN, ["u"]),
    (AntisymmetricRNN, ["A"]),
    (LEM, ["W[1]", "W[2]", "W[z]", "W[y]"]),
    (CoRNN, ["W", "Z"]),
    (UnICORNN, ["w"]),
    (OrthogonalRNN, ["W"]),
    (FeedForward, []),
]


@pytest.mark.parametrize(("cell", "names"), MATRICES)
def test_recurrent_matrices_have_the_letters_of_the_docstring(cell, names):
    # With as many inputs as units, no other weight may be taken for a recurrent one.
    cell = cell(3, 3)
    matrices = cell.recurrent_matrices()
    assert list(matrices) == names
    assert all(matrix.shape == (3, 3) for matrix in matrices.values())
    if isinstance(cell, AffineCell) and cell.recurrent_blocks and not isinstance(cell, ClockworkRNN):
        stacked = [matrix for name, matrix in matrices.items() if name[0] == "W"]
        assert torch.equal(torch.cat(stacked), cell.W)


def test_u_is_drawn_before_w_and_biases_are_zero():
    torch.manual_seed(7)
    cell = MUT1(2, 4)
    torch.manual_seed(7)
    assert torch.equal(cell.U, torch.empty(12, 2).uniform_(-0.5, 0.5))
    assert torch.equal(cell.W, torch.cat([torch.empty(4, 4).uniform_(-0.5, 0.5) for _ in range(2)]))
    assert cell.b.tolist() == [0.0] * 12


def test_writing_into_the_bias_of_a_block_sets_b():
    cell = MGU(2, 3)
    cell.bias("candidate").fill_(2.0)
    assert cell.b.tolist() == [0.0] * 3 + [2.0] * 3


@pytest.mark.parametrize(("cell", "vectors"), [(RNN, 1), (LSTM, 2), (SkipRNN, 10), (FeedForward, 0)])
def test_the_initial_state_is_zero(cell, vectors):
    state = cell(2, 3).double().initial_state(4)
    assert len(state) == vectors and cell(2, 3).state_size == 3 * vectors
    assert all(torch.equal(part, torch.zeros(4, 3).double()) for part in state)

"""Spectral radius and largest singular value of every recurrent matrix."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch

from seqbench.analysis.spectrum import largest, spectra
from seqbench.models import SequenceModel
from seqbench.models.cells.clockwork import ClockworkRNN
from seqbench.models.cells.feed_forward import FeedForward
from seqbench.models.cells.lru import LRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.rnn import RNN


def test_by_hand():
    model = SequenceModel(RNN, 2, 1, hidden_size=2)
    with torch.no_grad():
        # eigenvalues ±i, singular values 2, ½
        model.layers[0].W.copy_(torch.tensor([[0.0, 2.0], [-0.5, 0.0]]))
    ((name, spectrum),) = spectra(model).items()
    assert name == "body.layers.0.W"
    assert spectrum == pytest.approx((1, 2), rel=1e-6)
    assert largest(model) == pytest.approx({"spectral_radius": 1, "largest_singular_value": 2}, rel=1e-6)


def test_every_block_of_every_layer_is_numpys():
    model = SequenceModel(LSTM, 3, 1, hidden_size=5, num_layers=2)
    found = spectra(model)
    blocks = ("g", "f", "candidate", "q")
    assert list(found) == [f"body.layers.{i}.W[{block}]" for i in (0, 1) for block in blocks]
    for i, layer in enumerate(model.layers):
        for part, block in zip(layer.blocks, np.split(layer.W.detach().numpy(), 4), strict=True):
            radius, norm = found[f"body.layers.{i}.W[{part}]"]
            assert radius == pytest.approx(np.abs(np.linalg.eigvals(block)).max(), rel=1e-5)
            assert norm == pytest.approx(np.linalg.norm(block, 2), rel=1e-5)
    assert largest(model)["spectral_radius"] == max(radius for radius, _ in found.values())
    assert largest(model)["largest_singular_value"] == max(norm for _, norm in found.values())


def test_a_cell_without_recurrent_matrices_has_no_spectrum():
    model = SequenceModel(FeedForward, 3, 3, hidden_size=3)
    assert spectra(model) == {} and largest(model) == {}


def test_orthogonal_matrices_have_ones(make_model):
    model, _ = make_model("model=rnn", "model.cell.recurrent_init=orthogonal", "task=latch", fresh=True)
    assert spectra(model)["body.layers.0.W"] == pytest.approx((1, 1), rel=1e-4)


def test_cells_of_both_directions_count():
    model = SequenceModel(RNN, 2, 1, hidden_size=3, bidirectional=True)
    assert list(spectra(model)) == ["body.layers.0.W", "body.backward_layers.0.W"]


def test_an_lru_has_that_of_its_eigenvalues():
    model = SequenceModel(lambda i, h: LRU(i, h, min_radius=0.5, max_radius=0.8), 2, 1, hidden_size=6)
    radius = model.layers[0].eigenvalues.abs().max().item()
    assert 0.5 < radius < 0.8
    assert spectra(model)["body.layers.0.λ"] == pytest.approx((radius, radius), rel=1e-5)


def test_blocks_that_a_clockwork_never_uses_do_not_count():
    model = SequenceModel(lambda i, h: ClockworkRNN(i, h, periods=[1, 2]), 2, 1, hidden_size=4)
    with torch.no_grad():
        model.layers[0].W.fill_(0.0)
        model.layers[0].W[2:, :2] = 100.0  # from shorter to longer periods
    assert largest(model) == {"spectral_radius": 0, "largest_singular_value": 0}


def test_a_matrix_that_is_not_finite_has_a_spectrum_of_nan():
    model = SequenceModel(RNN, 2, 1, hidden_size=3, num_layers=2)
    with torch.no_grad():
        model.layers[1].W[0, 0] = math.inf
    assert all(math.isnan(value) for value in largest(model).values())
    assert math.isfinite(spectra(model)["body.layers.0.W"].spectral_radius)

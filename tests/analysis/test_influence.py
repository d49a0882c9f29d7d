"""Influence of inputs on outputs: against a linear network by hand, and which paths there are."""

from __future__ import annotations

import pytest
import torch

from seqbench.analysis.influence import Influences, influence
from seqbench.models import SequenceModel
from seqbench.models.cells.rnn import RNN
from seqbench.models.cells.skip import SkipRNN
from seqbench.tasks.batch import Batch

STEPS = 6


def batch(tokens=False):
    inputs = torch.randint(3, (2, STEPS)) if tokens else torch.randn(2, STEPS, 3)
    return Batch(inputs, torch.zeros(2, STEPS, 1))


def test_equals_the_formula_of_a_network_of_one_unit():
    """With h near 0 tanh is the identity, and ∂o(t)/∂x(k) = V W^(t−k) U."""
    model = SequenceModel(RNN, 1, 1, hidden_size=1)
    cell, readout = model.layers[0], model.readout
    with torch.no_grad():
        for parameter, value in ((cell.U, 2.0), (cell.W, -0.5), (cell.b, 0.0), (readout.weight, 3.0)):
            parameter.fill_(value)
    found = influence(model, Batch(torch.zeros(2, STEPS, 1), torch.zeros(2, STEPS, 1)))
    wanted = [[6 * 0.5 ** (t - k) if k <= t else 0.0 for k in range(STEPS)] for t in range(STEPS)]
    torch.testing.assert_close(found, torch.tensor(wanted, dtype=torch.float64))


@pytest.mark.parametrize("tokens", [False, True])
def test_the_past_alone_in_one_direction_and_all_in_both(tokens):
    forward = influence(SequenceModel(RNN, 3, 1, tokens=tokens, hidden_size=4), batch(tokens))
    assert torch.equal(forward > 0, torch.ones(STEPS, STEPS).tril().bool())
    both = influence(
        SequenceModel(RNN, 3, 1, tokens=tokens, hidden_size=4, bidirectional=True), batch(tokens)
    )
    assert (both > 0).all()


def test_edges_with_a_delay_alone_reach_multiples_of_it():
    def skips(size, hidden):
        return SkipRNN(size, hidden, delay=3, single=False)

    found = influence(SequenceModel(skips, 3, 1, hidden_size=4), batch())
    assert [k for k in range(STEPS) if found[5, k] > 0] == [2, 5]


def test_one_output_for_a_sequence():
    found = influence(SequenceModel(RNN, 3, 1, hidden_size=4, per_step=False), batch())
    assert found.shape == (1, STEPS) and (found > 0).all()
    frame = Influences({"rnn": found}, "").numbers()
    assert frame["output_step"].unique().tolist() == [STEPS]
    assert frame["norm"].to_list() == pytest.approx(found[0].tolist())


def test_the_table_has_means_along_diagonals():
    values = torch.tensor([[4.0, 0.0], [1.0, 2.0]])
    ((_, row),) = Influences({"rnn": values}, "").table().iterrows()
    assert row.to_dict() == {"": "rnn", "-10": "–", "-1": "1", "0": "3", "+1": "0", "+10": "–"}


def test_an_embedded_token_counts_as_a_one_hot_vector():
    embedded = SequenceModel(RNN, 3, 1, tokens=True, hidden_size=4, embedding_size=2)
    plain = SequenceModel(RNN, 3, 1, tokens=True, hidden_size=4)
    with torch.no_grad():
        cell = embedded.layers[0]
        plain.layers[0].U.copy_(cell.U @ embedded.embedding.weight.t())
        plain.layers[0].W.copy_(cell.W)
        plain.readout.load_state_dict(embedded.readout.state_dict())
    its = batch(tokens=True)
    torch.testing.assert_close(influence(embedded, its), influence(plain, its), rtol=1e-5, atol=1e-8)


def test_what_is_not_finite_is_drawn_as_nothing():
    for values in ([[1.0, torch.inf], [torch.nan, 2.0]], [[torch.nan] * 2] * 2):
        Influences({"rnn": torch.tensor(values)}, "").draw().draw_without_rendering()


def test_a_forward_or_a_first_state_of_ones_own_is_refused():
    class Doubled(SequenceModel):
        def forward(self, inputs, lengths=None):
            outputs, state = super().forward(inputs, lengths)
            return 2 * outputs, state

    class Zeros(RNN):
        def initial_state(self, batch_size):
            return (torch.zeros(batch_size, self.hidden_size),)

    with pytest.raises(ValueError, match="Doubled puts out other numbers"):
        influence(Doubled(RNN, 3, 1), batch())
    with pytest.raises(ValueError, match=r"Zeros.initial_state returns torch\.float32"):
        influence(SequenceModel(Zeros, 3, 1), batch())


def test_feedback_and_padding_are_refused():
    with pytest.raises(ValueError, match="feedback=false"):
        influence(SequenceModel(RNN, 3, 1, feedback=True), batch())
    with pytest.raises(ValueError, match="sequences of one length"):
        influence(SequenceModel(RNN, 3, 1), batch()._replace(lengths=torch.tensor([3, 6])))

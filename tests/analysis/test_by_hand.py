"""BPTT by hand, as it is shown: both ways agree, and what is not Fig. 10.3 is refused."""

from __future__ import annotations

import pytest
import torch

from seqbench.analysis.by_hand import EQUATIONS, compare
from seqbench.models import SequenceModel
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.rnn import RNN
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Values

BATCH = Batch(torch.tensor([[0, 1, 2, 1], [2, 2, 0, 1]]), torch.tensor([[0, 1, 1, 0], [1, 0, 0, 1]]))


def model(cell=RNN, **options):
    return SequenceModel(cell, 3, 2, tokens=True, classes=True, hidden_size=4, **options)


def test_both_ways_agree_and_the_errors_are_13():
    found = compare(model(), Classes(2, per_step=True), BATCH)
    assert {*found.by_hand} == {*found.autograd} == {*EQUATIONS}
    for letter, hand in found.by_hand.items():
        assert hand.dtype == torch.float64 and hand.any(), letter
        torch.testing.assert_close(hand, found.autograd[letter], rtol=0, atol=1e-12)
    # [13] summed over classes is 0; L(t) is −log ŷ at y, and ŷ is one more than the error there.
    assert found.errors.sum(1).abs().max() < 1e-12
    right = found.errors[range(4), BATCH.targets[0]] + 1
    torch.testing.assert_close(found.losses, -right.log())


def test_embedded_tokens_are_what_u_multiplies():
    found = compare(model(embedding_size=5), Classes(2, per_step=True), BATCH)
    assert found.by_hand["U"].shape == (4, 5)
    for letter, hand in found.by_hand.items():
        torch.testing.assert_close(hand, found.autograd[letter], rtol=0, atol=1e-12)


def test_a_class_made_from_the_rnn_is_refused():
    class Soft(RNN):
        def step(self, projected, state):
            h = torch.nn.functional.softsign(projected + state[0] @ self.W.t())
            return h, (h,)

    class Doubled(SequenceModel):
        def forward(self, inputs, lengths=None):
            return 2 * super().forward(inputs, lengths)[0], None

    for made in (model(Soft), Doubled(RNN, 3, 2, tokens=True, classes=True)):
        with pytest.raises(ValueError, match="The equations are those of Fig"):
            compare(made, Classes(2, per_step=True), BATCH)


def test_the_table_has_the_numbers():
    found = compare(model(), Classes(2, per_step=True), BATCH)
    table = found.table().set_index("gradient of")
    assert table["shape"].to_dict() == {"h": "2×4×4", "c": "2", "b": "4", "V": "2×4", "W": "4×4", "U": "4×3"}
    assert float(table.loc["W", "norm"]) == pytest.approx(float(found.by_hand["W"].norm()), rel=5e-3)
    assert (table["difference"].astype(float) < 1e-12).all()
    frame = found.numbers()
    assert frame.groupby("quantity").size().to_dict() == {"L": 4, "grad_h": 16, "h": 16, "o": 8}


@pytest.mark.parametrize(
    "other",
    [{"cell": LSTM}, {"num_layers": 2}, {"bidirectional": True}, {"feedback": True}, {"per_step": False}],
)
def test_another_network_is_refused(other):
    with pytest.raises(ValueError, match=r"The equations (are those of|have a class)"):
        compare(model(**other), Classes(2, per_step=other.get("per_step", True)), BATCH)


def test_another_loss_is_refused():
    masked = BATCH._replace(mask=torch.ones(2, 4, dtype=torch.bool))
    for targets, batch in ((Values(2, per_step=True), BATCH), (Classes(2, per_step=True), masked)):
        with pytest.raises(ValueError, match="a class at every step"):
            compare(model(), targets, batch)

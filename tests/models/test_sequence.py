"""What a model adds to its cells: both directions, deep outputs, feedback and closed loops."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from seqbench.errors import ConfigError
from seqbench.models import SequenceModel
from seqbench.models.cells.feed_forward import FeedForward
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.rnn import RNN
from tests.models.test_presets import PRESETS

CAUSAL = [name for name in PRESETS if name != "output_rnn"]
LENGTHS = torch.tensor([10, 1, 4, 7])


def stirred(model: SequenceModel) -> SequenceModel:
    for parameter in model.double().parameters():
        nn.init.normal_(parameter, std=0.5)
    return model


# Both directions, Fig. 10.11


@pytest.mark.parametrize("preset", CAUSAL)
def test_both_directions_see_before_and_after_and_never_the_padding(make_model, preset):
    model, _ = make_model(
        *(f"model={preset}", "model.bidirectional=true", "model.hidden_size=6"),
        *("task=copy_memory", "task.length=6", "task.symbols=2", "task.alphabet=3"),
    )
    model = model.double()
    inputs = torch.randint(5, (4, 10))
    outputs, _ = model(inputs, LENGTHS)
    changed = inputs.clone()
    changed[:, 0] = (inputs[:, 0] + 1) % 5
    first, _ = model(changed, LENGTHS)
    assert (
        (first - outputs)[0].abs().amax(-1) > 1e-12
    ).sum() >= 3  # what comes first counts for later outputs
    changed = inputs.clone()
    changed[0, 9] = (inputs[0, 9] + 1) % 5
    last, _ = model(changed, LENGTHS)
    assert ((last - outputs)[0].abs().amax(-1) > 1e-12).sum() >= 3  # and what comes last for earlier ones
    padding = torch.where(torch.arange(10) >= LENGTHS[:, None], (inputs + 2) % 5, inputs)
    unmoved, _ = model(padding, LENGTHS)
    valid = torch.arange(10) < LENGTHS[:, None]
    torch.testing.assert_close(unmoved[valid], outputs[valid], rtol=0, atol=1e-12)
    alone, _ = model(inputs[2:3, :4])
    torch.testing.assert_close(outputs[2, :4], alone[0], rtol=0, atol=1e-12)


@pytest.mark.parametrize("per_step", [True, False])
def test_both_directions_are_torchs_own(per_step):
    model = SequenceModel(
        LSTM, 3, 2, per_step=per_step, hidden_size=4, num_layers=2, bidirectional=True
    ).double()
    theirs = nn.LSTM(3, 4, num_layers=2, bidirectional=True, batch_first=True).double()
    with torch.no_grad():
        for i in range(2):
            for layers, suffix in ((model.body.layers, ""), (model.body.backward_layers, "_reverse")):
                cell = layers[i]
                for name, value in (("ih", cell.U), ("hh", cell.W)):
                    getattr(theirs, f"weight_{name}_l{i}{suffix}").copy_(value)
                getattr(theirs, f"bias_ih_l{i}{suffix}").copy_(cell.b)
                getattr(theirs, f"bias_hh_l{i}{suffix}").zero_()
    x = torch.randn(4, 10, 3, dtype=torch.float64)
    h, (last, _) = theirs(x)
    if not per_step:  # each direction's output when it has seen all
        h = torch.cat([last[2], last[3]], dim=-1)
    outputs, state = model(x)
    torch.testing.assert_close(outputs, model.readout(h))
    assert model.state_size == sum(part[0].numel() for part in tree_leaves(state)) == 2 * 2 * 2 * 4


def test_a_model_is_vectorizable_if_its_cells_are():
    class Noisy(RNN):
        vectorizable = False

    assert SequenceModel(RNN, 3, 2, num_layers=2).vectorizable
    cells = iter((RNN, Noisy))
    assert not SequenceModel(lambda *sizes: next(cells)(*sizes), 3, 2, num_layers=2).vectorizable


def test_targets_and_teacher_mask_have_no_effect_without_an_output_of_each_step():
    x, mask = torch.randn(2, 5, 3), torch.rand(2, 5) < 0.5
    plain = SequenceModel(RNN, 3, 2)
    assert not plain.feeds_back
    assert torch.equal(plain(x, targets=torch.randn(2, 5, 2), teacher_mask=mask)[0], plain(x)[0])
    at_end = SequenceModel(FeedForward, 3, 4, classes=True, per_step=False, feedback=True)
    assert not at_end.feeds_back
    assert torch.equal(at_end(x, targets=torch.tensor([0, 3]), teacher_mask=mask)[0], at_end(x)[0])


def test_both_directions_have_no_state_to_go_on_from_and_no_closed_loop(make_model):
    model = SequenceModel(GRU, 3, 2, bidirectional=True)
    x = torch.randn(2, 5, 3)
    with pytest.raises(ValueError, match="no state to continue from"):
        model(x, state=model(x)[1])
    with pytest.raises(
        ConfigError, match=r"model\.feedback=true needs a closed loop; give model\.bidirectional=false"
    ):
        make_model("model=output_rnn", "model.bidirectional=true", "task=copy_memory")
    with pytest.raises(ConfigError, match="predicts its next input needs a closed loop"):
        make_model("model=gru", "model.bidirectional=true", "task=mackey_glass")


# Feedback, Figs. 10.4 and 10.6


def feedback(cell=FeedForward, classes=True, **options) -> SequenceModel:
    return stirred(SequenceModel(cell, 3, 4, classes=classes, hidden_size=5, feedback=True, **options))


@pytest.mark.parametrize("cell", [FeedForward, LSTM])
@pytest.mark.parametrize("classes", [True, False])
@pytest.mark.parametrize("ragged", [True, False])
def test_forced_by_the_truth_all_steps_at_once_are_the_steps_one_by_one(cell, classes, ragged):
    """The parallel pass over all steps equals the sequential one: outputs, states and gradients."""
    model = feedback(cell, classes)
    x = torch.randn(4, 10, 3, dtype=torch.float64)
    truth = torch.randint(4, (4, 10)) if classes else torch.randn(4, 10, 4, dtype=torch.float64)
    lengths = LENGTHS if ragged else None
    parallel, ends = model(x, lengths, targets=truth)
    sequential, _ = model(x, lengths, targets=truth, teacher_mask=torch.ones(4, 10, dtype=torch.bool))
    valid = torch.arange(10) < (LENGTHS if ragged else torch.full((4,), 10))[:, None]
    torch.testing.assert_close(parallel[valid], sequential[valid])
    grads = [
        torch.autograd.grad(o[valid].square().sum(), list(model.parameters())) for o in (parallel, sequential)
    ]
    torch.testing.assert_close(*grads)
    # Cut, and carried on with what was fed.
    first, state = model(x[:, :4], targets=truth[:, :4])
    second, end = model(x[:, 4:], state=state, targets=truth[:, 4:])
    if not ragged:
        torch.testing.assert_close(torch.cat([first, second], 1), parallel)
        torch.testing.assert_close(end, ends)


def test_what_is_fed_back_is_softmax_or_the_number_itself():
    for classes in (True, False):
        model = feedback(classes=classes)
        x = torch.randn(2, 6, 3, dtype=torch.float64)
        own = torch.zeros(2, 4, dtype=torch.float64)
        U, b = model.layers[0].U, model.layers[0].b
        outputs, end = model(x)
        for t in range(6):
            o = model.readout(torch.tanh(torch.cat([x[:, t], own], -1) @ U.T + b))
            torch.testing.assert_close(outputs[:, t], o)
            own = o.softmax(-1) if classes else o
        torch.testing.assert_close(end.own, (own,))


def test_where_it_is_forced_the_truth_enters_and_elsewhere_its_own():
    model = feedback()
    x = torch.randn(2, 6, 3, dtype=torch.float64)
    truth = torch.randint(4, (2, 6))
    forced = torch.rand(2, 6) < 0.5
    outputs, _ = model(x, targets=truth, teacher_mask=forced)
    own = torch.zeros(2, 4, dtype=torch.float64)
    true = torch.cat([torch.zeros(2, 1, 4), nn.functional.one_hot(truth, 4)[:, :-1]], dim=1).double()
    for t in range(6):
        fed = torch.where(forced[:, t, None], true[:, t], own)
        h, _ = model.layers[0].step(model.layers[0].project(torch.cat([x[:, t], fed], -1)), ())
        torch.testing.assert_close(outputs[:, t], model.readout(h))
        own = outputs[:, t].softmax(-1)


# Models that predict their next input


@pytest.mark.parametrize("dilation", [1, 2])
def test_in_closed_loop_outputs_are_the_next_inputs(dilation):
    model = stirred(SequenceModel(GRU, 2, 2, predicts=True, hidden_size=4, num_layers=2, dilation=dilation))
    x = torch.randn(3, 9, 2, dtype=torch.float64)
    forced = (torch.arange(9) < 5).expand(3, 9)
    outputs, _ = model(x, teacher_mask=forced)
    seen = x[:, :5]
    for _ in range(4):
        seen = torch.cat([seen, model(seen)[0][:, -1:]], dim=1)
    torch.testing.assert_close(outputs, model(seen)[0])
    torch.testing.assert_close(model(x, teacher_mask=torch.ones(3, 9, dtype=torch.bool))[0], model(x)[0])


def test_in_closed_loop_the_likeliest_token_is_the_next_input():
    model = stirred(SequenceModel(LSTM, 5, 5, tokens=True, classes=True, predicts=True, hidden_size=4))
    x = torch.randint(5, (3, 9))
    outputs, _ = model(x, teacher_mask=(torch.arange(9) < 5).expand(3, 9))
    seen = x[:, :5]
    for _ in range(4):
        seen = torch.cat([seen, model(seen)[0][:, -1:].argmax(-1)], dim=1)
    torch.testing.assert_close(outputs, model(seen)[0])


@pytest.mark.parametrize("beside", [False, True])
@pytest.mark.parametrize("ragged", [False, True])
def test_a_sequence_begun_on_the_truth_goes_on_with_outputs_of_its_own(beside, ragged):
    """The state after an open loop holds the output that a closed loop begins with."""
    model = stirred(SequenceModel(GRU, 2, 2, predicts=True, feedback=beside, hidden_size=4))
    x, truth = torch.randn(3, 9, 2, dtype=torch.float64), torch.randn(3, 9, 2, dtype=torch.float64)
    lengths = torch.tensor([9, 3, 6]) if ragged else None
    whole, end = model(x, lengths, targets=truth, teacher_mask=(torch.arange(9) < 5).expand(3, 9))
    first, state = model(x[:, :5], None if lengths is None else lengths.clamp(0, 5), targets=truth[:, :5])
    alone = torch.zeros(3, 4, dtype=torch.bool)
    rest = None if lengths is None else (lengths - 5).clamp(0, 4)
    second, its = model(
        torch.full((3, 4, 2), 99.0).double(), rest, state, targets=truth[:, 5:], teacher_mask=alone
    )
    valid = torch.ones(3, 9).bool() if lengths is None else torch.arange(9) < lengths[:, None]
    torch.testing.assert_close(torch.cat([first, second], dim=1)[valid], whole[valid])
    torch.testing.assert_close(its, end)


def test_outputs_that_cannot_be_inputs_are_refused():
    with pytest.raises(ValueError, match="Outputs of 3 numbers cannot be the next inputs of 2"):
        SequenceModel(RNN, 2, 3, predicts=True)


def test_a_dilation_must_fit(make_model):
    with pytest.raises(ConfigError, match=r"layer 4 reaches 8 steps back, and a sequence has 8; give fewer"):
        make_model("model=dilated_rnn", "task=latch", "task.length=8")
    make_model("model=dilated_rnn", "task=latch", "task.length=9")
    with pytest.raises(ConfigError, match="dilation=0 leaves no step back"):
        make_model("model=dilated_rnn", "model.dilation=0", "task=latch")

"""The end-to-end memory network, against the paper's formulas one story at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from seqbench.models.memory.memn2n import MemN2N
from tests.models.memory.stories import KNOWN, STORIES, encode, padded


def stirred(**options) -> MemN2N:
    model = MemN2N(**KNOWN, hidden_size=6, **options).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model


def by_formula(model, story):
    """One story: equations (1) to (4), every sum in its order."""
    position = model.encoding == "position"
    *sentences, question = story
    newest_first = sentences[::-1]
    adjacent = model.tying == "adjacent"
    u = encode(question, model.A[0] if adjacent else model.B, position)
    attention = []
    for hop in range(model.hops):
        a = hop if adjacent else 0
        times = (
            [torch.zeros(len(newest_first), 6)] * 2
            if model.T is None
            else [model.T[i, 1 : len(newest_first) + 1].detach() for i in (a, a + 1)]
        )
        m, c = (
            torch.stack([encode(s, model.A[i], position) for s in newest_first]) + time
            for i, time in zip((a, a + 1), times, strict=True)
        )
        p = torch.softmax(m @ u, dim=0)
        o = sum(p_i * c_i for p_i, c_i in zip(p, c, strict=True))
        u = o + (u if adjacent else model.H.detach() @ u)
        attention.append(p)
    return model.W.detach() @ u, attention


@pytest.mark.parametrize("tying", ["adjacent", "layerwise"])
@pytest.mark.parametrize("encoding", ["position", "bag"])
@pytest.mark.parametrize("temporal", [True, False])
def test_answers_are_the_papers_formulas(tying, encoding, temporal):
    model = stirred(hops=3, tying=tying, encoding=encoding, temporal=temporal)
    inputs, lengths = padded()
    answers, attention = model(inputs, lengths)
    assert attention.shape == (3, 3, KNOWN["sentences"])
    for row, story in enumerate(STORIES):
        expected, weights = by_formula(model, story)
        torch.testing.assert_close(answers[row], expected, rtol=0, atol=1e-10)
        for hop, p in enumerate(weights):
            torch.testing.assert_close(attention[row, hop, : len(p)], p.double(), rtol=0, atol=1e-12)
            assert (attention[row, hop, len(p) :] == 0).all()  # nothing is read where nothing is


def test_a_batch_of_one_is_its_row_and_padding_changes_nothing():
    model = stirred()
    inputs, lengths = padded()
    answers, _ = model(inputs, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, _ = model(inputs[row : row + 1, :length])
        torch.testing.assert_close(alone[0], answers[row], rtol=0, atol=1e-12)
    past = torch.arange(inputs.shape[1]) >= lengths[:, None]
    torch.testing.assert_close(model(torch.where(past, 1, inputs), lengths)[0], answers)


def test_without_a_sentence_it_answers_from_the_question_alone():
    model = stirred()
    answers, attention = model(torch.tensor([[3, 4]]))
    assert (attention == 0).all() and answers.isfinite().all()


@pytest.mark.parametrize("tying", ["adjacent", "layerwise"])
def test_gradcheck(tying):
    model = stirred(hops=2, tying=tying)
    names, values = zip(*model.named_parameters(), strict=True)
    inputs, lengths = padded()

    def run(*parameters):
        return functional_call(model, dict(zip(names, parameters, strict=True)), (inputs, lengths))

    assert torch.autograd.gradcheck(run, values, fast_mode=True)


def test_two_under_vmap_are_each_alone():
    models = [stirred() for _ in range(2)]
    inputs, lengths = padded()
    both = torch.stack([inputs, inputs.flip(0)]), torch.stack([lengths, lengths.flip(0)])

    def loss(parameters, inputs, lengths):
        return functional_call(models[0], parameters, (inputs, lengths))[0].square().sum()

    grads = vmap(grad(loss))(stack_module_state(models)[0], *both)
    for i, model in enumerate(models):
        alone = grad(loss)(dict(model.named_parameters()), both[0][i], both[1][i])
        for name, value in alone.items():
            torch.testing.assert_close(grads[name][i], value, rtol=0, atol=1e-10)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"hops": 0}, r"hops=0 leaves no hop; give at least 1"),
        ({"hidden_size": 0}, r"hidden_size=0 leaves no unit"),
        ({"memory_size": 4}, r"memory_size=4 holds fewer sentences than the longest story has, 5"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MemN2N(**KNOWN, **options)

"""The memory network trained with supporting facts, against the paper's formulas one story at a time."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call, grad, stack_module_state, vmap

from seqbench.models.memory.memory_network import MemoryNetwork
from tests.models.memory.stories import FACTS, KNOWN, STORIES, encode, padded


def stirred(**options) -> MemoryNetwork:
    model = MemoryNetwork(**KNOWN, facts=2, hidden_size=6, **options).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model


def by_formula(model, story, facts=None):
    """One story: what is looked up, the ranking loss, and the answer; None is the candidate that is none."""
    position = model.encoding == "position"
    *sentences, question = story
    x = encode(question, model.asked, position)
    answer = encode(question, model.answer_asked, position)
    none = model.none.detach()
    time_of_x, loss, found = len(sentences), 0.0, []
    for hop in range(model.hops):
        times = model.times[hop].detach()

        def score(y, other, x=x, time_of_x=time_of_x, times=times):
            """s_Ot(x, y, y′) of two candidates, (9); none is as new as the question."""
            (v, t), (v_other, t_other) = (
                (none, len(sentences)) if c is None else (encode(sentences[c], model.candidate, position), c)
                for c in (y, other)
            )
            marks = torch.tensor(
                [time_of_x < t, time_of_x < t_other, (t < t_other) - 1.0 * (t > t_other)]
            ).double()
            return x @ (v - v_other + marks @ times)

        if facts is None:
            best = None
            for c in range(len(sentences)):
                if score(c, best) > 0:
                    best = c
        else:
            best = facts[hop] if facts[hop] >= 0 else None
            others = [c for c in [None, *range(len(sentences))] if c != best]
            each = [
                max(0, model.margin - score(best, c)) + max(0, model.margin + score(c, best)) for c in others
            ]
            loss += sum(each)
        if best is not None:
            x = x + encode(sentences[best], model.looked_up[hop], position)
            answer = answer + encode(sentences[best], model.answer_from[hop], position)
            time_of_x = best
        found.append(-1 if best is None else best)
    readout = model.readout.weight.detach() @ answer + model.readout.bias.detach()
    return readout, loss, found


@pytest.mark.parametrize("encoding", ["position", "bag"])
@pytest.mark.parametrize("hops", [1, 2, 3])
def test_looks_up_and_answers_as_the_paper_says(encoding, hops):
    inputs, lengths = padded()
    seen = set()
    for _ in range(10):
        model = stirred(encoding=encoding, hops=hops).eval()
        (answers, loss, chosen), marks = model(inputs, lengths, FACTS)  # given facts, and does not use them
        assert (loss == 0).all() and marks.shape == (3, hops, KNOWN["sentences"])
        for row, story in enumerate(STORIES):
            expected, _, found = by_formula(model, story)
            assert chosen[row].tolist() == found
            torch.testing.assert_close(answers[row], expected, rtol=0, atol=1e-10)
            for hop, fact in enumerate(found):
                places = marks[row, hop].nonzero().flatten().tolist()
                assert places == ([] if fact < 0 else [len(story) - 2 - fact])
            seen |= set(found)
    assert len(seen) >= 3  # it is not always the same


@pytest.mark.parametrize("encoding", ["position", "bag"])
@pytest.mark.parametrize("hops", [1, 2, 3])
def test_training_looks_up_the_facts_and_pays_for_ranking_others_higher(encoding, hops):
    model = stirred(encoding=encoding, hops=hops).train()
    inputs, lengths = padded()
    (answers, loss, chosen), _ = model(inputs, lengths, FACTS)
    for row, story in enumerate(STORIES):
        facts = [*FACTS[row].tolist(), -1]
        expected, pays, found = by_formula(model, story, facts)
        assert chosen[row].tolist() == found == facts[:hops]
        torch.testing.assert_close(answers[row], expected, rtol=0, atol=1e-10)
        torch.testing.assert_close(loss[row].item(), float(pays), rtol=0, atol=1e-10)


def test_a_batch_of_one_is_its_row_and_padding_changes_nothing():
    model = stirred().train()
    inputs, lengths = padded()
    (answers, loss, _), _ = model(inputs, lengths, FACTS)
    for row, length in enumerate(lengths.tolist()):
        (alone, its, _), _ = model(inputs[row : row + 1, :length], None, FACTS[row : row + 1])
        torch.testing.assert_close(alone[0], answers[row], rtol=0, atol=1e-12)
        torch.testing.assert_close(its[0], loss[row], rtol=0, atol=1e-12)
    past = torch.arange(inputs.shape[1]) >= lengths[:, None]
    torch.testing.assert_close(model(torch.where(past, 1, inputs), lengths, FACTS)[0][0], answers)


def test_gradcheck():
    model = stirred().train()
    names, values = zip(*model.named_parameters(), strict=True)
    inputs, lengths = padded()

    def run(*parameters):
        (answers, loss, _), _ = functional_call(
            model, dict(zip(names, parameters, strict=True)), (inputs, lengths, FACTS)
        )
        return answers, loss

    assert torch.autograd.gradcheck(run, values, fast_mode=True)


def test_two_under_vmap_are_each_alone():
    models = [stirred().train() for _ in range(2)]
    inputs, lengths = padded()
    batch = [torch.stack([part, part.flip(0)]) for part in (inputs, lengths, FACTS)]

    def loss(parameters, *batch):
        (answers, ranking, _), _ = functional_call(models[0], parameters, batch)
        return answers.square().sum() + ranking.sum()

    grads = vmap(grad(loss))(stack_module_state(models)[0], *batch)
    for i, model in enumerate(models):
        alone = grad(loss)(dict(model.named_parameters()), *(part[i] for part in batch))
        for name, value in alone.items():
            torch.testing.assert_close(grads[name][i], value, rtol=0, atol=1e-10)
    for model in models:
        model.eval()
    stacked = stack_module_state(models)[0]
    chosen = vmap(lambda p, *batch: functional_call(models[0], p, batch)[0][2])(stacked, *batch)
    assert torch.equal(chosen[1], models[1](*(part[1] for part in batch))[0][2])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"facts": 0}, r"do not mark the sentences .* take memn2n"),
        ({"facts": 2, "hops": 0}, r"hops=0 leaves no hop; give at least 1"),
        ({"facts": 2, "hidden_size": 0}, r"hidden_size=0 leaves no unit"),
        ({"facts": 2, "margin": 0.0}, r"margin=0.0 must be above 0"),
        ({"facts": 2, "memory_size": 100_000}, r"memory_size=100000 is more than can be made; .* most 10000"),
        ({"facts": 2, "memory_size": 4}, r"memory_size=4 holds fewer sentences .* has, 5"),
    ],
)
def test_what_makes_no_sense_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        MemoryNetwork(**KNOWN, **options)

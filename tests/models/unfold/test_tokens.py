"""Tokens that are looked up: what a product with one-hot vectors gives, without the product."""

import copy

import pytest
import torch
from torch import nn

from seqbench.config.presets import model_accepts, preset_names
from seqbench.models import SequenceModel, sequence, unfold
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.rnn import RNN
from seqbench.models.unfold.tokens import LOOKUP_FROM, affine
from seqbench.tasks.batch import Batch
from seqbench.training.seed_stack import OneModel, SeedStack, stack_batches

VOCABULARY = 11
PRESETS = [preset for preset in preset_names("model") if "sequence" in model_accepts(preset)]


def of_both(make, monkeypatch) -> list[nn.Module]:
    """The same model twice: it multiplies with one-hot vectors, and looks tokens up."""
    found = []
    for least in (VOCABULARY + 1, VOCABULARY):
        monkeypatch.setattr(sequence, "LOOKUP_FROM", least)
        torch.manual_seed(3)
        found.append(make())
    return found


def pass_of(model, *inputs) -> tuple[torch.Tensor, list[torch.Tensor]]:
    outputs, _ = model(*inputs)
    learnt = [p for p in model.parameters() if p.requires_grad]
    found = torch.autograd.grad(outputs.square().sum(), learnt, allow_unused=True, materialize_grads=True)
    return outputs.detach(), list(found)


def test_the_value_is_that_of_the_product_to_the_bit():
    weight, bias, tokens = torch.randn(12, 7), torch.randn(12), torch.randint(7, (3, 4))
    assert torch.equal(affine(tokens, weight), affine(torch.eye(7)[tokens], weight))
    assert torch.equal(affine(tokens, weight, bias), affine(torch.eye(7)[tokens], weight, bias))


@pytest.mark.parametrize("cell", [LSTM, GRU, RNN])
@pytest.mark.parametrize("engine", ["fused", "native", "loop"])
def test_every_engine_reads_tokens(cell, engine):
    made = cell(VOCABULARY, 5).double()
    tokens, lengths = torch.randint(VOCABULARY, (4, 9)), torch.tensor([9, 1, 4, 8])
    for options in ({}, {"lengths": lengths}, {"reverse": True}, {"last": True, "lengths": lengths}):
        found = []
        for x in (torch.eye(VOCABULARY).double()[tokens], tokens):
            outputs, _ = unfold(made, x, engine=engine, **options)
            found.append((outputs, *torch.autograd.grad(outputs.square().sum(), list(made.parameters()))))
        for product, lookup in zip(*found, strict=True):
            torch.testing.assert_close(lookup, product, rtol=0, atol=1e-12)


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_that_looks_up_is_the_one_that_multiplies(preset, make_model, monkeypatch):
    small = ("model.cell.memory_size=4", "model.cell.word_size=2") if preset == "ntm" else ()
    overrides = (f"model={preset}", "model.hidden_size=5", *small, "task=mqar", "task.length=16")

    def make():
        return make_model(*overrides, f"task.vocabulary={VOCABULARY}")[0].double()

    product, lookup = of_both(make, monkeypatch)
    lookup.load_state_dict(product.state_dict())  # what stirs the weights goes through them as they lie
    assert not product.looks_up
    assert lookup.looks_up == (preset not in ("ntm", "dnc", "output_rnn", "stack_rnn", "tape_rnn"))
    assert (lookup.one_hot is None) == lookup.looks_up
    tokens, lengths = torch.randint(VOCABULARY, (4, 16)), torch.tensor([16, 1, 4, 15])
    assert torch.equal(product.encode(tokens), lookup.encode(tokens))
    (mine, its), (other, theirs) = pass_of(lookup, tokens, lengths), pass_of(product, tokens, lengths)
    torch.testing.assert_close(mine, other, rtol=0, atol=1e-12)
    for a, b in zip(its, theirs, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-11)


def test_initial_weights_do_not_depend_on_how_tokens_enter(monkeypatch):
    product, lookup = of_both(
        lambda: SequenceModel(LSTM, VOCABULARY, 3, tokens=True, bidirectional=True), monkeypatch
    )
    assert product.state_dict().keys() == lookup.state_dict().keys()
    for name, value in product.state_dict().items():
        assert torch.equal(value, lookup.state_dict()[name])
    assert lookup.layers[0].U.t().is_contiguous()  # the numbers of a token side by side


def test_a_large_vocabulary_is_looked_up_and_a_small_one_is_not():
    assert SequenceModel(LSTM, LOOKUP_FROM, 3, tokens=True).looks_up
    assert not SequenceModel(LSTM, LOOKUP_FROM - 1, 3, tokens=True).looks_up
    assert not SequenceModel(LSTM, LOOKUP_FROM, 3).looks_up
    assert not SequenceModel(LSTM, LOOKUP_FROM, 3, tokens=True, feedback=True).looks_up


def test_a_cell_with_a_projection_of_its_own_says_anew_that_it_reads_tokens():
    class Scaled(LSTM):
        def project(self, x):
            return 2 * nn.functional.linear(x, self.U, self.b)

    assert LSTM.reads_tokens and not Scaled.reads_tokens
    assert not SequenceModel(Scaled, LOOKUP_FROM, 3, tokens=True).looks_up


def test_a_stack_of_seeds_looks_up_as_each_does_alone(monkeypatch):
    monkeypatch.setattr(sequence, "LOOKUP_FROM", VOCABULARY)
    models = [SequenceModel(LSTM, VOCABULARY, 3, tokens=True, engine="loop").double() for _ in range(3)]
    batches = [Batch(torch.randint(VOCABULARY, (4, 6)), torch.zeros(4, 6)) for _ in models]
    alone = []
    for model, batch in zip(copy.deepcopy(models), batches, strict=True):
        outputs = OneModel(model).apply(lambda o, state, mine: o.square().sum(), batch)
        alone.append(torch.autograd.grad(outputs, list(model.parameters())))
    stack = SeedStack(models)
    outputs = stack.apply(lambda o, state, mine: o.square().sum(), stack_batches(batches))
    found = torch.autograd.grad(outputs.sum(), stack.parameters())
    for k, its in enumerate(alone):
        for mine, stacked in zip(its, found, strict=True):
            torch.testing.assert_close(stacked[k], mine, rtol=0, atol=1e-12)


def test_the_gradient_is_that_of_one_seed_again():
    model = SequenceModel(LSTM, LOOKUP_FROM, 3, tokens=True)
    tokens = torch.randint(20, (8, 30))
    first, again = pass_of(model, tokens), pass_of(model, tokens)
    assert all(torch.equal(a, b) for a, b in zip(first[1], again[1], strict=True))


def test_an_embedding_is_looked_up_and_learnt():
    torch.manual_seed(0)
    model = SequenceModel(LSTM, VOCABULARY, 3, tokens=True, hidden_size=4, embedding_size=6)
    tokens = torch.randint(VOCABULARY - 1, (2, 5))
    outputs, gradients = pass_of(model, tokens)
    h, _ = model.body(model.embedding.weight[tokens])
    assert torch.equal(outputs, model.readout(h))
    found = dict(zip((name for name, _ in model.named_parameters()), gradients, strict=True))
    assert found["embedding.weight"].shape == (VOCABULARY, 6)
    assert found["embedding.weight"][tokens.unique()].abs().sum(1).min() > 0
    assert found["embedding.weight"][VOCABULARY - 1].abs().sum() == 0  # which does not occur
    assert model.embedding.weight.abs().max() <= 0.1
    assert model.live_parameters() == VOCABULARY * 6 + 4 * 4 * (6 + 4 + 1) + 3 * 5
    assert not model.looks_up and model.one_hot is None


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"tokens": False}, "inputs are vectors"),
        ({"tokens": True, "predicts": True}, "outputs would be the next inputs"),
        ({"tokens": True, "embedding_size": 0}, "embedding_size=0"),
    ],
)
def test_an_embedding_of_no_tokens_is_refused(options, message):
    with pytest.raises(ValueError, match=message):
        SequenceModel(LSTM, 5, 5, **{"embedding_size": 6, **options})

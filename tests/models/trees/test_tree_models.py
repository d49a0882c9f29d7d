"""What every model of trees must pass."""

from __future__ import annotations

from functools import partial

import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from seqbench.models.trees.recursive_net import RecursiveNet
from seqbench.models.trees.tree_lstm import TreeLSTM
from tests.models.trees.tree_reference import TOKENS, batch_of, forest

MODELS = {
    "recursive_net": RecursiveNet,
    **{kind: partial(TreeLSTM, children=3, kind=kind) for kind in ("child_sum", "n_ary", "binary")},
}


@pytest.fixture(params=MODELS)
def make(request):
    """Build a model in float64, of which no parameter is zero."""

    def make(width: int = 6) -> nn.Module:
        model = MODELS[request.param](TOKENS, 4, hidden_size=width).double()
        for parameter in model.parameters():
            nn.init.normal_(parameter)
        return model

    return make


def test_rows_do_not_touch_each_other_and_a_batch_of_one_is_its_row(make):
    model, trees = make(), forest()
    inputs, _, parents = batch_of(trees)
    outputs, _ = model(inputs, parents=parents)
    changed = inputs.clone()
    changed[1] = 3
    others = [0, *range(2, len(trees))]
    after, _ = model(changed, parents=parents)
    torch.testing.assert_close(after[others], outputs[others], rtol=0, atol=1e-13)
    assert (after[1] - outputs[1]).abs().max() > 1e-6
    for row, tree in enumerate(trees):
        inputs, lengths, parents = batch_of([tree])
        alone, _ = model(inputs, lengths, parents=parents)
        torch.testing.assert_close(alone[0], outputs[row], rtol=0, atol=1e-13)


def test_padding_and_brackets_change_nothing(make):
    model, trees = make(), forest()
    inputs, lengths, parents = batch_of(trees)
    outputs, _ = model(inputs, lengths, parents=parents)
    longer, _, more = batch_of(trees, steps=inputs.shape[1] + 9)
    longer = torch.where(more == -2, torch.randint(TOKENS, longer.shape), longer)
    after, _ = model(longer, lengths, parents=more)
    torch.testing.assert_close(after, outputs, rtol=0, atol=0)


def test_gradcheck(make):
    model = make(width=2)
    names, values = zip(*model.named_parameters(), strict=True)
    inputs, lengths, parents = batch_of(forest()[2:6])

    def run(*parameters):
        mine = dict(zip(names, parameters, strict=True))
        return tuple(tree_leaves(functional_call(model, mine, (inputs, lengths), {"parents": parents})))

    assert torch.autograd.gradcheck(run, values, fast_mode=True)

"""The recursive network, against a recursion node by node."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seqbench.models import unfold
from seqbench.models.cells.rnn import RNN
from seqbench.models.trees.recursive_net import RecursiveNet
from tests.models.trees.tree_reference import TOKENS, batch_of, forest, recursive_by_hand


def stirred(width: int = 6) -> RecursiveNet:
    model = RecursiveNet(TOKENS, 4, hidden_size=width).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model


@pytest.mark.parametrize("seed", range(4))
def test_a_batch_is_its_trees_node_by_node(seed):
    model, trees = stirred(), forest(seed)
    inputs, lengths, parents = batch_of(trees)
    outputs, roots = model(inputs, lengths, parents=parents)
    by_hand = torch.stack([recursive_by_hand(model, tree) for tree in trees])
    torch.testing.assert_close(roots, by_hand, rtol=0, atol=1e-12)
    torch.testing.assert_close(outputs, model.readout(by_hand), rtol=0, atol=1e-12)
    towards = torch.randn_like(roots)
    learnt = [model.U, model.V, model.W, model.b]
    found, expected = (torch.autograd.grad((h * towards).sum(), learnt) for h in (roots, by_hand))
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-11)


def test_the_balanced_tree_of_the_figure():
    model = stirred()
    w, x, y, z = model.V[:, 3:7].unbind(1)

    def node(left, right):
        return torch.tanh(model.b + model.U @ left + model.W @ right)

    inputs, _, parents = batch_of([(3, [(4, []), (5, [(6, [])])])])
    _, root = model(inputs, parents=parents)
    torch.testing.assert_close(root[0], node(node(w, x), node(y, z)), rtol=0, atol=1e-13)


def test_one_node_with_all_others_as_children_is_the_recurrent_network():
    model, tokens = stirred(), [4, 9, 3, 3, 5, 8]
    cell = RNN(TOKENS, 6).double()
    cell.load_state_dict({"U": model.W @ model.V, "W": model.U, "b": model.b})
    inputs, _, parents = batch_of([(tokens[0], [(token, []) for token in tokens[1:]])])
    _, root = model(inputs, parents=parents)
    x = nn.functional.one_hot(torch.tensor([tokens[1:]]), TOKENS).double()
    last, _ = unfold(cell, x, (model.V[:, tokens[0]][None],), last=True)
    torch.testing.assert_close(root, last, rtol=0, atol=1e-13)


def test_where_nodes_stand_does_not_count_as_long_as_children_follow_in_their_order():
    model, trees = stirred(), forest()
    for tree in trees:
        tokens, above = [], []
        waiting = [(tree, -1)]
        for node, parent in waiting:  # level by level
            waiting += [(child, len(tokens)) for child in node[1]]
            tokens.append(node[0])
            above.append(parent)
        found, _ = model(torch.tensor([tokens]), parents=torch.tensor([above]))
        inputs, lengths, parents = batch_of([tree])
        expected, _ = model(inputs, lengths, parents=parents)
        torch.testing.assert_close(found, expected, rtol=0, atol=1e-13)


def test_the_order_of_children_counts():
    model = stirred()
    inputs, _, parents = batch_of([(3, [(4, []), (5, [])]), (3, [(5, []), (4, [])])])
    _, roots = model(inputs, parents=parents)
    assert (roots[0] - roots[1]).abs().max() > 1e-6


def test_autocast():
    model = stirred().float()
    inputs, lengths, parents = batch_of(forest())
    with torch.autocast("cpu", torch.bfloat16):
        outputs, _ = model(inputs, lengths, parents=parents)
    exact, _ = model(inputs, lengths, parents=parents)
    torch.testing.assert_close(outputs.float(), exact, rtol=0.1, atol=0.2)


def test_it_starts_as_asked():
    assert torch.equal(RecursiveNet(9, 2, hidden_size=4, recurrent_init="identity").U, torch.eye(4))
    assert RecursiveNet(50, 2, hidden_size=200).V.std().item() == pytest.approx(1, abs=0.05)
    with pytest.raises(ValueError, match=r"hidden_size=0 leaves no unit; give at least 1"):
        RecursiveNet(9, 2, hidden_size=0)

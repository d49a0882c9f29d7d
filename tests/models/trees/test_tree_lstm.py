"""The LSTM over trees, against the paper's equations node by node."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from seqbench.models import unfold
from seqbench.models.cells.lstm import LSTM
from seqbench.models.trees.tree_lstm import TreeLSTM
from tests.models.trees.tree_reference import TOKENS, batch_of, chain, forest, lstm_by_hand

both_kinds = pytest.mark.parametrize("kind", ["child_sum", "n_ary"])
every_kind = pytest.mark.parametrize("kind", ["child_sum", "n_ary", "binary"])


def stirred(kind: str, width: int = 6, children: int = 3) -> TreeLSTM:
    model = TreeLSTM(TOKENS, 4, children=children, hidden_size=width, kind=kind).double()
    for parameter in model.parameters():
        nn.init.normal_(parameter)
    return model


@every_kind
@pytest.mark.parametrize("seed", range(4))
def test_a_batch_is_its_trees_node_by_node(kind, seed):
    model, trees = stirred(kind), forest(seed)
    inputs, lengths, parents = batch_of(trees)
    outputs, roots = model(inputs, lengths, parents=parents)
    by_hand = tuple(
        torch.stack(part) for part in zip(*(lstm_by_hand(model, tree) for tree in trees), strict=True)
    )
    torch.testing.assert_close(roots, by_hand, rtol=0, atol=1e-12)
    torch.testing.assert_close(outputs, model.readout(by_hand[0]), rtol=0, atol=1e-12)
    towards = torch.randn_like(roots[0])
    found, expected = (
        torch.autograd.grad((h * towards).sum() + (c * towards).sum(), [model.U, model.W, model.b])
        for h, c in (roots, by_hand)
    )
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-10)


@every_kind
def test_nodes_alone(kind):
    model = stirred(kind)
    inputs, _, parents = batch_of([(4, []), (9, [])])
    _, roots = model(inputs, parents=parents)
    for row, token in enumerate((4, 9)):
        i, o, u, _ = (model.W[:, token] + model.b).chunk(4)
        c = torch.sigmoid(i) * torch.tanh(u)
        torch.testing.assert_close(roots[1][row], c, rtol=0, atol=1e-13)
        torch.testing.assert_close(roots[0][row], torch.sigmoid(o) * torch.tanh(c), rtol=0, atol=1e-13)


@both_kinds
def test_on_a_chain_it_is_the_lstm(kind):
    model, tokens = stirred(kind, children=1), [4, 9, 3, 3, 5, 8]
    cell = LSTM(TOKENS, 6).double()
    order = [0, 3, 2, 1]  # i, f, u, o, as the cell has them

    def stacked(parameter):
        return torch.cat([parameter.chunk(4)[part] for part in order])

    cell.load_state_dict({"U": stacked(model.W), "W": stacked(model.U), "b": stacked(model.b)})
    inputs, _, parents = batch_of([chain(tokens)])
    _, roots = model(inputs, parents=parents)
    x = nn.functional.one_hot(torch.tensor([tokens[::-1]]), TOKENS).double()  # the leaf first
    _, last = unfold(cell, x)
    torch.testing.assert_close(roots, last, rtol=0, atol=1e-13)


def turned(tree):
    return (tree[0], [turned(child) for child in reversed(tree[1])])


def test_the_order_of_children_counts_for_n_ary_alone():
    trees = forest()
    here, there = batch_of(trees), batch_of([turned(tree) for tree in trees])
    differ = torch.tensor([tree != turned(tree) for tree in trees])
    assert 3 <= differ.sum() < len(trees)
    for kind in ("child_sum", "n_ary"):
        model = stirred(kind)
        change = (model(*here[:2], parents=here[2])[0] - model(*there[:2], parents=there[2])[0]).abs().amax(1)
        assert (change[~differ] < 1e-12).all()
        assert (change[differ] > 1e-5).all() if kind == "n_ary" else (change < 1e-12).all()


@both_kinds
def test_autocast(kind):
    model = TreeLSTM(TOKENS, 4, children=3, hidden_size=6, kind=kind)
    inputs, lengths, parents = batch_of(forest())
    with torch.autocast("cpu", torch.bfloat16):
        outputs, _ = model(inputs, lengths, parents=parents)
    exact, _ = model(inputs, lengths, parents=parents)
    torch.testing.assert_close(outputs.float(), exact, rtol=0.02, atol=0.02)


def test_a_node_with_more_children_than_there_is_room_for():
    inputs, lengths, parents = batch_of([(3, [(4, []), (5, [(6, [])] * 4)])])
    with pytest.raises(ValueError, match=r"A node has 4 children; kind=n_ary is made for at most 3 here"):
        stirred("n_ary")(inputs, lengths, parents=parents)
    outputs, _ = stirred("child_sum")(inputs, lengths, parents=parents)
    assert outputs.isfinite().all()


@both_kinds
def test_it_starts_with_open_forget_gates(kind):
    model = TreeLSTM(9, 2, children=3, hidden_size=4, kind=kind)
    assert model.b.tolist() == [0.0] * 12 + [1.0] * 4
    assert model.U.shape == ((16, 4) if kind == "child_sum" else (24, 12))
    assert TreeLSTM(9, 2, children=3, hidden_size=4, kind="binary").U.shape == (20, 8)
    for name in ("hidden_size", "children"):
        with pytest.raises(ValueError, match=rf"{name}=0 leaves no \w+; give at least 1"):
            TreeLSTM(9, 2, **({"children": 3} | {name: 0}))


def test_its_recurrent_matrices_are_the_blocks_of_u():
    assert list(TreeLSTM(TOKENS, 2, children=3, kind="child_sum").recurrent_matrices()) == [
        *("U[i]", "U[o]", "U[u]", "U[f]")
    ]
    model = TreeLSTM(TOKENS, 2, children=2, hidden_size=4, kind="n_ary")
    found = model.recurrent_matrices()
    assert list(found)[:2] == ["U[i,1]", "U[i,2]"] and list(found)[-2:] == ["U[f2,1]", "U[f2,2]"]
    assert torch.equal(found["U[f1,2]"], model.U[12:16, 4:])
    assert all(block.shape == (4, 4) for block in found.values()) and len(found) == 10

"""Causal attention is its formula, and its state is its past."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells.transformer import CausalAttention

T, F = 9, 3


def turned(x: np.ndarray, position: int) -> np.ndarray:
    """Rotary embedding of one vector, by complex numbers."""
    pairs = len(x) // 2
    numbers = x[: 2 * pairs : 2] + 1j * x[1 : 2 * pairs : 2]
    numbers = numbers * np.exp(1j * position * 10000.0 ** (-np.arange(pairs) / max(pairs, 1)))
    return np.concatenate([np.stack([numbers.real, numbers.imag], 1).reshape(-1), x[2 * pairs :]])


@pytest.mark.parametrize("positions", ["rope", "none"])
@pytest.mark.parametrize(("heads", "width"), [(1, 4), (2, 8), (1, 5)])
@pytest.mark.parametrize("context", [T, 4, 1])
def test_it_is_the_formula_of_the_papers(positions, heads, width, context):
    cell = CausalAttention(F, width, heads=heads, context=context, positions=positions).double()
    x = torch.randn(1, T, F).double()
    q, k, v = np.split(x[0].numpy() @ cell.U.detach().numpy().T, 3, axis=1)
    size, outputs = width // heads, np.zeros((T, width))
    for head in range(heads):
        of = slice(head * size, head * size + size)
        for t in range(T):
            seen = range(max(0, t - context + 1), t + 1)
            rotate = turned if positions == "rope" else lambda x, _: x
            scores = np.array([rotate(q[t, of], t) @ rotate(k[j, of], j) for j in seen]) / np.sqrt(size)
            weights = np.exp(scores - scores.max())
            outputs[t, of] = weights @ v[seen.start : t + 1, of] / weights.sum()
    expected = outputs @ cell.W.detach().numpy().T
    for engine in ("scan", "loop"):
        found, _ = unfold(cell, x, engine=engine)
        np.testing.assert_allclose(found[0].detach(), expected, rtol=1e-10, atol=1e-12)


def test_in_half_precision_a_score_depends_on_the_distance_alone():
    """bfloat16 has no whole number between 256 and 258, which are two positions."""
    cell = CausalAttention(F, 8, context=600)
    q = torch.randn(1, 1, 8)
    turned = cell._turned(q.expand(1, 600, 8).bfloat16(), 0)[0, 0]
    assert turned.dtype == torch.bfloat16
    scores = (turned[1:].float() * turned[:-1].float()).sum(1)
    assert (scores - scores[0]).abs().max() < 0.02 * q.square().sum()


def test_the_state_is_the_past():
    cell = CausalAttention(F, 4, context=5).double()
    x = torch.randn(2, T, F).double()
    keys, values, seen = unfold(cell, x, lengths=torch.tensor([T, 2]))[1]
    projected = cell.project(x)
    assert seen[:, 0].tolist() == [4, 2] and cell.state_size == 2 * 4 * 4 + 1
    assert torch.equal(keys[0], projected[0, -4:, 4:8]) and torch.equal(values[0], projected[0, -4:, 8:])
    assert torch.equal(keys[1, 2:], projected[1, :2, 4:8]) and not keys[1, :2].any()


@pytest.mark.parametrize("context", [2 * T, 4])
@pytest.mark.parametrize("lengths", [None, torch.tensor([T, 2])])
def test_from_the_start_is_from_an_empty_past(context, lengths):
    """torch's kernel, which sees no places of a past, and the sums over all places."""
    cell = CausalAttention(F, 4, heads=2, context=context).double()
    x = torch.randn(2, T, F).double().requires_grad_()
    found = []
    for state in (None, cell.initial_state(2)):
        outputs, end = unfold(cell, x, state, lengths=lengths, engine="scan")
        loss = sum(part.square().sum() for part in (outputs, *end))
        found.append((outputs, *end, *torch.autograd.grad(loss, [x, *cell.parameters()])))
    for ours, expected in zip(*found, strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-10, atol=1e-12)


def test_a_model_sees_the_longest_sequence_of_its_task(make_model):
    overrides = ("model=transformer", "model.hidden_size=4", "model.num_layers=2")
    model, task = make_model(*overrides, "task=copy_memory", "task.length=5")
    assert {cell.context for cell in model.layers} == {task.steps}
    assert model.state_size == 2 * (2 * 4 * (task.steps - 1) + 1)
    model, _ = make_model(*overrides, "task=copy_memory", "task.length=5", "model.cell.context=7")
    assert {cell.context for cell in model.layers} == {7}


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("model.cell.heads=3",), "heads=3 do not divide the 8 numbers of hidden_size"),
        (("model.cell.context=0",), "context=0 leaves no step"),
        (
            ("model.cell.context=1e9",),
            "^model.cell.context=1000000000 makes a state of 16000000000 numbers for each sequence; give at "
            "most 6250000.$",
        ),
        (
            ("model.hidden_size=10000000",),
            "^model.hidden_size=10000000 makes a state of 140000000 numbers for each sequence of 7 steps; "
            "give less, or a context of at most 5 of them.$",
        ),
    ],
)
def test_what_cannot_be_is_refused(make_model, overrides, said):
    with pytest.raises(ConfigError, match=said), torch.device("meta"):
        make_model("model=transformer", "model.hidden_size=8", "task=adding", "task.length=7", *overrides)


def test_a_width_is_not_refused_for_steps_that_its_task_has_not():
    """Of 1024 steps, which are seen where nothing is known of a task, the state would be too large."""
    with torch.device("meta"):
        cell = CausalAttention(2, 50_000)
        cell.expect(20)
    assert cell.context == 20

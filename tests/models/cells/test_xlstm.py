"""mLSTM and sLSTM are their formulas, without the stabiliser that keeps them from overflowing."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells.mlstm import MLSTM
from seqbench.models.cells.slstm import SLSTM
from seqbench.models.chunk import EPSILON
from tests.models.cells.recurrences import norm, sigmoid

T, F = 11, 3


def layer_norm(x: np.ndarray) -> np.ndarray:
    return norm(x - x.mean(-1, keepdims=True))


def drawn(cell: nn.Module) -> nn.Module:
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.7)
    return cell.double()


@pytest.mark.parametrize("chunk", [None, 4, 11])
def test_mlstm_is_the_formula_of_the_paper(chunk):
    cell = drawn(MLSTM(F, 4, heads=2, chunk_size=chunk))
    x = torch.randn(1, T, F).double()
    p = {name: parameter.detach().numpy() for name, parameter in cell.named_parameters()}
    q, k, v, o, i, f = np.split(x[0].numpy() @ p["U"].T, [4, 8, 12, 16, 18], axis=1)
    i, f = np.exp(i + p["b_input"]), sigmoid(f + p["b_forget"])
    heads = []
    for head in range(2):
        of = slice(2 * head, 2 * head + 2)
        C, n, m, outputs = np.zeros((2, 2)), np.zeros(2), 0.0, []
        for t in range(T):
            C = f[t, head] * C + i[t, head] * np.outer(v[t, of], k[t, of] / np.sqrt(2))
            n = f[t, head] * n + i[t, head] * k[t, of] / np.sqrt(2)
            m = max(m + np.log(f[t, head]), np.log(i[t, head]))
            # What is added to the divisor is added over exp m.
            outputs.append(C @ q[t, of] / (max(abs(n @ q[t, of]), 1) + EPSILON * np.exp(m)))
        heads.append(layer_norm(np.stack(outputs)))
    expected = (sigmoid(o) * p["g"] * np.concatenate(heads, 1)) @ p["W"].T
    for engine in ("scan", "loop"):
        found = unfold(cell, x, engine=engine)[0][0].detach()
        np.testing.assert_allclose(found, expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("heads", [1, 2])
def test_slstm_is_the_formula_of_the_paper(heads):
    cell = drawn(SLSTM(F, 4, heads=heads))
    x = torch.randn(1, T, F).double()
    p = {name: parameter.detach().numpy() for name, parameter in cell.named_parameters()}
    group = np.arange(4) // (4 // heads)
    W = p["W"] * np.tile(group[:, None] == group, (4, 1))
    s, c, n, expected = np.zeros(4), np.zeros(4), np.zeros(4), []
    for x_t in x[0].numpy():
        i, f, z, o = np.split(p["b"] + p["U"] @ x_t + W @ s, 4)
        c = sigmoid(f) * c + np.exp(i) * np.tanh(z)
        n = sigmoid(f) * n + np.exp(i)
        s = sigmoid(o) * c / n
        expected.append(p["g"] * layer_norm(s.reshape(heads, -1)).reshape(-1))
    for engine in ("auto", "loop"):
        found, state = unfold(cell, x, engine=engine)
        np.testing.assert_allclose(found[0].detach(), expected, rtol=1e-10, atol=1e-12)
        np.testing.assert_allclose(state[0][0].detach(), s, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("chunk", [None, 4])
def test_chunks_and_their_gradients_are_those_of_steps(chunk):
    cell = drawn(MLSTM(F, 4, heads=2, chunk_size=chunk))
    x, lengths = torch.randn(4, T, F).double(), torch.tensor([T, 1, 4, 0])
    state = unfold(cell, torch.randn(4, 5, F).double())[1]
    found = []
    for engine in ("scan", "loop"):
        h, end = unfold(cell, x, state, lengths=lengths, engine=engine)
        loss = (h * torch.linspace(-1, 1, h.numel()).view_as(h)).sum() + sum((s**2).sum() for s in end)
        found.append([h, *end, *torch.autograd.grad(loss, list(cell.parameters()), retain_graph=True)])
    for scanned, stepped in zip(*found, strict=True):
        torch.testing.assert_close(scanned, stepped, rtol=1e-10, atol=1e-10)
    assert all(torch.equal(before[3], after[3]) for before, after in zip(state, end, strict=True))


@pytest.mark.parametrize("make", [MLSTM, SLSTM])
def test_exponents_overflow_nowhere(make):
    cell = make(F, 4)
    nn.init.normal_(cell.U, std=30)  # input gates up to exp 100 and more
    x = torch.randn(2, 40, F, requires_grad=True)
    h, end = unfold(cell, x)
    h.sum().backward()
    assert all(part.isfinite().all() for part in (h, *end, x.grad, cell.U.grad))


@pytest.mark.parametrize("engine", ["scan", "loop"])
@pytest.mark.parametrize("closed", [-100.0, -1e4])
def test_gates_that_are_all_shut_leave_a_gradient(closed, engine):
    cell = MLSTM(F, 4)
    with torch.no_grad():
        cell.b_input.fill_(closed)
        cell.b_forget.fill_(closed)
    outputs, _ = unfold(cell, torch.randn(2, T, F), engine=engine)
    outputs.square().sum().backward()
    assert outputs.abs().max() < 1e-6
    assert all(parameter.grad.isfinite().all() for parameter in cell.parameters())


@pytest.mark.parametrize("heads", [1, 2])
def test_the_bias_of_slstms_input_gate_has_no_effect(heads):
    """It is a factor of c and of n, so that it does not count as live."""
    cell, x = drawn(SLSTM(F, 4, heads=heads)), torch.randn(2, T, F).double()
    outputs, _ = unfold(cell, x)
    cell.bias("i").add_(3.0)
    torch.testing.assert_close(unfold(cell, x)[0], outputs, rtol=1e-9, atol=1e-9)
    assert cell.dead_entries()["b"].tolist() == [True] * 4 + [False] * 12


def test_forget_gates_start_between_two_biases():
    assert MLSTM(F, 8, heads=4).b_forget.tolist() == [3, 4, 5, 6]
    assert SLSTM(F, 8, heads=2).bias("f").tolist() == [3, 4, 5, 6] * 2


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (("model=xlstm", "model.cell.heads=3"), "heads=3 do not divide the 8 numbers of hidden_size"),
        (("model=slstm", "model.cell.heads=3"), "heads=3 do not divide the 8 numbers of hidden_size"),
        (("model=slstm", "model.cell.forget_bias=[1]"), "must be two numbers"),
        *(
            (
                (f"model={model}", "model.cell.heads=8"),
                "model.cell.heads=8 have one number each, of which a norm",
            )
            for model in ("xlstm", "slstm", "rwkv7")
        ),
        (("model=xlstm", "model.cell.chunk_size=8"), "chunk_size=8 is longer than a sequence of 7"),
    ],
)
def test_what_cannot_be_is_refused(make_model, overrides, said):
    with pytest.raises(ConfigError, match=said):
        make_model(*overrides, "model.hidden_size=8", "task=adding", "task.length=7")

"""Cells with a matrix as state are their formulas, in chunks as step by step, and say what cannot be."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.cells.delta_net import DeltaNet, GatedDeltaNet
from seqbench.models.cells.gla import GLA
from seqbench.models.cells.mamba import Mamba
from seqbench.models.cells.mamba2 import Mamba2
from seqbench.models.cells.matrix_state import MatrixCell
from seqbench.models.cells.rwkv7 import LARGEST_DECAY, RWKV7
from seqbench.models.chunk import NEAR
from tests.models.cells.recurrences import convolved, decayed, delta, norm, sigmoid, silu, softplus, unit

T, F = 11, 3
CELLS = {
    "mamba": lambda chunk: Mamba(F, 4, state_width=3),
    "mamba2": lambda chunk: Mamba2(F, 4, heads=2, state_width=3, chunk_size=chunk),
    "gla": lambda chunk: GLA(F, 4, heads=2, gate_rank=2, chunk_size=chunk),
    "delta_net": lambda chunk: DeltaNet(F, 4, heads=2, chunk_size=chunk),
    "rwkv7": lambda chunk: RWKV7(F, 4, heads=2, rank=3, chunk_size=chunk),
    "gated_delta_net": lambda chunk: GatedDeltaNet(F, 4, heads=2, chunk_size=chunk),
    "mamba, no convolution": lambda chunk: Mamba(F, 4, state_width=3, conv_width=None),
    "mamba2, no convolution": lambda chunk: Mamba2(F, 4, state_width=3, conv_width=None, chunk_size=chunk),
    "gated_delta_net, no convolution": lambda chunk: GatedDeltaNet(F, 4, 2, None, chunk),
}


every_cell = pytest.mark.parametrize("make", CELLS.values(), ids=CELLS)


def drawn(cell: MatrixCell) -> MatrixCell:
    """Give a cell weights that are all random, in float64."""
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=0.7)
    return cell.double()


def mixed_over_steps(u: np.ndarray, p: dict[str, np.ndarray]) -> np.ndarray:
    """The inputs (T, C) after the convolution, or as they are where there is none."""
    if "convolution.w" not in p:
        return u
    return convolved(u, p["convolution.w"], p.get("convolution.b", 0.0))


def by_the_paper(cell: MatrixCell, x: np.ndarray) -> np.ndarray:
    """The outputs (T, H) for one sequence (T, F)."""
    p = {name: parameter.detach().numpy() for name, parameter in cell.named_parameters()}
    projected = x @ p["U"].T
    if isinstance(cell, Mamba):
        u, z = np.split(projected, 2, axis=1)
        v = silu(mixed_over_steps(u, p))
        step, B, C = np.split(v @ p["X"].T, [1, 4], axis=1)
        step = softplus(step @ p["W_step"].T + p["b_step"])
        S, y = np.zeros((8, 3)), []
        for t in range(len(x)):
            S = np.exp(step[t][:, None] * -np.exp(p["a"])) * S + np.outer(step[t] * v[t], B[t])
            y.append(S @ C[t] + p["D"] * v[t])
        return (np.stack(y) * silu(z)) @ p["W"].T
    if isinstance(cell, Mamba2):
        mixed, z, step = np.split(projected, [14, 22], axis=1)
        mixed = silu(mixed_over_steps(mixed, p))
        u, B, C = np.split(mixed, [8, 11], axis=1)
        step = softplus(step + p["b_step"])
        y = []
        for head in range(2):
            v, d = u[:, 4 * head : 4 * head + 4], step[:, head : head + 1]
            a = np.exp(-np.exp(p["a"][head]) * d) * np.ones((1, 3))
            y.append(decayed(C, B, d * v, a) + p["D"][head] * v)
        return (p["g"] * norm(np.concatenate(y, 1) * silu(z))) @ p["W"].T
    if isinstance(cell, GLA):
        q, k, v, r, c = np.split(projected, [2, 4, 8, 12], axis=1)
        a = sigmoid(c @ p["W_gate"].T + p["b_gate"]) ** (1 / 16)
        heads = [decayed(*(part[:, i : i + 1] for part in (q, k)), v[:, 2 * i : 2 * i + 2], a[:, i : i + 1])
                 for i in range(2)]  # fmt: skip
        return (silu(r) * np.concatenate([p["g"] * norm(o) for o in heads], 1)) @ p["W"].T
    if isinstance(cell, RWKV7):
        return goose(p, x)
    mixed = silu(mixed_over_steps(projected[:, :12], p))
    gated = isinstance(cell, GatedDeltaNet)
    heads = []
    for i in range(2):
        q, k, v = (mixed[:, 4 * j + 2 * i : 4 * j + 2 * i + 2] for j in range(3))
        beta = sigmoid(projected[:, -2 + i])
        a = np.exp(-np.exp(p["a"][i]) * softplus(projected[:, -4 + i] + p["b_step"][i])) if gated else beta**0
        heads.append(p["g"] * norm(delta(unit(q) / np.sqrt(2), unit(k), v, beta, a)))
    outputs = np.concatenate(heads, 1)
    return (silu(projected[:, 12:16]) * outputs if gated else outputs) @ p["W"].T


def goose(p: dict[str, np.ndarray], x: np.ndarray) -> np.ndarray:
    """RWKV-7 with the state transposed and vectors as rows, as printed."""
    before = np.concatenate([np.zeros((1, F)), x[:-1]])
    parts = np.split(p["U"], [4, 8, 12, 15, 18])
    r, k, v, d, e, gate = ((x + mu * (before - x)) @ U.T for mu, U in zip(p["mu"], parts, strict=True))
    w = np.exp(-np.exp(-0.5) * sigmoid(np.tanh(d) @ p["W_decay"].T + p["b_decay"]))
    a = sigmoid(e @ p["W_removal"].T + p["b_removal"])
    key = k * (1 + (a - 1) * p["eta"])
    y = []
    for head in range(2):
        of = slice(2 * head, 2 * head + 2)
        S, outputs, out = np.zeros((2, 2)), [], unit((k * p["xi"])[:, of])
        for t in range(len(x)):
            S = S @ (np.diag(w[t, of]) - np.outer(out[t], a[t, of] * out[t])) + np.outer(v[t, of], key[t, of])
            outputs.append(S @ r[t, of] / np.sqrt(2))
        o = np.stack(outputs)
        o = norm(o - o.mean(-1, keepdims=True)) * p["gamma"][of] + p["beta"][of]
        y.append(o + (r * p["rho"] * key)[:, of].sum(1, keepdims=True) * v[:, of])
    return (np.concatenate(y, 1) * (sigmoid(gate) @ p["W_gate"].T)) @ p["W"].T


@every_cell
@pytest.mark.parametrize("chunk", [None, 4, 11])
def test_it_is_the_formula_of_the_paper(make, chunk):
    cell = drawn(make(chunk))
    x = torch.randn(2, T, F).double()
    expected = np.stack([by_the_paper(cell, row) for row in x.numpy()])
    for engine in ("scan", "loop"):
        np.testing.assert_allclose(
            unfold(cell, x, engine=engine)[0].detach(), expected, rtol=1e-10, atol=1e-12
        )


@every_cell
@pytest.mark.parametrize("chunk", [None, 4])
def test_chunks_and_their_gradients_are_those_of_steps(make, chunk):
    cell = drawn(make(chunk))
    x, lengths = torch.randn(4, T, F).double(), torch.tensor([T, 1, 4, 0])
    state = unfold(cell, torch.randn(4, 5, F).double())[1]
    found = []
    for engine in ("scan", "loop"):
        h, end = unfold(cell, x, state, lengths=lengths, engine=engine)
        loss = (h * torch.linspace(-1, 1, h.numel()).view_as(h)).sum() + sum((s**2).sum() for s in end)
        found.append([h, *end, *torch.autograd.grad(loss, list(cell.parameters()), retain_graph=True)])
    for scanned, stepped in zip(*found, strict=True):
        torch.testing.assert_close(scanned, stepped, rtol=1e-10, atol=1e-10)
    for before, after in zip(state, end, strict=True):
        assert torch.equal(before[3], after[3])  # of a row without a step


@pytest.mark.parametrize("chunk", [16, 17])  # of which the weights are products of two, and each by itself
def test_weights_of_near_steps_are_those_of_far_ones(chunk):
    cell = drawn(RWKV7(F, 4, heads=2, rank=3, chunk_size=chunk, decay_bias=(20, 30)))  # of almost all decays
    assert (chunk * LARGEST_DECAY < NEAR) == (chunk == 16)
    x = torch.randn(2, 40, F).double()
    chunks, steps = (unfold(cell, x, engine=engine)[0] for engine in ("scan", "loop"))
    torch.testing.assert_close(chunks, steps, rtol=1e-10, atol=1e-12)


@every_cell
def test_large_gates_overflow_nowhere(make):
    """Decays from nothing to all within a chunk, in single precision."""
    cell = make(None)
    x = 100 * torch.randn(2, 64, F)
    h, end = unfold(cell, x, engine="scan")
    h.sum().backward()
    grads = [parameter.grad for parameter in cell.parameters()]
    assert all(part.isfinite().all() for part in (h, *end, *grads))


@pytest.mark.parametrize(
    ("chunk", "steps", "taken"), [(None, 64, 64), (None, 65, 33), (None, 200, 50), (48, 200, 48)]
)
def test_chunks_are_even_where_none_are_given(monkeypatch, chunk, steps, taken):
    cell = Mamba2(F, 4, chunk_size=chunk)
    sizes = []
    recur_all = cell.recur_all
    monkeypatch.setattr(cell, "recur_all", lambda g, m, size: sizes.append(size) or recur_all(g, m, size))
    unfold(cell, torch.randn(2, steps, F), engine="scan")
    assert sizes == [taken]


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ("model=gla", "model.cell.heads=3"),
            r"model.cell.heads=3 do not divide the 8 numbers of hidden_size",
        ),
        (("model=gla", "model.cell.heads=4", "model.cell.key_size=6"), "do not divide the 6 numbers of"),
        (("model=mamba2", "model.cell.heads=3"), "heads=3 do not divide the 16 numbers of expansion times"),
        (("model=delta_net", "model.cell.heads=0"), "heads=0 leaves no head"),
        (("model=gated_delta_net", "model.cell.chunk_size=8"), "chunk_size=8 is longer than a sequence of 7"),
        (
            ("model=gla", "model.cell.chunk_size=4", "model.engine=loop"),
            "with model.engine=loop they are taken one",
        ),
        (("model=xlstm", "model.cell.chunk_size=4", "model.checkpoint_steps=2"), "are taken one by one"),
        (("model=mamba2", "model.cell.chunk_size=0"), "chunk_size=0 leaves no step"),
        (
            ("model=mamba2", "model.dilation=2", "model.cell.chunk_size=5"),
            r"model.cell.chunk_size=5 is longer than the 4 steps that layer 2 takes at once, one in 2 of a "
            "sequence of 7; give at most that, or null",
        ),
        (("model=mamba", "model.cell.conv_width=1"), "conv_width=1 is .*; give at least 2, or null for none"),
        (("model=rwkv7", "model.cell.heads=3"), "heads=3 do not divide the 8 numbers of hidden_size"),
        (("model=rwkv7", "model.cell.decay_bias=[1]"), r"decay_bias=\[1.0\] must be two numbers"),
        (
            ("model=gla", "model.cell.tau=0"),
            "tau=0.0 divides the logarithm of a gate, in single precision; give at least 1e-06",
        ),
    ],
)
def test_what_cannot_be_is_refused(make_model, overrides, said):
    with pytest.raises(ConfigError, match=said):
        make_model(*overrides, "model.hidden_size=8", "task=adding", "task.length=7")

"""The Differentiable Neural Computer, against the paper's formulas number by number."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils._pytree import tree_leaves

from seqbench.errors import ConfigError
from seqbench.models import SequenceModel, unfold
from seqbench.models.cells.feed_forward import FeedForward
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.memory.dnc import DNC, TIE, DNCState, allocation, linked, used

CONTROLLERS = [LSTM, FeedForward, GRU]
N, W, R = 5, 3, 2


def by_formula(xi, state, exp, log):
    """One step of one row: every number by itself, in the order of the paper's Methods.

    Args:
        xi: the interface vector before squashing.
        state: w^r, w^w, M, u, p and L, in lists; all other numbers as `exp` and `log` take them.
    """
    reading, writing, M, u, p, L = state
    words, read = range(N), iter(xi)

    def take(n):
        return [next(read) for _ in range(n)]

    def sigma(z):
        return 1 / (1 + exp(-z))

    def oneplus(z):
        return 1 + log(1 + exp(z))

    def softmax(zs):
        total = sum(exp(z) for z in zs)
        return [exp(z) / total for z in zs]

    def lookup(M, k, beta):
        def length(v):
            return (sum(a * a for a in v) + 1e-6) ** 0.5

        return softmax(
            [beta * sum(a * b for a, b in zip(k, m, strict=True)) / length(k) / length(m) for m in M]
        )

    k_r = [take(W) for _ in range(R)]
    beta_r = [oneplus(z) for z in take(R)]
    k_w, beta_w = take(W), oneplus(next(read))
    e, v = [sigma(z) for z in take(W)], take(W)
    f = [sigma(z) for z in take(R)]
    g_a, g_w = (sigma(z) for z in take(2))
    modes = [softmax(take(3)) for _ in range(R)]

    retention = [math.prod((1 - f[i] * reading[i][n] for i in range(R)), start=1) for n in words]
    u = [(u[n] + writing[n] - u[n] * writing[n]) * retention[n] for n in words]
    free_list = sorted(words, key=lambda n: u[n].detach() if isinstance(u[n], torch.Tensor) else u[n])
    a = [None] * N
    for j, n in enumerate(free_list):
        a[n] = (1 - u[n]) * math.prod((u[i] for i in free_list[:j]), start=1)
    content = lookup(M, k_w, beta_w)
    w = [g_w * (g_a * a[n] + (1 - g_a) * content[n]) for n in words]
    M = [[M[n][m] * (1 - w[n] * e[m]) + w[n] * v[m] for m in range(W)] for n in words]
    L = [[0 * w[0] if i == j else (1 - w[i] - w[j]) * L[i][j] + w[i] * p[j] for j in words] for i in words]
    p = [(1 - sum(w)) * p[n] + w[n] for n in words]
    after = []
    for i in range(R):
        back = [sum(L[m][n] * reading[i][m] for m in words) for n in words]
        forward = [sum(L[n][m] * reading[i][m] for m in words) for n in words]
        c, pi = lookup(M, k_r[i], beta_r[i]), modes[i]
        after.append([pi[0] * back[n] + pi[1] * c[n] + pi[2] * forward[n] for n in words])
    r = [[sum(M[n][m] * after[i][n] for n in words) for m in range(W)] for i in range(R)]
    return r, (after, w, M, u, p, L)


def drawn(controller=LSTM, **sizes):
    """A small computer with random weights, in double precision."""
    cell = DNC(3, 4, controller, **{"memory_size": N, "word_size": W, "read_heads": R, **sizes}).double()
    for parameter in cell.parameters():
        nn.init.normal_(parameter)
    return cell


def somewhere(cell, rows):
    """A state that can be, with no two words alike."""
    start = cell.initial_state(rows)
    reading, writing = (torch.rand_like(part).softmax(-1) for part in (start.reading, start.writing))
    off = 1 - torch.eye(start.link.shape[-1])
    return start._replace(
        read=torch.randn_like(start.read),
        reading=reading,
        writing=writing,
        memory=torch.randn_like(start.memory),
        usage=torch.rand_like(start.usage),
        precedence=torch.rand_like(start.precedence).softmax(-1) / 2,
        link=torch.rand_like(start.link) / N * off,
    )


def parts(state, row):
    """What `by_formula` takes and gives, of one row, as tensors."""
    return state.reading[row], state.writing[row, 0], state.memory[row], state.usage[row, 0], \
        state.precedence[row, 0], state.link[row]  # fmt: skip


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_steps_are_the_papers_formulas(controller):
    cell = drawn(controller)
    x, state = torch.randn(6, 2, 3).double(), somewhere(cell, 2)
    weights = {name: p.detach().numpy() for name, p in cell.named_parameters()}
    expected = [[part.tolist() for part in parts(state, row)] for row in (0, 1)]
    r, own = state.read.numpy(), state.controller
    for x_t in x:
        output, state = cell.step(cell.project(x_t), state)
        # The controller is a cell of its own, with tests of its own; it reads x and what was read before.
        h, own = cell.controller.step(
            cell.controller.project(torch.tensor(np.concatenate([x_t.numpy(), r.reshape(2, -1)], axis=1))),
            own,
        )
        xi = weights["c"] + h.detach().numpy() @ weights["V"].T
        found = [by_formula(xi[row].tolist(), expected[row], math.exp, math.log) for row in (0, 1)]
        r, expected = np.array([one[0] for one in found]), [one[1] for one in found]
        wanted = np.concatenate([h.detach().numpy(), r.reshape(2, -1)], axis=1)
        np.testing.assert_allclose(output.detach(), wanted, rtol=0, atol=1e-12)
        for row in (0, 1):
            for part, its in zip(parts(state, row), expected[row], strict=True):
                np.testing.assert_allclose(part.detach(), its, rtol=0, atol=1e-12)
    assert len({tuple(np.argsort(its[3])) for its in expected}) == 2  # each row has a free list of its own


def test_gradients_are_those_of_the_formulas():
    """Of all weights, the input, and the state before; the free list is a constant to both."""
    cell = drawn()
    x = torch.randn(3, 1, 3).double().requires_grad_()
    start = somewhere(cell, 1)
    leaves = [part.detach().requires_grad_() for part in start[1:]]
    start = DNCState(cell.initial_state(1).controller, *leaves)
    towards = torch.randn(3, cell.output_size).double()

    def scalars(part):
        return part if part.ndim == 0 else [scalars(one) for one in part]

    def formula():
        own, r, state = start.controller, start.read, [scalars(part) for part in parts(start, 0)]
        for x_t in x:
            given = torch.cat([x_t, r.flatten(1)], dim=1)
            h, own = cell.controller.step(cell.controller.project(given), own)
            numbers, state = by_formula(scalars(cell.c + cell.V @ h[0]), state, torch.exp, torch.log)
            r = torch.stack([torch.stack(row) for row in numbers])[None]
            yield torch.cat([h[0], r.flatten()])

    def gradient(outputs):
        return torch.autograd.grad((outputs * towards).sum(), [x, *leaves, *cell.parameters()])

    found, expected = unfold(cell, x.transpose(0, 1), start)[0][0], torch.stack([*formula()])
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-12)
    torch.testing.assert_close(gradient(found), gradient(expected), rtol=0, atol=1e-12)


@pytest.mark.parametrize("controller", CONTROLLERS)
def test_gradcheck(controller):
    cell = drawn(controller)
    start = somewhere(cell, 2)
    x = torch.randn(2, 3, 3).double().requires_grad_()

    def run(x, *leaves):
        return tuple(tree_leaves(unfold(cell, x, DNCState(start.controller, *leaves))))

    given = [part.detach().requires_grad_() for part in start[1:]]
    assert torch.autograd.gradcheck(run, (x, *given), fast_mode=True)


def test_the_free_list_takes_equal_words_in_their_order():
    u = torch.tensor([[[0.5, 0.0, 0.25, 0.0, 1.0]]]).double()
    assert allocation(u).tolist() == [[[0, 1, 0, 0, 0]]]  # the first of the two that are free
    assert allocation(torch.full((1, 1, 3), 0.5)).tolist() == [[[0.5, 0.25, 0.125]]]
    assert allocation(torch.ones(1, 1, 3)).tolist() == [[[0, 0, 0]]]  # all are in use: there is none to give
    rounded = torch.tensor(
        [[[0.5 + 1e-7, 0.5, 0.5 - 1e-7]]]
    ).double()  # in which 0.5 is no edge between steps
    torch.testing.assert_close(
        allocation(rounded)[0, 0], torch.tensor([0.5, 0.25, 0.125]).double(), atol=1e-6, rtol=0
    )
    apart = torch.tensor([[[0.5 + 2 * TIE, 0.5]]])
    assert allocation(apart)[0, 0].argmax() == 1


@pytest.mark.parametrize("u", [[0.3, 0.0, 0.6, 0.0, 0.9], [0.0] * 5, [1.0] * 5, [0.4], [0.2, 0.7]])
def test_the_gradient_of_allocation_takes_the_free_list_as_a_constant(u):
    usage = torch.tensor(u).double().requires_grad_()
    towards = torch.randn(len(u)).double()
    order = sorted(range(len(u)), key=lambda n: u[n])
    terms = [(1 - usage[n]) * math.prod((usage[i] for i in order[:j]), start=1) for j, n in enumerate(order)]
    expected = sum(towards[n] * term for n, term in zip(order, terms, strict=True))
    found = (allocation(usage[None, None]) * towards).sum()
    torch.testing.assert_close(found, expected, rtol=0, atol=1e-15)
    torch.testing.assert_close(
        torch.autograd.grad(found, usage), torch.autograd.grad(expected, usage), rtol=0, atol=1e-15
    )


def test_rounding_does_not_decide_the_order_of_words_with_the_same_past():
    """From an empty memory, in which all words are alike but by their places."""
    model = SequenceModel(lambda f, h: DNC(f, h, LSTM, 19, 5, 3), 4, 3, hidden_size=8)
    x = torch.randn(37, 30, 4)
    outputs, state = model(x)
    for row in range(0, 37, 6):
        alone, end = model(x[row : row + 1])
        torch.testing.assert_close(alone[0], outputs[row], rtol=0, atol=1e-5)
        for part, whole in zip(tree_leaves(end), tree_leaves(state), strict=True):
            torch.testing.assert_close(part[0], whole[row], rtol=0, atol=1e-5)
    double, _ = model.double()(x.double())
    torch.testing.assert_close(double.float(), outputs, rtol=0, atol=1e-4)


def test_weightings_stay_weightings():
    cell = drawn(memory_size=7)
    with torch.no_grad():
        cell.c.normal_(std=5.0)
        states = unfold(cell, torch.randn(4, 60, 3).double())[1]
    for part in (states.reading, states.writing, states.precedence):
        assert part.min() >= -1e-12 and part.sum(-1).max() <= 1 + 1e-12
    assert states.usage.min() >= -1e-12 and states.usage.max() <= 1 + 1e-12
    assert states.link.min() >= -1e-12 and states.link.diagonal(dim1=1, dim2=2).count_nonzero() == 0
    for dim in (1, 2):  # no word has more than one before it, or after it
        assert states.link.sum(dim).max() <= 1 + 1e-12


def test_links_lead_through_words_in_the_order_of_writing():
    order = [2, 0, 3]
    link, precedence = torch.zeros(1, 4, 4), torch.zeros(1, 1, 4)
    for word in order:
        at = torch.eye(4)[None, None, word]
        link, precedence = linked(link, precedence, at), at
    assert [link[0, :, word].argmax().item() for word in order[:-1]] == order[1:]  # L w goes forward
    assert [link[0, word].argmax().item() for word in order[1:]] == order[:-1]  # Lᵀ w goes back
    assert link.sum() == 2
    link = linked(link, precedence, torch.eye(4)[None, None, 0])  # a word that is written anew
    assert link[0, 0].tolist() == [0, 0, 0, 1] and not link[0, :, 0].any()


def test_a_word_that_was_read_is_free_if_the_gate_says_so():
    in_use, none = torch.ones(1, 1, 3), torch.zeros(1, 1, 3)
    reading = torch.eye(3)[None, :2]  # two heads, at the first two words
    free = torch.tensor([[[1.0], [0.0]]])
    assert used(in_use, none, reading, free).tolist() == [[[0, 1, 1]]]
    assert used(none, torch.tensor([[[0.25, 0.0, 1.0]]]), 0 * reading, free).tolist() == [[[0.25, 0, 1]]]


def test_its_observation_is_what_its_states_say():
    model = SequenceModel(lambda f, h: DNC(f, h, GRU, 6, 3, 2), 4, 3, hidden_size=5, num_layers=2).double()
    x, lengths = torch.randn(2, 7, 4).double(), torch.tensor([7, 3])
    seen = model.observe(x, lengths)
    assert seen.layers == 2 and seen.reading.shape == (2, 7, 2, 6) and seen.writing.shape == (2, 7, 1, 6)
    for row, length in enumerate(lengths.tolist()):
        state = model.layers[0].initial_state(1)
        for t in range(length):
            before = state.memory
            _, state = model.layers[0].step(model.layers[0].project(x[row : row + 1, t]), state)
            torch.testing.assert_close(seen.read[row, t], state.read[0])
            torch.testing.assert_close(seen.reading[row, t], state.reading[0])
            torch.testing.assert_close(seen.writing[row, t], state.writing[0])
            torch.testing.assert_close(seen.written[row, t], (state.memory - before)[0].sum(0))
    assert model.unobservable() is None


def test_the_size_of_the_paper(make_model):
    """An interface of (W R) + 3 W + 5 R + 3 numbers, and a readout of the controller and of what was read."""
    model, _ = make_model("model=dnc", "task=ntm_copy")
    interface = 16 * 4 + 3 * 16 + 5 * 4 + 3
    controller = 4 * 64 * (9 + 64 + 64 + 1)
    assert sum(p.numel() for p in model.parameters()) == controller + interface * (64 + 1) + 8 * (64 + 64 + 1)
    assert model.state_size == 2 * 64 + 4 * 16 + 4 * 32 + 32 * 16 + 3 * 32 + 32 * 32


@pytest.mark.parametrize(
    ("override", "message"),
    [
        ("model.cell.read_heads=0", r"read_heads=0 leaves no head to read with; give at least 1"),
        ("model.cell.memory_size=0", r"memory_size=0 leaves no word"),
        ("model.cell.word_size=-1", r"word_size=-1 leaves no number in a word"),
        ("model.cell.controller=gru", r"model.cell.controller=gru must be a node with a _target_"),
    ],
)
def test_what_makes_no_sense_is_refused_before_training(make_model, override, message):
    with pytest.raises(ConfigError, match=message):
        make_model("model=dnc", "task=ntm_copy", override)


def test_a_controller_is_a_cell():
    with pytest.raises(ValueError, match="controller makes a Linear, which is no Cell"):
        DNC(2, 3, torch.nn.Linear, 5, 3)

"""The Neural Turing Machine, against the paper's formulas in plain numpy."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn
from torch.func import functional_call
from torch.utils._pytree import tree_leaves

from seqbench.errors import ConfigError
from seqbench.models import SequenceModel, unfold
from seqbench.models.cells.feed_forward import FeedForward
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.memory.ntm import NTM, convolve, similarity, write

CONTROLLERS = [LSTM, FeedForward, GRU]


def sigmoid(z):
    return 1 / (1 + np.exp(-z))


def softplus(z):
    return np.log1p(np.exp(z))


def softmax(z):
    return np.exp(z) / np.exp(z).sum()


def by_formula(cell, x, state):
    """One step for one row, every sum a loop: the paper's equations (2) to (9) in their order."""
    p = {name: value.detach().numpy() for name, value in cell.named_parameters()}
    own, r, w, memory = state
    R, N, M = cell.read_heads, *memory.shape
    # The controller is a cell of its own, with tests of its own; it reads x and what was read before.
    given = torch.tensor(np.concatenate([x, r.reshape(-1)]))[None]
    h, own = cell.controller.step(cell.controller.project(given), own)
    h = h[0].detach().numpy()
    parameters = np.clip(p["c"] + p["V"] @ h, -cell.clip_output, cell.clip_output)
    size, n = M + 4 + 2 * cell.shift, cell.shift
    weightings = np.zeros_like(w)
    for head in range(len(w)):
        mine = parameters[head * size : (head + 1) * size]
        k, beta, gate = np.tanh(mine[:M]), softplus(mine[M]), sigmoid(mine[M + 1])
        shift, gamma = softmax(mine[M + 2 : -1]), 1 + softplus(mine[-1])
        cosines = [k @ word / np.sqrt((k @ k) * (word @ word)) for word in memory]  # (6)
        content = softmax(beta * np.array(cosines))  # (5)
        gated = gate * content + (1 - gate) * w[head]  # (7)
        shifted = np.zeros(N)
        for i in range(N):  # (8)
            for j in range(N):
                if (i - j + n) % N <= 2 * n:
                    shifted[i] += gated[j] * shift[(i - j + n) % N]
        weightings[head] = shifted**gamma / (shifted**gamma).sum()  # (9)
    read = np.array([sum(w_i * word for w_i, word in zip(w, memory, strict=True)) for w in weightings[:R]])
    rest = parameters[len(w) * size :].reshape(2, len(w) - R, M)
    after = memory.copy()
    for w_i, e in zip(weightings[R:], sigmoid(rest[0]), strict=True):
        after = after * (1 - np.outer(w_i, e))  # (3)
    for w_i, a in zip(weightings[R:], np.tanh(rest[1]), strict=True):
        after = after + np.outer(w_i, a)  # (4)
    return np.concatenate([h, read.reshape(-1)]), (own, read, weightings, after)


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize(("heads", "shift"), [((1, 1), 1), ((2, 3), 2), ((1, 2), 0)])
def test_steps_are_the_papers_formulas(controller, heads, shift):
    cell = NTM(3, 6, controller, 7, 4, *heads, shift=shift, clip_output=1.5).double()
    for parameter in cell.parameters():
        nn.init.normal_(parameter)
    cell.memory = torch.randn(7, 4).double()
    x = torch.randn(5, 3).double()
    state = cell.initial_state(1)
    expected = (state.controller, *(part[0].detach().numpy() for part in state[1:]))
    for x_t in x:
        output, state = cell.step(cell.project(x_t[None]), state)
        expected_output, expected = by_formula(cell, x_t.numpy(), expected)
        np.testing.assert_allclose(output[0].detach(), expected_output, rtol=0, atol=1e-10)
        torch.testing.assert_close(state.controller, expected[0], rtol=0, atol=1e-10)
        for part, wanted in zip(state[1:], expected[1:], strict=True):
            np.testing.assert_allclose(part[0].detach(), wanted, rtol=0, atol=1e-10)
    assert np.abs(expected[-1]).max() > 0.1  # something has been written


@pytest.mark.parametrize("controller", CONTROLLERS)
@pytest.mark.parametrize("memory_init", ["constant", "learnt", "random"])
def test_gradcheck(controller, memory_init):
    cell = NTM(2, 3, controller, 5, 3, 2, 1, memory_init=memory_init).double()
    names, values = zip(*cell.named_parameters(), strict=True)
    values = [(value + 0.3 * torch.randn_like(value)).detach().requires_grad_() for value in values]
    if memory_init == "constant":  # at a word of 10⁻⁶ a cosine turns within a step of finite differences
        cell.memory = 0.3 * torch.randn(5, 3).double()
    x = torch.randn(2, 3, 2).double().requires_grad_()

    class Unfolded(nn.Module):
        def __init__(self):
            super().__init__()
            self.cell = cell

        def forward(self, x):
            return tuple(tree_leaves(unfold(self.cell, x)))

    module = Unfolded()

    def run(x, *parameters):
        return functional_call(
            module, {f"cell.{name}": p for name, p in zip(names, parameters, strict=True)}, (x,)
        )

    assert ("memory" in names) == (memory_init == "learnt")
    assert torch.autograd.gradcheck(run, (x, *values), fast_mode=True)


def test_a_batch_of_one_is_its_row_of_a_larger_one():
    model = SequenceModel(lambda f, h: NTM(f, h, LSTM, 16, 5, 2, 2), 4, 3, hidden_size=8).double()
    x = torch.randn(6, 9, 4).double()
    outputs, state = model(x)
    for row in range(6):
        alone, end = model(x[row : row + 1])
        torch.testing.assert_close(alone[0], outputs[row], rtol=0, atol=1e-13)
        for part, whole in zip(tree_leaves(end), tree_leaves(state), strict=True):
            torch.testing.assert_close(part[0], whole[row], rtol=0, atol=1e-13)


def test_a_shift_of_one_goes_to_the_next_place_and_round():
    w = torch.eye(5)[None, [1, 4]]
    there, back = torch.tensor([0.0, 0.0, 1.0]), torch.tensor([1.0, 0.0, 0.0])
    assert convolve(w, torch.stack([there, there])[None])[0].argmax(1).tolist() == [2, 0]
    assert convolve(w, torch.stack([back, back])[None])[0].argmax(1).tolist() == [0, 3]


def test_similarity_is_the_cosine_whatever_the_lengths():
    memory = torch.tensor([[2.0, 0.0], [0.0, 1e-3], [-5.0, 5.0], [0.0, 0.0]]).double()[None]
    found = similarity(torch.tensor([[[3.0, 3.0]]]).double(), memory)
    torch.testing.assert_close(
        found, torch.tensor([[[0.5**0.5, 0.5**0.5, 0.0, 0.0]]]).double(), atol=1e-6, rtol=0
    )


def test_to_write_with_full_weight_is_to_replace():
    memory = torch.randn(1, 3, 2)
    word, there = torch.tensor([[[0.5, -0.25]]]), torch.tensor([[[0.0, 1.0, 0.0]]])
    after = write(memory, there, torch.ones(1, 1, 2), word)
    assert torch.equal(after[0, 1], word[0, 0])
    assert torch.equal(after[0, [0, 2]], memory[0, [0, 2]])


def test_weightings_sum_to_one_and_the_sharpest_stays_finite():
    cell = NTM(2, 4, memory_size=6, word_size=3)
    nn.init.normal_(cell.c, std=100.0)  # the clip is what keeps these in bounds
    x = torch.randn(3, 20, 2).requires_grad_()
    outputs, state = unfold(cell, x)
    torch.testing.assert_close(state.weightings.sum(-1), torch.ones(3, 2))
    assert all(
        g.isfinite().all() for g in torch.autograd.grad(outputs.square().sum(), [x, *cell.parameters()])
    )


@pytest.mark.parametrize("weighting_init", ["focused", "uniform"])
def test_where_heads_and_memory_start(weighting_init):
    cell = NTM(2, 4, memory_size=128, word_size=3, weighting_init=weighting_init)
    *_, w, memory = cell.initial_state(2)
    assert (memory == 1e-6).all()
    expected = 0.994 if weighting_init == "focused" else 1 / 128
    torch.testing.assert_close(w[..., 0], torch.full((2, 2), expected), atol=1e-3, rtol=0)


def test_its_observation_is_what_its_states_say():
    model = SequenceModel(lambda f, h: NTM(f, h, GRU, 6, 3, 2, 1), 4, 3, hidden_size=5, num_layers=2).double()
    x, lengths = torch.randn(2, 7, 4).double(), torch.tensor([7, 3])
    seen = model.observe(x, lengths)
    assert seen.layers == 2 and seen.reading.shape == (2, 7, 2, 6) and seen.writing.shape == (2, 7, 1, 6)
    torch.testing.assert_close(seen.outputs, model(x, lengths)[0])
    for row, length in enumerate(lengths.tolist()):
        state = model.layers[0].initial_state(1)
        for t in range(length):
            before = state.memory
            _, state = model.layers[0].step(model.layers[0].project(x[row : row + 1, t]), state)
            torch.testing.assert_close(seen.read[row, t], state.read[0])
            torch.testing.assert_close(seen.reading[row, t], state.weightings[0, :2])
            torch.testing.assert_close(seen.written[row, t], (state.memory - before)[0].sum(0))
    assert model.unobservable() is None
    with pytest.raises(ValueError, match="GRU has no memory or attention to look into"):
        SequenceModel(GRU, 4, 3).observe(x)
    with pytest.raises(ValueError, match="dilation=2 makes states"):
        SequenceModel(lambda f, h: NTM(f, h), 4, 3, num_layers=2, dilation=2).observe(x)


def test_a_random_memory_is_drawn_once_and_saved():
    torch.manual_seed(1)
    first, second = (NTM(2, 4, memory_init="random") for _ in range(2))
    assert not torch.equal(first.memory, second.memory) and 0.4 < first.memory.std() < 0.6
    second.load_state_dict(first.state_dict())
    assert torch.equal(first.memory, second.memory)
    assert not any(parameter is first.memory for parameter in first.parameters())


def test_the_size_of_the_paper(make_model):
    """Of 67,561 parameters, as published for copy, what is not spelt out there makes up 7 %."""
    model, _ = make_model("model=ntm", "task=ntm_copy")
    count = sum(p.numel() for p in model.parameters())
    controller = 4 * 100 * (9 + 20 + 100 + 1)
    heads = (2 * (20 + 1 + 1 + 3 + 1) + 2 * 20) * (100 + 1)
    assert count == controller + heads + 2 * 128 + 20 + 8 * (100 + 20 + 1)
    assert abs(count / 67_561 - 1) < 0.08


@pytest.mark.parametrize(
    ("override", "message"),
    [
        (
            "model.cell.shift=64",
            r"^model.cell.shift=64 lets a head go to 129 words, and model.cell.memory_size=128 has fewer; "
            r"give a shift of at most 63, or a larger memory\.$",
        ),
        ("model.cell.shift=-1", r"^model.cell.shift=-1 is no number of words; give at least 0"),
        ("model.cell.read_heads=0", r"read_heads=0 leaves no head to read with; give at least 1"),
        ("model.cell.write_heads=0", r"write_heads=0 leaves no head to write with"),
        ("model.cell.memory_size=0", r"memory_size=0 leaves no word"),
        ("model.cell.word_size=0", r"word_size=0 leaves no number in a word"),
        ("model.cell.clip_output=0", r"clip_output=0.* must be above 0; null does not clip"),
        ("model.cell.controller=gru", r"model.cell.controller=gru must be a node with a _target_"),
        ("model.cell.memory_init=zero", r"memory_init=zero must be constant, learnt or random"),
    ],
)
def test_what_makes_no_sense_is_refused_before_training(make_model, override, message):
    with pytest.raises(ConfigError, match=message):
        make_model("model=ntm", "task=ntm_copy", override)


def test_a_controller_is_a_cell():
    with pytest.raises(ValueError, match="controller makes a Linear, which is no Cell"):
        NTM(2, 3, torch.nn.Linear, 5, 3)

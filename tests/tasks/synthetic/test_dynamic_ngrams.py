"""Dynamic N-grams, and the optimal estimator of them."""

from __future__ import annotations

import math
from collections import defaultdict

import numpy as np
import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.synthetic.dynamic_ngrams import DynamicNgrams, optimal_estimates


def draw(length=200, rows=500):
    return DynamicNgrams().sample(torch.Generator().manual_seed(0), rows, length)


def batch_of(bits):
    text = torch.tensor([[float(bit) for bit in row] for row in bits])[..., None]
    return Batch(text[:, :-1], text[:, 1:])


def of_ones(bits):
    """Return what the optimal estimator says of P(1) for each bit but the first, counting one by one."""
    ones, zeros = defaultdict(int), defaultdict(int)
    chances = []
    for t in range(1, len(bits)):
        context = tuple(bits[t - 5 : t]) if t >= 5 else None
        chance = (ones[context] + 0.5) / (ones[context] + zeros[context] + 1) if context else 0.5
        chances.append(chance)
        (ones if bits[t] else zeros)[context] += 1
    return chances


def texts(batch):
    return torch.cat([batch.inputs[:, :1], batch.targets], dim=1)[..., 0].int().tolist()


@pytest.mark.parametrize("length", [6, 7, 200])
def test_targets_are_the_next_inputs(length):
    batch = draw(length)
    assert batch.inputs.shape == batch.targets.shape == (500, length, 1)
    assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    assert set(batch.inputs.flatten().tolist()) == {0, 1}
    assert batch.mask is None and batch.lengths is None


def test_the_estimator_is_that_which_counts():
    batch = draw(rows=30)
    for bits, ours in zip(texts(batch), optimal_estimates(batch).tolist(), strict=True):
        chances = [p if bit else 1 - p for p, bit in zip(of_ones(bits), bits[1:], strict=True)]
        assert ours == pytest.approx(chances, abs=1e-6)


def test_the_docstrings_example():
    batch = batch_of(["01101011010"])
    assert texts(batch)[0] == [0, 1, 1, 0, 1, 0, 1, 1, 0, 1, 0]
    assert of_ones(texts(batch)[0]) == [0.5] * 9 + [0.25]
    assert optimal_estimates(batch)[0].tolist() == [0.5] * 9 + [0.75]


def test_a_context_says_the_same_again_as_beta_one_half_has_it():
    """Two bits after one context are alike with the chance E[p² + (1 − p)²] = ¾, after two contexts ½."""
    alike, unlike, n, m = 0, 0, 0, 0
    for bits in texts(draw(rows=2000)):
        followers = {}
        for t in range(5, len(bits)):
            followers.setdefault(tuple(bits[t - 5 : t]), []).append(bits[t])
        pairs = [pair for pair in followers.values() if len(pair) > 1]
        alike, n = alike + sum(a == b for a, b, *_ in pairs), n + len(pairs)
        firsts = [seen[0] for context, seen in sorted(followers.items()) if context[4] == 0]
        unlike, m = (
            unlike + sum(a != b for a, b in zip(firsts[::2], firsts[1::2], strict=False)),
            m + len(firsts) // 2,
        )
    assert alike / n == pytest.approx(0.75, abs=5 * math.sqrt(3 / 16 / n))
    assert unlike / m == pytest.approx(0.5, abs=5 * math.sqrt(1 / 4 / m))


def test_the_first_five_bits_are_fair_and_so_are_all():
    text = torch.tensor(texts(draw(20, rows=20_000))).double()
    tolerance = 5 * 0.5 / math.sqrt(20_000)
    assert text.mean(0).tolist() == pytest.approx([0.5] * 21, abs=tolerance)
    first = text[:, :5] * 2 - 1
    assert (first.T @ first / 20_000 - torch.eye(5)).abs().max() < 2 * tolerance


def test_the_estimator_is_right_as_often_as_it_says():
    batch = draw(rows=2000)
    said = optimal_estimates(batch).double()
    of_one = said.where(batch.targets[..., 0] == 1, 1 - said)
    for low in (0.0, 0.1, 0.3, 0.6, 0.8):
        here = (of_one > low) & (of_one <= low + 0.1)
        n, ones = here.sum().item(), batch.targets[..., 0][here].mean().item()
        assert n > 1000 and ones == pytest.approx(of_one[here].mean().item(), abs=5 * 0.5 / math.sqrt(n))


def test_bits_above_the_optimum_are_told_for_each_sequence():
    task, batch = DynamicNgrams(), draw(rows=40)
    said = optimal_estimates(batch)
    chances = said.where(batch.targets[..., 0] == 1, 1 - said)[..., None]
    measures = task.measure(chances.logit(), batch)
    assert set(measures) == {"loss", "bits", "bit_errors", "optimal_bits", "excess_bits"}
    assert all(len(values) == 40 and values.shape == weights.shape for values, weights in measures.values())
    costs = [-sum(map(math.log2, row)) for row in said.tolist()]
    assert measures["optimal_bits"][0].tolist() == pytest.approx(costs, rel=1e-4)
    assert measures["bits"][0].tolist() == pytest.approx(costs, rel=1e-4)
    assert measures["excess_bits"][0].abs().max() < 0.01
    guessing = task.measure(torch.zeros(40, 200, 1), batch)
    assert guessing["bits"][0].tolist() == pytest.approx([200] * 40, rel=1e-5)
    assert guessing["excess_bits"][0].tolist() == pytest.approx([200 - cost for cost in costs], rel=1e-3)


def test_another_prior_costs_more():
    """Laplace's (N₁ + 1) / (N₁ + N₀ + 2) loses to the estimator that knows where the chances are from."""
    batch = draw(rows=500)
    estimates = []
    for bits in texts(batch):
        seen = defaultdict(lambda: [1, 1])
        row = [0.5] * 4
        for t in range(5, len(bits)):
            counts = seen[tuple(bits[t - 5 : t])]
            row.append(counts[1] / sum(counts))
            counts[bits[t]] += 1
        estimates.append(row)
    excess, _ = DynamicNgrams().measure(torch.tensor(estimates)[..., None].logit(), batch)["excess_bits"]
    assert excess.mean() > 5 * excess.std() / math.sqrt(500) > 0


def test_models_side_by_side_are_measured_each_alone():
    task, batch = DynamicNgrams(), draw(rows=3)
    outputs = torch.randn(2, 3, 200, 1)
    both = torch.vmap(lambda each: task.measure(each, batch)["excess_bits"][0])(outputs)
    alone = [task.measure(each, batch)["excess_bits"][0] for each in outputs]
    torch.testing.assert_close(both, torch.stack(alone))


@pytest.mark.slow
def test_the_optimum_is_that_of_a_source_written_out():
    """Sequences from numpy's Beta(½, ½), bit by bit, cost as much in the mean, 133 bits."""
    drawn = np.random.default_rng(0)
    costs = []
    for _ in range(1000):
        table, bits = drawn.beta(0.5, 0.5, size=(2,) * 5), drawn.integers(2, size=5).tolist()
        while len(bits) < 201:
            bits.append(int(drawn.random() < table[tuple(bits[-5:])]))
        costs.append(
            -sum(math.log2(p if bit else 1 - p) for p, bit in zip(of_ones(bits), bits[1:], strict=True))
        )
    ours = -optimal_estimates(draw(rows=4000)).log2().sum(1)
    error = math.sqrt(np.var(costs) / 1000 + ours.var().item() / 4000)
    assert ours.mean().item() == pytest.approx(np.mean(costs), abs=4 * error)
    assert ours.std().item() == pytest.approx(np.std(costs), rel=0.15)
    assert 4 * error < 6


def test_too_short_is_refused():
    assert DynamicNgrams(length=6).baseline_loss(6) == math.log(2)
    with pytest.raises(ConfigError, match=r"task.length=5 is too short .* at least 6"):
        DynamicNgrams(length=5)


def test_chance_is_one_bit_a_step():
    task = DynamicNgrams(length=50, eval_size=300)
    chance = task.chance(50)
    measured = task.measure(torch.zeros(300, 50, 1), task.test(50))
    for name, (values, weights) in measured.items():
        if name in ("bits", "optimal_bits", "excess_bits"):
            assert chance[name] == pytest.approx(((values * weights).sum() / weights.sum()).item(), rel=1e-5)
    assert chance["bit_errors"] == 25 and 0 < chance["excess_bits"] < 25

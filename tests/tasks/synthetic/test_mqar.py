"""Multi-query associative recall."""

from __future__ import annotations

import math
from collections import Counter

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.synthetic.mqar import MQAR


def draw(length, pairs, rows=300, **settings):
    task = MQAR(length=length, pairs=pairs, **settings)
    return task.sample(torch.Generator().manual_seed(0), rows, length)


def rows_of(batch):
    return zip(*(part.tolist() for part in (batch.inputs, batch.targets, batch.mask)), strict=True)


@pytest.mark.parametrize("variant", ["blank", "random"])
@pytest.mark.parametrize(
    ("length", "pairs", "vocabulary"), [(64, 4, 8192), (16, 4, 10), (30, 5, 41), (4, 1, 4)]
)
def test_each_key_comes_again_and_its_value_is_due(length, pairs, vocabulary, variant):
    batch = draw(length, pairs, vocabulary=vocabulary, variant=variant)
    assert batch.inputs.shape == batch.targets.shape == batch.mask.shape == (300, length)
    for given, target, mask in rows_of(batch):
        context = given[: 2 * pairs]
        values = dict(zip(context[::2], context[1::2], strict=True))
        assert len(values) == len(set(values.values())) == pairs
        assert all(1 <= key < vocabulary // 2 <= value < vocabulary for key, value in values.items())
        queries = [t for t in range(length) if mask[t]]
        assert len(queries) == pairs and all(t >= 2 * pairs and t % 2 == 0 for t in queries)
        assert {given[t]: target[t] for t in queries} == values
        others = [given[t] for t in range(2 * pairs, length) if t not in queries]
        assert all(0 <= token < vocabulary for token in others)
        assert variant == "random" or not any(others)


def test_the_docstrings_example():
    batch = draw(12, 2, rows=60_000, vocabulary=12)
    given, target = "2 8 4 7 _ _ 4 _ _ _ 2 _".replace("_", "0"), "......7...8."
    wanted = torch.tensor([int(token) for token in given.split()])
    (row, *_) = (batch.inputs == wanted).all(1).nonzero()[0]
    drawn = zip(batch.targets[row].tolist(), batch.mask[row].tolist(), strict=True)
    assert "".join(str(token) if counts else "." for token, counts in drawn) == target
    keys, values = batch.inputs[:, 0:4:2].unique().tolist(), batch.inputs[:, 1:4:2].unique().tolist()
    assert keys == [1, 2, 3, 4, 5] and values == [6, 7, 8, 9, 10, 11]


@pytest.mark.parametrize("power", [0.01, 0.5, 1])
def test_gaps_follow_the_power_law_one_after_the_other(power):
    """The first key's gap g has the chance p(g); the second's, p(h) / (1 − p(g)) for h ≠ g."""
    batch = draw(14, 2, rows=40_000, vocabulary=20, power=power)
    keys = batch.inputs[:, 0:4:2]
    asked = batch.inputs.where(batch.mask, -1)
    gaps = [((asked == key[:, None]).int().argmax(1) - 4) // 2 for key in keys.unbind(1)]
    found = Counter(zip(*(gap.tolist() for gap in gaps), strict=True))
    weights = [(g + 1) ** (power - 1) for g in range(5)]
    p = [weight / sum(weights) for weight in weights]
    for g in range(5):
        for h in range(5):
            chance = p[g] * p[h] / (1 - p[g]) if g != h else 0.0
            assert abs(found[g, h] - 40_000 * chance) <= 5 * math.sqrt(40_000 * chance)


def test_keys_and_values_are_equally_likely():
    batch = draw(8, 2, rows=20_000, vocabulary=12)
    for column, tokens in [(0, range(1, 6)), (1, range(6, 12)), (2, range(1, 6)), (3, range(6, 12))]:
        counts = Counter(batch.inputs[:, column].tolist())
        expected = 20_000 / len(tokens)
        assert set(counts) == set(tokens)
        assert all(abs(n - expected) < 5 * math.sqrt(expected) for n in counts.values())


def test_steps_between_are_of_all_tokens_where_they_are_random():
    batch = draw(40, 1, rows=2000, vocabulary=6, variant="random")
    free = ~batch.mask
    free[:, :2] = False
    counts = Counter(batch.inputs[free].tolist())
    expected = sum(counts.values()) / 6
    assert set(counts) == set(range(6))
    assert all(abs(n - expected) < 5 * math.sqrt(expected) for n in counts.values())


def test_longer_tests_have_as_many_pairs():
    task = MQAR(length=16, pairs=4, eval_lengths=[16, 64], eval_size=50, vocabulary=32)
    for length in task.eval_lengths:
        assert task.test(length).inputs.shape == (50, length)
        assert task.test(length).mask.sum(1).tolist() == [4] * 50


def test_accuracy_is_over_the_queries():
    task, batch = MQAR(length=8, pairs=2, vocabulary=8), draw(8, 2, rows=2, vocabulary=8)
    said = torch.nn.functional.one_hot(batch.targets, 8).float()
    said[~batch.mask] = 0.0
    said[1, batch.mask[1].nonzero()[0, 0]] = torch.eye(8)[0]
    right, weights = task.measure(said, batch)["accuracy"]
    assert (right * weights).sum(1).tolist() == [2, 1] and weights.sum(1).tolist() == [2, 2]


def test_the_baseline_is_one_value_in_all():
    assert MQAR().baseline_loss(64) == pytest.approx(math.log(4096))
    assert MQAR(vocabulary=11, length=8, pairs=2).baseline_loss(8) == pytest.approx(math.log(6))


def test_bad_values_are_refused(make_task):
    with pytest.raises(ConfigError, match=r"task.length=2 is too short .* at least 4"):
        MQAR(length=2)
    with pytest.raises(ConfigError, match=r"task.eval_lengths=65 is odd, .* give 66"):
        MQAR(eval_lengths=[64, 65])
    with pytest.raises(
        ConfigError, match=r"task.pairs=17 do not fit into the 64 steps of task.length=64, .* give 1 to 16"
    ):
        MQAR(pairs=17)
    with pytest.raises(
        ConfigError,
        match=r"task.pairs=4 do not fit into the 14 steps of task.eval_lengths=\[.*14.*\], .* give 1 to 3",
    ):
        MQAR(eval_lengths=[64, 14])
    with pytest.raises(ConfigError, match=r"task.pairs=0 do not fit"):
        MQAR(pairs=0)
    MQAR(vocabulary=10)
    with pytest.raises(
        ConfigError, match=r"task.vocabulary=9 has too few keys for task.pairs=4; .* least 10"
    ):
        MQAR(vocabulary=9)
    for power in (0, 1.5):
        with pytest.raises(ConfigError, match=rf"task.power={power} is not a power .* in \(0, 1\]"):
            MQAR(power=power)
    with pytest.raises(ConfigError, match=r"task.variant=full must be blank or random"):
        make_task("task=mqar", "task.variant=full")

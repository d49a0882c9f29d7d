"""Copying random vectors several times."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.synthetic.repeat_copy import RepeatCopy


def draw(length, times, rows=100, **settings):
    return RepeatCopy(**settings).draw(torch.Generator().manual_seed(0), rows, length, times)


@pytest.mark.parametrize(("length", "repeats"), [(1, 1), (3, 1), (1, 4), (3, 5), (10, 10)])
def test_the_vectors_come_again_as_often_as_asked_and_then_the_mark(length, repeats):
    batch = draw(length, repeats)
    steps = length * (repeats + 1) + 2
    assert batch.inputs.shape == (100, steps, 10) and batch.targets.shape == (100, steps, 9)
    number = (repeats - 5.5) / math.sqrt(8.25)
    for given, target, mask in zip(batch.inputs, batch.targets, batch.mask, strict=True):
        vectors = given[:length, :8].tolist()
        assert given[:, 8].tolist() == [float(t == length) for t in range(steps)]
        assert given[:, 9].tolist() == pytest.approx([number * (t == length) for t in range(steps)])
        assert not given[length:, :8].any()
        said = [*(vector for _ in range(repeats) for vector in vectors), [0.0] * 8]
        assert target[length + 1 :, :8].tolist() == said
        assert target[:, 8].tolist() == [float(t == steps - 1) for t in range(steps)]
        assert mask.tolist() == [t > length for t in range(steps)]


@pytest.mark.parametrize("repeats", [1, 2, 3, 10])
def test_the_number_has_mean_zero_and_variance_one_over_training(repeats):
    numbers = [draw(1, r, rows=1, repeats=repeats).inputs[0, 1, 9].item() for r in range(1, repeats + 1)]
    assert sum(numbers) == pytest.approx(0, abs=1e-5)
    assert sum(x * x for x in numbers) / repeats == pytest.approx(float(repeats > 1), abs=1e-5)


def test_the_docstrings_example():
    batch = draw(2, 3, rows=500, repeats=3, bits=2)
    wanted = torch.tensor([[1.0, 1], [0, 1]])
    (row, *_) = (batch.inputs[:, :2, :2] == wanted).flatten(1).all(1).nonzero()[0]
    assert f"{batch.inputs[row, 2, 3]:.2f}" == "1.22"
    batch.inputs[row, 2, 3] = 0
    channels = torch.cat([batch.inputs[row], batch.targets[row]], dim=1).T.int().tolist()
    drawn = ["10........", "11........", "..1.......", ".........."]
    drawn += ["...101010.", "...111111.", ".........1"]
    assert ["".join(map(str, channel)) for channel in channels] == [line.replace(".", "0") for line in drawn]
    assert batch.mask[row].tolist() == [t >= 3 for t in range(10)]


def test_training_has_all_lengths_and_repetitions_alike():
    found = Counter()
    for batch in islice(RepeatCopy(length=3, repeats=2).train_batches(0, 2), 1200):
        length = int(batch.inputs[0, :, 8].argmax())
        found[length, (batch.inputs.shape[1] - 2) // length - 1] += 1
    assert set(found) == {(n, r) for n in (1, 2, 3) for r in (1, 2)}
    assert all(abs(n - 200) < 5 * math.sqrt(200) for n in found.values())


def test_either_length_or_repetitions_or_both_go_beyond_training():
    task = RepeatCopy(length=3, repeats=2, eval_lengths=[3, 5], eval_repeats=4, eval_size=7)
    assert task.steps == 11 and task.validation().inputs.shape == (7, 11, 10)
    assert [task.test(n).inputs.shape[:2] for n in (3, 5)] == [(7, 17), (7, 27)]
    # The scale of the number is that of training: 1 and 2 are −1 and 1.
    assert task.validation().inputs[0, 3, 9].item() == pytest.approx(1)
    assert task.test(5).inputs[0, 5, 9].item() == pytest.approx(5)
    plain = RepeatCopy(length=3, repeats=2, eval_lengths=[5])
    assert plain.test(5).inputs.shape[:2] == (1000, 17)


def test_errors_are_counted_in_the_answer_and_its_end():
    task = RepeatCopy(bits=2)
    batch = draw(2, 3, rows=3, bits=2)
    said = 2 * batch.targets - 1
    said[:, :3] = 5.0  # while it reads, anything may be said
    said[1, -1, 2] = -1.0  # does not end
    said[2, 5:7, 2] = 1.0  # ends too early, twice
    assert task.measure(said, batch)["bit_errors"][0].tolist() == [0, 1, 2]


def test_the_baseline_leaves_the_vectors_to_chance():
    assert RepeatCopy().baseline_loss(10) == pytest.approx(100 * 8 / (101 * 9) * math.log(2))
    assert RepeatCopy(eval_repeats=1).baseline_loss(1) == pytest.approx(8 / 18 * math.log(2))


def test_bad_values_are_refused():
    with pytest.raises(ConfigError, match=r"task.length=0 is too short .* at least 1"):
        RepeatCopy(length=0)
    for name in ("bits", "repeats", "eval_repeats"):
        with pytest.raises(ConfigError, match=rf"task.{name}=0 leaves nothing .* at least 1"):
            RepeatCopy(**{name: 0})

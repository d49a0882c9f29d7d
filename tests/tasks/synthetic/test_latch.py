"""The latching problem."""

from __future__ import annotations

import math

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.synthetic.latch import Latch


@pytest.mark.parametrize("cue_length", [1, 3])
def test_the_cue_tells_the_class_and_the_rest_is_noise(cue_length):
    task = Latch(length=20, cue_length=cue_length)
    batch = task.sample(torch.Generator().manual_seed(0), 2000, 20)
    for row, target in zip(batch.inputs[:, :cue_length, 0].tolist(), batch.targets.tolist(), strict=True):
        assert row == [1.0 if target == 1 else -1.0] * cue_length
    noise = batch.inputs[:, cue_length:, 0]
    assert noise.mean().item() == pytest.approx(0, abs=4 * math.sqrt(0.2 / noise.numel()))
    assert noise.var().item() == pytest.approx(0.2, abs=4 * 0.2 * math.sqrt(2 / noise.numel()))
    # The noise knows nothing of the class.
    means = [noise[batch.targets == k].mean().item() for k in (0, 1)]
    assert means[0] == pytest.approx(means[1], abs=8 * math.sqrt(0.2 / noise.numel()))


def test_the_docstrings_example_has_eight_steps_and_a_cue_of_three():
    batch = Latch(length=8).sample(torch.Generator().manual_seed(0), 64, 8)
    assert batch.inputs.shape == (64, 8, 1) and batch.targets.shape == (64,)
    assert (
        batch.inputs[batch.targets == 1, :3].eq(1).all() and batch.inputs[batch.targets == 0, :3].eq(-1).all()
    )
    assert not batch.inputs[:, 3].abs().eq(1).any()


def test_without_variance_there_is_no_noise():
    batch = Latch(length=6, noise_variance=0.0).sample(torch.Generator().manual_seed(0), 10, 6)
    assert not batch.inputs[:, 3:].any()


def test_correct_wants_a_probability_over_0_8():
    outputs = torch.tensor([[0.199, 0.801], [0.201, 0.799], [0.9, 0.1], [0.9, 0.1]]).log()
    batch = Batch(torch.zeros(4, 5, 1), torch.tensor([1, 1, 0, 1]))
    measures = Latch(length=5).measure(outputs, batch)
    assert measures["correct"][0].tolist() == [1, 0, 1, 0]
    assert measures["accuracy"][0].tolist() == [1, 1, 1, 0]


def test_bad_values_are_refused():
    Latch(length=4)
    for bad, message in [
        ({"length": 3}, r"task.cue_length=3 must be below every length, and task.length=3"),
        ({"length": 10, "cue_length": 10}, r"task.cue_length=10 must be below every length"),
        ({"cue_length": 0}, "task.cue_length=0 leaves nothing to remember"),
        ({"noise_variance": -0.1}, "task.noise_variance=-0.1 is negative"),
    ]:
        with pytest.raises(ConfigError, match=message):
            Latch(**bad)

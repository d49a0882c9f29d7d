"""Sums of sines."""

from __future__ import annotations

from itertools import islice

import numpy as np
import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.series.sum_of_sines import SumOfSines

PERIODS = [8, 32, 80, 160]


def draw(variant, length=320, rows=4, **options):
    task = SumOfSines(length=length, variant=variant, **options)
    return task.sample(torch.Generator().manual_seed(0), rows, length)


def amplitudes(x, start=0):
    """Fit a sine and a cosine of each period to each row; return the amplitudes and what is left."""
    t = np.arange(start, start + x.shape[1])
    waves = np.stack([f(2 * np.pi * t / p) for p in PERIODS for f in (np.sin, np.cos)], axis=1)
    weights, *_ = np.linalg.lstsq(waves, x.T, rcond=None)
    return np.hypot(weights[0::2], weights[1::2]).T, x - (waves @ weights).T


@pytest.mark.parametrize("variant", ["generate", "continue"])
def test_targets_are_sums_of_four_sines_of_equal_amplitude(variant):
    found, left = amplitudes(draw(variant).targets[..., 0].double().numpy(), start=1)
    np.testing.assert_allclose(found, 0.25, atol=1e-5)
    np.testing.assert_allclose(left, 0, atol=1e-6)


def test_generate_is_one_waveform_after_a_constant_input():
    task = SumOfSines()
    batches = [*islice(task.train_batches(0, 2), 2), task.validation(), task.test(320)]
    wave = batches[0].targets[0]
    for batch in batches:
        assert (batch.inputs == 1).all() and batch.inputs.shape == batch.targets.shape
        assert all(torch.equal(row, wave) for row in batch.targets)
    torch.testing.assert_close(wave[:160], wave[160:], rtol=0, atol=1e-6)
    # At other lengths it is the same one, cut off or gone on with.
    assert torch.equal(task.test(100).targets[0], wave[:100])
    assert torch.equal(task.test(400).targets[0, :320], wave)
    assert not torch.equal(SumOfSines(phase_seed=1).test(320).targets[0], wave)
    assert len(task.validation().inputs) == 1 and task.horizon == 0


def test_continue_predicts_the_next_input_with_phases_of_its_own():
    batch = draw("continue", rows=500)
    assert batch.inputs.shape == batch.targets.shape == (500, 320, 1)
    assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    assert len({row.numpy().tobytes() for row in batch.inputs}) == 500
    first = batch.inputs[:, 0, 0]
    assert first.mean().abs() < 4 * (1 / 8 / 500) ** 0.5  # all phases
    task = SumOfSines(variant="continue")
    assert task.horizon == 160 and len(task.validation().inputs) == 1000


@pytest.mark.parametrize("length", [8, 100, 320])
def test_the_baseline_of_generate_is_the_variance_over_time(length):
    task = SumOfSines(length=length)
    target = draw("generate", length).targets[0, :, 0].double().numpy()
    assert task.baseline_loss(length) == pytest.approx(np.mean((target - target.mean()) ** 2), rel=1e-6)
    assert task.variance == task.baseline_loss(length)
    assert length < 320 or task.variance == pytest.approx(1 / 8)


def test_errors_are_told_against_the_variance():
    for variant in ("generate", "continue"):
        task, batch = SumOfSines(variant=variant), draw(variant)
        measures = task.measure(batch.targets + 0.5, batch)
        torch.testing.assert_close(measures["nmse"][0], torch.full((4, 320), 2.0), rtol=1e-4, atol=0)
        assert task.summary({"nmse": 2.25})["nrmse"] == 1.5
    measures = task.measure_closed(batch.targets + torch.tensor([0.0] * 160 + [0.5] * 160)[:, None], batch)
    assert measures["closed_nmse"][0].shape == (4, 160)
    torch.testing.assert_close(measures["closed_nmse"][0].mean(), torch.tensor(2.0), rtol=1e-4, atol=0)


def test_bad_values_are_refused(make_task):
    SumOfSines(length=8)
    SumOfSines(length=176, variant="continue")
    with pytest.raises(ConfigError, match=r"task.length=7 is too short .* at least 8"):
        SumOfSines(length=7)
    with pytest.raises(ConfigError, match=r"task.length=175 is too short .* at least 176"):
        SumOfSines(length=175, variant="continue")
    with pytest.raises(ConfigError, match=r"task.variant=guess must be generate or continue"):
        make_task("task=sum_of_sines", "task.variant=guess")

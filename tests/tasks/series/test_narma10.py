"""NARMA of order ten."""

from __future__ import annotations

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.series.narma10 import Narma10, respond


def by_hand(u):
    """The recursion with indices as printed; what lies before the start is zero."""
    y = {0: 0.0}
    for t in range(len(u)):
        total = sum(y.get(t - i, 0.0) for i in range(10))
        delayed = u[t - 9] if t >= 9 else 0.0
        y[t + 1] = 0.3 * y[t] + 0.05 * y[t] * total + 1.5 * delayed * u[t] + 0.1
    return [y[t + 1] for t in range(len(u))]


def test_targets_follow_the_recursion():
    batch = Narma10(length=60).sample(torch.Generator().manual_seed(0), 20, 60)
    assert batch.inputs.shape == batch.targets.shape == (20, 60, 1)
    for u, target in zip(batch.inputs[..., 0].tolist(), batch.targets[..., 0].tolist(), strict=True):
        assert min(u) >= 0 and max(u) <= 0.5
        assert target == pytest.approx(by_hand(u), abs=1e-6)


def test_the_docstrings_example():
    """0.10 0.13 0.14 0.14 0.15: before the tenth step the input plays no part."""
    batch = Narma10(length=11).sample(torch.Generator().manual_seed(0), 6, 11)
    rounded = [[round(value, 2) for value in row] for row in batch.targets[:, :5, 0].tolist()]
    assert rounded == [[0.10, 0.13, 0.14, 0.14, 0.15]] * 6
    assert (batch.targets[:, :9].std(0) == 0).all() and (batch.targets[:, 9:].std(0) > 0).all()


def test_what_runs_away_is_drawn_again():
    rows, steps = 3000, 1000
    raw = torch.rand(steps, rows, generator=torch.Generator().manual_seed(4)) / 2
    peaks = respond(raw).nan_to_num(torch.inf).amax(0)
    away = ~(peaks < 1.5)
    assert 2 < away.sum() < 30
    batch = Narma10(length=steps).sample(torch.Generator().manual_seed(4), rows, steps)
    same = (batch.inputs[..., 0] == raw.T).all(1)
    assert torch.equal(same, ~away)
    assert batch.targets.isfinite().all() and batch.targets.max() < 1.5


def test_errors_are_told_against_the_variance_of_the_settled_series():
    task = Narma10(length=300)
    batch = task.sample(torch.Generator().manual_seed(1), 3000, 300)
    assert task.variance == pytest.approx(batch.targets[:, 100:].var().item(), rel=0.02)
    means = {
        name: values.mean().item() for name, (values, _) in task.measure(batch.targets + 0.1, batch).items()
    }
    assert means == pytest.approx({"loss": 0.01, "nmse": 0.01 / task.variance}, rel=1e-4)
    assert task.summary(means)["nrmse"] == pytest.approx(0.1 / task.variance**0.5, rel=1e-4)


def test_the_baseline_grows_as_the_series_settles():
    task = Narma10()
    early, late = task.baseline_loss(11), task.baseline_loss(400)
    # Of eleven targets two vary.
    assert early < 0.3 * late and late < task.variance
    assert late == pytest.approx(task.variance, rel=0.05)


def test_outputs_are_measured_in_any_batch():
    task = Narma10(length=20)
    batch = Batch(torch.zeros(2, 20, 1), torch.full((2, 20, 1), 0.5))
    assert task.measure(torch.zeros(2, 20, 1), batch)["loss"][0].tolist() == [[0.25] * 20] * 2
    assert task.horizon == 0


def test_too_short_is_refused():
    Narma10(length=11)
    with pytest.raises(ConfigError, match=r"task.length=10 is too short .* at least 11"):
        Narma10(length=10)

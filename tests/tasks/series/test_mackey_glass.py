"""The Mackey-Glass series."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from scipy.integrate import solve_ivp
from scipy.interpolate import CubicSpline

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.series.mackey_glass import MackeyGlass, integrate


def draw(length=200, tau=17, rows=8, seed=0):
    task = MackeyGlass(length=length, tau=tau)
    return task.sample(torch.Generator().manual_seed(seed), rows, length)


def produced(delayed):
    return 0.2 * delayed / (1 + delayed**10)


def by_steps_of_tau(start, tau, units):
    """Solve one stretch of τ after the other with an integrator of order eight and its own dense output."""
    past, now, values = (lambda t: start), start, []
    for k in range(-(-units // tau)):
        ends = [k * tau, (k + 1) * tau]
        stretch = solve_ivp(
            lambda t, y, past=past: produced(past(t - tau)) - 0.1 * y,
            ends,
            [now],
            method="DOP853",
            rtol=1e-11,
            atol=1e-12,
            max_step=0.5,
            dense_output=True,
        )
        past, now = (lambda t, dense=stretch.sol: dense(t)[0]), stretch.y[0, -1]
        values += [past(t) for t in range(k * tau + 1, (k + 1) * tau + 1)]
    return values[:units]


@pytest.mark.parametrize("tau", [17, 20])
def test_integration_agrees_with_a_finer_one(tau):
    starts = torch.tensor([0.6, 1.2], dtype=torch.float64)
    series = integrate(starts, tau, 150)
    assert series.shape == (150, 2) and series.dtype == torch.float64
    for start, found in zip(starts.tolist(), series.T.tolist(), strict=True):
        np.testing.assert_allclose(found, by_steps_of_tau(start, tau, 150), rtol=0, atol=1e-7)


def test_all_sequences_obey_the_equation():
    batch = draw(rows=5)
    for row in batch.inputs[..., 0].double().numpy():
        y = np.arctanh(row) + 1
        curve = CubicSpline(np.arange(len(y)), y)
        s = np.linspace(0, 1, 201)
        for t in range(20, len(y) - 3):
            # From y(t) to y(t + 1): what is left of it, and what has been produced of the delayed values.
            gained = np.trapezoid(np.exp(0.1 * (s - 1)) * produced(curve(t - 17 + s)), s)
            assert y[t + 1] == pytest.approx(y[t] * math.exp(-0.1) + gained, abs=1e-3)
        assert np.ptp(y) > 0.5  # and they move


def test_the_target_is_the_next_input_as_in_the_docstring():
    batch = draw(length=100, rows=64)
    assert batch.inputs.shape == batch.targets.shape == (64, 100, 1)
    assert torch.equal(batch.inputs[:, 1:], batch.targets[:, :-1])
    assert batch.inputs.min() > -0.7 and batch.inputs.max() < 0.5


@pytest.mark.slow
@pytest.mark.parametrize("tau", [17, 30])
def test_no_step_is_special(tau):
    task = MackeyGlass(length=300, tau=tau)
    x = draw(length=300, tau=tau, rows=2000).inputs[..., 0]
    mean, error = x.mean().item(), math.sqrt(task.variance / 2000)
    for t in (0, 1, 7, 50, 150, 299):
        assert x[:, t].mean().item() == pytest.approx(mean, abs=5 * error)
        assert x[:, t].var().item() == pytest.approx(task.variance, rel=0.15)
    assert task.baseline_loss(300) == task.baseline_loss(100) == task.variance


def test_closed_loop_is_measured_84_steps_ahead_of_the_last_true_input():
    """A model adds one to its input: in closed loop its output says how far ahead of the truth it is."""
    task = MackeyGlass(length=120)
    outputs = []
    for t in range(120):
        outputs.append(1.0 if t <= 120 - task.horizon else outputs[-1] + 1)
    zeros = torch.zeros(3, 120, 1)
    measures = task.measure_closed(
        torch.tensor(outputs).view(1, 120, 1).expand(3, -1, -1), Batch(zeros, zeros)
    )
    means = {name: ((v * w).sum() / w.sum()).item() for name, (v, w) in measures.items()}
    assert set(means) == {"closed_loss", "closed_nmse", "closed_nmse84"}
    assert means["closed_loss"] == pytest.approx(sum(k * k for k in range(1, 85)) / 84)
    assert means["closed_nmse"] == pytest.approx(means["closed_loss"] / task.variance)
    assert all(len(values) == len(weights) == 3 for values, weights in measures.values())


def test_nrmse84_is_of_the_original_coordinates():
    """As the literature has it: y = arctanh(x) + 1, over the standard deviation of y."""
    task = MackeyGlass(length=120)
    batch = draw(length=120, rows=16)
    outputs = batch.targets + 0.05 * torch.randn(16, 120, 1)
    error, weights = task.measure_closed(outputs, batch)["closed_nmse84"]
    y, said = (np.arctanh(x[:, -1].double().numpy()) + 1 for x in (batch.targets, outputs))
    series = np.arctanh(draw(length=1000, rows=200).inputs.double().numpy()) + 1
    assert task.original_variance == pytest.approx(series.var(), rel=0.02)
    assert weights.tolist() == [[1.0]] * 16
    found = task.summary({"closed_nmse84": error.mean().item()})["closed_nrmse84"]
    assert found == pytest.approx(math.sqrt(((y - said) ** 2).mean() / task.original_variance), rel=1e-5)
    # What no tanh puts out has no coordinate: the largest stands for it.
    error, _ = task.measure_closed(torch.full_like(outputs, -7.0), batch)["closed_nmse84"]
    least = np.arctanh(-1 + 1e-6) + 1
    np.testing.assert_allclose(error.numpy(), (y - least) ** 2 / task.original_variance, rtol=1e-2)


def test_the_summary_has_the_roots():
    task = MackeyGlass(length=100)
    batch = draw(length=100)
    off = batch.targets + 0.1
    means = {name: values.mean().item() for name, (values, _) in task.measure(off, batch).items()}
    assert means == pytest.approx({"loss": 0.01, "nmse": 0.01 / task.variance}, rel=1e-4)
    summary = task.summary({**means, "closed_nmse": 0.25, "closed_nmse84": 0.04})
    assert summary["nrmse"] == pytest.approx(0.1 / math.sqrt(task.variance), rel=1e-4)
    assert (summary["closed_nrmse"], summary["closed_nrmse84"]) == pytest.approx((0.5, 0.2))
    assert {name: summary[name] for name in means} == means


def test_open_loop_alone_solves_nothing():
    assert not MackeyGlass(length=100).solved({"loss": 0.0, "nmse": 0.0})


def test_too_short_or_too_tame_is_refused():
    MackeyGlass(length=100)
    with pytest.raises(ConfigError, match=r"task.length=99 is too short .* at least 100"):
        MackeyGlass(length=99)
    with pytest.raises(ConfigError, match=r"task.eval_lengths=84 is too short"):
        MackeyGlass(length=100, eval_lengths=[84])
    with pytest.raises(ConfigError, match=r"task.tau=16 gives a series that settles or repeats"):
        MackeyGlass(tau=16)

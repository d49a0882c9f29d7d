"""Memory capacity."""

from __future__ import annotations

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.models.readouts import RidgeReadout
from seqbench.tasks.series.memory_capacity import MemoryCapacity, squared_correlations


def drawn(task, rows=20):
    return task.sample(torch.Generator().manual_seed(0), rows, task.length)


def test_targets_are_the_inputs_before():
    task = MemoryCapacity(length=12, delays=3, washout=4)
    batch = drawn(task)
    u = batch.inputs[..., 0]
    assert u.min() >= -0.5 and u.max() <= 0.5 and batch.mask[0].tolist() == [False] * 4 + [True] * 8
    for k in (1, 2, 3):
        assert torch.equal(batch.targets[:, k:, k - 1], u[:, :-k])


def test_the_docstrings_example(monkeypatch):
    u = torch.tensor([0.31, 0.07, -0.45, 0.22, 0.18])
    task = MemoryCapacity(length=5, delays=2, washout=2)
    monkeypatch.setattr(torch, "rand", lambda *shape, generator: (u + 0.5).expand(shape))
    targets = drawn(task, 1).targets[0]
    assert targets[1:, 0].tolist() == pytest.approx([0.31, 0.07, -0.45, 0.22])
    assert targets[2:, 1].tolist() == pytest.approx([0.31, 0.07, -0.45])


def test_squared_correlations_are_those_of_torch():
    x, y = torch.randn(2, 3, 50, 4, generator=torch.Generator().manual_seed(0))
    weights = torch.ones(3, 50, 1)
    weights[:, :10] = 0
    found = squared_correlations(x, y, weights)
    for row in range(3):
        for k in range(4):
            r = torch.corrcoef(torch.stack([x[row, 10:, k], y[row, 10:, k]]))[0, 1]
            assert found[row, k] == pytest.approx(float(r) ** 2, abs=1e-6)
    assert not squared_correlations(torch.ones_like(x), y, weights).any()


@pytest.mark.parametrize("units", [1, 7])
def test_a_shift_register_has_a_capacity_of_its_units(units):
    """Jaeger (2001): the units u(t − 1), …, u(t − N) of a linear network, with the readout of a reservoir."""
    task = MemoryCapacity(length=4000, delays=20, washout=20)
    learnt, tested = drawn(task, 4), task.test(4000).rows(0, 4)
    readout = RidgeReadout(units, task.delays)
    readout.accumulate(learnt.targets[learnt.mask][:, :units], learnt.targets[learnt.mask])
    readout.solve()
    values, weights = task.measure(readout(tested.targets[..., :units]), tested)["capacity"]
    assert values.shape == weights.shape == (4,)
    assert values.mean().item() == pytest.approx(units, abs=0.02)  # by chance 13 or 19 outputs of 1 / 4000
    assert task.solved({"capacity": 19.8}) and not task.solved({"capacity": 19.79})


def test_mixtures_hold_what_the_units_hold_and_copies_hold_one_input():
    """Any N independent mixtures of N inputs hold them all; N copies of one input hold one."""
    task = MemoryCapacity(length=4000, delays=8, washout=10)
    batch = drawn(task, 2)
    mixture = torch.randn(5, 5, generator=torch.Generator().manual_seed(1))
    for states, capacity in [
        (batch.targets[..., :5] @ mixture, 5),
        (batch.targets[..., :1].expand(-1, -1, 5), 1),
    ]:
        readout = RidgeReadout(5, 8)
        readout.accumulate(states[batch.mask], batch.targets[batch.mask])
        readout.solve()
        values, _ = task.measure(readout(states), batch)["capacity"]
        assert values.mean().item() == pytest.approx(capacity, abs=0.02)


def test_outputs_that_know_nothing_have_the_capacity_of_chance():
    task = MemoryCapacity(length=15, delays=5, washout=5, eval_size=2000)
    batch = drawn(task, 2000)
    guesses = torch.randn(batch.targets.shape, generator=torch.Generator().manual_seed(1))
    values, _ = task.measure(guesses, batch)["capacity"]
    error = float(values.std() / 2000**0.5)
    assert task.chance(15)["capacity"] == pytest.approx(5 / 9)
    assert abs(float(values.mean()) - 5 / 9) < 4 * error and error < 0.02
    assert task.chance(15)["nmse"] == 1


def test_bad_values_are_refused():
    for bad, message in [
        ({"delays": 0}, r"task.delays=0 leaves nothing to recall"),
        ({"washout": 39}, r"task.washout=39 is less than task.delays=40, .* at least 40"),
        ({"washout": 998}, r"task.length=1000 leaves fewer than three steps after task.washout=998"),
        ({"eval_lengths": [200, 102]}, r"task.eval_lengths=\[200, 102\] leaves fewer .* at least 103"),
        ({"eval_lengths": [100]}, r"task.washout=100 .* no step counts at task.eval_lengths=\[100\]"),
    ]:
        with pytest.raises(ConfigError, match=message):
            MemoryCapacity(**bad)

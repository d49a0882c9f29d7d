"""The adding problem."""

from __future__ import annotations

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.synthetic.adding import Adding


def draw(variant, length, rows=400, seed=0):
    task = Adding(length=length, variant=variant)
    return task.sample(torch.Generator().manual_seed(seed), rows, length)


def marks(batch, row, marker=1.0):
    return [t for t, (_, m) in enumerate(batch.inputs[row].tolist()) if m == marker]


@pytest.mark.parametrize("variant", ["halves", "anywhere"])
@pytest.mark.parametrize("length", [2, 7, 20])
def test_target_is_the_sum_of_two_marked_values(variant, length):
    batch = draw(variant, length)
    assert batch.inputs.shape == (400, length, 2) and batch.lengths is None
    seen = set()
    for row, target in enumerate(batch.targets.tolist()):
        first, second = marks(batch, row)
        seen.add((first, second))
        assert len(marks(batch, row, 0.0)) == length - 2
        assert target == pytest.approx(
            [batch.inputs[row, first, 0].item() + batch.inputs[row, second, 0].item()]
        )
        assert variant == "anywhere" or first < length // 2 <= second
    values = batch.inputs[..., 0]
    assert values.min() >= 0 and values.max() < 1 and abs(values.mean() - 0.5) < 0.05
    if length == 7:  # every pair that the law allows
        assert len(seen) == (3 * 4 if variant == "halves" else 7 * 6 // 2)


def test_1997_obeys_its_law():
    length, batch = 30, draw("1997", 30, rows=1500)
    assert batch.inputs.shape == (1500, 33, 2)
    assert set(batch.lengths.tolist()) == {30, 31, 32, 33}
    firsts, seconds, marked_first_steps = set(), set(), 0
    for row, steps in enumerate(batch.lengths.tolist()):
        values, found = batch.inputs[row, :, 0].tolist(), marks(batch, row)
        assert marks(batch, row, -1.0) == [0, steps - 1]
        assert not batch.inputs[row, steps:].any()
        assert max(map(abs, values)) <= 1
        if len(found) == 1:  # the other mark is under the −1 of the first step
            assert values[0] == 0
            marked_first_steps += 1
            found = [0, *found]
        assert found[0] < 10 and found[1] < length // 2 - 1
        firsts.add(found[0])
        seconds.add(found[1])
        total = sum(values[t] for t in found)
        assert batch.targets[row].item() == pytest.approx(0.5 + total / 4, abs=1e-6)
    assert firsts >= set(range(10)) and max(seconds) == 13
    expected = 0.1 + 0.9 / 13
    assert marked_first_steps / 1500 == pytest.approx(expected, abs=4 * (expected / 1500) ** 0.5)
    assert batch.targets.min() >= 0 and batch.targets.max() <= 1


def test_the_docstrings_example():
    """0.3 0.9 0.1 0.5 0.7 0.2 with marks on the second and the fifth step."""
    batch = draw("halves", 6, rows=2000)
    assert batch.inputs.shape[1:] == (6, 2) and batch.targets.shape == (2000, 1)
    rows = [row for row in range(2000) if marks(batch, row) == [1, 4]]
    assert len(rows) == pytest.approx(2000 / 9, rel=0.25)


def test_correct_counts_errors_under_0_04():
    batch = Batch(torch.zeros(4, 2, 2), torch.tensor([[1.0], [1.0], [1.0], [1.0]]))
    outputs = torch.tensor([[1.039], [0.961], [1.041], [0.5]])
    measures = Adding(length=2).measure(outputs, batch)
    assert measures["correct"][0].tolist() == [1, 1, 0, 0] and measures["correct"][1].tolist() == [1] * 4
    torch.testing.assert_close(measures["loss"][0], torch.tensor([0.039**2, 0.039**2, 0.041**2, 0.25]))


def test_too_short_or_unknown_is_refused(make_task):
    Adding(length=2)
    Adding(length=24, variant="1997")
    with pytest.raises(ConfigError, match=r"task.length=1 is too short .* at least 2"):
        Adding(length=1)
    with pytest.raises(ConfigError, match=r"task.length=23 is too short .* at least 24"):
        Adding(length=23, variant="1997")
    with pytest.raises(ConfigError, match=r"task.variant=thirds must be halves, anywhere or 1997"):
        make_task("task=adding", "task.variant=thirds")


def test_the_mark_is_a_hundredth_of_the_variance_or_what_is_typed():
    assert Adding().solved({"loss": 0.00166}) and not Adding().solved({"loss": 0.00167})
    strict = Adding(solved_at=0.001)
    assert strict.solved({"loss": 0.00099}) and not strict.solved({"loss": 0.001})
    assert strict.solved_when == "mean squared error under 0.001, the mark that was typed"
    product = Adding(operation="product")
    assert product.solved({"loss": 0.00048}) and not product.solved({"loss": 0.00049})
    with pytest.raises(ConfigError, match=r"task\.solved_at=0 is no squared error"):
        Adding(solved_at=0)
    with pytest.raises(ConfigError, match=r"solved_at=0\.05 is no .* under the 0\.0486 that is reached"):
        Adding(solved_at=0.05, operation="product")
    with pytest.raises(ConfigError, match=r"task\.solved_at=0\.001 has no effect with task\.variant=1997"):
        Adding(variant="1997", solved_at=0.001)

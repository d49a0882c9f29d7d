"""The multiplication problem: the adding problem with a product."""

from __future__ import annotations

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.synthetic.adding import Adding


def draw(variant, length, rows=1000):
    task = Adding(length=length, variant=variant, operation="product")
    return task.sample(torch.Generator().manual_seed(0), rows, length)


@pytest.mark.parametrize("variant", ["halves", "anywhere"])
def test_target_is_the_product_of_two_marked_values(variant):
    batch = draw(variant, 9)
    for row, (target,) in zip(batch.inputs.tolist(), batch.targets.tolist(), strict=True):
        x, y = (value for value, marker in row if marker == 1)
        assert target == pytest.approx(x * y, abs=1e-6)
        assert all(marker in (0, 1) and 0 <= value < 1 for value, marker in row)


def test_the_sequences_are_those_of_the_adding_problem():
    adding = Adding(length=20).sample(torch.Generator().manual_seed(0), 50, 20)
    assert torch.equal(draw("halves", 20, rows=50).inputs, adding.inputs)


def test_1997_multiplies_by_one_where_the_first_step_is_marked():
    """Markers are −1 at both ends, so that a mark on the first step does not show."""
    batch = draw("1997", 30)
    hidden = 0
    for row, steps, (target,) in zip(
        batch.inputs.tolist(), batch.lengths.tolist(), batch.targets.tolist(), strict=True
    ):
        assert row[0][1] == row[steps - 1][1] == -1
        assert all(0 <= value <= 1 for value, _ in row)
        marked = [value for value, marker in row if marker == 1]
        if len(marked) == 1:
            hidden += 1
            assert row[0][0] == 1 and target == pytest.approx(marked[0], abs=1e-6)
        else:
            assert target == pytest.approx(marked[0] * marked[1], abs=1e-6)
    expected = 0.1 + 0.9 / 13
    assert hidden / 1000 == pytest.approx(expected, abs=4 * (expected / 1000) ** 0.5)


def test_the_docstrings_example():
    assert pytest.approx(0.63) == 0.9 * 0.7
    row = torch.tensor([[0.3, 0.9, 0.1, 0.5, 0.7, 0.2]]), torch.tensor([[0.0, 1, 0, 0, 1, 0]])
    assert Adding(operation="product")._combine(*row).item() == pytest.approx(0.63)
    assert Adding()._combine(*row).item() == pytest.approx(1.6)


def test_the_variance_by_hand():
    """E x²y² − (E xy)² = 1/9 − 1/16."""
    assert Adding(operation="product").baseline_loss(100) == pytest.approx(7 / 144)
    # 26 steps: the first mark is one of 10, the second one of the 11 others, and with 19/110 one is hidden.
    p = 1 / 10 + 9 / 10 * 1 / 11
    mean, square = (1 - p) / 4 + p / 2, (1 - p) / 9 + p / 3
    assert Adding(length=26, variant="1997", operation="product").baseline_loss(26) == pytest.approx(
        square - mean**2
    )


def test_an_unknown_operation_is_refused(make_task):
    assert make_task("task=multiplication").operation == "product"
    assert make_task("task=adding").operation == "sum"
    with pytest.raises(ConfigError, match=r"task.operation=power must be sum or product"):
        make_task("task=multiplication", "task.operation=power")

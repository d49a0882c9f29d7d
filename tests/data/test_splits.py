"""Split by hash."""

from __future__ import annotations

import numpy as np
import pytest

from seqbench.data.splits import hash_fraction


def test_hash_fractions_are_fixed_and_uniform_in_0_to_1():
    assert hash_fraction("test", "paths") == pytest.approx(0.4551979050, abs=1e-9)
    lots = np.array([[hash_fraction(purpose, f"w{i}") for i in range(10_000)] for purpose in ("a", "b")])
    assert lots.min() >= 0 and lots.max() < 1
    assert np.histogram(lots, 10)[0] == pytest.approx(2000, abs=5 * 2000**0.5)
    assert abs(np.corrcoef(lots)[0, 1]) < 0.05

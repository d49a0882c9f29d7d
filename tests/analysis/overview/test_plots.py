"""Small plots of characters."""

from __future__ import annotations

import math

from seqbench.analysis.overview.plots import bars, image


def test_a_series_goes_from_its_least_to_its_greatest_value():
    assert bars([0.0, 1.0, 2.0, 3.0], 20, height=2) == ["       3 ┤  ▃█", "       0 ┤▁▆██"]
    assert bars([-0.5, math.nan, 0.25], 20, height=3) == ["-0.5, 0.25 ┤▁ █"], "two values, one line"
    assert bars([2.0, 2.0], 20) == ["       2 ┤██"]


def test_of_more_values_than_columns_each_column_shows_the_farthest_from_the_mean():
    values = [0.0] * 100
    values[41] = 1.0
    (line,) = bars(values, 10 + 10)
    assert line == f"    0, 1 ┤{'▁' * 4}█{'▁' * 5}"


def test_an_image_is_cut_where_it_is_too_wide():
    assert image([[0.0, 1.0, 2.0], [3.0, math.nan, 0.0]], 2) == ["·:", "# ", "", "+", "·"]
    assert image([[5.0, 5.0]], 8) == ["··"]

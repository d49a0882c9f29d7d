"""Numbers as text."""

import math

from seqbench.results.numbers import among, count, counts, measured, measured_each, number, signed


def test_numbers_are_short() -> None:
    assert [count(n) for n in (0, 999, 999.9, 12_345, 1_200_000)] == ["0", "999", "1k", "12.3k", "1.2M"]
    assert [number(x) for x in (0, 1 / 6, 1.234e-4, 1.5e10)] == ["0", "0.167", "1.23e-4", "1.5e10"]
    assert number(float("nan")) == count(None) == "–"
    assert count(math.inf) == "∞"


def test_range_of_counts() -> None:
    assert counts([2000, 1000, None, 1500.0]) == "1k–2k"
    assert counts([1000, 1000.4]) == "1k"
    assert counts([None, math.nan]) == counts([]) == "–"


def test_measured_values_have_their_unit() -> None:
    assert measured(0.25, "share") == "25.0 %"
    assert measured(0.25, "share", "[20.0–30.0]") == "25.0 [20.0–30.0] %"
    assert measured(0.25, "nats", "(0.1–0.3)") == "0.25 (0.1–0.3)"
    assert measured_each([0.25, 1], "share") == "25.0, 100.0 %"
    assert measured_each([0.25], "nats") == "0.25"
    assert among(0.25, 0.5, "share") == "25.0–50.0"
    assert among(-0.25, 0.5, "nats") == "-0.25 to 0.5"


def test_what_rounds_to_nothing_has_no_sign() -> None:
    assert [signed(x) for x in (0.5, -12.0, 0.0, -0.0)] == ["+0.5", "-12", "0", "0"]
    assert [signed(x, ".1f") for x in (0.04, -0.04, 0.05001, -0.06)] == ["0.0", "0.0", "+0.1", "-0.1"]
    assert (signed(math.nan), signed(-math.inf)) == ("+nan", "-inf")
    assert measured(-0.0004, "share") == "0.0 %"
    assert number(-0.0) == "0"
    assert among(-0.0004, 0.0004, "share") == "0.0 to 0.0"

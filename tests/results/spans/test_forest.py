"""What the forest plot of spans shows, read from its artists."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest
from entrants import PROTOCOL, at, entrant

from seqbench.results.spans.forest import draw_forest
from seqbench.results.spans.measured import Measured
from seqbench.results.styles import model_style


def markers(panel: Any) -> dict[str, tuple[float, float]]:
    return {line.get_marker(): tuple(line.get_xydata()[0]) for line in panel.lines}


def test_a_row_an_entrant_and_a_panel_a_task() -> None:
    gru, rnn, adding = entrant("gru"), entrant("rnn", 30), entrant("gru", task="adding")
    figure = draw_forest([gru, rnn, adding])
    latch, other = figure.axes
    assert (latch.get_title(), other.get_title()) == ("latch", "adding")
    assert [text.get_text() for text in latch.get_yticklabels()] == ["gru", "rnn"]
    assert latch.get_xscale() == "log" and latch.get_xlabel() == "span (length)"
    for row, each in enumerate((gru, rnn)):
        fit = each.fit
        assert fit is not None
        (interval,) = latch.collections[row].get_segments()
        assert interval.tolist() == [[fit.low, row], [fit.high, row]]
        assert markers(latch)[model_style(each.label)["marker"]] == pytest.approx((fit.estimate, row))
    assert latch.get_ylim()[0] > latch.get_ylim()[1]  # the first entrant is at the top
    assert len(other.lines) == 1


def test_what_lies_outside_of_the_spans_is_an_arrow_there() -> None:
    above, below = entrant("gru", 160), entrant("rnn", 5)
    (panel,) = draw_forest([above, below]).axes
    assert markers(panel) == {">": (160.0, 0.0), "<": (10.0, 1.0)}
    for interval in panel.collections:
        ((start, stop),) = interval.get_segments()
        assert 10 <= start[0] <= stop[0] <= 160


def test_rates_that_place_no_span_are_a_dotted_line() -> None:
    level = Measured(PROTOCOL, "gru", tuple(at(span, [5, None]) for span in (10, 20)))
    assert str(level.fit) == "unsure"
    (panel,) = draw_forest([level]).axes
    (line,) = panel.collections
    assert not panel.lines and line.get_linestyle() != [(0, None)]
    assert line.get_segments()[0].tolist() == [[10, 0], [20, 0]]


def test_a_row_without_a_complete_span_is_empty() -> None:
    lacking = dataclasses.replace(entrant("rnn"), spans=())
    (panel,) = draw_forest([entrant("gru"), lacking]).axes
    assert len(panel.lines) == 1 and [text.get_text() for text in panel.get_yticklabels()] == ["gru", "rnn"]

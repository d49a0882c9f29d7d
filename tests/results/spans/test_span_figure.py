"""What the figure of spans shows, read from its artists."""

from dataclasses import replace

import numpy as np
import pytest
from entrants import PROTOCOL, at, entrant

from seqbench.results.spans.figure import draw_spans
from seqbench.results.spans.measured import Measured
from seqbench.results.statistics.span import solve_probability
from seqbench.results.styles import model_style


def test_a_panel_a_task_with_curves_rates_and_runs() -> None:
    spans = (at(10, [5] * 5), at(20, [5, 5, None, 5, None]), at(40, [None] * 5))
    gru = Measured(PROTOCOL, "gru", spans)
    figure = draw_spans([gru, entrant("rnn"), entrant("gru", task="adding")])
    latch, adding = figure.axes
    assert (latch.get_title(), adding.get_title()) == ("latch", "adding")
    assert latch.get_xscale() == "log" and latch.get_xlabel() == "span (length)"
    curve, rates = latch.lines[0], latch.lines[1]
    x, y = curve.get_data()
    assert (x[0], x[-1]) == (pytest.approx(10), pytest.approx(40))
    assert y[50] == pytest.approx(solve_probability(x[50], gru.fit))
    assert list(rates.get_xdata()) == [10, 20, 40] and list(rates.get_ydata()) == [1, 0.6, 0]
    dots = [
        line.get_data()
        for line in latch.lines
        if line.get_marker() == "." and line.get_color() == curve.get_color()
    ]
    xs, ys = np.array(dots)[..., 0].T
    assert sorted(xs) == [10] * 5 + [20] * 5 + [40] * 5
    assert sum(ys > 1) == 8 and sum(ys < 0) == 7 and len({*zip(xs, ys, strict=True)}) == 15


def test_an_entrant_has_the_colour_of_its_model_whatever_its_name() -> None:
    entrants = [
        Measured(PROTOCOL, label, (at(10, [5] * 5, folder=f"latch/{model}-0"), at(20, [None] * 5)))
        for label, model in (("gru", "gru"), ("tuned", "gru"), ("gru (lr=0.1)", "gru"), ("mine", "lstm"))
    ]
    legend = draw_spans(entrants).legends[0]
    texts = [text.get_text() for text in legend.get_texts()]
    lines = dict(zip(texts, legend.get_lines(), strict=True))
    assert list(lines) == ["gru", "tuned", "gru (lr=0.1)", "mine"]
    assert {lines[label].get_color() for label in texts[:3]} == {model_style("gru")["color"]}
    assert lines["mine"].get_color() == model_style("lstm")["color"]
    assert len({lines[label].get_fillstyle() for label in texts[:3]}) == 3


def test_one_figure_is_drawn_the_same_twice() -> None:
    first, second = (draw_spans([entrant(), entrant("rnn", 15)]).axes[0] for _ in range(2))
    for a, b in zip(first.lines, second.lines, strict=True):
        assert np.array_equal(a.get_xydata(), b.get_xydata())


def test_an_entrant_without_a_complete_span_is_left_out() -> None:
    figure = draw_spans([Measured(PROTOCOL, "gru", ())])
    assert not figure.axes[0].lines and not figure.legends[0].get_texts()


def test_variants_of_many_models_are_in_panels_of_their_own() -> None:
    models = ("rnn", "irnn", "gru", "lstm", "mgu")
    entrants = [
        Measured(PROTOCOL, label, (at(10, [5] * 5, folder=f"latch/{model}-0"), at(20, [None] * 5)))
        for model in models
        for label in (model, f"{model} (tuned)")
    ]
    figure = draw_spans(entrants)
    upper, lower = figure.axes
    assert upper.get_title() == "latch" and not lower.get_title()
    for panel, fill in ((upper, "full"), (lower, "none")):
        rates = [line for line in panel.lines if line.get_marker() not in (".", "None")]
        assert rates and {line.get_fillstyle() for line in rates} == {fill}
    figure.canvas.draw()
    box = figure.legends[0].get_window_extent()
    assert box.x0 >= 0 and box.x1 <= figure.bbox.width
    assert [text.get_text() for text in figure.legends[0].get_texts()] == [each.label for each in entrants]


def test_ticks_are_at_the_spans_that_were_asked_for_where_no_staircase_chose_them() -> None:
    spans = tuple(at(span, [5] * 5) for span in (20, 50, 60, 100))
    for by_staircase, ticks in ((False, [20, 60, 100]), (True, [10, 20, 40, 100])):
        gru = Measured(replace(PROTOCOL, by_staircase=by_staircase), "gru", spans)
        (panel,) = draw_spans([gru]).axes
        assert list(panel.get_xticks()) == ticks

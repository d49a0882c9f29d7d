"""The tables of spans as text."""

import csv
import io
import math
from dataclasses import replace

import pytest
from entrants import PROTOCOL, at, entrant

from seqbench.results.spans.formats import texts
from seqbench.results.spans.measured import Measured
from seqbench.results.spans.tables import (
    LEGEND,
    cost_rows,
    detail_rows,
    legend,
    protocol_lines,
    span_cells,
    span_rows,
)


def test_a_row_for_each_entrant_and_a_column_for_each_task() -> None:
    found = [entrant("gru"), entrant("gru", 1000, "adding"), entrant("rnn", 5, lacking=("rnn lacks 1 run.",))]
    rows = span_rows(found)
    assert [list(row) for row in rows] == [["", "parameters", "state", "latch", "adding"]] * 2
    assert [(row["parameters"], row["state"]) for row in rows] == [("10.1k", "54")] * 2
    assert rows[0][""] == "gru" and rows[0]["adding"] == "> 160" and rows[0]["latch"].startswith("47.")
    assert rows[1]["latch"].startswith("< 10") and rows[1]["latch"].endswith("*") and rows[1]["adding"] == "–"


def test_what_the_test_set_does_not_confirm_is_said_beside() -> None:
    *kept, last = entrant().spans[:3]
    doubted = replace(last, solved_on_test=(True, True, False, False, False))
    its = [Measured(PROTOCOL, "gru", (*kept, doubted)), entrant("rnn"), entrant("rnn", task="adding")]
    rows = span_rows(its)
    assert [*rows[0]][3:] == ["latch", "latch, confirmed", "adding"]
    assert (rows[0]["latch"], rows[0]["latch, confirmed"]) == (str(its[0].fit), str(its[0].confirmed.fit))
    assert rows[1]["latch, confirmed"] == rows[1]["latch"]
    assert rows[0]["latch"].startswith("> 40") and rows[0]["latch, confirmed"].startswith("37.2")
    line = "gru on latch: the test set confirms 12 of the 15 runs that solved it; by these alone the span is"
    assert any(told.startswith(line) for told in protocol_lines(its))
    assert "Confirmed: the same if" in legend(its) and legend(its[1:]) == LEGEND
    assert not any("confirms" in line for line in protocol_lines(its[1:]))
    none = tuple(replace(each, solved_on_test=(each.span == 40,) * 5) for each in its[0].spans)
    (line,) = (told for told in protocol_lines([Measured(PROTOCOL, "gru", none)]) if "confirms" in told)
    assert "confirms 5 of the 15 runs" in line and "† gru on latch: the rates do not follow" in line
    assert span_cells(its)["latch"] == {row[""]: row["latch"] for row in rows}
    row = list(csv.DictReader(io.StringIO(texts(its)["csv"])))[2]
    assert (row["solved"], row["confirmed"], row["half_span"]) == ("5", "2", "inf")
    assert 30 < float(row["confirmed_half_span"]) < 40


def test_costs() -> None:
    (row,) = cost_rows([entrant()])
    assert row == {"task": "latch", "": "gru", "spans": "10–40", "sequences": "1 [1–1]", "FLOPs": "2 [2–2]"}
    (row,) = cost_rows([entrant(limit=5)])
    assert row == {"task": "latch", "": "gru", "spans": "–", "sequences": "–", "FLOPs": "–"}


def test_runs_at_each_span() -> None:
    steps = [600, 620, None, 580, None]
    one = at(
        57, steps, solved_on_test=(True, True, True, True, False), status=("solved",) * 4 + ("diverged",)
    )
    (row,) = detail_rows([Measured(PROTOCOL, "gru", (one,))])
    assert row == {
        "task": "latch",
        "": "gru",
        "span": "57",
        "dependency": "54–56",
        "solved": "3/5 [23–88]%",
        "test differs": "1",
        "diverged": "1",
        "FLOPs a step": "5.70e+04",
        "steps": "620 [580–> 1000]",
        "sequences": "19.8k",
        "FLOPs": "3.53e+07",
    }
    (row,) = detail_rows([Measured(PROTOCOL, "gru", (at(57, [None] * 3),))])
    assert (row["steps"], row["sequences"], row["FLOPs"]) == ("> 1000", "–", "–")
    (row,) = detail_rows([Measured(PROTOCOL, "gru", (at(57, [600] * 5, step_flops=None),))])
    assert (row["steps"], row["sequences"], row["FLOPs"]) == ("600 [600–600]", "19.2k", "–")
    assert row["FLOPs a step"] == "–"


@pytest.mark.parametrize(
    ("steps", "budgets", "text"),
    [
        ([None] * 5, [1000] * 5, "> 1000"),
        ([600, *[None] * 9], [1000] * 10, "> 1000"),
        ([600, 700, *[None] * 8], [1000] * 10, "> 1000 [700–> 1000]"),
        ([None] * 5, [300] * 4 + [200], "> 300"),
        ([1_000_000, 2_345_678, 3_000_000, 3_000_000, 4_000_000], [10**7] * 5, "3000000 [1000000–4000000]"),
    ],
)
def test_steps_to_solve(steps: list[int | None], budgets: list[int], text: str) -> None:
    (row,) = detail_rows([Measured(PROTOCOL, "gru", (at(57, steps, budgets=tuple(budgets)),))])
    assert row["steps"] == text


def test_the_protocol_stands_under_the_table() -> None:
    other = {"devices": ("gpu",), "versions of torch": ("3",)}
    mixed = (at(10, [5] * 5), at(20, [5] * 5, made_with=other, parameters=4000, state_size=860))
    lines = protocol_lines(
        [entrant(), Measured(PROTOCOL, "rnn", mixed, ("rnn on latch at 20 lacks 1 run.",))]
    )
    assert lines == [
        "latch: spans are task.length, from 10 to at most 400 (what has to be kept lies so far back, at 10: "
        "7–9 steps, at 160: 157–159 steps); 1,000 steps of 32 sequences, validated every 50; fresh seeds at "
        "each span: 5, 10 where the rate falls if both ends of the interval lie among the spans tried, "
        "more than a factor of two apart.",
        "* rnn on latch at 20 lacks 1 run.",
        "‡ rnn on latch: its runs are of 2 devices, 2 versions of torch.",
    ]
    assert span_rows([Measured(PROTOCOL, "rnn", mixed)]) == [
        {"": "rnn", "parameters": "4k–10.1k", "state": "54–860", "latch": "> 20‡"}
    ]


def test_how_runs_end_and_models_that_differ_in_size_are_said() -> None:
    protocol = replace(PROTOCOL, patience=2, stop_when_solved=False, most_seeds=5)
    small = Measured(protocol, "rnn", (at(10, [5] * 5, parameters=4000),))
    assert protocol_lines([small, Measured(protocol, "gru", (at(10, [5] * 5),))]) == [
        "latch: spans are task.length, from 10 to at most 400 (what has to be kept lies so far back, at 10: "
        "7–9 steps); 1,000 steps of 32 sequences, validated every 50; runs end after 2 evaluations in a row "
        "without a new best one; runs go on once they have solved the task; fresh seeds at each span: 5.",
        "latch: the models differ in size: rnn 4,000, gru 10,050 parameters.",
    ]


def test_spans_that_no_staircase_chose_are_said_as_they_are() -> None:
    protocol = replace(PROTOCOL, by_staircase=False, most=20)
    spans = tuple(at(span, [5] * 5, seeds=tuple(range(5))) for span in (10, 20))
    (line,) = protocol_lines([Measured(protocol, "gru", spans)])
    assert "task.length, from 10 to 20 (" in line
    assert line.endswith("validated every 50; the same seeds at each span: 5 to 10.")


@pytest.mark.slow
def test_rates_that_do_not_follow_the_curve_are_marked() -> None:
    rates = {10: 16, 20: 16, 28: 16, 40: 8, 57: 8, 80: 8, 113: 8, 160: 8, 226: 8, 320: 8, 400: 0}
    spans = tuple(at(span, [5] * solved + [None] * (16 - solved)) for span, solved in rates.items())
    rnn = Measured(PROTOCOL, "rnn", spans, lacking=("rnn lacks 1 run.",))
    assert rnn.fit is not None and rnn.fit_p is not None and rnn.fit_p < 0.01
    assert [row["latch"] for row in span_rows([rnn, entrant()])] == [f"{rnn.fit}†*", str(entrant().fit)]
    line = (
        f"† rnn on latch: the rates do not follow the curve (p = {2 * rnn.fit_p:.2g} by Holm's correction "
        "for all curves), so that its interval is not to be relied on. If no more is assumed than that the "
        f"rates fall, it is {rnn.fit.estimate:.3g} [28–400]."
    )
    assert line in protocol_lines([rnn, entrant()])
    many = [entrant(f"gru-{i}") for i in range(math.ceil(0.05 / rnn.fit_p))]  # too many to be sure of one
    assert not any("†" in line for line in protocol_lines([rnn, *many]))
    assert not any("†" in line for line in protocol_lines([entrant()]))
    found = texts([rnn, entrant("gru", task="adding")])
    assert line in found["md"] and r"$\dagger$" in found["tex"]
    rows = list(csv.DictReader(io.StringIO(found["csv"])))
    assert float(rows[0]["fit_p"]) == pytest.approx(rnn.fit_p) and float(rows[-1]["fit_p"]) > 0.3
    assert (float(rows[0]["falling_low"]), float(rows[0]["falling_high"])) == (28, 400)

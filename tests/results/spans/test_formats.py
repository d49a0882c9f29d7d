"""The tables of spans in each format."""

import csv
import io
import json

import pytest
from entrants import PROTOCOL, entrant

from seqbench.results.spans.formats import texts, to_json
from seqbench.results.spans.measured import Measured


def test_every_format() -> None:
    found = texts([entrant("a_b"), entrant("gru", task="adding")], "seqbench span …", "commit x")
    assert (
        "| a_b " in found["md"] and "Command: `seqbench span …`" in found["md"] and "commit x" in found["md"]
    )
    assert r"a\_b & 10.1k & 54 & 47" in found["tex"] and r"\label{tab:span}" in found["tex"]
    assert r"\caption{Each cell" in found["tex"] and r"task.length, from 10" in found["tex"]
    rows = list(csv.DictReader(io.StringIO(found["csv"])))
    assert len(rows) == 12 and rows[0]["entrant"] == "a_b" and float(rows[3]["solve_high"]) < 0.5
    assert float(rows[0]["half_span"]) == pytest.approx(47.7, abs=0.5)


def test_a_page_without_any_complete_span() -> None:
    found = texts([Measured(PROTOCOL, "gru", (), ("gru on latch at 10 lacks 1 run.",))])
    assert (
        "| gru | –            | –       | –*" in found["md"]
        and "No span is complete." in found["md"]
        and found["csv"] == ""
    )


def test_json_holds_all_and_no_number_that_json_has_not() -> None:
    told = json.loads(to_json([entrant(limit=1000)], "seqbench span", "commit x"))
    (its,) = told["entrants"]
    assert (its["span"]["text"], its["span"]["estimate"], its["span"]["high"]) == ("> 160", None, None)
    assert its["spans"][0]["solved_at"] == [100] * 5 and its["spans"][0]["folder"] == "latch/gru-10"
    assert "NaN" not in json.dumps(told) and "Infinity" not in json.dumps(told)


def test_numbers_of_json_are_those_of_csv() -> None:
    """Digits beyond are another rounding on another processor."""
    found = texts([entrant("gru")])
    (its,) = json.loads(found["json"])["entrants"]
    row = next(csv.DictReader(io.StringIO(found["csv"])))
    for key, column in [("estimate", "half_span"), ("low", "half_span_low"), ("slope", "slope")]:
        assert its["span"][key] == float(row[column])
    assert len(str(its["span"]["slope"]).replace(".", "").lstrip("0")) <= 9

"""The table of a search, from what its `search.json` holds."""

from __future__ import annotations

import json

from seqbench.search.table import row, table_of

PLAIN = {
    "best": None,
    "failed": 1,
    "stopped_early": 2,
    "steps": 1234,
    "core_hours": 0.123,
    "trials": [{}] * 4,
}
BEST = {"arguments": ["optim.lr=0.1"], "runs": 3, "solved": 2, "median_steps": 1500.0}
BEST |= {"metric": "accuracy", "mean": 0.98765}


def test_a_row_has_what_was_found_and_what_it_cost() -> None:
    found = row("lstm", PLAIN | {"best": BEST})
    assert list(found.values()) == [
        *("lstm", "2/3", "1,500", "accuracy 0.988", "4", "2", "1", "1,234", "0.12", "optim.lr=0.1")
    ]
    assert row("lstm", PLAIN)["best configuration"] == "—" == row("lstm", PLAIN)["solved"]


def test_a_search_is_shown_from_its_file() -> None:
    shown = table_of(json.dumps({"models": {"gru": PLAIN, "lstm": PLAIN | {"best": BEST}}}))
    assert [line.split("|")[1].strip() for line in shown.splitlines()[2:]] == ["gru", "lstm"]
    assert "`optim.lr=0.1`" in shown

"""A page of measured spans is made from the records of their runs."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seqbench.runs.inventory import inventory
from tests.span.fake import Runner, solves_up_to
from tests.test_reproduce import MADE, declared, make


@pytest.mark.slow
def test_spans_are_made_from_records(seqbench: Any, runner: Callable[..., Runner]) -> None:
    runner(solves_up_to(rnn=5))
    typed = ["task=latch", "model=rnn", "trainer.max_steps=1000", "n_seeds=3", "max=20", "logger=none"]
    assert seqbench("span", *typed, "--out", ".", "--name", "found").code == 0
    runs = [replace(run.result, **MADE) for run in inventory(Path("runs")) if run.result is not None]
    shutil.rmtree("runs")
    page = declared(Path(), runs, show=[{"span": "found.json", "name": "all"}])
    written = make(page, Path())
    assert [path.name for path in written] == [
        *("mine.md", "found.json", "mine-all-forest.png", "mine-all-forest.svg"),
        *("mine-all.csv", "mine-all.png", "mine-all.svg"),
    ]
    assert Path("mine-all.csv").read_text() == Path("found.csv").read_text()
    text = written[0].read_text()
    assert "## Runs at each span" in text and "![Runs solved against the span](mine-all.svg)" in text

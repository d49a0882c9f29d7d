"""Tables and figure from records alone are those of the command."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from seqbench.errors import ConfigError
from seqbench.results.spans.tables import texts
from seqbench.runs.store import parse, read_results, run_folders
from seqbench.span.records import from_results, index
from tests.runs.handmade import result
from tests.span.fake import Runner, solves_up_to

TYPED = ("task=latch", "trainer.max_steps=1000", "logger=none", "n_seeds=5")


def test_an_exported_file_makes_the_same_page(seqbench: Any, runner: Callable[..., Runner]) -> None:
    runner(solves_up_to(rnn=30, gru=90))
    Path("entrants.txt").write_text("model=rnn\nlabel=tuned model=gru optim.lr=0.01\n")
    assert seqbench("span", *TYPED, "--jobs", "entrants.txt", "--out", ".").code == 0
    assert seqbench("runs", "export", "runs.jsonl").code == 0
    told = json.loads(Path("span.json").read_text())
    records = [parse(line, "runs.jsonl") for line in Path("runs.jsonl").read_text().splitlines()]
    records.append(result(3, model="lstm"))  # of another table
    again = texts(from_results(records, *index(told)), told["command"], told["made_with"])
    assert again == {suffix: Path(f"span.{suffix}").read_text() for suffix in ("md", "csv", "tex", "json")}


def test_without_an_index_entrants_are_the_models(seqbench: Any, runner: Callable[..., Runner]) -> None:
    runner(solves_up_to(rnn=30, gru=90))
    assert seqbench("span", *TYPED, "model=rnn,gru").code == 0
    gru, rnn = from_results(read_results(run_folders("runs")))
    assert (gru.label, rnn.label) == ("gru", "rnn") and 80 < gru.fit.estimate < 113
    its = rnn.protocol
    assert (its.least, its.most, its.n_seeds, its.most_seeds, its.max_steps) == (10, 400, 5, 5, 1000)


def test_runs_that_are_not_comparable_are_refused(seqbench: Any, runner: Callable[..., Runner]) -> None:
    runner(solves_up_to(rnn=5, gru=5))
    assert seqbench("span", *TYPED, "model=rnn").code == 0
    assert seqbench("span", *TYPED, "model=gru", "trainer.max_steps=500").code == 0
    results = read_results(run_folders("runs"))
    with pytest.raises(
        ConfigError, match=r"Runs on latch had different budgets, trainer\.max_steps of 500 and 1000"
    ):
        from_results(results)
    assert seqbench("span", *TYPED, "model=rnn", "optim.lr=0.1").code == 0
    with pytest.raises(
        ConfigError, match=r"rnn on latch at (10|20) has runs of two configurations; name them apart"
    ):
        from_results([r for r in read_results(run_folders("runs")) if r.model == "rnn"])

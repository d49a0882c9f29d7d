"""`seqbench runs`: what is printed, what is asked before anything is removed, and runs on other machines."""

from __future__ import annotations

import csv
import io
import json
import sys
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import replace
from pathlib import Path

import pytest

from seqbench.errors import StoreError
from seqbench.runs.locks import lock
from seqbench.runs.store import RESULT_FILE
from seqbench.runs.trained import load_run
from tests.cli.conftest import Said
from tests.runs.handmade import begin, place, result, store

RUNS = Path("runs")


@pytest.fixture
def stored() -> None:
    """Three seeds of one configuration, one of another, and what a stopped run has left."""
    for seed, status in enumerate(("solved", "solved", "failed")):
        store(RUNS, result(seed=seed, status=status))
    store(RUNS, result(lr=0.001, steps=100))
    begin(RUNS, result(model="=gru", length=70))


def rows(said: Said) -> list[list[str]]:
    """Return the words of the lines of a table."""
    return [words for line in said.out.splitlines() if (words := line.replace("─", "").split())]


@pytest.mark.usefixtures("stored")
def test_a_line_for_each_configuration(seqbench: Callable[..., Said]) -> None:
    said = seqbench("runs")
    assert said.code == 0, said.err
    heading, *lines = rows(said)
    assert heading == ["task", "length", "model", "runs", "steps", "time", "age", "size", "folder"]
    assert [line[:-5] for line in lines[:-1]] == [
        ["adding", "50", "lstm", "(lr=0.001)", "1", "solved", "100", "2.5", "s"],
        ["adding", "50", "lstm", "(lr=0.01)", "2", "solved,", "1", "failed", "200", "7.5", "s"],
        ["adding", "70", "=gru", "1", "stopped", "100", "1.0", "s"],
    ]
    assert {line[-1] for line in lines[:-1]} == {str(path) for path in RUNS.glob("*/*")}
    assert lines[-1][:2] == ["5", "runs,"]
    assert seqbench("runs", "--where", "optim.lr=0.01").out == seqbench("runs", "optim.lr=0.01").out


def test_data_sets_of_a_task_are_told_apart_by_name(seqbench: Callable[..., Said]) -> None:
    for lr, name in ((0.1, "FordA"), (0.2, "Coffee")):
        its = result(task="ucr", lr=lr, data=name.lower())
        store(RUNS, replace(its, config={**its.config, "task": {"name": name}, "optim": {"lr": 0.1}}))
    tasks = [" ".join(words[:2]) for words in rows(seqbench("runs"))[1:-1]]
    assert tasks == ["ucr (name=Coffee)", "ucr (name=FordA)"]


@pytest.mark.usefixtures("stored")
def test_programs_read_the_same(seqbench: Callable[..., Said]) -> None:
    found = json.loads(seqbench("runs", "optim.lr=0.01", "--format", "json").out)
    assert [(row["solved"], row["failed"], row["stopped"], row["time_s"]) for row in found] == [
        *((2, 1, 0, 7.5), (0, 0, 1, 1.0))
    ]
    said = seqbench("runs", "--seeds", "--format", "csv", RUNS)
    found = list(csv.DictReader(io.StringIO(said.out)))
    assert [(row["model"], row["seed"], row["status"]) for row in found] == [
        ("lstm (lr=0.001)", "0", "solved"),
        *(
            ("lstm (lr=0.01)", str(seed), status)
            for seed, status in enumerate(("solved", "solved", "failed"))
        ),
        ("'=gru", "0", "stopped"),
    ]
    assert found[0]["written"] == "2026-01-01T00:00:00+00:00"


@pytest.mark.usefixtures("stored")
def test_slow_runs_and_orphans_are_marked(seqbench: Callable[..., Said]) -> None:
    for seed, seconds in enumerate((1, 1, 9)):
        store(RUNS, result(seed=seed, model="rnn"), f"step,seconds\n200,{seconds}\n")
    store(RUNS, result(seed=3, model="rnn", identity="f" * 64))
    said = seqbench("runs", "--model", "rnn")
    assert "3 solved, 1 orphan (identity), 1 slow" in said.out
    said = seqbench("runs", "--model", "rnn", "--seeds", "--status", "orphan", "--status", "solved")
    assert [" ".join(line[4:6]) for line in rows(said)[1:-1]] == ["solved 200", "solved 200", "solved (slow)",
                                                                 "orphan (identity)"]  # fmt: skip


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nowhere"], "There is no folder nowhere."),
        (["exprot", "a"], "There is no folder exprot. Did you mean 'export'?"),
        (["--status", "done"], "argument --status: invalid choice: 'done'"),
        (["task=copying"], "task=copying: there is no such run; there are adding."),
        (["rm"], "`seqbench runs rm` wants to know which runs: `seqbench runs rm runs` means all."),
        (["rm", "runs"], "nothing was removed, as there is no terminal to ask on; --yes removes unasked."),
        (["export"], "the following arguments are required: FILE"),
        (["export", "no/where/a", "runs"], "cannot write no/where/a: No such file or directory."),
        (["import", "nothing"], "cannot read nothing: No such file or directory."),
        (["import", "runs"], "cannot read runs: Is a directory."),
    ],
)
def test_what_cannot_be_is_one_sentence(seqbench: Callable[..., Said], args: list[str], says: str) -> None:
    before = sorted(Path().rglob("*"))
    said = seqbench("runs", *args)
    assert said.code == 2 and said.err.startswith(f"seqbench: {says}") and said.err.count("\n") == 1
    assert sorted(Path().rglob("*")) == before


def test_an_empty_folder_says_what_to_run(seqbench: Callable[..., Said]) -> None:
    assert seqbench("runs").err.startswith("seqbench: no results in runs; train something first:")


@pytest.mark.usefixtures("stored")
@pytest.mark.parametrize(("answer", "gone"), [("y", True), ("", False), ("no", False)])
def test_runs_are_removed_where_the_answer_is_yes(
    seqbench: Callable[..., Said], monkeypatch: pytest.MonkeyPatch, answer: str, gone: bool
) -> None:
    asked: list[str] = []
    monkeypatch.setattr(sys.stdin, "isatty", lambda: True)
    monkeypatch.setattr("builtins.input", lambda question: asked.append(question) or answer)
    folder = place(RUNS, result())
    said = seqbench("runs", "rm", folder.parent, "--status", "solved")
    assert said.code == 0 and len(asked) == 1 and asked[0].startswith("Remove 2 runs, ")
    assert [line[-1] for line in rows(said)[1:3]] == [str(folder), str(folder.with_name("seed-1"))]
    assert not folder.exists() if gone else folder.exists()
    assert folder.with_name("seed-2").exists() and (("Removed 2 runs" in said.out) is gone)


@pytest.mark.usefixtures("stored")
def test_what_is_being_trained_stays(seqbench: Callable[..., Said]) -> None:
    folder = begin(RUNS, result(model="rnn"))
    with ExitStack() as locks:
        lock(folder, locks)
        assert "1 running" in seqbench("runs", "model=rnn").out
        refused = seqbench("runs", "rm", "model=rnn", "--yes")
        assert (refused.code, refused.out) == (2, "")
        said = seqbench("runs", "rm", "runs", "--yes")
    assert said.code == 0 and said.err == f"seqbench: {folder} is being trained, and stays.\n"
    assert [path.parent for path in RUNS.rglob("config.yaml")] == [folder]


def test_a_link_is_refused_before_anything_is_removed(seqbench: Callable[..., Said]) -> None:
    store(Path("elsewhere"), result(model="rnn"))
    folder = store(RUNS, result())
    (RUNS / "adding" / place(RUNS, result(model="rnn")).parent.name).symlink_to(
        place(Path("elsewhere"), result(model="rnn")).parent.absolute()
    )
    said = seqbench("runs", "rm", "runs", "--yes")
    assert said.code == 2 and "is a link, and what lies behind it is not removed." in said.err
    assert folder.exists()


@pytest.mark.usefixtures("stored")
def test_what_travels_is_counted(seqbench: Callable[..., Said]) -> None:
    said = seqbench("runs", "export", "a.jsonl", "--curves")
    assert said.out == "a.jsonl: 4 runs\n"
    assert said.err == "seqbench: 1 stopped left out, as only runs that have ended are exported.\n"
    store(Path("there"), result(seed=1))
    store(Path("there"), result(lr=0.001))
    said = seqbench("runs", "import", "a.jsonl", "--runs-dir", "there")
    assert said.out == "there: 2 imported, 1 there already, 1 there with other numbers\n" and said.code == 0


def test_an_imported_run_counts_as_done(seqbench: Callable[..., Said]) -> None:
    run = ["task=latch", "task.length=6", "task.eval_size=20", "model.hidden_size=4", "batch_size=4"]
    run += ["trainer.max_steps=2", "trainer.eval_every=1", "logger=none", "seed=7"]
    assert seqbench(*run).code == 0
    seqbench("runs", "export", "runs.jsonl.gz", "--curves")
    seqbench("runs", "import", "runs.jsonl.gz", "--runs-dir", "there")
    (ours,) = RUNS.rglob(RESULT_FILE)
    theirs = "there" / ours.relative_to(RUNS)
    written = theirs.stat().st_mtime_ns
    assert theirs.with_name("metrics.csv").read_bytes() == ours.with_name("metrics.csv").read_bytes()
    said = seqbench(*run, "runs_dir=there")
    assert said.code == 0 and "(was done)" in said.out and theirs.stat().st_mtime_ns == written
    assert seqbench("report", "there").out == seqbench("report").out
    with pytest.raises(StoreError, match="has no weights: the run was imported, and weights do not travel"):
        load_run(theirs.parent)

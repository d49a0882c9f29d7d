"""`seqbench compare`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.runs.handmade import result, store


@pytest.fixture
def runs(tmp_path: Path) -> Path:
    for seed in range(3):
        for lr in (0.01, 0.001):
            store(tmp_path / "runs", result(seed=seed, lr=lr, solved_when="when"))
        store(tmp_path / "runs", result(seed=seed, model="gru", solved_when="when"))
    store(tmp_path / "runs", result(task="latch", test={"50": {"seen": 1.0}}))
    return tmp_path / "runs"


def test_models_are_named_by_label_or_chosen(seqbench: Callable, runs: Path) -> None:
    refused = seqbench("compare", "--models", "lstm,gru")
    assert refused.code == 2 and "lstm stands for 2 models on adding at 50" in refused.err
    labelled = seqbench("compare", runs, "--models", "lstm (lr=0.01), gru")
    assert labelled.code == 0 and "3/3" in labelled.out and "p corrected" in labelled.out
    chosen = seqbench("compare", runs, "--models", "lstm,gru", "--where", "optim.lr=0.01", "--task", "adding")
    assert chosen.code == 0, chosen.err


def test_files_of_exported_runs_are_read(seqbench: Callable, runs: Path, tmp_path: Path) -> None:
    seqbench("runs", "export", tmp_path / "some.jsonl", "model=gru")
    seqbench("runs", "export", tmp_path / "others.jsonl.gz", "optim.lr=0.001")
    found = seqbench(
        "compare", tmp_path / "some.jsonl", tmp_path / "others.jsonl.gz", "--models=gru,lstm", "--format=json"
    )
    assert [row["measure"] for row in json.loads(found.out)] == ["solved", "steps", "loss"]
    assert seqbench("compare", tmp_path / "some.jsonl", "--models=gru,gru").code == 2


@pytest.mark.parametrize("format", ["md", "csv"])
def test_formats(seqbench: Callable, runs: Path, format: str) -> None:
    said = seqbench("compare", "--models=gru,lstm", "--where=optim.lr=0.01", "--format", format)
    assert said.code == 0 and "solved" in said.out
    notes = said.err if format == "csv" else said.out
    assert "Boschloo" in notes and "Holm" in notes, "what the rows mean is said, beside them if not in them"


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        (["nowhere", "--models=gru,lstm"], "There is no folder of runs and no exported file nowhere"),
        (["--models=gru"], "two models or more"),
        ([], "--models"),
        (["--models=gru,lstm", "--where=optim.lrr=1"], "Did you mean 'optim.lr'?"),
        (["--models=gru,lstm (lr=0.01)", "--metric=seen", "--of=metric"], "nothing to compare: gru and"),
        (["--models=gru,lstm", "--metric=accuracy"], "no result has the test metric 'accuracy'"),
    ],
)
def test_bad_input_is_one_sentence(
    seqbench: Callable, runs: Path, arguments: list[str], sentence: str
) -> None:
    said = seqbench("compare", *arguments)
    assert said.code == 2 and sentence in said.err and said.err.count("\n") == 1


def test_records_of_another_schema_are_refused(seqbench: Callable, runs: Path, tmp_path: Path) -> None:
    seqbench("runs", "export", tmp_path / "some.jsonl", "model=gru")
    text = (tmp_path / "some.jsonl").read_text().replace('"schema":3', '"schema":99')
    (tmp_path / "some.jsonl").write_text(text)
    said = seqbench("compare", tmp_path / "some.jsonl", "--models=gru,lstm")
    assert said.code == 2 and "line 1 of" in said.err and "was stored under schema 99" in said.err

"""The table of a sweep in W&B, with the records of its runs."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from seqbench.cli import sharing
from seqbench.cli.sharing import share
from seqbench.results.frame import compare
from seqbench.runs.exchange import read_export
from seqbench.runs.result import Result
from tests.runs.handmade import result, store
from tests.training.loggers.fake import FakeRun, fake_wandb
from tests.training.loggers.inspecting import WANDB, inspect, offline_runs
from tests.wandb_server import serving

BEFORE, AFTER = "2025-12-31T23:59:59+00:00", "2026-01-01T00:00:01+00:00"  # when runs made by hand ended


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    return fake_wandb(monkeypatch)


def swept(models: tuple[str, ...] = ("gru", "lstm"), **node: Any) -> dict[Path, Result]:
    """Store runs of a sweep over models and lengths that are logged in W&B; return them by folder."""
    target = {"_target_": "seqbench.training.loggers.wandb", "mode": "auto", "tags": ["mine"]}
    found = {}
    for model in models:
        for length, solved in ((50, 200), (100, None)):
            for seed in (0, 1):
                more = {"solved_at_step": solved, "test": {str(length): {"loss": 0.125}}}
                its = result(seed, lr=length / 1000, model=model, length=length, **more)
                config = its.config | {"logger": {"wandb": target | node}, "runs_dir": "runs"}
                its = replace(its, config=config)
                found[store(Path("runs"), its)] = its
    return found


def shared(runs: dict[Path, Result], since: str = BEFORE) -> None:
    share(runs, compare(runs.values()), since, "seqbench -m model=gru,lstm task.length=50,100")


def test_the_table_of_a_sweep_is_a_run_with_the_records_as_an_artifact(made: list[FakeRun]) -> None:
    runs = swept(required=True, project="theirs")
    shared(runs)
    (run,) = made
    assert run.options["name"] == "table of 8 runs: gru, lstm on adding"
    assert run.options["project"] == "theirs" and run.options["job_type"] == "table"
    assert run.options["tags"] == ["mine"] and run.exit_code == 0
    assert run.options["config"]["command"] == "seqbench -m model=gru,lstm task.length=50,100"
    table = run.rows[0]["table"]
    rows = [dict(zip(table.columns, row, strict=True)) for row in table.data]
    assert {(row["model"], row["train_length"], row["solve_rate"]) for row in rows} == {
        *(("gru", 50, 1.0), ("gru", 100, 0.0), ("lstm", 50, 1.0), ("lstm", 100, 0.0))
    }
    drawn = run.rows[0]["solve_rate/adding"].table
    assert sorted(drawn.data) == sorted(
        [x, model, y] for model in ("gru", "lstm") for x, y in ((50, 1), (100, 0))
    )
    (artifact,) = run.artifacts
    assert artifact.type == "table"
    entries = artifact.manifest.entries
    assert set(entries) == {"runs.jsonl.gz", "table.csv", "table.md"}
    records = read_export(Path(entries["runs.jsonl.gz"].local_path).rename("runs.jsonl.gz"))
    assert [entry.result.seed for entry in records] == [0, 1] * 4 and all(entry.curves for entry in records)
    shared(runs)
    assert made[1].options["id"] == run.options["id"]


def test_there_is_a_table_only_of_a_sweep_that_is_logged_and_has_trained_something(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = swept(required=True)
    shared(runs, since=AFTER)  # all had been done
    shared(dict(list(runs.items())[:2]))  # seeds of one configuration
    bare = {f: replace(r, config=r.config | {"logger": {}}) for f, r in runs.items()}
    shared(bare)
    monkeypatch.setenv("WANDB_SWEEP_ID", "abc")
    shared(runs)
    monkeypatch.delenv("WANDB_SWEEP_ID")
    monkeypatch.setenv("WANDB_MODE", "disabled")
    shared(runs)
    assert not made


def test_the_default_logger_has_it_where_somebody_is_logged_in(
    made: list[FakeRun], monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = swept(required=False)
    shared(runs)
    assert not made
    monkeypatch.setattr(sharing, "logged_in", lambda: True)
    shared(runs)
    assert len(made) == 1


def test_what_wandb_refuses_is_said(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("WANDB_MODE", "bogus")
    shared(swept(required=True))
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(
        "seqbench: the table of the sweep is not in W&B: the environment variable WANDB_MODE="
    )


@pytest.mark.slow
def test_wandb_sync_uploads_the_table_and_the_records_once() -> None:
    sweep = [
        "-m",
        "model=gru,lstm",
        "task=latch",
        "task.length=6",
        "task.eval_size=20",
        "model.hidden_size=4",
    ]
    sweep += ["batch_size=4", "trainer.max_steps=4", "trainer.eval_every=2", "logger=wandb"]
    for more in ("n_seeds=1", "n_seeds=1", "n_seeds=2"):  # the second has nothing to train
        said = subprocess.run(
            [sys.executable, "-m", "seqbench", *sweep, more], capture_output=True, text=True
        )
        assert said.returncode == 0, said.stderr
    tables = [run for run in offline_runs() if "-table-" in run.name]
    assert len(tables) == 2 and "table of 4 runs: gru, lstm on latch" in inspect(tables[1])
    with serving() as server:
        upload = [WANDB, "sync", "runs/wandb"]
        said = subprocess.run(upload, env=os.environ | server.environment, capture_output=True, text=True)
        assert said.returncode == 0, said.stderr
    assert len(server.runs) == 4 + 2
    stored = {path.rpartition("/")[2]: content for path, content in server.stored.items()}
    Path("runs.jsonl.gz").write_bytes(stored["runs.jsonl.gz"])
    assert len(read_export(Path("runs.jsonl.gz"))) in (2, 4)
    assert stored["table.md"].startswith(b"**latch: accuracy") and b"solve_rate" in stored["table.csv"]

"""Trackio: what its database holds of runs, of several processes, and of a run that was resumed."""

from __future__ import annotations

import json
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pytest
from matplotlib.figure import Figure

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs.plan import plan
from seqbench.training.loggers import Ending, RunInfo, trackio, trackio_run

RUN = ["task=latch", "task.length=6", "task.eval_size=20", "model.hidden_size=4", "batch_size=4"]
RUN += ["trainer.max_steps=8", "trainer.eval_every=2", "trainer.checkpoint_every=1", "logger=trackio"]
RUN += ["trainer.stop_when_solved=false", "model=lstm"]
#: A command that is killed at step 4, once Trackio has written what it has.
KILLED = """
import os, sys, time
from seqbench.cli import main
from seqbench.training.learner import SequenceLearner
step = SequenceLearner.training_step
def train_on(learner, *args):
    if learner.step >= 4:
        time.sleep(2)
        os.kill(os.getpid(), 9)
    return step(learner, *args)
SequenceLearner.training_step = train_on
main()
"""


@pytest.fixture
def database() -> Iterator[Path]:
    """Where Trackio's database lies in this process, which has one; emptied at the end."""
    folder = Path(trackio_run._client(Path.cwd() / "runs").utils.TRACKIO_DIR)
    yield folder
    shutil.rmtree(folder, ignore_errors=True)


def test_it_is_refused_where_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackio_run, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^logger\.trackio: it needs .* pip install trackio"):
        plan(seqbench.compose(RUN))


def begun(label: str, seed: int = 0, end: str = "abcdef") -> trackio_run.TrackioRun:
    """Start a run of Trackio's, and log an evaluation and a picture."""
    info = RunInfo("latch/lstm-1234abcd", seed, f"1234abcd-{seed}-{end}", Path("runs"), label=label)
    run = trackio(info, str(trackio_run._client(Path.cwd() / "runs").utils.TRACKIO_DIR))
    assert isinstance(run, trackio_run.TrackioRun)
    run.log_row({"val/loss": 1.0}, 2)
    run.show_figure("memory", Figure(), 2)
    run.end(Ending("finished", {"outcome": "finished"}))
    return run


@pytest.mark.skipif(find_spec("trackio") is None, reason="the extra trackio is not installed")
@pytest.mark.parametrize(
    "label", ["lstm file=../../../../outside/x", r"lstm a=1\2", "lstm " + "key=value " * 40, "ж" * 300]
)
def test_a_name_is_that_of_a_folder_of_its_pictures(label: str, database: Path) -> None:
    run = begun(label)
    pictures = database / "media" / "seqbench"
    assert [path.parent.parent for path in database.rglob("*.png")] == [pictures / run.version]
    assert run.version.endswith(" seed 0 abcdef") and run.version.startswith(label[:4])


@pytest.mark.skipif(find_spec("trackio") is None, reason="the extra trackio is not installed")
def test_a_run_that_another_command_resumes_has_the_name_that_it_had(database: Path) -> None:
    first = begun("lstm length=6", end="012345")
    assert begun("lstm latch", end="012345").version == first.version == "lstm length=6 seed 0 012345"
    assert begun("lstm latch", seed=1, end="012345").version == "lstm latch seed 1 012345"


def stored() -> dict[str, list[tuple[int, dict[str, Any]]]]:
    """Return the rows of each run, in order of their steps."""
    with sqlite3.connect("runs/trackio/seqbench.db") as database:
        found = database.execute("select run_name, step, metrics from metrics order by step, id").fetchall()
    runs: dict[str, list[tuple[int, dict[str, Any]]]] = {}
    for run, step, metrics in found:
        runs.setdefault(run, []).append((step, json.loads(metrics)))
    return runs


@pytest.mark.slow
@pytest.mark.skipif(find_spec("trackio") is None, reason="the extra trackio is not installed")
def test_processes_and_resumed_runs_share_a_database() -> None:
    killed = subprocess.run([sys.executable, "-c", KILLED, *RUN], capture_output=True, text=True)
    assert killed.returncode == -9, killed.stderr
    assert [len(rows) for rows in stored().values()] == [2]
    sweep = [sys.executable, "-m", "seqbench", "-m", *RUN, "optim.lr=0.001,0.002", "n_seeds=2"]
    others = subprocess.Popen(sweep)
    same = subprocess.run([sys.executable, "-m", "seqbench", *RUN], capture_output=True, text=True)
    assert same.returncode == 0 and others.wait() == 0, same.stderr
    assert "Trackio" not in same.stdout
    runs = stored()
    assert len(runs) == 5
    (single,) = (name for name in runs if name.startswith("lstm latch length=6"))
    assert len([name for name in runs if name.startswith("lstm lr=0.002 seed ")]) == 2
    for name, rows in runs.items():
        evaluated = [step for step, metrics in rows if "val/loss" in metrics]
        assert evaluated == [2, 4, 6, 8], name
        last: dict[str, Any] = {}
        for _, metrics in rows:
            last |= metrics
        assert {"train/loss", "val/accuracy", "samples", "test/table"} <= {*last}
        assert last["summary/outcome"] == "finished" and last["test/6/loss"] > 0
    assert len(runs[single]) > 4

"""Trackio: what its database holds of runs, of several processes, and of a run that was resumed."""

from __future__ import annotations

import json
import sqlite3
import subprocess
import sys
from importlib.util import find_spec
from typing import Any

import pytest

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs.plan import plan
from seqbench.training.loggers import trackio_run

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


def test_it_is_refused_where_the_package_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(trackio_run, "find_spec", lambda name: None)
    with pytest.raises(ConfigError, match=r"^logger\.trackio: it needs .* pip install trackio"):
        plan(seqbench.compose(RUN))


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

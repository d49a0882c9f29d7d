"""`wandb sync` of offline runs, against a server on this machine that records what it is sent."""

from __future__ import annotations

import csv
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqbench.runs.store import read_result
from tests.training.loggers.inspecting import WANDB, offline_runs
from tests.wandb_server import Server, serving

pytestmark = pytest.mark.slow
RUN = [
    "task=latch",
    "task.length=6",
    "task.eval_size=20",
    "model=lstm",
    "model.hidden_size=4",
    "batch_size=4",
]
RUN += ["trainer.max_steps=3000", "trainer.eval_every=100", "trainer.checkpoint_every=100", "n_seeds=2"]
RUN += ["trainer.stop_when_solved=false", "trainer.accelerator=cpu"]


@pytest.fixture
def server() -> Iterator[Server]:
    with serving() as found:
        yield found


@pytest.fixture(autouse=True)
def _service_of_a_parent() -> None:
    """Start W&B's service here: commands that are started from here find it in their environment."""
    import wandb

    wandb.setup()
    assert os.environ["WANDB_SERVICE"]


def start(*overrides: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-m", "seqbench", *RUN, *overrides], start_new_session=True)


def evaluations() -> int:
    """Return the evaluations that metrics.csv has so far, of the run that has fewest."""
    files = [path.read_text().splitlines() for path in Path("runs").glob("latch/*/seed-*/metrics.csv")]
    return min((len(lines) - 1 for lines in files), default=0) if len(files) == 2 else 0


def stop_after(process: subprocess.Popen[bytes], count: int, number: int) -> None:
    """Send a signal to a run once it has so many evaluations."""
    deadline = time.monotonic() + 120
    while evaluations() < count:
        assert process.poll() is None and time.monotonic() < deadline
        time.sleep(0.01)
    process.send_signal(number)
    process.wait()


def sync(server: Server) -> None:
    said = subprocess.run(
        [WANDB, "sync", "runs/wandb"],
        env=os.environ | server.environment,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert said.returncode == 0, said.stdout + said.stderr


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_run_that_was_stopped_and_resumed_is_one_run_with_each_row_once(
    server: Server, number: signal.Signals
) -> None:
    stop_after(start(), 4, number)
    stopped = sorted(offline_runs())
    assert len(stopped) == 2 and evaluations() < 30
    assert start().wait() == 0
    assert len(offline_runs()) == 2 and not {*stopped} & {*offline_runs()}
    sync(server)
    assert len(server.runs) == 2
    for seed in (0, 1):
        (folder,) = Path("runs").glob(f"latch/*/seed-{seed}")
        result = read_result(folder)
        assert result is not None
        (run,) = (run for run in server.runs.values() if run.config["seed"] == seed)
        with (folder / "metrics.csv").open() as file:
            rows = list(csv.DictReader(file))
        assert [row["step"] for row in run.history] == [row["_step"] for row in run.history]
        assert [row["step"] for row in run.history] == [int(row["step"]) for row in rows]
        for sent, row in zip(run.history, rows, strict=True):
            assert sent["train/loss"] == float(row["train_loss"])
            assert sent["val/accuracy"] == float(row["accuracy"])
        assert run.exit_code == 0 and not run.preempting
        assert run.summary["outcome"] == result.status
        assert run.summary["test/6/accuracy"] == result.test["6"]["accuracy"]
        last = run.upserts[-1]
        assert f"seed {seed}" in last["displayName"] and result.status in last["tags"]
    kept = (artifact for artifact in server.artifacts.values() if artifact["artifactTypeName"] == "run")
    names = {artifact["artifactCollectionName"] for artifact in kept}
    assert {name[-7:] for name in names} == {"-seed-0", "-seed-1"}
    stored = [json.loads(text) for path, text in server.stored.items() if path.endswith("result.json")]
    assert sorted(its["seed"] for its in stored) == [0, 1]


def test_a_run_that_was_stopped_is_preempted(server: Server) -> None:
    stop_after(start("n_seeds=2"), 4, signal.SIGTERM)
    sync(server)
    for run in server.runs.values():
        assert run.exit_code == 143 and run.preempting and run.summary["outcome"] == "preempted"

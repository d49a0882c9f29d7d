"""What the trials of launchers share: a sweep of four runs, one that fails, and what is asserted."""

from __future__ import annotations

import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypeVar

from seqbench.runs.differences import differences

T = TypeVar("T")

# What a shell starts in the background ignores Ctrl-C, and so would the commands that are started here.
signal.signal(signal.SIGINT, signal.default_int_handler)

#: Four runs, of ten seconds each or longer.
SWEEP = [
    *("-m", "task=latch,adding", "task.length=15", "task.eval_size=50", "model=gru,rnn", "batch_size=8"),
    *("trainer.max_steps=2500", "trainer.eval_every=50", "trainer.checkpoint_every=50"),
    *("trainer.stop_when_solved=false", "trainer.accelerator=cpu", "logger=none"),
    *("allowed_packages=[broken]", "+callbacks.x._target_=broken.Broken"),
]
#: A callback that makes the GRU on `latch` fail at its start, while a file `armed` is there.
BROKEN = """
import os
import lightning as L

class Broken(L.Callback):
    def on_train_start(self, trainer, pl_module):
        run = f"{type(pl_module.task).__name__} {pl_module.models[0]}"
        if os.path.exists("armed") and "Latch" in run and "GRU" in run:
            raise ValueError("broken on purpose")
"""
FAILS = "gru latch"
#: The jobs of the sweep in their order.
JOBS = [("latch", "gru"), ("latch", "rnn"), ("adding", "gru"), ("adding", "rnn")]


def folder_for(place: Path) -> Path:
    """Make a folder to run the sweep in."""
    place.mkdir()
    (place / "broken.py").write_text(BROKEN)
    return place


def seqbench(folder: Path, *args: str) -> subprocess.Popen[str]:
    """Start the command line in a folder; what it says goes into `said.txt` there."""
    with (folder / "said.txt").open("w") as said:
        return subprocess.Popen(
            [sys.executable, "-m", "seqbench", *args],
            cwd=folder,
            stdout=said,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )


def said(folder: Path) -> str:
    """Return what the last command in a folder has said."""
    return (folder / "said.txt").read_text()


def results(folder: Path) -> dict[Path, int]:
    """Return the runs in a folder that have a result, and when each was written."""
    found = sorted(folder.glob("runs/*/*/*/result.json"))
    return {path.parent.relative_to(folder): path.stat().st_mtime_ns for path in found}


def wait_until(condition: Callable[[], T], seconds: float, what: str) -> T:
    """Wait until a condition holds; return what it then gives.

    Raises:
        AssertionError: it does not within a time.
    """
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s in vain: {what}"
        time.sleep(0.2)
    return found


def check_same(one: Path, other: Path, runs: Sequence[Path]) -> None:
    """Assert that runs in two folders are the same, bit for bit."""
    for run in runs:
        found = differences(one / run, other / run)
        assert not found, f"{run} differs: {', '.join(found)}"


def step(sentence: str) -> None:
    """Say what is tried next."""
    print(f"{time.strftime('%H:%M:%S')} {sentence}", flush=True)


def skip(sentence: str) -> None:
    """End with the code that says: not tried here."""
    print(f"skipped: {sentence}", file=sys.stderr)
    sys.exit(77)

"""The trial of `hydra/launcher=ray`, see `scripts/test_ray`."""

from __future__ import annotations

import os
import signal
import sys
import tempfile
import time
from pathlib import Path

from scripts.clusters.trial import (
    FAILS,
    SWEEP,
    check_same,
    folder_for,
    results,
    said,
    seqbench,
    step,
    wait_until,
)

RAY = ["hydra/launcher=ray"]


def processes_in(folder: Path) -> dict[int, str]:
    """Return the processes that work in a folder, and their commands."""
    found = {}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if (process / "cwd").readlink() == folder and " Z " not in (process / "stat").read_text():
                found[int(process.name)] = (process / "cmdline").read_bytes().replace(b"\0", b" ").decode()
        except OSError:  # it is gone, or another user's
            continue
    return found


def workers(folder: Path) -> list[int]:
    """Return the workers of Ray that are at a task."""
    return [pid for pid, command in processes_in(folder).items() if command.startswith("ray::run")]


def main() -> None:
    with tempfile.TemporaryDirectory(prefix="ray-") as room:
        whole, there = (folder_for(Path(room, name)) for name in ("whole", "there"))
        step("a sweep of four on this machine, to compare with")
        assert seqbench(whole, *SWEEP).wait() == 0, said(whole)
        runs = list(results(whole))
        assert len(runs) == 4
        try:
            trial(whole, there, runs)
        except AssertionError:
            print(said(there), file=sys.stderr)
            for log in sorted(there.glob("runs/.sweeps/*/*/log.txt")):
                print(f"--- {log.parent.name}\n{log.read_text()}", file=sys.stderr)
            raise
    step("all is as it should be, and every process is gone")


def trial(whole: Path, there: Path, runs: list[Path]) -> None:
    """Run the sweep by Ray, with all that may happen to it."""
    step("more than any machine has")
    assert seqbench(there, *SWEEP, *RAY, "hydra.launcher.cpus_per_job=5000").wait() == 2
    assert "needs 5000 cores and 0 GPUs, and no machine of the Ray cluster has as much" in said(there)

    step("a sweep of four, of which one fails, and a worker is killed")
    (there / "armed").touch()
    sweep = seqbench(there, *SWEEP, *RAY)
    # The one that fails has failed, so that the worker that is killed is another's.
    wait_until(lambda: f"{FAILS}: " in said(there), 240, "a run has failed")
    wait_until(lambda: list(there.glob("runs/*/rnn-*/*/checkpoints/last.pt")), 120, "a run has a checkpoint")
    os.kill(workers(there)[0], signal.SIGKILL)
    assert sweep.wait(600) == 1, said(there)
    print(said(there))
    assert f"{FAILS} seed 0 failed: ValueError: broken on purpose (its log: " in said(there)
    assert said(there).count(" seed 0 failed: its worker was killed (its log: ") == 1
    done = list(results(there))
    check_same(whole, there, [run for run in done if not str(run).startswith("runs/latch/gru-")])

    step("Ctrl-C keeps what was trained, and leaves no process")
    (there / "armed").unlink()
    dates = {run: date for run, date in results(there).items() if not str(run).startswith("runs/latch/gru-")}
    stopped = seqbench(there, *SWEEP, *RAY)
    wait_until(lambda: list(there.glob("runs/latch/gru-*/*/checkpoints/last.pt")), 120, "it is at work")
    stopped.send_signal(signal.SIGINT)
    assert stopped.wait(60) == 130, said(there)
    time.sleep(5)
    assert not processes_in(there), processes_in(there)
    assert list(there.glob("runs/latch/gru-*/*/checkpoints/last.pt"))

    step("the same again: only what is missing is trained")
    assert seqbench(there, *SWEEP, *RAY).wait(600) == 0, said(there)
    assert "2 of 4 jobs had been done." in said(there)
    assert {run: date for run, date in results(there).items() if run in dates} == dates
    check_same(whole, there, runs)


if __name__ == "__main__":
    main()

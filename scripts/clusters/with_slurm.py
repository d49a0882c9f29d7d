"""The trial of `hydra/launcher=slurm`, see `scripts/test_slurm`."""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from scripts.clusters.node import cluster, install
from scripts.clusters.trial import (
    FAILS,
    JOBS,
    SWEEP,
    check_same,
    folder_for,
    results,
    said,
    seqbench,
    skip,
    step,
    wait_until,
)

from seqbench.runs.locks import is_locked

ROOT = Path(__file__).parents[2]
SLURM = ["hydra/launcher=slurm", "hydra.launcher.partition=low", "hydra.launcher.time=30"]


def ask(*command: str) -> str:
    """Return what a command of Slurm says."""
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def states() -> dict[str, str]:
    """Return the state of each job of a sweep."""
    listing = ask("squeue", "--noheader", "--array", "--states=all", "--name=seqbench", "--format=%i %T")
    return dict(line.split() for line in listing.splitlines())


def restarts(job: str) -> int:
    """Return how often a job went back into the queue."""
    found = re.search(r"Restarts=(\d+)", ask("scontrol", "show", "job", job))
    assert found is not None
    return int(found[1])


def log_of(folder: Path, job: str) -> str:
    """Return what a job has said."""
    (log,) = folder.glob(f"runs/.sweeps/*/{job}_0_log.err")
    return log.read_text()


def at_work(folder: Path) -> list[str]:
    """Return the jobs in the midst of training a run: it has a checkpoint, and a process holds its lock."""
    found = []
    for job, state in states().items():
        number = int(job.partition("_")[2])
        task, model = JOBS[number]
        training = any(folder.glob(f"runs/{task}/{model}-*/seed-0/checkpoints/last.pt"))
        locked = any(map(is_locked, folder.glob(f"runs/{task}/{model}-*/seed-0")))
        if state == "RUNNING" and training and locked:
            found.append(job)
    return found


def main() -> None:
    if (lack := install()) is not None:
        skip(f"Slurm is not here, and this user may not install {lack}")
    with tempfile.TemporaryDirectory(prefix="slurm-") as room:
        Path(room, "cluster").mkdir()
        whole, there = (folder_for(Path(room, name)) for name in ("whole", "there"))
        step("a sweep of four on this machine, to compare with")
        assert seqbench(whole, *SWEEP).wait() == 0, said(whole)
        runs = list(results(whole))
        assert len(runs) == 4
        step("a cluster of one node")
        with cluster(Path(room, "cluster")):
            try:
                trial(whole, there, runs)
            except BaseException:
                print(said(there), ask("squeue", "--states=all"), sep="\n", file=sys.stderr)
                for log in sorted(there.glob("runs/.sweeps/*/*.err")):
                    print(f"--- {log.name}\n{log.read_text()}", file=sys.stderr)
                raise
    step("all is as it should be, and every daemon is gone")


def trial(whole: Path, there: Path, runs: list[Path]) -> None:
    """Run the sweep on the cluster, with all that may happen to it."""
    step("a partition that does not exist")
    assert seqbench(there, *SWEEP, *SLURM, "hydra.launcher.partition=nowhere").wait() == 2
    assert (
        said(there)
        .splitlines()[-1]
        .startswith(
            "seqbench: hydra.launcher.partition=nowhere: this cluster has no partition 'nowhere', but low"
        )
    )
    assert not states()

    step("a sweep of four, of which one fails")
    (there / "armed").touch()
    sweep = seqbench(there, *SWEEP, *SLURM, "hydra.launcher.n_jobs=2")
    wait_until(lambda: "FAILED" in states().values(), 120, "one fails")
    (failed,) = (job for job, state in states().items() if state == "FAILED")
    assert "ValueError: broken on purpose" in log_of(there, failed)

    step("a job of more priority takes the place of those that run: they go back into the queue")
    preempted = wait_until(lambda: at_work(there), 180, "a run is at work")[0]
    ask("sbatch", "--wait", "--partition=high", "--exclusive", "--output=/dev/null", "--wrap=sleep 3")
    wait_until(lambda: restarts(preempted) == 1, 60, "it is preempted")

    step("the time of one is up: it goes back too")
    over = wait_until(lambda: at_work(there), 180, "a run is at work again")[0]
    before = restarts(over)
    ask("scancel", "--batch", "--signal=USR2", over)
    wait_until(lambda: restarts(over) == before + 1, 60, "it is requeued")
    assert "the time of this job is up; it goes back into the queue." in log_of(there, over)

    step("the sweep comes to its end")
    assert sweep.wait(600) == 1, said(there)
    print(said(there))
    assert f"{FAILS} seed 0 failed: ValueError: broken on purpose (its log: " in said(there)
    assert states()[failed] == "FAILED" and "ExitCode=1:0" in ask("scontrol", "show", "job", failed)
    done = [run for run in runs if not str(run).startswith("runs/latch/gru-")]
    assert len(done) == 3
    check_same(whole, there, done)

    step("the same again: only what failed is trained; its launcher is killed, and another follows the job")
    (there / "armed").unlink()
    dates = {run: date for run, date in results(there).items() if run in done}
    killed = seqbench(there, *SWEEP, *SLURM)
    wait_until(lambda: "1 jobs in the queue" in said(there), 60, "it is submitted")
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    number = len(states())
    assert seqbench(there, *SWEEP, *SLURM).wait(300) == 0, said(there)
    assert f"{FAILS} is in the queue already" in said(there) and "3 of 4 jobs had been done." in said(there)
    assert len(states()) == number
    assert {run: date for run, date in results(there).items() if run in done} == dates
    check_same(whole, there, runs)

    step("two processes that share batches, started by srun and torchrun as in docs/clusters.md")
    text = (ROOT / "docs" / "clusters.md").read_text()
    (recipe,) = re.findall(r"```sh\n(srun .*?)```", text, re.DOTALL)
    small = [
        "task=embedded_reber",
        "trainer=ddp_cpu",
        "trainer.devices=2",
        "trainer.max_steps=20",
        "logger=none",
    ]
    command = recipe.partition("-m seqbench")[0].replace("\\\n", " ").replace("--nodes=2", "--nodes=1")
    command = command.replace("--nnodes=2", "--nnodes=1").replace("--nproc-per-node=4", "--nproc-per-node=2")
    script = there / "ddp.sh"
    script.write_text(f"#!/bin/bash\n{command.strip()} -m seqbench {shlex.join(small)}\n")
    ask("sbatch", "--wait", f"--chdir={there}", "--cpus-per-task=2", f"--output={there}/ddp.txt", str(script))
    assert list(there.glob("runs/embedded_reber/*/seed-0/result.json")), (there / "ddp.txt").read_text()


if __name__ == "__main__":
    main()

"""Sweeps on Slurm: what is submitted, and what is said. `scripts/test_slurm` runs one on a real Slurm."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from seqbench.errors import ConfigError
from seqbench.signals import Stopped
from seqbench.sweeps import queue, slurm
from seqbench.sweeps.job import units
from seqbench.sweeps.remote import Part
from seqbench.sweeps.slurm import SlurmSettings
from tests.sweeps.test_job import FACTS, JOB
from tests.sweeps.test_launch import SMALL, Run

SWEEP = ["-m", *SMALL, "model=gru,rnn", "hydra/launcher=slurm"]


@pytest.mark.usefixtures("cluster")
def test_what_is_submitted_and_what_is_said_of_jobs_that_fail(seqbench: Run):
    keys = {"partition": "high", "time": 30, "memory_per_job": "2G", "cpus_per_job": 3, "n_jobs": 1}
    more = ["hydra.launcher.setup=[module load cuda]", "+hydra.launcher.sbatch.mail_type=END"]
    said = seqbench(*SWEEP, *(f"hydra.launcher.{key}={value}" for key, value in keys.items()), *more)
    assert said.code == 1
    assert "2 jobs in the queue: 12, logs in runs/.sweeps/" in said.out
    assert "gru seed 0 failed: its job 12_0 ended as FAILED (its log: " in said.err
    assert "rnn seed 0 failed: its job 12_1 ended as OUT_OF_MEMORY (its log: " in said.err
    lines = Path("submitted.sh").read_text().splitlines()
    wanted = ["partition=high", "time=30", "mem=2G", "cpus-per-task=3", "array=0-1%1", "mail-type=END"]
    wanted += ["job-name=seqbench", "nodes=1", "ntasks-per-node=1", "requeue", "signal=B:USR2@90"]
    assert {f"#SBATCH --{option}" for option in wanted} <= set(lines)
    assert "module load cuda" in lines and lines[-1].startswith("exec ")
    assert "gres" not in "".join(lines) and "wckey" not in "".join(lines)
    assert not Path("runs/.queued").exists()


@pytest.mark.usefixtures("cluster")
@pytest.mark.parametrize(
    ("setting", "sentence"),
    [
        (
            "partition=lo",
            "hydra.launcher.partition=lo: this cluster has no partition 'lo', but low, high, gpu. Did",
        ),
        ("partition='low\nrm'", "hydra.launcher.partition=low\\nrm is nothing that sbatch takes."),
        ("time='1 --wrap=x'", "hydra.launcher.time=1 --wrap=x is nothing that sbatch takes."),
        ("seeds_per_job=0", "hydra.launcher.seeds_per_job=0 must be a whole number, at least 1."),
        ("gpus_per_job=0.5", "hydra.launcher.gpus_per_job=0.5 must be a whole number or null."),
        ("+sbatch.wrap=x", "hydra.launcher.sbatch.wrap=x is no option of sbatch that can be given here."),
        ("+sbatch.mail_user='a\nb'", "hydra.launcher.sbatch.mail_user=a\\nb is no option of sbatch"),
    ],
)
def test_settings_that_do_not_fit_are_one_sentence(setting: str, sentence: str, seqbench: Run):
    plus = "+" * setting.startswith("+")
    said = seqbench(*SWEEP, f"{plus}hydra.launcher.{setting.removeprefix('+')}")
    assert said.code == 2 and said.err.startswith(f"seqbench: {sentence}") and said.err.count("\n") == 1
    assert not Path("submitted.sh").exists()


@pytest.mark.usefixtures("cluster")
def test_what_slurm_refuses_is_its_sentence(seqbench: Run):
    said = seqbench(*SWEEP, "hydra.launcher.account=poor")
    assert said.code == 2
    assert said.err == "seqbench: Slurm refuses the jobs: Batch job submission failed: Invalid account.\n"


def test_the_launchers_import_nothing_heavy_before_they_launch():
    code = "import sys, hydra_plugins.seqbench.clusters; print({'torch', 'submitit', 'ray'} & {*sys.modules})"
    assert subprocess.check_output([sys.executable, "-c", code], text=True) == "set()\n"


@pytest.mark.slow
def test_without_slurm_it_is_one_sentence(seqbench: Run, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("PATH", "/nowhere")
    said = seqbench(*SWEEP)
    assert said.code == 2 and "this machine has no sbatch; start it on a login node" in said.err


@pytest.mark.usefixtures("cluster")
def test_what_ends_the_waiting_leaves_the_jobs_where_they_are(seqbench: Run, monkeypatch: pytest.MonkeyPatch):
    def stop(seconds: float) -> None:
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setenv("STATES", "12_0 PENDING,12_1 RUNNING")
    with monkeypatch.context() as once:
        once.setattr(slurm, "sleep", stop)
        said = seqbench(*SWEEP)
    assert said.code == 130
    assert "the jobs stay in the queue; `scancel 12` cancels them, and the same command follows" in said.err
    Path("submitted.sh").unlink()
    monkeypatch.setattr(slurm, "sleep", lambda _: Path("queue.txt").write_text("12_0 CANCELLED\n"))
    said = seqbench(*SWEEP)
    assert said.code == 1 and not Path("submitted.sh").exists()
    assert "gru is in the queue already, as job 12_0." in said.err
    assert "gru seed 0 failed: its job 12_0 ended as CANCELLED (its log: " in said.err
    assert "rnn seed 0 failed: its job 12_1 has left the queue (its log: " in said.err


@pytest.mark.usefixtures("cluster")
def test_resources_that_no_run_would_use_are_refused(seqbench: Run):
    for setting, sentence in [
        (
            "gpus_per_job=2",
            "hydra.launcher.gpus_per_job=2 is more than the trainer.devices=1 that a run uses.",
        ),
        ("cpus_per_job=1", "hydra.launcher.cpus_per_job=1 is less than the 2 that a run uses: "),
    ]:
        said = seqbench(*SWEEP, "trainer.num_threads=2", f"hydra.launcher.{setting}")
        assert said.code == 2 and said.err.startswith(f"seqbench: {sentence}")


def part(seeds: range, group: str = "runs/latch/gru-0") -> Part:
    (unit,) = units(JOB, FACTS, seeds, 1)
    unit.facts = FACTS.__class__(**vars(FACTS) | {"group": group})
    return Part(unit, Path.cwd() / "runs" / ".sweeps" / "x" / f"0-{seeds.start}", gpus=0, cpus=1)


def test_what_is_in_the_queue_is_not_submitted_again(monkeypatch: pytest.MonkeyPatch):
    first, second = part(range(3, 6)), part(range(6, 9))
    first.id, second.id, first.log = "12_0", "12_1", Path("its.log")
    queue.note([first, second])
    monkeypatch.setattr(queue, "states", lambda: {"12_0": "PENDING", "12_1": "FAILED"})
    there, new = queue.already_there([part(range(3, 9)), part(range(3, 4), "runs/latch/rnn-0")])
    assert [(p.id, p.unit.seeds, p.folder, p.log) for p in there] == [
        ("12_0", range(3, 6), first.folder, Path("its.log"))
    ]
    assert [(p.id, p.unit.seeds, p.folder.name) for p in new] == [
        ("", range(6, 9), "0-6"),
        ("", range(3, 4), "0-3"),
    ]
    monkeypatch.setattr(queue, "states", dict)
    assert queue.already_there([part(range(3, 9))])[0] == []
    assert not list(Path("runs/.queued").iterdir())


@pytest.fixture
def usual_handler() -> Iterator[None]:
    """Give SIGUSR2 back the handler that it had."""
    usual = signal.getsignal(signal.SIGUSR2)
    yield
    signal.signal(signal.SIGUSR2, usual)


@pytest.mark.usefixtures("cluster", "usual_handler")
@pytest.mark.parametrize(("before", "goes_back"), [(0, True), (2, False)])
def test_a_job_whose_time_is_up_goes_back_into_the_queue(before, goes_back, monkeypatch, capsys):
    variables = {"SLURM_JOB_ID": 15, "SLURM_ARRAY_JOB_ID": 12, "SLURM_ARRAY_TASK_ID": 3}
    for name, value in (variables | {"SLURM_RESTART_COUNT": before}).items():
        monkeypatch.setenv(name, str(value))
    monkeypatch.setattr(slurm, "train_there", lambda *_: signal.raise_signal(signal.SIGUSR2))
    with pytest.raises(Stopped) as end:
        slurm.run(JOB, range(3), Path("there"), None, requeue=2)
    assert end.value.code == 143
    assert Path("scontrol.txt").exists() == goes_back
    if goes_back:
        assert Path("scontrol.txt").read_text() == "requeue 12_3\n"
    assert "the time of this job is up" in capsys.readouterr().err


@pytest.mark.usefixtures("usual_handler")
def test_a_job_with_a_failed_run_ends_so(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(slurm, "train_there", lambda *_: 1)
    with pytest.raises(SystemExit) as end:
        slurm.run(JOB, range(3), Path("there"), None, requeue=2)
    assert end.value.code == 1


def test_gpus_and_requeue_are_as_slurm_writes_them():
    options = SlurmSettings(requeue=0).options(gpus=2, cpus=4, count=7)
    assert options["gres"] == "gpu:2" and options["array_parallelism"] == 7
    assert options["additional_parameters"] == {"signal": "B:USR2@90", "no-requeue": True}


def test_a_preset_cannot_smuggle_lines_into_the_batch_script():
    with pytest.raises(ConfigError, match="is nothing that sbatch takes"):
        SlurmSettings(partition="low\ntouch ran")

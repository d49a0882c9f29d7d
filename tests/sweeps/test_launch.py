"""Sweeps of processes: what is trained, what is not, and what a process that dies leaves."""

from __future__ import annotations

import csv
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import pytest

import seqbench as package
from seqbench.runs.differences import differences
from seqbench.sweeps import checking, known, training
from seqbench.sweeps.job import Ended, Facts, Job
from seqbench.sweeps.sweep import Sweep
from tests.cli.conftest import Said

SMALL = [
    *("task=latch", "task.length=6", "task.eval_size=16", "batch_size=4", "model.hidden_size=4"),
    *("trainer.max_steps=20", "trainer.eval_every=10", "trainer.stop_when_solved=false", "logger=none"),
]
LONG = [*SMALL, "trainer.max_steps=20000", "trainer.eval_every=500", "trainer.checkpoint_every=500"]
#: A callback that ends the process of a GRU at once.
DEADLY = """
import os, signal
import lightning as L

class Deadly(L.Callback):
    def on_train_start(self, trainer, pl_module):
        if os.path.exists("armed") and "GRU" in str(pl_module.models[0]):
            os.kill(os.getpid(), signal.SIGKILL)
"""
Run = Callable[..., Said]


def steps() -> dict[str, int]:
    return {
        "/".join(path.parts[-3:-1]): json.loads(path.read_text())["steps"]
        for path in sorted(Path("runs").glob("*/*/seed-*/result.json"))
    }


def test_seeds_in_several_processes_are_what_they_are_in_one(seqbench: Run):
    said = seqbench("-m", *SMALL, "model=gru", "n_seeds=3")
    assert said.code == 0 and "gru latch: 0/3 solved" in said.out
    package.train(package.compose([*SMALL, "model=gru", "n_seeds=3", "runs_dir=together"]))
    assert len(steps()) == 3
    for folder in Path("runs").glob("latch/*/seed-*"):
        assert differences(folder, Path("together", *folder.parts[1:])) == []


def test_a_sweep_that_grows_trains_what_is_missing_and_nothing_else(seqbench: Run, monkeypatch):
    sweep = ["-m", *SMALL, "model=gru,rnn"]
    assert seqbench(*sweep).code == 0
    dates = {path: path.stat().st_mtime_ns for path in Path("runs").glob("*/*/*/result.json")}
    with monkeypatch.context() as alone:  # it is known by its configuration alone
        for module in (checking, training):
            alone.delattr(module, "start")
        again = seqbench(*sweep)
    assert again.code == 0 and "2 of 2 jobs had been done." in again.out
    assert seqbench(*sweep, "n_seeds=2").out.count("0/2 solved") == 2
    more = seqbench("-m", *SMALL, "model=gru,rnn,lstm")
    assert "2 of 3 jobs had been done.\nlstm: 0/1 solved" in more.out
    assert len(steps()) == 5 and all(path.stat().st_mtime_ns == date for path, date in dates.items())


@pytest.mark.slow
def test_what_is_known_is_found_out_again_where_anything_else_changed(seqbench: Run, monkeypatch):
    assert seqbench("-m", *SMALL, "model=gru").code == 0
    (note,) = Path("runs/.known").iterdir()
    for name in ("seed=0", "n_seeds=1", "runs_dir=runs"):  # how much, and where
        assert seqbench("-m", *SMALL, "model=gru", name).code == 0
    assert list(Path("runs/.known").iterdir()) == [note]
    monkeypatch.setattr(known, "_surroundings", lambda: ["other code"])
    assert seqbench("-m", *SMALL, "model=gru").code == 0
    assert len(list(Path("runs/.known").iterdir())) == 2
    note.write_text("{")  # damaged: found out again
    assert "1 of 1 jobs had been done." in seqbench("-m", *SMALL, "model=gru").out
    monkeypatch.setenv("LR", "0.1")  # which may be another tomorrow
    assert seqbench("-m", *SMALL, "model=gru", "optim.lr=${oc.env:LR}").code == 0
    assert len(list(Path("runs/.known").iterdir())) == 2


@pytest.mark.slow
def test_what_is_known_goes_with_a_folder_that_is_copied(seqbench: Run):
    sweep = ["-m", *SMALL, "model=gru"]
    assert seqbench(*sweep).code == 0
    shutil.copytree("runs", "copy")
    shutil.rmtree("copy/latch")
    assert "had been done" not in seqbench(*sweep, "runs_dir=copy").out
    assert len(list(Path("copy").glob("latch/*/seed-0/result.json"))) == 1
    shutil.rmtree("runs")
    assert "1 of 1 jobs had been done." in seqbench(*sweep, "runs_dir=copy").out


@pytest.mark.slow
def test_what_each_process_would_say_once_the_sweep_says_once(seqbench: Run, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "bogus")
    said = seqbench("-m", *SMALL, "logger=wandb", "logger.wandb.required=false", "model=gru,rnn", "n_seeds=2")
    assert said.code == 0 and len(steps()) == 4
    assert said.err.count("seqbench: no dashboard, for W&B cannot start: the environment variable") == 1


def test_gpus_count_where_all_is_done(monkeypatch):
    """The command that has made runs with half a GPU each is the one that reads them."""
    run = Ended(seed=0, folder="", status="finished")
    facts = Facts("", "", range(1), (run,), 1, 1, 1, 1, "cuda", 2, 1, {}, lasting=True)
    monkeypatch.setattr(known, "known", lambda job: facts)
    assert checking.check(Sweep([Job(0, [], {}, {}, "")], Path())) == 2


@pytest.mark.slow
def test_a_sweep_goes_on_when_its_reader_has_left(tmp_path):
    line = " ".join(["-m", *SMALL, "model=gru,rnn"])
    program = f'"{sys.executable}" -c "from seqbench.cli import main; main()"'
    script = f"set -o pipefail; {program} {line} | true"
    assert subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True).returncode == 0
    script = f"{program} {line} n_seeds=2 >&-"
    assert subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True).returncode == 0
    assert len(list(tmp_path.glob("runs/latch/*/*/result.json"))) == 4


def test_what_is_refused_is_named_before_anything_trains(seqbench: Run):
    said = seqbench("-m", *SMALL, "model=gru,rnn", "optim.lr=0.1,-1")
    assert said.code == 2 and said.out.startswith("4 jobs; ")
    assert said.err.count("optim.lr=-1: optim.lr=-1") == 1 and len(steps()) == 2
    assert said.err.endswith("2 errors in this sweep, printed above.\n")


def test_what_is_wrong_in_many_jobs_is_named_twice(seqbench: Run):
    """With the whole first job, and with all others: not a line for each of hundreds."""
    said = seqbench("-m", *SMALL, "model=gru,rnn", "optim.lr=0.1,-1", "seed=1,2,3")
    first, others, count = said.err.splitlines()
    assert said.code == 2 and first.split(": ")[2:] == others.split(": ")[2:] != []
    assert "optim.lr=-1 " in first and "latch" in first and others.count("lr=-1 seed=") == 5
    assert count == "seqbench: 6 errors in this sweep, printed above."


def test_a_dry_run_trains_nothing(seqbench: Run):
    assert seqbench(*SMALL, "model=gru").code == 0
    said = seqbench("--dry-run", "-m", *SMALL, "model=gru,rnn", "n_seeds=2")
    assert said.code == 0 and len(steps()) == 1
    cfg = package.compose([*SMALL, "model=gru"])
    parameters = str(package.build_model(cfg, package.build_task(cfg)).live_parameters())
    first, second = (line.split() for line in said.out.splitlines()[2:4])
    assert first[:3] == ["gru", "1/2", parameters] and second[:2] == ["rnn", "0/2"]
    assert "2 jobs, at most about" in said.out
    assert not list(Path("runs").glob("latch/rnn-*"))


def test_a_plan_without_m_is_of_what_the_command_itself_would_run(seqbench: Run):
    """Not of a sweep: with several values it is refused, and of a preset that is a sweep it is one run."""
    said, itself = (seqbench(*SMALL, "model=gru,rnn", *plan) for plan in (["--dry-run"], []))
    assert (said.code, said.out, said.err) == (2, "", itself.err) and "put -m first" in said.err
    Path("presets/experiment").mkdir(parents=True)
    preset, sweeps = Path("presets/experiment/both.yaml"), "sweeper: {params: {model: 'gru,rnn'}}"
    preset.write_text(f"# @package _global_\nhydra: {{{sweeps}}}\n")
    said = seqbench(*SMALL, "experiment=both", "--dry-run")
    assert said.code == 0 and "1 job, at most" in said.out and "lstm latch" in said.out
    assert said.err == "seqbench: this preset is a sweep, and without -m only one run of it is made.\n"
    preset.write_text(f"# @package _global_\nhydra: {{mode: MULTIRUN, {sweeps}}}\n")
    said = seqbench(*SMALL, "experiment=both", "--dry-run")
    assert said.code == 0 and "2 jobs, at most" in said.out
    assert not Path("runs/latch").exists()


def test_jobs_that_are_the_same_runs_are_named(seqbench: Run):
    """A key that is left out has its default, which is that of the preset."""
    Path("jobs").write_text("seed=1,2\n~optim.clip_norm seed=2\n")
    said = seqbench("--jobs", "jobs", *SMALL, "model=gru", "--dry-run")
    assert said.code == 0 and "3 jobs, at most" in said.out
    (line,) = said.err.splitlines()
    told = "seqbench: seed=2, seed=2 ~clip_norm share runs: runs/latch/gru-"
    assert line.startswith(told)


def test_a_launcher_that_is_not_used_is_named(seqbench: Run):
    said = seqbench(*SMALL, "model=gru", "hydra/launcher=slurm", "--dry-run")
    assert said.err == "seqbench: without -m hydra/launcher=slurm is not used, and this run is made here.\n"


def test_a_dry_run_times_what_goes_over_more_steps_than_it_takes(seqbench: Run):
    more = ["trainer.max_steps=1000", "trainer.patience=3", "optim.schedule=cosine", "optim.warmup_steps=50"]
    said = seqbench("--dry-run", *SMALL, "model=gru", *more)
    assert said.code == 0 and "1 job, at most about" in said.out, said.err


def test_a_dry_run_of_which_all_is_refused_says_why_alone(seqbench: Run):
    said = seqbench("--dry-run", *SMALL, "model=gru", "optim.lr=-1")
    assert said.code == 2 and "refused" not in said.out and "of one core" not in said.out
    assert (
        said.err.count("optim.lr=-1") == 2
        and "1 job, at most" in seqbench("--dry-run", *SMALL, "model=gru").out
    )


def test_a_process_that_is_killed_takes_no_other_with_it(seqbench: Run):
    Path("deadly.py").write_text(DEADLY)
    Path("armed").touch()
    deadly = ["allowed_packages=[deadly]", "+callbacks.x._target_=deadly.Deadly"]
    said = seqbench("-m", *SMALL, "model=gru,rnn", *deadly)
    assert said.code == 1
    assert "gru seed 0 failed: its process was ended by signal 9, SIGKILL (its log: runs/.sweeps/" in said.err
    assert list(steps().values()) == [20]
    Path("armed").unlink()
    again = seqbench("-m", *SMALL, "model=gru,rnn", *deadly)
    assert again.code == 0 and "1 of 2 jobs had been done." in again.out and len(steps()) == 2


@pytest.mark.slow
def test_a_job_may_have_several_devices_and_its_first_steps_are_those_of_one(seqbench: Run):
    tasks = ["task=embedded_reber,reverse_string", "task.length=8", "task.eval_size=16", "batch_size=4"]
    few = ["trainer.max_steps=5", "trainer.eval_every=1", "trainer.precision=64-true", "logger=none"]
    said = seqbench("-m", "trainer=ddp_cpu", "trainer.devices=1,2", *tasks, *few, "model=gru")
    assert said.code == 0, said.err
    for task in ("embedded_reber", "reverse_string"):
        curves = {}
        for path in Path("runs", task).glob("*/seed-0/metrics.csv"):
            devices = json.loads((path.parent / "result.json").read_text())["config"]["trainer"]["devices"]
            with path.open() as file:
                curves[devices] = [float(row["loss"]) for row in csv.DictReader(file)]
        assert len(curves[1]) == 5 and curves[2] == pytest.approx(curves[1], rel=1e-10)


@pytest.mark.slow
def test_a_run_that_failed_is_not_tried_again_if_so_asked(seqbench: Run):
    text = DEADLY.replace("os.kill(os.getpid(), signal.SIGKILL)", "raise ValueError('x')")
    Path("broken.py").write_text(text)
    Path("armed").touch()
    broken = ["allowed_packages=[broken]", "+callbacks.x._target_=broken.Deadly"]
    said = seqbench("-m", *SMALL, "model=gru", *broken)
    assert said.code == 1 and "gru latch seed 0 failed: ValueError: x (its log: " in said.err
    Path("armed").unlink()
    left = seqbench("-m", *SMALL, "model=gru", *broken, "hydra.launcher.retry_failed=false")
    assert left.code == 1 and "it is not tried again: hydra.launcher.retry_failed=false" in left.err
    again = seqbench("-m", *SMALL, "model=gru", *broken)
    assert again.code == 0 and list(steps().values()) == [20]


@pytest.mark.slow
def test_settings_that_do_not_fit_are_one_sentence(seqbench: Run):
    for setting, sentence in [
        ("n_jobs=0", "hydra.launcher.n_jobs=0 must be at least 1."),
        ("n_jobs=two", "hydra.launcher.n_jobs=two must be a whole number or null."),
        ("retry_failed=maybe", "hydra.launcher.retry_failed=maybe must be true or false."),
        ("gpus_per_job=2", "hydra.launcher.gpus_per_job=2 divides GPUs, and no job of this sweep trains on"),
    ]:
        said = seqbench("-m", *SMALL, "model=gru", f"hydra.launcher.{setting}", "trainer.accelerator=cpu")
        assert said.code == 2 and said.err.startswith(f"seqbench: {sentence}")


def relatives(mark: str) -> list[int]:
    """Return the processes that have a variable of an environment."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            alive = " Z " not in (process / "stat").read_text()
            if alive and mark.encode() in (process / "environ").read_bytes():
                found.append(int(process.name))
        except OSError:
            continue
    return found


@pytest.mark.slow
@pytest.mark.parametrize("end", [signal.SIGKILL, signal.SIGINT])
def test_no_process_outlives_its_launcher_and_nothing_is_lost(end, tmp_path):
    mark = f"SEQBENCH_TEST={tmp_path}"
    command = [sys.executable, "-m", "seqbench", "-m", *LONG, "model=gru,rnn"]
    environment = os.environ | dict([mark.split("=", 1)])
    process = subprocess.Popen(command, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not list(Path("runs").glob("*/*/*/checkpoints/last.pt")) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert len(relatives(mark)) > 2
    process.send_signal(end)
    assert process.wait() in (-signal.SIGKILL, 130)
    time.sleep(5)
    assert relatives(mark) == []
    assert not list(Path("runs").glob("*/*/*/result.json"))
    assert subprocess.run(command, env=environment, stdout=subprocess.DEVNULL).returncode == 0
    for model in ("gru", "rnn"):
        (whole,) = package.train(package.compose([*LONG, f"model={model}", "runs_dir=whole"]))
        folder = Path(f"latch/{model}-{whole.hash}/seed-0")
        assert differences(Path("runs") / folder, Path("whole") / folder) == []

"""Units that run elsewhere: for which devices they are planned, and what runs there."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import pytest

import seqbench as package
from seqbench.errors import ConfigError
from seqbench.runs import devices
from seqbench.runs.plan import plan
from seqbench.sweeps import remote
from tests.sweeps.test_job import FACTS, JOB
from tests.sweeps.test_launch import SMALL


def test_a_plan_for_another_machine_does_not_ask_this_one(monkeypatch: pytest.MonkeyPatch):
    cfg = package.compose([*SMALL, "model=gru", "trainer.devices=-1"])
    for gpus, kind, count in [(0, "cpu", 1), (1, "cuda", 1), (2, "cuda", 2)]:
        monkeypatch.setattr(devices, "elsewhere", gpus)
        made = plan(cfg)
        assert devices.accelerator(made.settings) == kind and made.world_size == count
    cfg.trainer.devices = 3
    with pytest.raises(ConfigError, match=r"trainer.devices=3 is more than the 2 that this machine has"):
        plan(cfg)


@pytest.mark.parametrize(
    ("given", "trainer", "gpus"),
    [
        (None, {"accelerator": "auto", "devices": 1}, 0),
        (None, {"accelerator": "gpu", "devices": 2}, 2),
        (0.5, {"accelerator": "auto", "devices": 1}, 0.5),
        (4, {"accelerator": "gpu", "devices": -1}, 4),
    ],
)
def test_a_job_has_the_gpus_that_it_is_given_or_asks_for(given, trainer, gpus):
    assert remote._gpus(replace(JOB, config={"trainer": trainer}), given) == gpus


def test_all_gpus_of_an_unknown_machine_are_no_number():
    job = replace(JOB, config={"trainer": {"accelerator": "gpu", "devices": -1}})
    with pytest.raises(ConfigError, match=r"give hydra.launcher.gpus_per_job"):
        remote._gpus(job, None)


def test_gpus_of_a_run_on_cpus_are_refused():
    settings = SimpleNamespace(gpus_per_job=1, cpus_per_job=None)
    with pytest.raises(ConfigError, match="does nothing for runs/latch/gru-0, which trains on CPUs"):
        remote._check_use(FACTS, settings)


def test_what_runs_there_is_a_sweep_of_its_own(monkeypatch: pytest.MonkeyPatch):
    asked = []
    monkeypatch.setattr(remote, "launch", lambda jobs, *_: asked.append(jobs[0]) or [1, 2])
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "3")
    job = replace(JOB, config={"seed": 0, "n_seeds": 9, "trainer": {"accelerator": "auto"}}, gpus=1)
    assert remote.train_there(job, range(4, 6), Path("there"), None) == 2
    assert os.environ["CUDA_VISIBLE_DEVICES"] == "3"
    assert remote.train_there(replace(job, gpus=0), range(4, 6), Path("there"), None) == 2
    assert os.environ["CUDA_VISIBLE_DEVICES"] == ""  # a job that asked for none sees none
    on_gpu, on_cpu = asked
    assert on_gpu.config == {"seed": 4, "n_seeds": 2, "trainer": {"accelerator": "gpu"}}
    assert on_gpu.typed == ["++trainer.accelerator=gpu"] and on_gpu.gpus is None
    assert on_cpu.config["trainer"] == {"accelerator": "auto"} and on_cpu.gpus is None

"""Devices: which jobs run at the same time."""

from __future__ import annotations

from dataclasses import replace

import pytest

from seqbench.errors import ConfigError
from seqbench.sweeps import devices
from seqbench.sweeps.devices import Devices
from tests.sweeps.test_job import FACTS

GPU = replace(FACTS, accelerator="cuda")


@pytest.fixture(autouse=True)
def _machine(monkeypatch):
    monkeypatch.setattr(devices, "available_cores", lambda: 4)
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)


def taken(of, facts):
    """Take until nothing is free."""
    found = []
    while (share := of.take(facts)) is not None:
        found.append(share)
    return found


@pytest.mark.parametrize(
    ("threads", "processes", "n_jobs", "count"),
    [
        (1, 1, None, 4),
        (2, 1, None, 2),
        (3, 1, None, 1),
        (8, 1, None, 1),
        (1, 2, None, 2),
        (1, 1, 6, 6),
        (2, 1, 1, 1),
    ],
)
def test_cores_are_shared_by_threads(threads, processes, n_jobs, count):
    of = Devices(n_jobs, None, 0)
    facts = replace(FACTS, threads=threads, devices=processes)
    assert of.slots(facts) == count
    shares = taken(of, facts)
    assert len(shares) == count and shares[0].environment == {}
    of.give_back(shares[0])
    assert len(taken(of, facts)) == 1


@pytest.mark.parametrize(
    ("per_job", "of_trainer", "seen"),
    [
        (None, 1, ["0", "1", "2"]),
        (None, 2, ["0,1"]),
        (1.0, 1, ["0", "1", "2"]),
        (2.0, 2, ["0,1"]),
        (0.5, 1, ["0", "0", "1", "1", "2", "2"]),
        (1 / 3, 1, ["0", "0", "0", "1", "1", "1", "2", "2", "2"]),
        (0.4, 1, ["0", "0", "1", "1", "2", "2"]),
    ],
)
def test_each_job_sees_its_own_gpus(per_job, of_trainer, seen):
    of = Devices(None, per_job, 3)
    facts = replace(GPU, devices=of_trainer)
    shares = taken(of, facts)
    assert [share.environment["CUDA_VISIBLE_DEVICES"] for share in shares] == seen
    assert of.slots(facts) == len(seen)
    for share in shares:
        of.give_back(share)
    assert len(taken(of, facts)) == len(seen)


def test_gpus_are_those_that_are_visible(monkeypatch):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "5,7")
    shares = taken(Devices(None, None, 2), GPU)
    assert [share.environment["CUDA_VISIBLE_DEVICES"] for share in shares] == ["5", "7"]


@pytest.mark.parametrize(
    ("n_jobs", "per_job", "gpus", "said"),
    [
        (0, None, 0, "hydra.launcher.n_jobs=0 must be at least 1"),
        (None, 1.5, 4, "hydra.launcher.gpus_per_job=1.5 must be a fraction of a GPU"),
        (None, 0.0, 4, "hydra.launcher.gpus_per_job=0 must be a fraction of a GPU"),
        (None, 5.0, 4, "hydra.launcher.gpus_per_job=5 is more than the 4 that there are"),
        (None, 0.5, 0, "hydra.launcher.gpus_per_job=0.5 divides GPUs, and no job of this sweep"),
    ],
)
def test_what_does_not_fit_is_refused(n_jobs, per_job, gpus, said):
    with pytest.raises(ConfigError, match=said):
        Devices(n_jobs, per_job, gpus)

"""What a process of a sweep says of a job that cannot be run."""

from __future__ import annotations

import pytest
from omegaconf import OmegaConf

from seqbench.config.hydra_api import composed
from seqbench.runs import memory
from seqbench.sweeps import work
from seqbench.sweeps.job import Job, Refused


def job(*typed: str) -> Job:
    plain = OmegaConf.to_container(
        composed(["task=latch", "model=rnn", "logger=none", *typed]), resolve=False
    )
    node = plain.pop("hydra")
    return Job(0, list(typed), plain, node["runtime"]["choices"], "")


def test_a_configuration_is_refused_for_good_and_what_a_machine_lacks_now_is_not(
    monkeypatch: pytest.MonkeyPatch,
):
    refused = work._facts(job("task.length=2"), timed=False)
    assert isinstance(refused, Refused) and refused.for_good and "task.length=2" in refused.sentence
    monkeypatch.setattr(memory, "free_memory", lambda: 100)
    refused = work._facts(job(), timed=False)
    assert isinstance(refused, Refused) and not refused.for_good and "memory are free" in refused.sentence

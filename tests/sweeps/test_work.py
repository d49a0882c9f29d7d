"""What a process of a sweep says of a job that cannot be run."""

from __future__ import annotations

from pathlib import Path

import pytest
from omegaconf import OmegaConf

from seqbench.config.hydra_api import composed
from seqbench.runs import memory, schedule
from seqbench.runs.plan import Plan
from seqbench.runs.result import Result
from seqbench.sweeps import work
from seqbench.sweeps.job import Facts, Job, Refused
from tests.runs.handmade import result


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


def test_what_a_configuration_stands_for_may_change_with_code_that_is_not_of_seqbench(
    monkeypatch: pytest.MonkeyPatch,
):
    """Its package may be named in the user's file alone, and in no configuration."""
    own = Path(__file__).parents[2] / "docs" / "example"
    monkeypatch.syspath_prepend(str(own))
    monkeypatch.setenv("XDG_CONFIG_HOME", str(Path.cwd()))
    Path("seqbench").mkdir()
    Path("seqbench", "trusted").write_text("lab\n")
    plain = work._facts(job(), timed=False)
    cell = ("model.cell._target_=lab.decay.Decay", "~model.cell.activation", "~model.cell.recurrent_init")
    mine = work._facts(job(*cell), timed=False)
    assert isinstance(plain, Facts) and plain.lasting
    assert isinstance(mine, Facts) and not mine.lasting


def test_what_a_step_takes_is_measured_by_one_process_and_for_runs_that_are_longer_than_the_measurement(
    monkeypatch: pytest.MonkeyPatch,
):
    trained: list[Plan] = []

    def train(made: Plan) -> list[Result]:
        trained.append(made)  # Lightning would start a second process by the command of this one, the tests
        return train_planned(made) if made.world_size == 1 else [result()]

    train_planned = schedule.train_planned
    monkeypatch.setattr(schedule, "train_planned", train)
    more = ["trainer.patience=3", "optim.schedule=cosine", "optim.warmup_steps=50", "trainer.accumulate=2"]
    assert work._seconds_per_step(job("trainer=ddp_cpu", *more))
    first, second = trained
    assert first.settings == second.settings and first.world_size == first.settings.devices == 1
    assert first.settings.accumulate == 2 * 2 and first.settings.max_steps == work.STEPS
    assert not list(Path().rglob("result.json"))

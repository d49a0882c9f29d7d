"""The plan: everything is checked and built once, and nothing after it reads configuration."""

from __future__ import annotations

from collections import Counter

import lightning as L
import pytest
import torch

import seqbench
from seqbench.config import build
from seqbench.errors import ConfigError
from seqbench.models.unfold.fused import library
from seqbench.runs.plan import plan
from seqbench.training.execution_mode import say_that_nothing_is_compiled

TINY = ["task=temporal_order", "task.length=10", "task.eval_size=20", "model.hidden_size=4", "batch_size=4"]
TINY += ["trainer.max_steps=2", "trainer.eval_every=1", "logger=none"]


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """Count what is called while a job runs."""
    counted: Counter[str] = Counter()

    def count(owner: object, name: str, key: str) -> None:
        function = getattr(owner, name)

        def call(*args, **kwargs):
            counted[key] += 1
            return function(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    count(build.ModelFactory, "__call__", "model")
    count(build, "width_for_budget", "search")
    count(build, "check", "check")
    count(L.Trainer, "__init__", "trainer")
    return counted


@pytest.mark.parametrize("together", ["auto", "false"])
def test_five_seeds_build_six_models(calls: Counter[str], together: str) -> None:
    results = seqbench.train(
        seqbench.compose([*TINY, "n_seeds=5", f"trainer.seeds_together={together}", "model=rnn"])
    )
    assert [result.status for result in results] == ["finished"] * 5, results[0].error
    assert calls["model"] <= 6  # one to check the configuration on, without memory
    assert calls["check"] <= 12, "each part of the configuration is checked once, nodes within it likewise"
    assert calls["trainer"] == (1 if together == "auto" else 5), "no trainer is built to ask a question"


def test_the_width_of_a_budget_is_searched_once(calls: Counter[str]) -> None:
    overrides = ["n_seeds=5", "model=clockwork_rnn", "model.hidden_size=null", "model.param_budget=2000"]
    results = seqbench.train(seqbench.compose([*TINY, *overrides]))
    assert len({result.parameters for result in results}) == 1
    assert abs(results[0].parameters - 2000) <= 100
    assert calls["search"] == 1 and calls["model"] <= 6 and calls["check"] <= 12
    width = results[0].config["model"]["hidden_size"]
    assert width**2 > 2000  # a clockwork RNN's masked weights count neither in the result nor in the budget


def test_after_the_plan_nothing_reads_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    cfg = seqbench.compose([*TINY, "n_seeds=2"])
    job = plan(cfg)
    cfg.task.length, cfg.batch_size, cfg.runs_dir = 99, 77, "elsewhere"
    assert (job.task.length, job.batch_size, str(job.runs_dir)) == (10, 4, "runs")
    assert job.config["task"]["length"] == 10 and list(job.seeds) == [0, 1]
    torch.manual_seed(5)
    first = job.model(0).state_dict()
    torch.manual_seed(6)
    assert all(torch.equal(value, first[name]) for name, value in job.model(0).state_dict().items())
    assert not torch.equal(job.model(1).state_dict()[next(iter(first))], first[next(iter(first))])


@pytest.mark.parametrize(
    ("overrides", "words"),
    [
        (["trainer.accelerator=abacus"], "trainer.accelerator=abacus is unknown; there are auto, cpu"),
        (["trainer.accelerator=tpu"], "trainer.accelerator=tpu is not available on this machine"),
        (["trainer.devices=5"], "batch_size=4 is too small for trainer.devices=5"),
        (["optim.optimizer.betas=[2.0,0.9]"], "optim.optimizer.betas=.2.0,0.9.: Invalid beta parameter"),
        (["model.hidden_size=0"], "model.hidden_size=0 leaves no unit; give at least 1"),
    ],
)
def test_what_cannot_be_used_is_refused_before_anything_trains(overrides: list[str], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plan(seqbench.compose([*TINY, *overrides]))


def test_without_a_compiler_runs_have_another_engine_and_say_so_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    cfg = seqbench.compose(["task=latch", "model=leaky_rnn", "logger=none"])
    compiled = plan(cfg)
    forgets = (library.library, library._obstacle, say_that_nothing_is_compiled)
    monkeypatch.setattr(library, "compiler", lambda: None)
    for cached in forgets:
        cached.cache_clear()
    try:
        plain = [plan(cfg), plan(cfg)][1]
    finally:
        for cached in forgets:
            cached.cache_clear()
    assert (str(compiled.mode), str(plain.mode)) == ("engine fused", "engine loop")
    assert plain.hash != compiled.hash
    said = "seqbench: Cells are not compiled, and train slower, because there is no C compiler.\n"
    assert capsys.readouterr().err == said

"""A budget of epochs is the one of as many steps, where there are epochs."""

from __future__ import annotations

from pathlib import Path

import pytest

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs.plan import Plan, plan
from seqbench.search.plan import plan as search
from seqbench.span.plan import plan as span

TEXT = ["task=text", "task.path=book.txt", "task.length=6", "batch_size=5", "model=gru", "logger=none"]


@pytest.fixture(autouse=True)
def book() -> None:
    Path("book.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 30)


def planned(*overrides: str) -> Plan:
    return plan(seqbench.compose([*TEXT, *overrides]))


def test_epochs_are_the_run_of_as_many_steps() -> None:
    found = planned("trainer.max_epochs=3")
    steps = 3 * 39  # 1,188 characters are for training: 237 in a stream, 236 with a next one
    assert found.settings.max_steps == steps and found.settings.max_epochs is None
    assert found.identity == planned(f"trainer.max_steps={steps}").identity
    assert found.config == planned(f"trainer.max_steps={steps}").config
    assert planned("trainer.max_epochs=3", "batch_size=10").settings.max_steps == 3 * 19
    cosine = planned("trainer.max_epochs=3", "optim.schedule=cosine")
    assert cosine.identity == planned(f"trainer.max_steps={steps}", "optim.schedule=cosine").identity


def test_so_it_is_with_sequences() -> None:
    Path("mine.csv").write_text("".join(["x,y,target\n", *(f"{i}.5,{i},{i % 3}\n" for i in range(40))]))
    keys = ["task=table", "task.path=mine.csv", "task.inputs=[x,y]", "task.target=target", "model=gru"]
    cfg = seqbench.compose([*keys, "trainer.max_epochs=2", "batch_size=4", "logger=none"])
    task = seqbench.build_task(cfg)
    assert plan(cfg).settings.max_steps == 2 * (len(task.train.inputs) // 4) > 2


@pytest.mark.parametrize(
    ("overrides", "because"),
    [
        (["trainer.max_epochs=0"], "trainer.max_epochs=0 must be at least 1, or null."),
        (
            ["trainer.max_epochs=2", "trainer.max_steps=7"],
            "trainer.max_epochs=2 and trainer.max_steps=7 are two budgets; give one of them.",
        ),
        (
            ["task=latch", "trainer.max_epochs=2"],
            "trainer.max_epochs=2 counts epochs, and task=latch draws its sequences afresh; give "
            "trainer.max_steps.",
        ),
        ([f"trainer.max_epochs={2**61}"], f"trainer.max_epochs={2**61} are {39 * 2**61} steps, more than"),
        (["trainer.max_epochs=1", "batch_size=500"], "The training text, of book.txt, has 1188 characters"),
        (
            ["trainer.max_epochs=1", "optim.schedule=step", "optim.decay=0.5", "optim.decay_after=1"],
            "optim.schedule=step has no effect: optim.decay_after=1 epochs of 39 steps are no fewer",
        ),
    ],
)
def test_what_is_no_budget_is_refused(overrides: list[str], because: str) -> None:
    kept = [] if "task=latch" in overrides else TEXT
    with pytest.raises(ConfigError) as refused:
        plan(seqbench.compose([*kept, *overrides]))
    assert str(refused.value).startswith(because)


def test_of_two_budgets_the_one_that_is_typed_counts_and_not_the_presets() -> None:
    preset = seqbench.compose(["experiment=ptb_char"])
    assert preset.trainer.max_epochs == 8
    typed = seqbench.compose(["experiment=ptb_char", "trainer.max_steps=7"])
    assert typed.trainer.max_steps == 7 and typed.trainer.max_epochs is None
    other = seqbench.compose(["experiment=quickstart", "trainer.max_epochs=3"])
    assert other.trainer.max_epochs == 3 and "max_steps" not in other.trainer
    assert seqbench.compose(["experiment=quickstart", "trainer.max_epochs=null"]).trainer.max_steps == 1000


def test_what_compares_runs_at_steps_of_its_own_counts_steps() -> None:
    with pytest.raises(ConfigError, match=r"^trainer\.max_epochs=2: a search compares .* at so many steps"):
        search([*TEXT, "trainer.max_epochs=2"])
    with pytest.raises(ConfigError, match=r"^trainer\.max_epochs=2: every span has the same budget of steps"):
        span(["task=latch", "model=gru", "trainer.max_epochs=2"])

"""A learning rate that falls at a plateau, by the evaluations of each seed: alone, in company, resumed."""

from __future__ import annotations

import re

import pytest

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs.differences import differences
from seqbench.runs.plan import plan
from tests.runs.test_company import folder, stopped_at, train
from tests.runs.test_continuation import rows

#: A rate that is too large for validation to improve at every evaluation.
RUN = [
    "task=adding",
    "task.length=7",
    "task.eval_size=30",
    "model=gru",
    "model.hidden_size=5",
    "batch_size=5",
]
RUN += ["logger=none", "trainer.stop_when_solved=false", "trainer.eval_every=5", "trainer.checkpoint_every=5"]
RUN += ["optim.lr=0.1", "optim.schedule=plateau", "optim.decay=0.5", "optim.patience=1"]


def expected(runs_dir: str, seed: int, patience: int) -> list[float]:
    """Return the rates of the steps before each evaluation, from what the evaluations found."""
    best, waited, lr, rates = float("inf"), 0, 0.1, []
    for row in rows(runs_dir, seed):
        rates.append(lr)
        waited = 0 if float(row["loss"]) < best else waited + 1
        best = min(best, float(row["loss"]))
        if waited == patience:
            lr, waited = lr / 2, 0
    return rates


@pytest.mark.slow
def test_each_seed_has_a_rate_of_its_own_alone_and_in_company() -> None:
    train(*RUN, "trainer.max_steps=60", "n_seeds=3", "runs_dir=three")
    found = {seed: [float(row["lr"]) for row in rows("three", seed)] for seed in range(3)}
    assert found == {seed: pytest.approx(expected("three", seed, 1)) for seed in range(3)}
    assert found[0] != found[1] and all(rates[-1] < rates[0] for rates in found.values())
    train(*RUN, "trainer.max_steps=60", "seed=1", "runs_dir=alone")
    assert differences(folder("alone", 1), folder("three", 1)) == []


@pytest.mark.slow
def test_a_stopped_run_and_more_steps_go_on_at_the_rate_that_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    patient = [*RUN, "optim.patience=2"]
    train(*patient, "trainer.max_steps=60", "runs_dir=whole")
    rates = [float(row["lr"]) for row in rows("whole")]
    assert rates == pytest.approx(expected("whole", 0, 2)) and rates[8] < rates[0]
    with stopped_at(40, monkeypatch):
        train(*patient, "trainer.max_steps=60", "runs_dir=stopped")
    train(*patient, "trainer.max_steps=60", "runs_dir=stopped")
    assert differences(folder("whole", 0), folder("stopped", 0)) == []
    train(*patient, "trainer.max_steps=40", "runs_dir=more")
    (result,) = train(*patient, "trainer.max_steps=60", "runs_dir=more")
    assert result.continued_from is not None and rows("more") == rows("whole")


@pytest.mark.parametrize(
    ("overrides", "because"),
    [
        (["optim.patience=4"], "optim.patience=4 is not over before the last of 5 evaluations"),
        (["trainer.patience=1"], "optim.patience=1 is no less than trainer.patience=1, which ends the run"),
        (["trainer.seeds_together=true"], "optim.schedule=plateau gives each seed a rate of its own"),
    ],
)
def test_what_would_have_no_effect_is_refused(overrides: list[str], because: str) -> None:
    with pytest.raises(ConfigError, match=re.escape(because)):
        plan(seqbench.compose([*RUN, "trainer.max_steps=25", *overrides]))

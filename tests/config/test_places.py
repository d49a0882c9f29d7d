"""Each run is logged into a place of its own."""

from __future__ import annotations

from pathlib import Path

import pytest

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs.plan import plan

TINY = ["task=latch", "task.length=5", "task.eval_size=8", "model=rnn", "model.hidden_size=3", "batch_size=4"]
TINY += ["trainer.max_steps=2", "trainer.eval_every=1"]
SECOND = "+logger.second._target_="


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["logger=csv", "+logger.csv.version=mine", "n_seeds=2"],
            r"^logger.csv.version=mine is the same for every seed, .* leave it out, or give n_seeds=1.$",
        ),
        (
            ["logger=mlflow", "+logger.mlflow.run_id=abc", "n_seeds=2"],
            r"^logger.mlflow.run_id=abc is the same for every seed",
        ),
        (
            [
                "logger=csv",
                f"{SECOND}lightning.pytorch.loggers.CSVLogger",
                "+logger.second.save_dir=x",
                "+logger.csv.save_dir=x",
            ],
            r"^logger.csv and logger.second write into one place; leave one of them out.$",
        ),
        (
            ["logger=wandb", f"{SECOND}seqbench.training.loggers.wandb", "+logger.second.tags=[b]"],
            r"^logger.wandb and logger.second write into one place",
        ),
        (
            ["logger=none", f"{SECOND}lightning.pytorch.loggers.WandbLogger"],
            r"^logger.second._target_=.*WandbLogger logs all seeds and jobs .* choose logger=wandb",
        ),
    ],
)
def test_two_runs_or_two_loggers_in_one_place_are_refused(overrides: list[str], sentence: str) -> None:
    with pytest.raises(ConfigError, match=sentence):
        plan(seqbench.compose([*TINY, *overrides]))
    assert not Path("runs").exists()


@pytest.mark.parametrize(
    "overrides",
    [
        ["logger=csv", "+logger.csv.version=mine"],  # a single seed
        ["logger=csv", "+logger.csv.prefix=mine", "n_seeds=2"],  # what several runs may share
        [
            "logger=[wandb,csv]",
            f"{SECOND}seqbench.training.loggers.wandb",
            "+logger.second.project=b",
            "n_seeds=2",
        ],
    ],
)
def test_what_goes_into_several_places_is_not(overrides: list[str]) -> None:
    assert plan(seqbench.compose([*TINY, *overrides])).hash


def test_one_preset_named_twice_is_one_logger_and_each_seed_has_a_file() -> None:
    cfg = seqbench.compose(
        [*TINY, "logger=[csv,csv]", f"{SECOND}lightning.pytorch.loggers.CSVLogger", "n_seeds=2"]
    )
    seqbench.train(cfg)
    files = sorted(path.relative_to("runs") for path in Path("runs").glob("*/latch/rnn-*/seed-*/metrics.csv"))
    assert [(file.parts[0], file.parts[-2]) for file in files] == [
        *(("csv", "seed-0"), ("csv", "seed-1"), ("second", "seed-0"), ("second", "seed-1")),
    ]
    for file in files:
        assert len(("runs" / file).read_text().splitlines()) == 1 + 2 + 1, (
            "a header, two evaluations, the end"
        )

"""Sweeps of presets: narrowed by what is typed, and swept themselves."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from seqbench.cli.sweep import each_experiment
from seqbench.errors import ConfigError
from tests.cli.conftest import Said

SMALL = ["trainer.max_steps=2", "trainer.eval_every=2", "task.eval_size=8", "batch_size=4", "logger=none"]


@pytest.fixture
def experiments() -> None:
    """Put three experiments beside where one works: two sweeps over different keys, and a single run."""
    folder = Path("presets/experiment")
    folder.mkdir(parents=True)
    first = "# @package _global_\ndefaults:\n  - override /task: latch\ntask:\n  length: 6\n"
    swept = "hydra:\n  sweeper:\n    params:\n      {}: {}\n"
    (folder / "my_widths.yaml").write_text(first + "n_seeds: 2\n" + swept.format("model.hidden_size", "2,3"))
    (folder / "my_models.yaml").write_text(first + swept.format("model", "rnn,gru"))
    (folder / "my_single.yaml").write_text(first + "optim:\n  lr: 0.5\n")


def runs() -> set[tuple[str, int, int, float]]:
    """Return the model, width, seed and rate of every run."""
    found = set()
    for path in Path("runs").glob("*/*/*/result.json"):
        config = json.loads(path.read_text())["config"]
        model, width = config["preset"]["model"], config["model"]["hidden_size"]
        found.add((model, width, config["seed"], config["optim"]["lr"]))
    return found


@pytest.mark.slow
@pytest.mark.usefixtures("experiments")
def test_experiments_that_are_sweeps_are_swept_each_in_its_own_way(seqbench: Callable[..., Said]) -> None:
    said = seqbench("-m", "hydra/launcher=basic", "experiment=my_widths,my_models,my_single", *SMALL)
    assert said.code == 0, said.err
    widths = {("lstm", width, seed, 0.003) for width in (2, 3) for seed in (0, 1)}
    assert runs() == widths | {("rnn", 64, 0, 0.003), ("gru", 64, 0, 0.003), ("lstm", 64, 0, 0.5)}
    assert said.out.count("2 jobs") == 2 and said.out.count("1 job;") == 1
    assert said.out.count("Solved: ") == 1, "one table of all"
    narrowed = ["experiment=glob(my_*s)", "model.hidden_size=5", "model=gru"]
    again = seqbench("-m", "hydra/launcher=basic", *narrowed, *SMALL)
    assert again.code == 0, again.err  # what is typed counts in each
    assert runs() - widths == {
        *(("rnn", 64, 0, 0.003), ("gru", 64, 0, 0.003), ("lstm", 64, 0, 0.5)),
        *(("gru", 5, 0, 0.003), ("gru", 5, 1, 0.003)),
    }


@pytest.mark.usefixtures("experiments")
def test_an_experiment_that_does_not_exist_is_told_before_any_trains(seqbench: Callable[..., Said]) -> None:
    said = seqbench("-m", "experiment=my_single,my_singel", *SMALL)
    assert said.code == 2 and not Path("runs").exists()
    (line,) = said.err.splitlines()
    assert line.startswith(
        "seqbench: There is no preset 'my_singel' in experiment. Did you mean 'my_single'? There are: "
    )


def test_other_command_lines_are_left_as_they_are() -> None:
    for line in (
        ["seqbench", "-m", "experiment=quickstart", "model=rnn,gru"],
        ["seqbench", "-m", "model=rnn,gru"],
        ["seqbench", "experiment=quickstart,forget_bias"],  # Hydra says that -m is missing
        ["seqbench", "-m", "experiment=quickstart,"],  # Hydra says that it cannot be read
    ):
        assert each_experiment(line) == [line]
    assert each_experiment(["seqbench", "--multirun", "experiment=reverse,g2p", "seed=1"]) == [
        ["seqbench", "--multirun", "experiment=reverse", "seed=1"],
        ["seqbench", "--multirun", "experiment=g2p", "seed=1"],
    ]
    with pytest.raises(ConfigError, match="There is no preset 'a' in experiment"):
        each_experiment(["seqbench", "-m", "experiment=a,b"])

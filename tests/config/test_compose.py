"""Composing: names of several presets, and one sentence for what is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest

from seqbench.config.compose import compose
from seqbench.errors import ConfigError


@pytest.mark.parametrize(
    ("overrides", "sentence"),
    [
        (
            ["logger=[csv,wandbb]"],
            "There is no preset 'wandbb' in logger. Did you mean 'wandb'? There are: csv,",
        ),
        (
            ["model/readout=deeep"],
            "There is no preset 'deeep' in model/readout. Did you mean 'deep'? There are: deep,",
        ),
        (["logger=null"], "logger=null must name a preset: logger=none, logger=[…]; `seqbench ls loggers`"),
        (
            ["logger.project=mine"],
            "There is no key 'logger.project' here. Did you mean 'logger.wandb.project'?",
        ),
        (["+logger._target_=os.system"], "logger._target_ has no name; a preset of this group reads 'name:"),
        (["callbacks=[nonee]"], "There is no preset 'nonee' in callbacks. Did you mean 'none'?"),
        (["task.length=???"], "task.length has no value; give it one with task.length=…."),
    ],
)
def test_what_is_wrong_is_one_sentence(overrides, sentence):
    with pytest.raises(ConfigError) as caught:
        compose(overrides)
    assert str(caught.value).startswith(sentence) and "\n" not in str(caught.value)


def test_an_experiment_may_choose_several_loggers():
    folder = Path("presets/experiment")
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("# @package _global_\ndefaults:\n  - override /logger: [csv, wandb]\n")
    assert list(compose(["experiment=mine"]).logger) == ["csv", "wandb"]
    assert list(compose(["experiment=mine", "logger=none"]).logger) == []

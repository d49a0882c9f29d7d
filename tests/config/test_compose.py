"""Composing: names of several presets, and one sentence for what is wrong."""

from __future__ import annotations

from pathlib import Path

import hydra
import pytest
from hydra.core.global_hydra import GlobalHydra
from hydra.core.hydra_config import HydraConfig
from hydra.core.utils import JobRuntime
from hydra.version import getbase

from seqbench.config.compose import compose, fitted
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


def test_what_a_preset_says_of_a_search_is_no_part_of_a_run():
    folder = Path("presets/experiment")
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("# @package _global_\nbatch_size: 8\nsearch: {n_seeds: 3}\n")
    cfg = compose(["experiment=mine"])
    assert "search" not in cfg and cfg.batch_size == 8
    for typed in ("search.n_seeds=4", "+search.bracket=2", "~search.n_seeds"):
        with pytest.raises(ConfigError, match=r"^search.\w+ goes with `seqbench search …`\.$"):
            compose(["experiment=mine", typed])


def test_a_program_that_uses_hydra_itself_keeps_its_own():
    Path("theirs").mkdir()
    Path("theirs/app.yaml").write_text("size: 3\n")
    with hydra.initialize_config_dir(str(Path("theirs").absolute()), version_base="1.2", job_name="app"):
        HydraConfig.instance().set_config(hydra.compose("app", return_hydra_config=True))
        kept = GlobalHydra.instance().hydra, HydraConfig.instance().cfg, JobRuntime.instance().get("name")
        assert compose(["task.length=7"]).task.length == 7
        with pytest.raises(ConfigError):
            compose(["task.lenght=7"])
        now = GlobalHydra.instance().hydra, HydraConfig.instance().cfg, JobRuntime.instance().get("name")
        assert all(a is b for a, b in zip(kept, now, strict=True)) and str(getbase()) == "1.2"
        assert hydra.compose("app", ["size=4"]) == {"size": 4}
    HydraConfig.instance().cfg = None
    assert compose(["task.length=7"]).task.length == 7 and not GlobalHydra.instance().is_initialized()


def test_a_dashboard_is_required_where_it_was_named():
    def required(*overrides):
        return compose(overrides).logger.wandb.required

    assert required() is False and required("task=latch") is False
    assert required("logger=wandb") is True and required("logger=[csv,wandb]") is True
    assert required("logger.wandb.project=mine") is True
    assert required("logger=wandb", "logger.wandb.required=false") is False


def test_top_level_values_are_fitted_also_where_a_program_has_set_them():
    cfg = compose()
    cfg.seed, cfg.batch_size, cfg.runs_dir = 1e3, "64", "~"
    found = fitted(cfg)
    assert (found.seed, found.batch_size, found.runs_dir) == (1000, 64, str(Path.home()))
    assert cfg.seed == 1e3
    cfg.runs_dir = None
    with pytest.raises(ConfigError, match=r"^runs_dir=null must name a folder, such as runs_dir=runs\.$"):
        fitted(cfg)
    with pytest.raises(
        ConfigError, match=r"^A configuration is what seqbench\.compose returns, and this is a "
    ):
        fitted({"seed": 1})

"""The command that asks for a configuration again."""

import shlex
from typing import Any

import pytest
from omegaconf import OmegaConf

from seqbench.config.command import command
from seqbench.config.compose import compose
from seqbench.config.identity import INCIDENTAL


def plain(words: list[str]) -> dict[str, Any]:
    found: Any = OmegaConf.to_container(compose(words))
    return dict(found)


def deciding(config: dict[str, Any]) -> dict[str, Any]:
    """Return a configuration without what decides no number, but for the seed."""
    cfg: Any = OmegaConf.create(config)
    for key in {*INCIDENTAL} - {"seed", "model.param_budget"}:
        node, _, last = key.rpartition(".")
        place = OmegaConf.select(cfg, node) if node else cfg
        if place is not None:
            place.pop(last, None)
    found: Any = OmegaConf.to_container(cfg)
    return dict(found)


@pytest.mark.parametrize(
    ("asked", "typed"),
    [
        (["seed=3"], "seqbench task=adding model=lstm seed=3"),
        (
            ["task=latch", "model=gru_chrono", "optim=sgd", "optim.lr=0.5", "optim.clip_norm=null"],
            "seqbench task=latch model=gru_chrono optim=sgd optim.clip_norm=null optim.lr=0.5 seed=0",
        ),
        (
            ["model=rnn", "model/readout=deep", "model.readout.hidden_size=7", "batch_size=8"],
            "seqbench task=adding model=rnn model/readout=deep model.readout.hidden_size=7 "
            "batch_size=8 seed=0",
        ),
        (
            ["model=gru", "model/block=pre_norm", "model.block.norm=layer"],
            "seqbench task=adding model=gru model/block=pre_norm model.block.norm=layer seed=0",
        ),
        (["model=mamba"], "seqbench task=adding model=mamba seed=0"),
        (["model=mamba", "model/block=none"], "seqbench task=adding model=mamba model/block=none seed=0"),
        (
            ["task=narma10", "model=echo_state", "model/readout=linear"],
            "seqbench task=narma10 model=echo_state model/readout=linear seed=0",
        ),
        (
            ["model=leaky_rnn", "model.cell.alpha=[0.0,0.5]", "task.eval_lengths=[50,100]"],
            "seqbench task=adding model=leaky_rnn 'task.eval_lengths=[50,100]' "
            "'model.cell.alpha=[0.0,0.5]' seed=0",
        ),
        (
            ["model.param_budget=9000", "trainer.lightning={}", "logger=none", "runs_dir=elsewhere"],
            "seqbench task=adding model=lstm model.param_budget=9000 seed=0",
        ),
    ],
)
def test_typed_again_it_gives_the_same_configuration(asked: list[str], typed: str) -> None:
    config = plain(asked)
    assert command(config) == typed
    assert deciding(plain(shlex.split(typed)[1:])) == deciding(config)


def test_a_hostile_value_is_one_word_and_one_value() -> None:
    config = plain([])
    config["task"]["note"] = "'; rm -rf ~ #"
    typed = command(config)
    assert typed is not None
    (word,) = [word for word in shlex.split(typed) if word.startswith("+task.note=")]
    assert word == r"+task.note='\'; rm -rf ~ #'"


@pytest.mark.parametrize("model", [{"readout": "x"}, {"readout": [1]}, {"readout": {"_target_": ["a"]}}])
def test_a_readout_that_is_none_is_typed_as_it_is(model: dict[str, object]) -> None:
    config = plain([])
    config["model"] = model
    assert "model.readout" in str(command(config))


def test_without_its_preset_there_is_no_command() -> None:
    config = plain([])
    config["preset"]["model"] = "mine"
    assert command(config) is None
    assert command({}) is None

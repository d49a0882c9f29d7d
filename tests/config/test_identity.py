"""Identity: which configurations are the same run."""

from __future__ import annotations

from collections import defaultdict

import pytest
from omegaconf import OmegaConf

import seqbench
from seqbench.config.build import ModelFactory
from seqbench.config.identity import identity, resolve
from seqbench.config.instantiate import locate
from seqbench.config.presets import CONF_DIR

BASE = ["task=latch", "task.length=6", "model=gru", "model.hidden_size=4"]


def hash_of(*overrides: str) -> str:
    cfg = seqbench.compose([*BASE, *overrides])
    return identity(resolve(cfg, ModelFactory(cfg, seqbench.build_task(cfg))))


@pytest.mark.parametrize(
    "same",
    [
        ["seed=3", "n_seeds=2", "runs_dir=x", "trainer.num_threads=2"],
        ["trainer.log_spectrum=true", "trainer.checkpoint_seconds=5", "trainer.accumulate=2"],
        ["logger=none", "callbacks=none"],
        ["logger=[csv,wandb]", "logger.wandb.project=mine"],
        ["logger=none", "+callbacks.rate._target_=lightning.pytorch.callbacks.LearningRateMonitor"],
        ["optim.clip_norm=1", "optim.weight_decay=0", "trainer.stop_when_solved=yes"],
    ],
)
def test_what_decides_no_number_is_not_in_the_hash(same):
    assert hash_of(*same) == hash_of()


def test_what_decides_a_number_is():
    differing = [
        [],
        ["optim.lr=0.1"],
        ["model.hidden_size=5"],
        ["model=rnn"],
        ["batch_size=3"],
        ["task.length=7"],
    ]
    assert len({hash_of(*overrides) for overrides in differing}) == len(differing)


def test_a_budget_counts_by_its_width():
    width = ModelFactory(
        cfg := seqbench.compose([*BASE, "model.param_budget=5000"]), seqbench.build_task(cfg)
    ).width
    assert hash_of("model.param_budget=5000") == hash_of(f"model.hidden_size={width}") != hash_of()


def test_a_class_of_seqbench_may_move_and_that_of_another_package_not():
    def moved(old: str, new: str) -> bool:
        cfg = OmegaConf.create({"model": {"_target_": old, "cell": {"_target_": "torch.nn.GRU"}}})
        there = OmegaConf.create({"model": {"_target_": new, "cell": {"_target_": "torch.nn.GRU"}}})
        return identity(cfg) == identity(there)

    assert moved("seqbench.models.cells.gru.GRU", "seqbench.models.gated.GRU")
    assert not moved("seqbench.models.cells.gru.GRU", "seqbench.models.cells.gru.LSTM")
    assert not moved("seqbench.models.cells.gru.GRU", "mine.models.GRU")
    assert not moved("mine.models.GRU", "mine.cells.GRU") and not moved("seqbench.GRU", "seqbenchmark.GRU")


def test_class_names_of_the_presets_are_unique():
    def targets(node):
        if OmegaConf.is_dict(node):
            if isinstance(target := node.get("_target_"), str):
                yield target
            for key in node:
                yield from targets(node._get_node(key))

    found = defaultdict(set)
    for path in CONF_DIR.glob("*/*.yaml"):
        for target in targets(OmegaConf.load(path)):
            if target.startswith("seqbench."):
                found[target.rpartition(".")[2]].add(locate(target, str(path), ()))
    assert len(found) > 40
    assert {name: classes for name, classes in found.items() if len(classes) > 1} == {}

"""What presets must pass on stories, trees and two sequences, as those of sequences do in test_presets."""

from __future__ import annotations

import copy

import pytest
import torch
from seqbench.training.seeds import run

import seqbench
from seqbench.config.build import ModelFactory, build_optimizer_config
from seqbench.config.presets import preset_names
from seqbench.errors import ConfigError
from tests.models.test_presets import accepts

#: For each kind of task a small one.
TASKS = {
    "story": ["task=stories", "task.length=6", "task.eval_lengths=null", "task.types=[one_fact,two_facts]"],
    "tree": ["task=listops", "task.length=3", "task.eval_lengths=null", "task.max_tokens=20"],
    "two-sequence": ["task=reverse", "task.length=4", "task.eval_lengths=null"],
}
#: Every preset with every kind that it takes, and those of them that take no other.
TAKEN = [(preset, kind) for kind in TASKS for preset in preset_names("model") if kind in accepts(preset)]
ALONE = [(preset, kind) for preset, kind in TAKEN if accepts(preset) == (kind,)]
every_preset = pytest.mark.parametrize(("preset", "kind"), TAKEN)
every_preset_of_one_kind = pytest.mark.parametrize(("preset", "kind"), ALONE)


def test_there_are_presets_of_every_kind():
    assert {("memn2n", "story"), ("tree_lstm", "tree"), ("seq2seq", "two-sequence")} <= set(ALONE)
    assert {("lstm", "story"), ("lstm", "tree"), ("ntm", "story"), ("ntm", "tree")} <= set(TAKEN) - set(ALONE)


@every_preset
def test_two_training_steps(preset, kind):
    cfg = seqbench.compose([f"model={preset}", "model.hidden_size=8", *TASKS[kind]])
    task = seqbench.build_task(cfg)
    model = seqbench.build_model(cfg, task)
    optimizer = build_optimizer_config(cfg).build(p for p in model.parameters() if p.requires_grad)
    before = copy.deepcopy(model.state_dict())
    batches = task.train_batches(seed=0, batch_size=8)
    for _ in range(2):
        batch = next(batches)
        loss = task.targets.loss(run(model, batch)[0], batch)
        assert loss.isfinite()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    for name, parameter in model.named_parameters():
        assert not parameter.requires_grad or not torch.equal(parameter, before[name]), name
    assert all(values.isfinite().all() for values, _ in task.measure(run(model, batch)[0], batch).values())


@every_preset_of_one_kind
def test_state_dict_goes_to_disk_and_back(make_model, preset, kind, tmp_path):
    (model, task), (twin, _) = (make_model(f"model={preset}", *TASKS[kind]) for _ in range(2))
    batch = task.validation().rows(0, 6)

    def losses(model):
        return task.targets.losses(run(model, batch)[0], batch)

    torch.save(model.state_dict(), tmp_path / "weights.pt")
    assert not torch.equal(losses(twin), losses(model))
    twin.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(losses(twin), losses(model))


@every_preset_of_one_kind
def test_param_budget_picks_the_nearest_width(make_model, preset, kind):
    cfg = seqbench.compose([f"model={preset}", *TASKS[kind], "model.param_budget=10000"])
    width = ModelFactory(cfg, seqbench.build_task(cfg)).width

    def off(override):
        model, _ = make_model(f"model={preset}", *TASKS[kind], override)
        return abs(sum(p.numel() for p in model.parameters()) - 10_000)

    assert off("model.param_budget=10000") == off(f"model.hidden_size={width}") <= 500
    assert off(f"model.hidden_size={width}") <= min(off(f"model.hidden_size={width + d}") for d in (-1, 1))


@every_preset_of_one_kind
def test_another_kind_of_task_is_refused(make_model, preset, kind):
    with pytest.raises(ConfigError, match=rf"{preset} takes {kind} tasks, and adding is a sequence task"):
        make_model(f"model={preset}", "task=adding")

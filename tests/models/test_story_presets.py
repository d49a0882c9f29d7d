"""What every preset of a model must pass on stories: those for nothing else, and models of sequences."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.utils._pytree import tree_map

import seqbench
from seqbench.config import build_recipe, preset_names
from seqbench.errors import ConfigError
from seqbench.training.seeds import run
from tests.models.test_presets import accepts

STORY = [preset for preset in preset_names("model") if accepts(preset) == ("story",)]
READERS = [preset for preset in preset_names("model") if "story" in accepts(preset)]
TASK = ("task=stories", "task.length=6", "task.eval_lengths=null", "task.types=[one_fact,two_facts]")
every_story_preset = pytest.mark.parametrize("preset", STORY)
every_reader = pytest.mark.parametrize("preset", READERS)
training = pytest.mark.parametrize("in_training", [False, True], ids=["used", "trained"])


@pytest.fixture
def small(make_model):
    """Build a small model in float64, and six stories for it, of four to six sentences."""

    def make(preset, in_training=False, width=5):
        model, task = make_model(f"model={preset}", f"model.hidden_size={width}", *TASK)
        batch = task.sample_training(torch.Generator().manual_seed(1), 6)
        return model.double().train(in_training), task, batch

    return make


def losses(model, task, batch):
    outputs, _ = run(model, batch)
    return task.targets.losses(outputs, batch)


def test_there_are_presets():
    assert {"memn2n", "memory_network"} <= set(STORY)
    assert {"lstm", "rnn", "ntm", *STORY} <= set(READERS)


@every_story_preset
@training
def test_rows_do_not_touch_each_other(small, preset, in_training):
    model, task, batch = small(preset, in_training)
    together = losses(model, task, batch)
    for row in range(6):
        alone = losses(model, task, batch.rows(row, row + 1))
        torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-12)


@every_story_preset
@training
def test_padding_changes_nothing(small, preset, in_training):
    model, task, batch = small(preset, in_training)
    past = torch.arange(batch.inputs.shape[1]) >= batch.lengths[:, None]
    garbage = batch._replace(inputs=torch.where(past, torch.randint_like(batch.inputs, 5), batch.inputs))
    assert past.any() and not torch.equal(garbage.inputs, batch.inputs)
    torch.testing.assert_close(losses(model, task, garbage), losses(model, task, batch), rtol=0, atol=1e-13)


@every_story_preset
def test_gradcheck(small, preset):
    model, task, batch = small(preset, in_training=True, width=3)
    names, values = zip(*model.named_parameters(), strict=True)
    few = batch.rows(0, 2)

    def loss(*parameters):
        def call(*args, **more):
            return functional_call(model, dict(zip(names, parameters, strict=True)), args, more)

        return task.targets.losses(run(model, few, call=call)[0], few)

    assert torch.autograd.gradcheck(loss, values)


@every_story_preset
def test_two_copies_under_vmap_are_each_alone(small, preset):
    models = [small(preset, in_training=True)[0] for _ in range(2)]
    _, task, batch = small(preset)
    stacked = batch.each(lambda part: torch.stack([part, part.flip(0)]))

    def loss(parameters, mine):
        def call(*args, **more):
            return functional_call(models[0], parameters, args, more)

        return task.targets.losses(run(models[0], mine, call=call)[0], mine).sum()

    there = tree_map(lambda part: None if part is None else 0, stacked)
    parameters = stack_module_state(models)[0]
    grads, values = vmap(grad_and_value(loss), in_dims=(0, there))(parameters, stacked)
    for i, model in enumerate(models):
        alone = losses(model, task, stacked.of_seed(i)).sum()
        torch.testing.assert_close(values[i], alone, rtol=0, atol=1e-11)
        alone.backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(grads[name][i], parameter.grad, rtol=0, atol=1e-11)


@every_story_preset
def test_state_dict_goes_to_disk_and_back(small, preset, tmp_path):
    (model, task, batch), (twin, _, _) = small(preset), small(preset)
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    assert not torch.equal(losses(twin, task, batch), losses(model, task, batch))
    twin.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(losses(twin, task, batch), losses(model, task, batch))


@every_story_preset
def test_param_budget_picks_the_nearest_width(make_model, preset):
    def off(*override):
        model, _ = make_model(f"model={preset}", *TASK, *override)
        return abs(sum(p.numel() for p in model.parameters()) - 5000), model

    best, model = off("model.param_budget=5000")
    width = next(p.shape[-1] for p in model.parameters())
    assert best <= 250
    for near in (width - 1, width + 1):
        assert off(f"model.hidden_size={near}")[0] >= best


@every_story_preset
def test_a_story_longer_than_the_memory_is_refused(make_model, preset):
    with pytest.raises(ConfigError, match=r"model: memory_size=5 holds fewer sentences .* has, 6; give"):
        make_model(f"model={preset}", *TASK, "model.memory_size=5")
    make_model(f"model={preset}", *TASK, "model.memory_size=6")


@every_story_preset
def test_another_kind_of_task_is_refused(make_model, preset):
    with pytest.raises(ConfigError, match=rf"{preset} takes story tasks, and adding is a sequence task"):
        make_model(f"model={preset}", "task=adding")


@every_reader
def test_two_training_steps(preset):
    cfg = seqbench.compose([f"model={preset}", "model.hidden_size=8", *TASK])
    task = seqbench.build_task(cfg)
    model = seqbench.build_model(cfg, task)
    recipe = build_recipe(cfg)
    optimizer = recipe.build(p for p in model.parameters() if p.requires_grad)
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

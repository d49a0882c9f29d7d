"""What every preset of a model that takes stories alone must pass, besides test_kinds."""

from __future__ import annotations

import pytest
import torch
from seqbench.training.seeds import run
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.utils._pytree import tree_map

from seqbench.config.presets import preset_names
from seqbench.errors import ConfigError
from tests.models.test_presets import accepts

STORY = [preset for preset in preset_names("model") if accepts(preset) == ("story",)]
TASK = ("task=stories", "task.length=6", "task.eval_lengths=null", "task.types=[one_fact,two_facts]")
every_story_preset = pytest.mark.parametrize("preset", STORY)
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
    stacked = batch.map(lambda part: torch.stack([part, part.flip(0)]))

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
def test_a_story_longer_than_the_memory_is_refused(make_model, preset):
    with pytest.raises(ConfigError, match=r"model: memory_size=5 holds fewer sentences .* has, 6; give"):
        make_model(f"model={preset}", *TASK, "model.memory_size=5")
    make_model(f"model={preset}", *TASK, "model.memory_size=6")

"""What every preset of a model that takes trees alone must pass, besides test_kinds."""

from __future__ import annotations

import copy

import pytest
import torch
from seqbench.training.data import side_by_side
from seqbench.training.seeds import SeedStack, run
from torch.func import functional_call

import seqbench
from seqbench.config.build import build_optimizer_config
from seqbench.config.presets import preset_names
from tests.models.test_presets import accepts

TREE = [preset for preset in preset_names("model") if accepts(preset) == ("tree",)]
TASK = ("task=listops", "task.length=3", "task.eval_lengths=[3]", "task.max_tokens=30", "task.eval_size=20")
every_tree_preset = pytest.mark.parametrize("preset", TREE)


@pytest.fixture
def small(make_model):
    """Build a small model in float64, and six trees for it."""

    def make(preset, width=5):
        model, task = make_model(f"model={preset}", f"model.hidden_size={width}", *TASK)
        return model.double(), task, task.validation().rows(0, 6)

    return make


def losses(model, task, batch):
    return task.targets.losses(run(model, batch)[0], batch)


def test_there_are_presets():
    assert {"recursive_net", "tree_lstm"} <= set(TREE)


@every_tree_preset
def test_rows_do_not_touch_each_other(small, preset):
    model, task, batch = small(preset)
    together = losses(model, task, batch)
    assert together.unique().numel() == 6
    for row in range(6):
        alone = losses(model, task, batch.rows(row, row + 1))
        torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-12)


@every_tree_preset
def test_padding_changes_nothing(small, preset):
    model, task, batch = small(preset)
    past = torch.arange(batch.inputs.shape[1]) >= batch.lengths[:, None]
    garbage = batch._replace(inputs=torch.where(past, torch.randint_like(batch.inputs, 5), batch.inputs))
    assert past.any() and not torch.equal(garbage.inputs, batch.inputs)
    torch.testing.assert_close(losses(model, task, garbage), losses(model, task, batch), rtol=0, atol=1e-13)


@every_tree_preset
def test_gradcheck(small, preset):
    model, task, batch = small(preset, width=2)
    names, values = zip(*model.named_parameters(), strict=True)
    few = batch.rows(0, 2)

    def loss(*parameters):
        def call(*args, **more):
            return functional_call(model, dict(zip(names, parameters, strict=True)), args, more)

        return task.targets.losses(run(model, few, call=call)[0], few)

    assert torch.autograd.gradcheck(loss, values)


@every_tree_preset
def test_nothing_is_kept_between_calls(small, preset):
    model, task, batch = small(preset)
    before = copy.deepcopy(model.state_dict())
    first = losses(model, task, batch)
    losses(model, task, batch.rows(2, 3))
    assert torch.equal(losses(model, task, batch), first)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not [value for value in vars(model).values() if isinstance(value, torch.Tensor)]


@every_tree_preset
def test_state_size_is_what_is_carried(small, preset):
    model, _, batch = small(preset)
    roots = run(model, batch)[1]
    parts = roots if isinstance(roots, tuple) else (roots,)
    assert model.state_size == sum(part[0].numel() for part in parts) > 0


@every_tree_preset
def test_two_seeds_in_turn_are_each_alone(preset):
    """Shapes depend on the trees, which vmap cannot do; the seeds of a stack need not go together."""
    cfg = seqbench.compose([f"model={preset}", "model.hidden_size=8", *TASK])
    task, recipe = seqbench.build_task(cfg), build_optimizer_config(cfg)

    def losses(seeds: list[int]) -> torch.Tensor:
        models = []
        for seed in seeds:
            torch.manual_seed(seed)
            models.append(seqbench.build_model(cfg, task).double())
        stack = SeedStack(models)
        if len(seeds) > 1:
            stack.tie()
        assert stack.engine is None
        optimizer = recipe.build(stack.trainable())
        streams = [task.train_batches(seed, 8) for seed in seeds]
        found = []
        for _ in range(20):
            stack.zero_grad()
            loss = stack.backward(task.targets, side_by_side([next(stream) for stream in streams]))
            norm = recipe.clip(stack.gradients())
            optimizer.step()
            found.append(torch.stack([loss, norm]))
        return torch.stack(found)

    alone = torch.cat([losses([seed]) for seed in (4, 0)], dim=-1)
    torch.testing.assert_close(losses([4, 0]), alone, rtol=1e-9, atol=1e-9)
    assert (alone[-1, 0, 0] - alone[-1, 0, 1]).abs() > 1e-6


@every_tree_preset
@pytest.mark.parametrize("together", ["true", "auto"])
def test_the_platform_trains_two_seeds_as_alone(preset, together):
    args = [f"model={preset}", "model.hidden_size=8", *TASK, "batch_size=8", "logger=none"]
    args += ["trainer.max_steps=4", "trainer.eval_every=4", f"trainer.seeds_together={together}"]

    def train(*more):
        return seqbench.train(seqbench.compose([*args, *more]))

    _, result = train("n_seeds=2", "runs_dir=both")
    (alone,) = train("seed=1", "runs_dir=alone")
    assert result.status == alone.status == "finished" and result.mode == "seeds in turn"
    assert result.test["3"] == pytest.approx(alone.test["3"], rel=1e-5)
    assert result.validation["loss"] == pytest.approx(alone.validation["loss"], rel=1e-5)

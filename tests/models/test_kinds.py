"""What presets must pass on stories, trees and two sequences, as those of sequences do in test_presets."""

from __future__ import annotations

import copy

import pytest
import torch
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.utils._pytree import tree_leaves

import seqbench
from seqbench.config.build import ModelFactory, build_optimizer_config
from seqbench.config.presets import preset_names
from seqbench.errors import ConfigError
from seqbench.training.seed_stack import run
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
modes = pytest.mark.parametrize("in_training", [False, True], ids=["used", "trained"])


@pytest.fixture
def small(make_model):
    """Build a small model in float64, and six rows for it as training has them."""

    def make(preset, kind, in_training=True, width=4):
        model, task = make_model(f"model={preset}", f"model.hidden_size={width}", *TASKS[kind])
        return model.double().train(in_training), task, next(task.train_batches(1, 6))

    return make


def losses(model, task, batch, call=None):
    return task.targets.losses(run(model, batch, call=call)[0], batch)


def with_parameters(model, parameters):
    """Call a model with other parameters."""
    return lambda *args, **more: functional_call(model, parameters, args, more)


def test_there_are_presets_of_every_kind():
    assert {("memn2n", "story"), ("tree_lstm", "tree"), ("seq2seq", "two-sequence")} <= set(ALONE)
    assert {("lstm", "story"), ("lstm", "tree"), ("ntm", "story"), ("ntm", "tree")} <= set(TAKEN) - set(ALONE)


@pytest.mark.slow
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
@modes
def test_rows_do_not_touch_each_other(small, preset, kind, in_training):
    model, task, batch = small(preset, kind, in_training)
    together = losses(model, task, batch)
    assert together.flatten().unique().numel() > 5
    for row in range(6):
        alone = losses(model, task, batch.rows(row, row + 1))
        torch.testing.assert_close(alone[0], together[row], rtol=0, atol=1e-12)


@pytest.mark.parametrize(("preset", "kind"), [(p, kind) for p, kind in ALONE if kind != "two-sequence"])
@modes
def test_padding_changes_nothing(small, preset, kind, in_training):
    model, task, batch = small(preset, kind, in_training)
    past = torch.arange(batch.inputs.shape[1]) >= batch.lengths[:, None]
    garbage = batch._replace(inputs=torch.where(past, torch.randint_like(batch.inputs, 5), batch.inputs))
    assert past.any() and not torch.equal(garbage.inputs, batch.inputs)
    torch.testing.assert_close(losses(model, task, garbage), losses(model, task, batch), rtol=0, atol=1e-13)


@every_preset_of_one_kind
def test_gradcheck(small, preset, kind):
    model, task, batch = small(preset, kind, width=2)
    names, values = zip(*model.named_parameters(), strict=True)

    def loss(*parameters):
        call = with_parameters(model, dict(zip(names, parameters, strict=True)))
        return losses(model, task, batch.rows(0, 2), call)

    assert torch.autograd.gradcheck(loss, values, fast_mode=True)


@every_preset_of_one_kind
def test_two_copies_under_vmap_are_each_alone(small, preset, kind):
    models = [small(preset, kind)[0] for _ in range(2)]
    assert models[0].vectorizable == (kind != "tree")  # the shapes in a model of trees depend on the trees
    if kind == "tree":
        return
    for module in models[0].modules():
        if hasattr(module, "engine"):
            module.engine = "loop"
    _, task, batch = small(preset, kind)
    stacked = batch.map(lambda part: torch.stack([part, part.flip(0)]))

    def loss(parameters, mine):
        return losses(models[0], task, mine, with_parameters(models[0], parameters)).sum()

    dims = stacked.map(lambda part: 0)
    grads, values = vmap(grad_and_value(loss), in_dims=(0, dims))(stack_module_state(models)[0], stacked)
    for i, model in enumerate(models):
        alone = losses(model, task, stacked.map(lambda part, i=i: part[i])).sum()
        torch.testing.assert_close(values[i], alone, rtol=0, atol=1e-11)
        alone.backward()
        for name, parameter in model.named_parameters():
            torch.testing.assert_close(grads[name][i], parameter.grad, rtol=0, atol=1e-11)


@every_preset_of_one_kind
def test_nothing_is_kept_between_calls(small, preset, kind):
    model, task, batch = small(preset, kind)
    before = copy.deepcopy(model.state_dict())
    first = losses(model, task, batch)
    losses(model, task, batch.rows(2, 3))
    assert torch.equal(losses(model, task, batch), first)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not [v for module in model.modules() for v in vars(module).values() if isinstance(v, torch.Tensor)]


@every_preset_of_one_kind
def test_state_dict_goes_to_disk_and_back(small, preset, kind, tmp_path):
    (model, task, batch), (twin, *_) = (small(preset, kind) for _ in range(2))
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    assert not torch.equal(losses(twin, task, batch), losses(model, task, batch))
    twin.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(losses(twin, task, batch), losses(model, task, batch))


@every_preset_of_one_kind
def test_param_budget_picks_the_nearest_width(make_model, preset, kind):
    cfg = seqbench.compose([f"model={preset}", *TASKS[kind], "model.param_budget=10000"])
    width = ModelFactory(cfg, seqbench.build_task(cfg)).width

    def off(override):
        model, _ = make_model(f"model={preset}", *TASKS[kind], override)
        return abs(model.live_parameters() - 10_000)

    assert off("model.param_budget=10000") == off(f"model.hidden_size={width}") <= 500
    assert off(f"model.hidden_size={width}") <= min(off(f"model.hidden_size={width + d}") for d in (-1, 1))


@every_preset_of_one_kind
def test_another_kind_of_task_is_refused(make_model, preset, kind):
    with pytest.raises(ConfigError, match=rf"{preset} takes {kind} tasks, and adding is a sequence task"):
        make_model(f"model={preset}", "task=adding")


@pytest.mark.parametrize("preset", [preset for preset, kind in ALONE if kind == "tree"])
def test_a_trees_state_size_is_what_its_root_has(small, preset):
    model, _, batch = small(preset, "tree")
    assert model.state_size == sum(part[0].numel() for part in tree_leaves(run(model, batch)[1])) > 0


@pytest.mark.parametrize("preset", [preset for preset, kind in ALONE if kind == "tree"])
def test_two_seeds_of_a_tree_model_are_trained_in_turn_as_alone(preset):
    args = [f"model={preset}", "model.hidden_size=8", *TASKS["tree"], "task.eval_size=20", "batch_size=8"]
    args += ["trainer.max_steps=10", "trainer.eval_every=10", "logger=none"]

    def train(*more):
        return seqbench.train(seqbench.compose([*args, *more]))

    _, result = train("n_seeds=2", "runs_dir=both")
    (alone,) = train("seed=1", "runs_dir=alone")
    assert result.status == alone.status == "finished" and result.mode == "eager"
    assert result.test["3"] == pytest.approx(alone.test["3"], rel=1e-5)
    assert result.validation["loss"] == pytest.approx(alone.validation["loss"], rel=1e-5)


@pytest.mark.parametrize("preset", [preset for preset, kind in ALONE if kind == "story"])
def test_a_story_longer_than_the_memory_is_refused(make_model, preset):
    with pytest.raises(ConfigError, match=r"model.memory_size=5 holds fewer sentences .* has, 6; give"):
        make_model(f"model={preset}", *TASKS["story"], "model.memory_size=5")
    model, _ = make_model(f"model={preset}", *TASKS["story"], "model.memory_size=6", "model.hidden_size=8")
    assert model.state_size == 6 * 8

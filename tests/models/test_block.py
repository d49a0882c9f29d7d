"""A body of pre-norm blocks does what a body does, and is its formula."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.utils._pytree import tree_map

from seqbench.errors import ConfigError
from seqbench.models.block import PreNorm
from tests.config.test_identity import hash_of
from tests.models.test_presets import TASKS, close, gradients, ragged

BLOCK = ("model/block=pre_norm", "model.hidden_size=6", "model.num_layers=2")
#: Cells that unfold in different ways, a norm and an MLP of each kind, and what changes a body.
BODIES = {
    "lstm": ("model=lstm",),
    "gru-swiglu": ("model=gru", "model.block.norm=layer", "model.block.mlp=swiglu"),
    "lru": ("model=lru", "model.block.mlp=none"),
    "dilated": ("model=rnn", "model.dilation=2"),
    "feedback": ("model=gru", "model.feedback=true"),
    "seldom-kept": ("model=clockwork_rnn", "model.checkpoint_steps=3"),
}
every_body = pytest.mark.parametrize("overrides", BODIES.values(), ids=BODIES)
every_task = pytest.mark.parametrize("task", TASKS.values(), ids=TASKS)


@pytest.fixture
def made(make_model):
    def make(*overrides: str):
        model, task = make_model(*overrides, *BLOCK)
        inputs = task.sample(torch.Generator().manual_seed(1), 4, task.length).inputs
        return model.double(), inputs.double() if inputs.is_floating_point() else inputs

    return make


def norm(x: Tensor, kind: str) -> Tensor:
    if kind == "layer":
        x = x - x.mean(-1, keepdim=True)
    return x / (x.square().mean(-1, keepdim=True) + 1e-6).sqrt()


@pytest.mark.parametrize("kind", ["rms", "layer"])
@pytest.mark.parametrize("mlp", ["gelu", "swiglu", "none"])
@pytest.mark.parametrize("layer_size", [4, 7])
def test_a_block_is_its_formula(kind, mlp, layer_size):
    block = PreNorm(4, layer_size, norm=kind, mlp=mlp).double()
    x, h = torch.randn(2, 3, 4).double(), torch.randn(2, 3, layer_size).double()
    torch.testing.assert_close(block.before(x), norm(x, kind))
    assert (block.P is None) == (layer_size == 4)
    u = x + (h if block.P is None else h @ block.P.weight.t())
    out = u
    if mlp == "gelu":
        inner = norm(u, kind) @ block.enter.weight.t() + block.enter.bias
        out = u + nn.functional.gelu(inner) @ block.leave.weight.t() + block.leave.bias
    if mlp == "swiglu":
        gate, value = (norm(u, kind) @ block.enter.weight.t()).split(8, dim=-1)
        out = u + (gate * torch.sigmoid(gate) * value) @ block.leave.weight.t()
    torch.testing.assert_close(block.after(x, h), out)


@pytest.mark.parametrize(
    "overrides", [given for given in BODIES.values() if "model.feedback=true" not in given], ids=str
)
@every_task
def test_unfolding_is_stepping(made, overrides, task):
    model, inputs = made(*overrides, *task)
    states, outputs = model.body.initial_state(4), []
    for x in model.encode(inputs).unbind(1):
        h, states = model.body.step(x, states)
        outputs.append(model.readout(h))
    by_hand = torch.stack(outputs, dim=1) if model.per_step else outputs[-1]
    close(model(inputs), (by_hand, states))


@every_body
@every_task
def test_padding_changes_nothing_and_rows_do_not_touch(made, overrides, task):
    model, inputs = made(*overrides, *task)
    lengths, padded = ragged(inputs)
    outputs, state = model(padded, lengths)
    for row, length in enumerate(lengths.tolist()):
        alone, end = model(inputs[row : row + 1, :length])
        close(outputs[row, :length] if model.per_step else outputs[row], alone[0])
        close(tree_map(lambda part, row=row: part[row], state), tree_map(lambda part: part[0], end))


@every_body
def test_a_split_sequence_with_its_state_is_the_whole(made, overrides):
    model, inputs = made(*overrides, *TASKS["tokens-steps"])
    whole, end = model(inputs)
    first, state = model(inputs[:, :4])
    second, last = model(inputs[:, 4:], state=state)
    close(torch.cat([first, second], dim=1), whole)
    close(last, end)


def test_both_directions_see_the_whole_and_padding_changes_nothing(made):
    model, inputs = made("model=gru", "model.bidirectional=true", *TASKS["tokens-steps"])
    assert model.body.blocks[0].P is not None and model.body.output_size == 6
    lengths, padded = ragged(inputs)
    outputs, _ = model(padded, lengths)
    for row, length in enumerate(lengths.tolist()):
        close(outputs[row, :length], model(inputs[row : row + 1, :length])[0][0])
    changed = inputs.clone()
    changed[:, -1] = (changed[:, -1] + 1) % 5
    assert (model(changed)[0] - model(inputs)[0])[:, 0].abs().min() > 1e-9


@pytest.mark.parametrize("overrides", [BODIES["gru-swiglu"], BODIES["lru"]], ids=str)
def test_two_copies_under_vmap_are_each_alone(made, overrides):
    models, inputs = zip(*(made(*overrides, *TASKS["tokens-steps"]) for _ in range(2)), strict=True)
    assert models[0].vectorizable

    def loss(learnt, others, x):
        outputs, state = functional_call(models[0], (learnt, others), (x,))
        total = outputs.square().mean()
        return total + sum((part * part.conj()).real.mean() for (part,) in state), outputs

    stacked = vmap(grad_and_value(loss, has_aux=True))(*stack_module_state(models), torch.stack(inputs))
    grads, (_, outputs) = stacked
    for i, model in enumerate(models):
        close(outputs[i], model(inputs[i])[0])
        close({name: part[i] for name, part in grads.items()}, gradients(model, inputs[i]))


@pytest.mark.parametrize("overrides", [BODIES["lstm"], BODIES["gru-swiglu"]], ids=str)
def test_a_budget_counts_the_block(make_model, overrides):
    model, _ = make_model(
        *overrides, "model/block=pre_norm", *TASKS["vectors-last"], "model.param_budget=5000"
    )
    assert abs(model.live_parameters() - 5000) <= 250


def test_many_symbols_are_looked_up(make_model):
    task = ("task=copy_memory", "task.length=3", "task.symbols=2", "task.alphabet=400")
    model, task = make_model("model=lstm", "model/block=pre_norm", "model.hidden_size=4", *task)
    inputs = task.sample(torch.Generator().manual_seed(1), 2, task.length).inputs
    assert model.looks_up
    torch.testing.assert_close(model(inputs)[0], _multiplied(model, inputs))


def _multiplied(model, inputs):
    return model.readout(model.body(model.encode(inputs))[0])


def test_no_block_is_the_default_and_in_no_hash():
    assert hash_of("model/block=none") == hash_of() != hash_of("model/block=pre_norm")
    assert hash_of("model/block=pre_norm") != hash_of("model/block=pre_norm", "model.block.norm=layer")


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        (
            ("model.block.mlp=none", "model.block.expansion=3"),
            "expansion=3.0 is of an MLP, and model.block.mlp=none",
        ),
        (("model.block.expansion=0",), "expansion=0.0 leaves no unit of the MLP"),
        (("model.block.norm=batch",), "model.block.norm=batch must be rms or layer"),
    ],
)
def test_bad_blocks_are_refused(make_model, overrides, said):
    with pytest.raises(ConfigError, match=said):
        make_model("model=gru", "model/block=pre_norm", *overrides, *TASKS["vectors-last"])


def test_why_there_are_no_plain_states_to_look_into(made):
    model, _ = made("model=gru", *TASKS["vectors-last"])
    assert "model/block=none" in model.obstacle_to_stepping()

"""What every preset of a model of sequences must pass."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor
from torch.func import functional_call, grad_and_value, stack_module_state, vmap
from torch.utils._pytree import tree_leaves, tree_map

import seqbench
from seqbench.config.build import build_optimizer_config
from seqbench.config.presets import model_accepts, preset_names
from seqbench.errors import ConfigError
from seqbench.models.feedback import Carried

#: The kinds of task that a preset's model takes.
accepts = model_accepts


PRESETS = [preset for preset in preset_names("model") if "sequence" in accepts(preset)]
#: Options that make a preset's model small, besides its width.
SMALL = {
    "ntm": ("model.cell.memory_size=4", "model.cell.word_size=2"),
    "dnc": ("model.cell.memory_size=4", "model.cell.word_size=2", "model.cell.read_heads=2"),
    **dict.fromkeys(("s4d", "mamba", "mamba2"), ("model.cell.state_width=3",)),
    "gla": ("model.cell.gate_rank=2",),
    "rwkv7": ("model.cell.rank=2",),
    "stack_rnn": ("model.cell.stack_size=3", "model.cell.word_size=2"),
    "tape_rnn": ("model.cell.tape_size=5", "model.cell.word_size=2", "model.cell.jump=2"),
    "tcn": ("model.cell.kernel_size=3",),
}
#: Presets whose output is a function of the state and the input, and those that give none.
READ_INPUTS = ("lru", "s5", "s4d")
READ_MORE = (
    *("output_rnn", "tcn", "mamba", "mamba2", "gla", "delta_net", "gated_delta_net", "xlstm", "transformer"),
    "rwkv7",
)
#: Small tasks, one for each way in which inputs and targets come.
TASKS = {
    "tokens-steps": ("task=copy_memory", "task.length=3", "task.symbols=2", "task.alphabet=3"),
    "tokens-last": ("task=temporal_order", "task.length=10"),
    "vectors-last": ("task=adding", "task.length=7"),
}
every_preset = pytest.mark.parametrize("preset", PRESETS)
#: Every preset with every task; the fast tests take one task of each preset, another for the next.
every_preset_and_task = pytest.mark.parametrize(
    ("preset", "task_overrides"),
    [
        pytest.param(
            preset, overrides, id=f"{preset}-{name}", marks=() if (i + j) % 3 == 0 else pytest.mark.slow
        )
        for i, preset in enumerate(PRESETS)
        for j, (name, overrides) in enumerate(TASKS.items())
    ],
)


def stacked(preset: str, layers: int) -> list[str]:
    """Overrides for so many layers; a single one has no layer that a dilation could act on."""
    undilated = ["model.dilation=1"] if preset in ("dilated_rnn", "tcn") and layers == 1 else []
    return [f"model.num_layers={layers}", *undilated]


@pytest.fixture
def small(make_model):
    """Build a small model in float64, and four sequences for it."""

    def make(preset, task_overrides, engine="auto", layers=2, width=5, rows=4):
        overrides = (f"model={preset}", f"model.hidden_size={width}", *stacked(preset, layers))
        model, task = make_model(*overrides, *SMALL.get(preset, ()), *task_overrides)
        model.body.engine = engine
        inputs = task.sample(torch.Generator().manual_seed(1), rows, task.length).inputs
        return model.double(), inputs.double() if inputs.is_floating_point() else inputs

    return make


def close(found, expected, tolerance=1e-12):
    """Compare all tensors; those with numbers above 1, as rectified units have, by their largest."""
    for a, b in zip(tree_leaves(found), tree_leaves(expected), strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=tolerance * max(1, b.abs().max().item()))


def other(inputs: Tensor) -> Tensor:
    """Inputs that differ everywhere."""
    return inputs + 3 if inputs.is_floating_point() else (inputs + 1) % 5


def ragged(inputs: Tensor) -> tuple[Tensor, Tensor]:
    """Lengths of four rows, from 1 to all, and the inputs with garbage past them."""
    lengths = torch.tensor([inputs.shape[1], 1, 4, inputs.shape[1] - 1])
    past = torch.arange(inputs.shape[1]) >= lengths[:, None]
    garbage = 1e4 * torch.randn_like(inputs) if inputs.is_floating_point() else torch.randint_like(inputs, 5)
    return lengths, torch.where(past.view(*past.shape, *[1] * (inputs.ndim - 2)), garbage, inputs)


def engines(model) -> tuple[str, ...]:
    """The engines that run different code: the loop, and the automatic choice if the cell has another."""
    cell = model.layers[0]
    return ("auto", "loop") if cell.has_native or cell.has_scan else ("loop",)


def gradients(model, inputs, lengths=None, state=None) -> dict[str, Tensor]:
    """Gradients of a loss that weighs every output and every state."""
    outputs, last = model(inputs, lengths, state)
    loss = outputs.square().mean() + sum((part * part.conj()).real.mean() for part in tree_leaves(last))
    learnt = trainable(model)
    begun = state is not None  # where a state is given, what it starts from has no gradient
    found = torch.autograd.grad(loss, list(learnt.values()), allow_unused=begun, materialize_grads=begun)
    return dict(zip(learnt, found, strict=True))


def trainable(model) -> dict[str, Tensor]:
    return {name: p for name, p in model.named_parameters() if p.requires_grad}


def test_there_are_presets():
    assert {"rnn", "irnn", "leaky_rnn", "lstm", "gru", "ntm"} <= set(PRESETS)


@every_preset_and_task
@pytest.mark.parametrize("layers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_unfolding_is_stepping(small, preset, task_overrides, layers):
    model, inputs = small(preset, task_overrides, layers=layers)
    x, body = model.encode(inputs), model.body
    # For each layer the states of the steps to come, which lie as far back as its dilation.
    coming = [
        [layer.initial_state(len(x))] * d for layer, d in zip(model.layers, model.body.dilations, strict=True)
    ]
    assert len(coming) == layers
    own = x.new_zeros(len(x), model.readout.out_features)
    steps = []
    for h in x.unbind(1):
        if model.feedback.beside:
            h = torch.cat([h, own], dim=1)
        h = body.entry(h) if body.entry else h
        for i, (states, layer) in enumerate(zip(coming, model.layers, strict=True)):
            read = body.blocks[i].before(h) if body.blocks else h
            output, state = layer.step(layer.project(read), states.pop(0))
            h = body.blocks[i].after(h, output) if body.blocks else output
            states.append(state)
        steps.append(model.readout(body.norm(h) if body.norm else h))
        own = steps[-1].softmax(-1) if model.classes else steps[-1]
    by_hand = torch.stack(steps, dim=1) if model.per_step else steps[-1]
    end = [
        states[0] if len(states) == 1 else tree_map(lambda *parts: torch.stack(parts, dim=1), *states)
        for states in coming
    ]
    fed = Carried(tuple(end), (own,), (torch.zeros_like(own),))
    close(model(inputs), (by_hand, fed if model.feedback.beside else tuple(end)))


@every_preset
def test_a_cell_says_how_its_output_follows_from_its_state(small, preset):
    """Of a state that no step has made too, unless the output depends on the input or on no state at all."""
    model, _ = small(preset, TASKS["tokens-steps"])
    for layer in model.layers:
        x = torch.randn(4, layer.input_size).double()
        output, state = layer.step(layer.project(x), layer.initial_state(4))
        found = layer.output_of(layer.project(x), state)
        assert (found is None) == (preset in READ_MORE)
        close(output if found is None else found, output)
        if preset not in READ_INPUTS + READ_MORE:
            close(layer.output_of(None, state), output)


@every_preset
def test_an_output_ignores_what_comes_later(small, preset):
    model, inputs = small(preset, TASKS["tokens-steps"])
    before, _ = model(inputs)
    for t in range(1, inputs.shape[1]):
        after, _ = model(torch.cat([inputs[:, :t], other(inputs[:, t:])], dim=1))
        close(after[:, :t], before[:, :t])
        assert ((after[:, t:] - before[:, t:]).abs().amax(-1) > 1e-9).all()


@every_preset_and_task
def test_rows_do_not_touch_each_other(small, preset, task_overrides):
    model, inputs = small(preset, task_overrides)
    outputs, state = model(inputs)
    changed, _ = model(torch.cat([inputs[:1], other(inputs[1:2]), inputs[2:]]))
    close(changed[[0, 2, 3]], outputs[[0, 2, 3]])
    assert (changed[1] - outputs[1]).abs().max() > 1e-9
    for row in range(4):
        close(
            model(inputs[row : row + 1]),
            tree_map(lambda part, row=row: part[row : row + 1], (outputs, state)),
        )


@every_preset_and_task
def test_padding_changes_nothing(small, preset, task_overrides):
    model, inputs = small(preset, task_overrides)
    for engine in engines(model):
        model.body.engine = engine
        lengths, padded = ragged(inputs)
        outputs, state = model(padded, lengths)
        for row, length in enumerate(lengths.tolist()):
            alone, end = model(inputs[row : row + 1, :length])
            close(outputs[row, :length] if model.per_step else outputs[row], alone[0])
            close(tree_map(lambda part, row=row: part[row], state), tree_map(lambda part: part[0], end))
        valid = torch.where(torch.arange(inputs.shape[1]) < lengths[:, None], 1.0, 0.0).double()
        towards = valid[..., None] if model.per_step else torch.ones(4, 1).double()

        def gradient(given, lengths=lengths, towards=towards):
            loss = (model(given, lengths)[0] * towards).sum()
            return torch.autograd.grad(loss, list(trainable(model).values()))

        close(gradient(padded), gradient(inputs), tolerance=1e-10)


@every_preset_and_task
def test_a_split_sequence_with_its_state_is_the_whole(small, preset, task_overrides):
    model, inputs = small(preset, task_overrides)
    for engine in engines(model):
        model.body.engine = engine
        whole, end = model(inputs)
        for t in (1, 3, inputs.shape[1] - 1):
            first, state = model(inputs[:, :t])
            kept = tree_map(Tensor.clone, state)
            second, last = model(inputs[:, t:], state=state)
            close(torch.cat([first, second], dim=1) if model.per_step else second, whole)
            close(last, end)
            assert all(map(torch.equal, tree_leaves(state), tree_leaves(kept)))  # not written into


@every_preset
@pytest.mark.parametrize("vectors", [False, True], ids=["tokens", "vectors"])
def test_gradcheck(small, preset, vectors):
    token_task = ("task=copy_memory", "task.length=2", "task.symbols=1", "task.alphabet=2")
    task_overrides = ("task=adding", "task.length=4") if vectors else token_task
    model, inputs = small(preset, task_overrides, "loop", width=3, rows=2)
    names, values = zip(*trainable(model).items(), strict=True)
    assert inputs.shape[:2] == (2, 4)

    def run(x, *parameters):
        given = inputs if x is None else x
        leaves = tree_leaves(functional_call(model, dict(zip(names, parameters, strict=True)), (given,)))
        # One tensor: the fast mode, which projects the Jacobian on random directions, fails for a part of a
        # state without a gradient, such as the number of the step.
        return torch.cat([torch.view_as_real(part + 0j).flatten() for part in leaves])

    given = (inputs.requires_grad_() if vectors else None, *values)
    assert torch.autograd.gradcheck(run, given, fast_mode=True)


@every_preset_and_task
@pytest.mark.parametrize("with_lengths", [pytest.param(False, marks=pytest.mark.slow), True])
def test_two_copies_under_vmap_are_each_alone(small, preset, task_overrides, with_lengths):
    built = [small(preset, task_overrides, "loop") for _ in range(2)]
    models = [model for model, _ in built]
    inputs = torch.stack([built[0][1], other(built[1][1])])
    lengths = ragged(inputs[0])[0] if with_lengths else None

    def loss(learnt, others, x):
        outputs, state = functional_call(models[0], (learnt, others), (x, lengths))
        total = outputs.square().mean() + sum((part * part.conj()).real.mean() for part in tree_leaves(state))
        return total, (outputs, state)

    parameters, buffers = stack_module_state(models)
    learnt = {name: parameters[name] for name in trainable(models[0])}
    others = buffers | {name: value for name, value in parameters.items() if name not in learnt}
    grads, (_, (outputs, state)) = vmap(grad_and_value(loss, has_aux=True))(learnt, others, inputs)
    for i, model in enumerate(models):
        mine = tree_map(lambda part, i=i: part[i], (outputs, state, grads))
        close(mine, (*model(inputs[i], lengths), gradients(model, inputs[i], lengths)))
    assert (outputs[0] - outputs[1]).abs().max() > 1e-3


@every_preset
def test_state_dict_goes_to_disk_and_back(small, preset, tmp_path):
    model, inputs = small(preset, TASKS["vectors-last"])
    twin, _ = small(preset, TASKS["vectors-last"])
    assert not torch.equal(twin(inputs)[0], model(inputs)[0])
    torch.save(model.state_dict(), tmp_path / "weights.pt")
    twin.load_state_dict(torch.load(tmp_path / "weights.pt", weights_only=True))
    assert torch.equal(twin(inputs)[0], model(inputs)[0])


@every_preset
@pytest.mark.parametrize(
    ("with_lengths", "with_state"),
    [
        (True, True),
        *(
            pytest.param(*which, marks=pytest.mark.slow)
            for which in ((False, False), (False, True), (True, False))
        ),
    ],
)
def test_engines_agree(small, make_model, preset, with_lengths, with_state):
    model, inputs = small(preset, TASKS["vectors-last"])
    there = {"native": model.layers[0].has_native, "scan": model.layers[0].has_scan}
    for engine in (name for name, has in there.items() if not has):
        with pytest.raises(ConfigError, match="no such engine"):
            make_model(f"model={preset}", *TASKS["vectors-last"], f"model.engine={engine}")
    fast = next((name for name, has in there.items() if has), "auto")
    loop, inputs = model.float(), inputs.float()
    loop.body.engine = "loop"
    other_engine = copy.deepcopy(loop)
    other_engine.body.engine = fast
    lengths, inputs = ragged(inputs) if with_lengths else (None, inputs)
    # A state that can be: not any numbers are a weighting.
    state = tree_map(Tensor.detach, loop(other(inputs))[1]) if with_state else None
    close(other_engine(inputs, lengths, state), loop(inputs, lengths, state), tolerance=1e-5)
    close(
        gradients(other_engine, inputs, lengths, state),
        gradients(loop, inputs, lengths, state),
        tolerance=1e-5,
    )


@every_preset
@pytest.mark.parametrize(
    "task_overrides",
    [
        TASKS["tokens-steps"],
        *(
            pytest.param(overrides, marks=pytest.mark.slow)
            for overrides in (
                ("task=adding", "task.length=24", "task.variant='1997'"),  # of different lengths
                TASKS["tokens-last"],
                TASKS["vectors-last"],
            )
        ),
    ],
    ids=str,
)
def test_two_training_steps(preset, task_overrides):
    cfg = seqbench.compose([f"model={preset}", "model.hidden_size=8", "model.num_layers=2", *task_overrides])
    task = seqbench.build_task(cfg)
    model = seqbench.build_model(cfg, task)
    recipe = build_optimizer_config(cfg)
    optimizer = recipe.build(model.parameters())
    before = copy.deepcopy(model.state_dict())
    batches = task.train_batches(seed=0, batch_size=8)
    for _ in range(2):
        batch = next(batches)
        loss = task.targets.loss(model(batch.inputs, batch.lengths)[0], batch)
        optimizer.zero_grad()
        loss.backward()
        learnt = trainable(model)
        assert loss.isfinite() and recipe.clip([p.grad[None] for p in learnt.values()]).isfinite()
        optimizer.step()
    for name, parameter in learnt.items():
        assert parameter.isfinite().all() and not torch.equal(parameter, before[name]), name


@every_preset
@pytest.mark.parametrize("layers", [pytest.param(1, marks=pytest.mark.slow), 2])
def test_state_size_is_what_is_carried(small, preset, layers):
    model, inputs = small(preset, TASKS["vectors-last"], layers=layers)
    _, state = model(inputs)
    if isinstance(state, Carried):
        assert not state.truth[0].any()  # which is no state of the model's own
        state = state._replace(truth=())
    numbers = [torch.view_as_real(part) if part.is_complex() else part for part in tree_leaves(state)]
    assert model.state_size == sum(part[0].numel() for part in numbers) > 0


@every_preset
@pytest.mark.parametrize(
    ("layers", "task_overrides"),
    [pytest.param(1, TASKS["tokens-steps"], marks=pytest.mark.slow), (2, TASKS["vectors-last"])],
)
def test_param_budget_picks_the_nearest_width(make_model, preset, layers, task_overrides):
    overrides = (f"model={preset}", *stacked(preset, layers), *task_overrides)

    def made(override):
        with torch.device("meta"):  # no memory, which an echo state network of 10,000 weights to train needs
            model, _ = make_model(*overrides, override)
        return model, abs(model.live_parameters() - 10_000)

    model, off = made("model.param_budget=10000")
    assert off <= 500
    width = model.layers[0].hidden_size
    assert all(made(f"model.hidden_size={near}")[1] >= off for near in (width - 1, width + 1))


@every_preset
def test_a_budget_out_of_reach_says_what_is_in_reach(make_model, preset):
    with pytest.raises(ConfigError, match=r"out of reach .* \(hidden_size=1\) and \d+ \(hidden_size=2\)"):
        make_model(f"model={preset}", *TASKS["vectors-last"], "model.param_budget=1")


@every_preset_and_task
def test_nothing_is_kept_between_calls(small, preset, task_overrides):
    model, inputs = small(preset, task_overrides)
    for engine in engines(model):
        model.body.engine = engine
        before = copy.deepcopy(model.state_dict())
        first = model(inputs)
        model(other(inputs)[:2, :4], lengths=torch.tensor([4, 2]))
        assert all(map(torch.equal, tree_leaves(model(inputs)), tree_leaves(first)))
        assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
        kept = [
            value
            for module in model.modules()
            for value in vars(module).values()
            if isinstance(value, Tensor)
        ]
        assert kept == []

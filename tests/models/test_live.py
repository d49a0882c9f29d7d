"""Live parameters are those that some batch gives a gradient, measured over every preset."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn

from seqbench.analysis.overview.model import facts, parts
from seqbench.config.presets import preset_names
from seqbench.models.cells.leaky import LeakyRNN
from seqbench.models.model import Model
from seqbench.models.unfold import Cell
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.training.seed_stack import run
from tests.models import test_kinds, test_presets
from tests.models.test_presets import SMALL, accepts

LENGTH, ROWS, BATCHES = 20, 16, 3
#: What is left of a sum that is 0, over what it is the sum of.
ROUNDING = 1e-13
TASKS = {
    "sequence": (*test_presets.TASKS["tokens-steps"], "task.length=10"),
    "vectors": test_presets.TASKS["vectors-last"],
    **test_kinds.TASKS,
}
PRESETS = [(preset, accepts(preset)[0], ()) for preset in preset_names("model")]
#: Options with which something dies, or which one could fear for.
CELLS = "seqbench.models.cells"
LRU, CLOCKWORK = (
    f"_partial_: true, _target_: {CELLS}.{cell}" for cell in ("lru.LRU", "clockwork.ClockworkRNN")
)
NTM = ("model.cell.memory_size=4", "model.cell.word_size=2")
OPTIONS = [
    ("clockwork_rnn", "vectors", ("model.hidden_size=5", "model.cell.periods=[1,3]")),
    (
        "clockwork_rnn",
        "sequence",
        ("model.cell.periods=[1,3]", "model.num_layers=2", "model.bidirectional=true"),
    ),
    ("ntm", "sequence", (*NTM, "model.cell.shift=0")),
    (
        "ntm",
        "sequence",
        (*NTM, "model.cell.shift=0", "model.cell.read_heads=2", "model.cell.memory_init=learnt"),
    ),
    ("ntm", "sequence", ("model.cell.memory_size=1", "model.cell.word_size=2", "model.cell.shift=0")),
    ("ntm", "sequence", (*NTM, f"model.cell.controller._target_={CELLS}.clockwork.ClockworkRNN")),
    ("dnc", "sequence", ("model.cell.memory_size=1", "model.cell.word_size=2")),
    ("lstm", "sequence", ("model.cell.output_gate=false", "model.cell.peepholes=true")),
    ("gru", "sequence", ("model.cell.form=before", "model.bidirectional=true", "model.num_layers=2")),
    ("gru", "vectors", ("model.feedback=true",)),
    ("gru", "sequence", ("model.feedback=true", "model.dilation=2", "model.num_layers=2")),
    ("leaky_rnn", "sequence", ("model.cell.alpha=[0.3,0.9]", "model.cell.learn_alpha=true")),
    ("lstm", "vectors", ("model.readout._target_=seqbench.models.readouts.RidgeReadout",)),
    ("antisymmetric_rnn", "sequence", ("model.cell.gated=true",)),
    ("orthogonal_rnn", "vectors", ("model.cell.parametrisation=exponential",)),
    ("tcn", "sequence", ("model.num_layers=1", "model.dilation=1", "model.cell.kernel_size=2")),
    ("tape_rnn", "vectors", ("model.cell.tapes=2", "model.cell.tape_size=5", "model.cell.jump=2")),
    ("memn2n", "story", ("model.tying=layerwise", "model.encoding=bag")),
    ("memn2n", "story", ("model.memory_size=9",)),
    ("memory_network", "story", ("model.hops=4",)),
    ("tree_lstm", "tree", ("model.kind=child_sum",)),
    ("tree_lstm", "tree", ("model.kind=n_ary",)),
    ("seq2seq", "two-sequence", ("model.context=start", "model.num_layers=2", "model.bidirectional=true")),
    ("seq2seq_attention", "two-sequence", ("model.attention=dot",)),
    ("seq2seq_attention", "two-sequence", (f"model.decoder_cell={{{LRU}}}",)),
    ("seq2seq_attention", "two-sequence", (f"model.decoder_cell={{{CLOCKWORK}, periods: [1, 2]}}",)),
]


def random_batch(task: Task, g: torch.Generator) -> Batch:
    """Draw whatever the specs allow: any token at any place, any lengths, any tree, any supporting facts."""
    size, kind = task.inputs.size, task.kind
    lengths = torch.randint(LENGTH // 2, LENGTH + 1, (ROWS,), generator=g)
    inputs = torch.randint(size, (ROWS, LENGTH), generator=g)
    extras = {}
    if not task.inputs.arguments()["tokens"]:
        inputs = torch.randn(ROWS, LENGTH, size, generator=g, dtype=torch.float64)
    if kind == "story":
        inputs = torch.where(inputs == task.inputs.period, (inputs + 1) % size, inputs)
        for row in inputs:  # as many sentences as there may be, or fewer
            ends = torch.randperm(LENGTH // 2 - 1, generator=g)[: task.inputs.sentences]
            row[ends[: int(torch.randint(1, len(ends) + 1, (), generator=g))]] = task.inputs.period
        number = (inputs == task.inputs.period).sum(1)
        facts = torch.stack([torch.randperm(LENGTH, generator=g) for _ in range(ROWS)])
        facts = torch.stack([row[row < n][[0, -1]] for row, n in zip(facts, number, strict=True)])
        extras["facts"] = facts[:, : task.inputs.facts]
    if kind == "tree":
        parents = torch.full((ROWS, LENGTH), -2)
        for row in parents:
            row[0] = -1
            for i in range(1, LENGTH):
                open_ = [p for p in range(i) if (row == p).sum() < task.inputs.children]
                row[i] = open_[int(torch.randint(len(open_), (), generator=g))]
        extras["parents"] = parents
    shape = (ROWS, LENGTH) if task.targets.per_step else (ROWS,)
    if kind == "two-sequence":
        shape = (ROWS, 6)
    targets = torch.randint(task.targets.size, shape, generator=g)
    if not task.targets.arguments()["classes"]:
        targets = torch.randn(*shape, task.targets.size, generator=g, dtype=torch.float64)
    return Batch(inputs, targets, lengths=lengths, extras=extras)


def dead_by_measurement(model: Model, task: Task, declared: dict[str, Tensor]) -> dict[str, Tensor]:
    """Return which entries never had a gradient, over `BATCHES` weights and batches at least.

    While an entry without one is not declared dead there are more, up to ten times as many.
    """
    g = torch.Generator().manual_seed(0)
    learnt = {name: p for name, p in model.named_parameters() if p.requires_grad}
    dead = {name: torch.ones(p.shape, dtype=torch.bool) for name, p in learnt.items()}
    for i in range(10 * BATCHES):
        if i >= BATCHES and all(map(torch.equal, dead.values(), declared.values())):
            break
        for parameter in model.parameters():
            nn.init.normal_(parameter, std=0.5, generator=g)
        outputs, _ = run(model, random_batch(task, g))
        answer, addressing = outputs[:2] if isinstance(outputs, tuple) else (outputs, torch.zeros(()))
        loss = (answer * torch.randn(answer.shape, generator=g)).sum() + addressing.sum()
        found = torch.autograd.grad(loss, list(learnt.values()), allow_unused=True, materialize_grads=True)
        for mask, gradient in zip(dead.values(), found, strict=True):
            mask &= gradient.abs() <= ROUNDING * gradient.abs().max()
    return dead


def declared_dead(model: Model) -> dict[str, Tensor]:
    """Return the masks of what the model and its cells declare dead, for all that could be trained."""
    masks = {
        f"{where}.{name}" if where else name: mask
        for where, module in model.named_modules()
        if isinstance(module, Cell | Model)
        for name, mask in module.dead_entries().items()
    }
    learnt = {name: p for name, p in model.named_parameters() if p.requires_grad}
    assert set(masks) <= set(learnt)
    return {name: masks.get(name, torch.zeros(p.shape, dtype=torch.bool)) for name, p in learnt.items()}


@pytest.mark.parametrize(("preset", "kind", "options"), [*PRESETS, *OPTIONS], ids=str)
def test_what_never_has_a_gradient_is_declared_dead(make_model, preset, kind, options):
    small = () if options else SMALL.get(preset, ())
    model, task = make_model(f"model={preset}", "model.hidden_size=5", *small, *TASKS[kind], *options)
    model.double().train()
    declared = declared_dead(model)
    found = dead_by_measurement(model, task, declared)
    for name, mask in declared.items():
        assert torch.equal(found[name], mask), name
    trained = {id(parameter) for parameter in model.trained_part.parameters()}
    mine = [mask for name, mask in declared.items() if id(model.get_parameter(name)) in trained]
    assert model.live_parameters() == sum(int((~mask).sum()) for mask in mine) > 0


def test_a_unit_that_never_changes_has_no_live_weights():
    dead = LeakyRNN(2, 3, alpha=1.0).dead_entries()
    assert set(dead) == {"U", "W", "b"} and all(mask.all() for mask in dead.values())
    assert LeakyRNN(2, 3, alpha=(0.0, 0.9)).dead_entries() == {}


def test_a_budget_is_of_live_parameters(make_model):
    """Of a clockwork RNN's W, whose groups are as large as each other, (G + 1) / 2 G are live."""
    overrides = ("model=clockwork_rnn", "task=adding", "model.cell.periods=[1,2,4,8]")
    model, _ = make_model(*overrides, "model.hidden_size=40")
    rest = 40 * 2 + 40 + 40 + 1
    assert model.live_parameters() == rest + 40 * 40 * 5 // 8
    assert sum(p.numel() for p in model.parameters()) == rest + 40 * 40
    budget, _ = make_model(*overrides, "model.param_budget=10000")
    assert abs(budget.live_parameters() - 10_000) <= 500
    entries = budget.layers[0].W.numel()
    assert entries > 10_000  # more than a cell whose weights are all live


def test_of_a_solved_readout_its_own_weights_count_alone(make_model):
    model, _ = make_model("model=echo_state", "task=narma10", "model.hidden_size=30")
    assert model.live_parameters() == 31
    model, _ = make_model("model=lstm", "task=narma10", "model.hidden_size=30")
    assert model.live_parameters() == 4 * 30 * (1 + 30 + 1) + 31


class Phases(Model):
    """Complex weights, of which the first column is dead."""

    def __init__(self) -> None:
        super().__init__()
        self.w = nn.Parameter(torch.zeros(3, 4, dtype=torch.complex64))
        self.v = nn.Parameter(torch.zeros(5))

    def dead_entries(self) -> dict[str, Tensor]:
        return {"w": torch.arange(4).expand(3, 4) == 0}


def test_a_complex_weight_is_two_numbers() -> None:
    assert Phases().live_parameters() == 2 * 9 + 5
    (part,) = parts(Phases())
    assert part["live"] == "23" and facts(Phases())["parameters"] == "23 live of 29"

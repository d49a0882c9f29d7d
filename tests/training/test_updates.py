"""Teacher forcing, closed loops, truncated gradients and Ω in training."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

import seqbench
from seqbench.config.build import build_settings
from seqbench.errors import ConfigError
from seqbench.tasks.base import generator
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Target, Values
from seqbench.training.batches import training_batches
from seqbench.training.omega import Omega
from seqbench.training.optimisation import OptimizerConfig
from seqbench.training.seed_stack import OneModel, SeedStack, stack_batches
from seqbench.training.updates import GradientDescent

SMALL = [
    "logger=none",
    "trainer.max_steps=20",
    "trainer.eval_every=10",
    "model.hidden_size=8",
    "batch_size=8",
]


def train(*overrides: str) -> list[seqbench.Result]:
    return seqbench.train(seqbench.compose([*SMALL, *overrides]))


def test_a_model_with_feedback_is_measured_on_its_own_outputs_and_on_the_truth():
    copy = ["task=copy_memory", "task.length=5", "task.symbols=2", "task.eval_size=50"]
    (result,) = train(
        *copy, "model=output_rnn", "trainer.max_steps=300", "optim.lr=0.01", "trainer.eval_every=100"
    )
    closed, opened = (result.test["5"][name] for name in ("accuracy", "open_accuracy"))
    assert {"loss", "open_loss"} <= set(result.test["5"])
    # The true outputs before the first symbol say nothing of it, so that neither loop can know it.
    assert 0 <= closed < 0.9 and 0 <= opened < 0.9
    assert result.test["5"]["gap_accuracy"] == closed - opened


def test_a_task_that_predicts_is_measured_in_open_and_in_closed_loop():
    series = ["task=mackey_glass", "task.length=100", "task.eval_size=20"]
    (result,) = train(*series, "model=echo_state", "trainer.max_steps=2", "trainer.eval_every=1")
    metrics = result.test["100"]
    assert metrics["nrmse"] == pytest.approx(metrics["nmse"] ** 0.5)
    assert metrics["closed_nrmse84"] > metrics["nrmse"]  # errors grow where they are fed back
    assert metrics["gap_nrmse"] > 0 and not any(name.startswith("beside") for name in metrics)


@pytest.mark.slow
def test_seeds_of_a_solved_readout_are_each_alone():
    series = [
        "task=narma10",
        "task.length=60",
        "task.eval_size=10",
        "model=echo_state",
        "trainer.max_steps=4",
    ]
    together = train(*series, "n_seeds=3", "trainer.eval_every=2")
    alone = [train(*series, f"seed={seed}", "trainer.eval_every=2", "runs_dir=alone")[0] for seed in range(3)]
    assert [r.test for r in together] == [r.test for r in alone]
    assert len({r.test["60"]["loss"] for r in together}) == 3


def coins(rate: float, seed: int = 0, start: int = 0) -> list[Batch]:
    task = seqbench.build_task(seqbench.compose(["task=mackey_glass", "task.length=100"]))
    return list(islice(training_batches(task, seed, 4, start, rate_at=lambda step: rate), 5))


def test_the_truth_is_fed_at_the_rate_and_follows_from_seed_and_step():
    assert all("teacher_mask" not in batch.extras for batch in coins(1.0))
    assert not any(batch.extras["teacher_mask"].any() for batch in coins(0.0))
    half = coins(0.5)
    share = torch.stack([batch.extras["teacher_mask"].double() for batch in half]).mean().item()
    assert share == pytest.approx(0.5, abs=0.05)  # 2,000 coins
    assert torch.equal(half[3].extras["teacher_mask"], coins(0.5, start=3)[0].extras["teacher_mask"])
    assert not torch.equal(half[0].extras["teacher_mask"], coins(0.5, seed=1)[0].extras["teacher_mask"])
    assert not torch.equal(half[0].extras["teacher_mask"], half[1].extras["teacher_mask"])


def test_scheduled_sampling_goes_from_the_first_rate_to_the_last():
    settings = build_settings(
        seqbench.compose(["trainer.teacher_forcing=[1.0,0.2]", "trainer.max_steps=101"])
    )
    assert [settings.teacher_rate_at(step) for step in (0, 50, 100)] == pytest.approx([1.0, 0.6, 0.2])
    with pytest.raises(ConfigError, match=r"trainer.teacher_forcing=1.5 must lie in \[0, 1\]"):
        train("trainer.teacher_forcing=1.5")


@pytest.mark.slow
@pytest.mark.parametrize("together", [[], ["trainer.seeds_together=false"]])
def test_scheduled_sampling_of_several_seeds_is_each_alone(together):
    common = [
        "task=mackey_glass",
        "task.length=100",
        "task.eval_size=4",
        "model=gru",
        "trainer.precision=64-true",
    ]
    common += ["trainer.teacher_forcing=[1.0,0.0]", "trainer.max_steps=8", "trainer.eval_every=8"]
    both = train(*common, "n_seeds=2", *together)
    alone = [train(*common, f"seed={seed}", "runs_dir=alone")[0] for seed in range(2)]
    for a, b in zip(both, alone, strict=True):
        assert a.test["100"] == pytest.approx(b.test["100"], rel=1e-7)
    (plain,) = train(*common, "trainer.teacher_forcing=1.0", "runs_dir=plain")
    assert plain.test["100"]["loss"] != pytest.approx(alone[0].test["100"]["loss"], rel=1e-6)


# Truncated back-propagation through time


class Updates:
    """The gradient descent of several models: of a stack, or of each by itself."""

    def __init__(self, models: list, target: Target, config: OptimizerConfig, vectorized: bool) -> None:
        passes = [SeedStack(models)] if vectorized else [OneModel(model) for model in models]
        self.models = models
        self.updates = [GradientDescent(each, target, config) for each in passes]
        self.vectorized = vectorized

    def gradients(self, batches: list[Batch]) -> tuple[Tensor, dict[str, Tensor]]:
        """Return losses (K,), and gradients (K, …) by name."""
        names = [name for name, _ in self.models[0].named_parameters()]
        given = [stack_batches(batches)] if self.vectorized else batches
        losses = [each.losses(batch) for each, batch in zip(self.updates, given, strict=True)]
        found = [[p.grad for p in each.models.parameters()] for each in self.updates]
        if self.vectorized:
            count = len(self.models)
            return losses[0][:count], {n: g[:count] for n, g in zip(names, found[0], strict=True)}
        return torch.stack(losses), {n: torch.stack(g) for n, *g in zip(names, *found, strict=True)}


def updates_of(target, per_step: bool, truncate: int | None, vectorized: bool) -> Updates:
    from seqbench.models.cells.gru import GRU
    from seqbench.models.sequence import SequenceModel

    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        model = SequenceModel(GRU, 3, target.size, per_step=per_step, hidden_size=4, num_layers=2)
        models.append(model.double())
    return Updates(models, target, OptimizerConfig(torch.optim.SGD, lr=0.1, truncate=truncate), vectorized)


def batches_of(per_step: bool, ragged: bool) -> list[Batch]:
    draw = generator("train", 5)
    lengths = torch.tensor([11, 3, 7, 4]) if ragged else None
    mask = None
    if per_step and lengths is not None:
        mask = torch.arange(11) < lengths[:, None]
    targets = torch.randn(4, 11, 2, generator=draw) if per_step else torch.randn(4, 2, generator=draw)
    inputs = torch.randn(4, 11, 3, generator=draw).double()
    one = Batch(inputs, targets.double(), mask, lengths)
    return [one, one._replace(inputs=inputs.flip(0))]


@pytest.mark.parametrize("vectorized", [True, False])
@pytest.mark.parametrize("per_step", [True, False])
@pytest.mark.parametrize("ragged", [True, False])
def test_slices_carry_their_state_and_cut_the_gradient(vectorized, per_step, ragged):
    target, batches = Values(2, per_step), batches_of(per_step, ragged)
    whole, full = updates_of(target, per_step, None, vectorized).gradients(batches)
    one_slice = updates_of(target, per_step, 11, vectorized).gradients(batches)
    losses, cut = updates_of(target, per_step, 4, vectorized).gradients(batches)
    torch.testing.assert_close(one_slice, (whole, full))
    torch.testing.assert_close(losses, whole)  # the state is carried over
    # By hand: the state that enters a slice is a constant.
    for k, model in enumerate(updates_of(target, per_step, None, False).models):
        mine, state, outputs = batches[k], None, []
        for start in (0, 4, 8):
            part = mine.time_slice(start, min(start + 4, 11), per_step)
            state = None if state is None else tree_map(torch.detach, state)
            out, state = model(part.inputs, part.lengths, state)
            outputs.append(out)
        if per_step:
            loss = target.loss(torch.cat(outputs, 1), mine)
        else:
            ends = torch.full((4,), 11) if mine.lengths is None else mine.lengths
            loss = target.loss(torch.stack([outputs[(n - 1) // 4][row] for row, n in enumerate(ends)]), mine)
        expected = torch.autograd.grad(loss, list(model.parameters()))
        for (name, gradient), value in zip(cut.items(), expected, strict=True):
            torch.testing.assert_close(gradient[k], value, msg=name)
    assert max(float((cut[name] - full[name]).abs().max()) for name in cut if name.endswith("0.W")) > 1e-6


@pytest.mark.parametrize("ragged", [True, False])
@pytest.mark.parametrize("name", ["beside", "in place", "both", "classes beside", "tokens in place"])
def test_slices_feed_what_is_due_wherever_they_are_cut(name, ragged):
    """Scheduled sampling by a loop over steps: where a slice ends, a gradient does, and nothing else."""
    tokens, classes = name == "tokens in place", name.split()[0] in ("classes", "tokens")
    beside, in_place = not name.endswith("in place"), not name.endswith("beside")
    batches = sampled_batches(tokens, classes, in_place, ragged)
    target: Target = Classes(3, True) if classes else Values(3, True)
    for size in (1, 3, 9):
        for vectorized in (True, False) if size == 3 else (False,):
            models = fed_models(tokens, classes, beside, in_place)
            config = OptimizerConfig(torch.optim.SGD, lr=0.1, truncate=size)
            losses, found = Updates(models, target, config, vectorized).gradients(batches)
            for k, model in enumerate(fed_models(tokens, classes, beside, in_place)):
                loss = by_hand(model, batches[k], target, size)
                torch.testing.assert_close(losses[k], loss.detach(), rtol=0, atol=1e-12)
                expected = torch.autograd.grad(loss, list(model.parameters()))
                for parameter, gradient in zip(found.values(), expected, strict=True):
                    torch.testing.assert_close(parameter[k], gradient, rtol=0, atol=1e-12)


def fed_models(tokens: bool, classes: bool, beside: bool, in_place: bool) -> list[torch.nn.Module]:
    from seqbench.models.cells.gru import GRU
    from seqbench.models.sequence import SequenceModel

    models = []
    for seed in range(2):
        torch.manual_seed(seed)
        options = {"tokens": tokens, "classes": classes, "predicts": in_place, "feedback": beside}
        model = SequenceModel(GRU, 3, 3, hidden_size=4, **options).double()
        models.append(model)
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, std=0.7)
    return models


def sampled_batches(tokens: bool, classes: bool, in_place: bool, ragged: bool) -> list[Batch]:
    """Return the batches of two seeds: the truth is fed at about half of the steps, and not at the first."""
    seeds = []
    for seed in range(2):
        draw = generator("train", seed, 7)
        series = torch.randn(4, 10, 3, generator=draw).double()
        series = series.argmax(-1) if tokens else series
        targets = series[:, 1:] if in_place else torch.randn(4, 9, 3, generator=draw).double()
        if classes and not tokens:
            targets = targets.argmax(-1)
        lengths = torch.tensor([9, 2, 6, 4]) if ragged else None
        mask = None if lengths is None else torch.arange(9) < lengths[:, None]
        teacher = torch.rand(4, 9, generator=draw) < 0.5
        teacher[:, 0] = False
        seeds.append(Batch(series[:, :9], targets, mask, lengths).with_extras(teacher_mask=teacher))
    return seeds


def by_hand(model: torch.nn.Module, batch: Batch, target: Target, size: int) -> Tensor:
    """Return the loss by a loop over steps; what goes into a slice of `size` steps is a constant."""
    (cell,), feedback = model.body.cells, model.feedback
    x = torch.eye(3).double()[batch.inputs] if feedback.tokens else batch.inputs
    y = torch.eye(3).double()[batch.targets] if feedback.classes else batch.targets
    state, own = cell.initial_state(4), torch.zeros(4, 3, dtype=torch.float64)
    outputs = []
    for t in range(x.shape[1]):
        if t % size == 0:
            state, own = tuple(part.detach() for part in state), own.detach()
        teacher = batch.extras["teacher_mask"][:, t, None]
        fed = x[:, t]
        if feedback.in_place and t > 0:
            likeliest = torch.nn.functional.one_hot(own.argmax(-1), 3).double()
            fed = torch.where(teacher, fed, likeliest if feedback.tokens else own)
        if feedback.beside:
            before = torch.zeros_like(own) if t == 0 else y[:, t - 1]
            fed = torch.cat([fed, torch.where(teacher, before, own)], dim=-1)
        h, state = cell.step(cell.project(fed), state)
        o = model.readout(h)
        own = o.softmax(-1) if feedback.classes else o
        outputs.append(o)
    return target.loss(torch.stack(outputs, dim=1), batch)


# Ω


def test_omega_is_added_to_the_loss_with_its_weight():
    cfg = seqbench.compose(["task=latch", "task.length=8", "model=rnn", "model.hidden_size=4"])
    task = seqbench.build_task(cfg)
    torch.manual_seed(3)
    model = seqbench.build_model(cfg, task)
    config = OptimizerConfig(torch.optim.SGD, lr=0.1, omega=0.7)
    update = GradientDescent(OneModel(model), task.targets, config)
    batch = next(task.train_batches(0, 5))
    loss = update.losses(batch)
    found = {name: p.grad.clone() for name, p in model.named_parameters()}
    model.zero_grad()
    omega = Omega(model)
    plain = omega.loss(lambda outputs: task.targets.loss(outputs, batch), batch.inputs)
    plain.backward()
    omega.add_gradients(0.7, omega.counts)
    assert loss == plain.detach() and omega.value() > 0
    torch.testing.assert_close(found, {name: p.grad for name, p in model.named_parameters()})


def test_what_excludes_each_other_is_refused_before_training(tmp_path: Path):
    for overrides, words in [
        (["model=output_rnn", "task=copy_memory", "optim.omega=1"], "optim.omega=1.0: model.feedback=true"),
        (
            ["model=gru", "model.bidirectional=true", "task=latch", "optim.omega=1"],
            "optim.omega=1.0: model.bidirectional",
        ),
        (
            ["model=gru", "model.bidirectional=true", "task=latch", "optim.truncate=5"],
            "carries a state from slice",
        ),
        (["task=latch", "optim.omega=1", "optim.truncate=5"], "choose one"),
        (["task=latch", "optim.omega=-1"], "optim.omega=-1.0 must be 0 or more"),
        (["task=latch", "optim.truncate=0"], "optim.truncate=0 must be at least 1"),
    ]:
        with pytest.raises(ConfigError, match=words):
            train(*overrides)
    assert not list(tmp_path.iterdir())


def test_the_spectrum_is_logged_at_each_evaluation():
    (result,) = train("task=latch", "model=rnn", "model.cell.recurrent_init=0.9", "trainer.log_spectrum=true")
    assert result.status != "failed"
    (path,) = Path("runs").glob("*/*/seed-0/metrics.csv")
    header, *rows = [line.split(",") for line in path.read_text().splitlines()]
    radius, value = (
        [float(row[header.index(name)]) for row in rows]
        for name in ("spectral_radius", "largest_singular_value")
    )
    assert len(rows) == 2 and all(0.7 < r <= v for r, v in zip(radius, value, strict=True))

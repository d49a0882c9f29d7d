"""Batches in parts, of several devices or one after another: the numbers are those of the whole batch."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from threading import Barrier
from typing import Any

import pytest
import torch
from torch import Tensor, nn

import seqbench
from seqbench.models.model import Model
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Values
from seqbench.training.optimisation import OptimizerConfig
from seqbench.training.parts import Processes, count, share
from seqbench.training.seed_stack import WIDTH, OneModel, SeedStack, stack_batches
from seqbench.training.updates import GradientDescent, update_for

REBER = ("task=embedded_reber", "task.length=16", "model.hidden_size=5")
REVERSE = ("task=reverse_string", "task.length=6", "model.hidden_size=5")
COPY = (
    "task=copy_memory",
    "task.length=2",
    "task.symbols=2",
    "model.hidden_size=5",
    "trainer.teacher_forcing=0.5",
)
#: Tasks whose rows have different numbers of targets, or different lengths, or neither.
RAGGED = {
    "plain": (*REBER, "model=lstm"),
    "truncated": (*REBER, "model=lstm", "optim.truncate=5"),
    "dropout": (*REBER, "model=gru", "model.num_layers=2", "model.dropout=0.3", "optim.truncate=7"),
    "omega": (*REBER, "model=rnn", "optim.omega=2", "model.num_layers=2"),
    "characters": (*REVERSE, "model=gru", "optim.clip_value=0.01"),
    "one target": ("task=temporal_order", "task.length=22", "model=rnn", "optim.truncate=8"),
    "own outputs": (*COPY, "model=output_rnn", "optim.truncate=4"),
    "two sequences": ("task=reverse", "task.length=5", "model=seq2seq_attention", "model.hidden_size=5"),
}
SIZE = 7


class Case:
    """A configuration in float64: its batches, and updates of its model, or of two that are stacked."""

    def __init__(self, overrides: tuple[str, ...], stacked: bool = False) -> None:
        from seqbench.config.build import build_optimizer_config, build_settings
        from seqbench.training.batches import training_batches

        self.cfg = seqbench.compose([*overrides, "optim=sgd", "optim.lr=0.5", "optim.clip_norm=0.1"])
        self.task = seqbench.build_task(self.cfg)
        self.config = build_optimizer_config(self.cfg)
        self.stacked = stacked
        self.seeds = range(1 + stacked)
        rate = build_settings(self.cfg).teacher_rate_at
        drawn = {"rate_at": rate, "dropout": seqbench.build_model(self.cfg, self.task).dropout_masks}
        streams = [training_batches(self.task, seed, SIZE, **drawn) for seed in self.seeds]
        found = [[next(stream) for stream in streams] for _ in range(2)]
        steps = [stack_batches(batches) if stacked else batches[0] for batches in found]
        self.batches = [
            batch.map(lambda part: part.double() if part.is_floating_point() else part) for batch in steps
        ]

    def update(self, accumulate: int = 1) -> GradientDescent:
        models = []
        for seed in self.seeds:
            torch.manual_seed(seed)
            models.append(seqbench.build_model(self.cfg, self.task).double())
        pass_of = SeedStack(models) if self.stacked else OneModel(*models)
        update = update_for(pass_of, self.task.targets, self.config, accumulate)
        assert isinstance(update, GradientDescent)
        return update

    def train(self, update: GradientDescent) -> tuple[Tensor, list[Tensor]]:
        """Take two steps; return losses and norms of gradients (2, 2) or (2, 2, W), and the weights."""
        optimizer = self.config.build(update.models.parameters())
        found = [update.step(batch, optimizer, torch.autograd.backward) for batch in self.batches]
        return torch.stack(found), [p.detach() for p in update.models.parameters()]


def together(processes: int, run: Callable[[Processes], Any]) -> list[Any]:
    """Run a function in each of several processes that share batches; threads take their part."""
    slots: list[Tensor] = [torch.empty(0)] * processes
    barrier = Barrier(processes, timeout=60)

    def add(rank: int, value: Tensor) -> Tensor:
        slots[rank] = value
        barrier.wait()
        total = torch.stack(slots).sum(0)
        barrier.wait()
        return total

    def one(rank: int) -> Any:
        return run(Processes(rank, processes, lambda value: add(rank, value)))

    with ThreadPoolExecutor(processes) as pool:
        return list(pool.map(one, range(processes)))


@pytest.mark.parametrize("name", RAGGED)
def test_several_processes_take_the_steps_of_one(name: str) -> None:
    """Losses, norms of gradients and weights, where three share seven rows, each its own in two parts."""
    case = Case(RAGGED[name])
    expected = case.train(case.update())
    assert (expected[0][:, 1] > 0.1).any() or case.config.clip_value is not None  # so that clipping counts
    updates = [case.update(accumulate=2) for _ in range(3)]

    def train(its: Processes) -> Any:
        updates[its.rank].processes = its
        return case.train(updates[its.rank])

    for found in together(3, train):
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", RAGGED)
def test_parts_one_after_another_take_the_steps_of_the_whole(name: str) -> None:
    for stacked, accumulate in ((True, 3), (False, SIZE)):
        case = Case(RAGGED[name], stacked)
        if not (stacked and case.config.omega):  # Ω takes models one by one
            expected = case.train(case.update())
            found = case.train(case.update(accumulate))
            assert found[0].shape == ((2, 2, WIDTH) if stacked else (2, 2))
            torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_a_mean_of_the_means_of_parts_would_be_another_number() -> None:
    case = Case(RAGGED["plain"])
    (batch, *_), update = case.batches, case.update(accumulate=2)
    first, second = (part.batch.mask for part in update.parts(batch))
    assert first is not None and second is not None
    assert [len(first), len(second)] == [3, 4] and first.sum() / 3 != second.sum() / 4
    whole = count(batch, per_step=True)
    assert [part.total for part in update.parts(batch)] == [whole, whole] == [first.sum() + second.sum()] * 2


class Sparing(Model):
    """Its three parameters are used by every row, by rows that begin with a number above 0, and by none."""

    def __init__(self) -> None:
        super().__init__()
        self.a, self.b, self.c = (nn.Parameter(torch.ones(1, dtype=torch.float64)) for _ in range(3))

    def forward(self, inputs: Tensor) -> tuple[Tensor, None]:
        outputs = inputs[:, 0] * self.a
        some = inputs[:, 0, 0] > 0
        return (outputs * torch.where(some[:, None], self.b, 1) if some.any() else outputs), None


def test_a_parameter_that_one_process_uses_is_trained_and_one_that_none_uses_is_left_alone() -> None:
    inputs = torch.tensor([1.0, 2.0, -1.0, -3.0, -2.0]).double().view(5, 1, 1)
    batch = Batch(inputs, torch.zeros(5, 1, dtype=torch.float64))
    config = OptimizerConfig(torch.optim.SGD, lr=0.1, weight_decay=0.5)

    def train(its: Processes) -> tuple[Tensor, list[Tensor | None]]:
        model = Sparing()
        update = GradientDescent(OneModel(model), Values(1, per_step=False), config)
        update.processes = its
        found = update.step(batch, config.build(model.parameters()), torch.autograd.backward)
        return found, [model.a.grad, model.b.grad, model.c.grad, model.c.detach()]

    alone = train(Processes())
    assert alone[1][1] is not None and alone[1][2] is None
    for found in together(2, train):
        torch.testing.assert_close(found, alone, rtol=1e-14, atol=0)


def test_shares_are_of_nearly_equal_size_and_leave_nothing_out() -> None:
    for rows in (1, 7, 64):
        for n in (1, 2, 3, 7):
            shares = [range(rows)[share(rows, i, n)] for i in range(n)]
            assert [row for its in shares for row in its] == list(range(rows))
            assert {len(its) for its in shares} <= {rows // n, rows // n + 1}


# Whole runs


def train(*overrides: str) -> list[seqbench.Result]:
    common = ["logger=none", "trainer.precision=64-true", "trainer.max_steps=4", "trainer.eval_every=4"]
    common += ["task.eval_size=20", "batch_size=7", "n_seeds=2"]
    return seqbench.train(seqbench.compose([*common, *overrides]))


@pytest.mark.parametrize(
    "overrides",
    [
        (*REBER, "model=lstm", "optim.truncate=9"),
        ("task=narma10", "task.length=40", "model=echo_state", "model.hidden_size=9"),  # a solved readout
    ],
)
def test_runs_in_parts_have_the_same_results_up_to_rounding(overrides: tuple[str, ...]) -> None:
    whole = train(*overrides, "runs_dir=whole")
    parted = train(*overrides, "runs_dir=parts", "trainer.accumulate=3")
    for a, b in zip(parted, whole, strict=True):
        assert a.hash != b.hash and a.steps == b.steps == 4 and a.status == "finished"
        assert a.validation == pytest.approx(b.validation, rel=1e-10)
        for length, metrics in b.test.items():
            assert a.test[length] == pytest.approx(metrics, rel=1e-10)

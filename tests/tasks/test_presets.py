"""What every synthetic task preset must pass."""

from __future__ import annotations

from itertools import islice

import pytest
import torch

import seqbench
from seqbench.config import preset_names
from seqbench.errors import ConfigError
from seqbench.tasks.base import STEPS_PER_DRAW, Batch, Classes, SyntheticTask, Tokens

#: Every preset with its variants, and a length at which a large sample is cheap.
TASKS = {
    "adding": (["task=adding"], 10),
    "adding-anywhere": (["task=adding", "task.variant=anywhere"], 10),
    "adding-1997": (["task=adding", "task.variant='1997'"], 24),
    "copy_memory": (["task=copy_memory"], 4),
    "copy_memory-12-of-5": (["task=copy_memory", "task.symbols=12", "task.alphabet=5"], 1),
    "latch": (["task=latch"], 6),
    "temporal_order": (["task=temporal_order"], 10),
    "temporal_order-3": (["task=temporal_order", "task.symbols=3"], 10),
    "temporal_order-1997": (["task=temporal_order", "task.variant='1997'"], 10),
    "temporal_order-1997-3": (["task=temporal_order", "task.variant='1997'", "task.symbols=3"], 10),
}
every_task = pytest.mark.parametrize(("overrides", "short"), TASKS.values(), ids=TASKS)


def same(a: Batch, b: Batch) -> bool:
    return all(x is y if x is None else torch.equal(x, y) for x, y in zip(a, b, strict=True))


def sequences(batch: Batch) -> set[bytes]:
    return {row.numpy().tobytes() for row in batch.inputs}


def test_no_synthetic_preset_is_left_out():
    targets = {name: seqbench.compose([f"task={name}"]).task["_target_"] for name in preset_names("task")}
    synthetic = {name for name, target in targets.items() if not target.startswith("seqbench.tasks.mnist.")}
    assert synthetic == {overrides[0].removeprefix("task=") for overrides, _ in TASKS.values()}


@every_task
def test_training_batches_follow_from_the_seed_alone(make_task, overrides, short):
    def first(seed):
        return list(islice(make_task(*overrides, f"task.length={short}").train_batches(seed, 8), 3))

    batches = first(0)
    torch.manual_seed(123)  # the global generator plays no part
    assert all(map(same, batches, first(0)))
    assert not any(map(same, batches, first(1)))
    assert not same(batches[0], batches[1])


@every_task
def test_a_stream_resumes_at_any_step(make_task, overrides, short):
    task = make_task(*overrides, f"task.length={short}")
    batches = list(islice(task.train_batches(3, 4), 2 * STEPS_PER_DRAW + 2))
    for start in (1, STEPS_PER_DRAW - 1, STEPS_PER_DRAW, STEPS_PER_DRAW + 1, 2 * STEPS_PER_DRAW):
        resumed = list(islice(task.train_batches(3, 4, start=start), 2))
        assert all(map(same, resumed, batches[start : start + 2]))


@every_task
def test_splits_are_fixed_and_disjoint(make_task, overrides, short):
    task, twin = make_task(*overrides), make_task(*overrides)
    assert same(task.validation(), twin.validation()) and same(task.test(task.length), twin.test(task.length))
    train = Batch(*map(torch.cat, zip(*(b[:2] for b in islice(task.train_batches(0, 64), 20)), strict=True)))
    splits = [sequences(train), sequences(task.validation()), sequences(task.test(task.length))]
    assert [len(split) for split in splits] == [1280, task.eval_size, task.eval_size]
    assert len(set.union(*splits)) == 1280 + 2 * task.eval_size


@every_task
def test_baseline_loss_is_that_of_the_best_constant(make_task, overrides, short):
    """A constant for each target, fitted to 50 000 sequences, loses as much on 50 000 others."""
    task: SyntheticTask = make_task(*overrides, f"task.length={short}")
    n = 50_000
    fitted, fresh = (task.sample(torch.Generator().manual_seed(seed), n, short) for seed in (1, 2))
    if isinstance(task.targets, Classes):
        share = torch.nn.functional.one_hot(fitted.targets, task.targets.size).double().mean(0)
        constant = share.clamp_min(1e-12).log()
        free = int((share > 0).sum()) - (share.shape[0] if share.ndim == 2 else 1)
    else:
        constant, free = fitted.targets.double().mean(0), 1
    values, weights = task.measure(constant.expand(n, *constant.shape), fresh)["loss"]
    assert weights.all()
    losses = values.reshape(n, -1).mean(1)
    # What fitting costs: half of `free / n`. A baseline off by 5 % fails.
    tolerance = 4 * losses.std().item() / n**0.5 + free / n
    assert tolerance < 0.025 * losses.mean()
    assert task.baseline_loss(short) == pytest.approx(losses.mean().item(), abs=tolerance)


@every_task
@pytest.mark.parametrize("eval_size", [1, 5])
def test_batches_are_as_the_specs_say(make_task, overrides, short, eval_size):
    task = make_task(*overrides, f"task.eval_size={eval_size}")
    for batch, rows in [(next(task.train_batches(0, 3)), 3), (task.validation(), eval_size)]:
        assert len(batch.inputs) == rows
        if isinstance(task.inputs, Tokens):
            assert batch.inputs.dtype == torch.int64 and batch.inputs.ndim == 2
            assert batch.inputs.min() >= 0 and batch.inputs.max() < task.inputs.size
        else:
            assert batch.inputs.dtype == torch.float32 and batch.inputs.shape[2:] == (task.inputs.size,)
        leading = batch.inputs.shape[:2] if task.targets.per_step else (rows,)
        if isinstance(task.targets, Classes):
            assert batch.targets.dtype == torch.int64 and batch.targets.shape == leading
            assert batch.targets.min() >= 0 and batch.targets.max() < task.targets.size
        else:
            assert batch.targets.dtype == torch.float32 and batch.targets.shape == (
                *leading,
                task.targets.size,
            )
        assert batch.mask is None
        assert batch.inputs.shape[1] == task.steps
        if batch.lengths is not None:
            assert batch.lengths.dtype == torch.int64 and batch.lengths.shape == (rows,)
            assert batch.lengths.min() >= task.length and batch.lengths.max() <= batch.inputs.shape[1]


@every_task
def test_every_class_and_symbol_comes_up(make_task, overrides, short):
    task = make_task(*overrides, f"task.length={short}")
    batch = task.sample(torch.Generator().manual_seed(0), 1000, short)
    if isinstance(task.targets, Classes):
        classes = set(range(task.targets.size))
        if task.targets.per_step:
            classes -= {task.alphabet + 1}  # the delimiter is read, never said
        assert set(batch.targets.flatten().tolist()) == classes
    if isinstance(task.inputs, Tokens):
        assert set(batch.inputs.flatten().tolist()) == set(range(task.inputs.size))


@every_task
def test_eval_lengths_are_those_tested_at(make_task, overrides, short):
    assert make_task(*overrides, f"task.length={short}").eval_lengths == (short,)
    longer = 2 * short + 1
    task = make_task(
        *overrides, f"task.length={short}", f"task.eval_lengths=[{short},{longer}]", "task.eval_size=7"
    )
    assert task.eval_lengths == (short, longer)
    extra = task.test(short).inputs.shape[1] - short
    assert extra == task.validation().inputs.shape[1] - short
    for length in task.eval_lengths:
        test = task.test(length)
        assert len(test.inputs) == 7
        if test.lengths is None:
            assert test.inputs.shape[1] == length + extra
        else:
            assert ((length <= test.lengths) & (test.lengths <= length * 1.1)).all()
    assert not sequences(task.test(short)) & sequences(task.validation())


@every_task
def test_what_makes_no_sense_is_refused(make_task, overrides, short):
    with pytest.raises(ConfigError, match=r"task.length=0 is too short .* at least \d+ steps"):
        make_task(*overrides, "task.length=0")
    with pytest.raises(ConfigError, match=r"task.eval_lengths=0 is too short"):
        make_task(*overrides, f"task.eval_lengths=[{short},0]")
    with pytest.raises(ConfigError, match=r"task.eval_size=0 leaves nothing"):
        make_task(*overrides, "task.eval_size=0")
    with pytest.raises(ConfigError, match=r"task.length=long does not fit"):
        make_task(*overrides, "task.length=long")


SOLVED = [
    ("adding", {"loss": 1 / 600 - 1e-6}, True),
    ("adding", {"loss": 1 / 600 + 1e-6}, False),
    ("adding-anywhere", {"loss": 1 / 600 - 1e-6}, True),
    ("adding-anywhere", {"loss": 1 / 600 + 1e-6}, False),
    ("adding-1997", {"loss": 0.0099, "correct": 1.0}, True),
    ("adding-1997", {"loss": 0.01, "correct": 1.0}, False),
    ("adding-1997", {"loss": 0.0001, "correct": 0.999}, False),
    ("copy_memory", {"accuracy": 0.99}, True),
    ("copy_memory", {"accuracy": 0.9899}, False),
    ("latch", {"correct": 1.0}, True),
    ("latch", {"correct": 0.999}, False),
    ("temporal_order", {"accuracy": 0.9901}, True),
    ("temporal_order", {"accuracy": 0.99}, False),
    ("temporal_order-1997-3", {"accuracy": 0.9901}, True),
    ("temporal_order-1997-3", {"accuracy": 0.99}, False),
]


@pytest.mark.parametrize(("name", "metrics", "verdict"), SOLVED)
def test_solved_at_and_just_off_its_criterion(make_task, name, metrics, verdict):
    task = make_task(*TASKS[name][0])
    assert task.solved({"loss": 0.0, **metrics}) is verdict


@every_task
def test_what_picks_and_ranks_is_measured(make_task, overrides, short):
    task = make_task(*overrides)
    batch = next(task.train_batches(0, 2))
    outputs = torch.zeros(*batch.targets.shape[: 1 + task.targets.per_step], task.targets.size)
    measures = task.measure(outputs, batch)
    assert {"loss", task.metric} <= set(measures)
    assert all(values.shape == weights.shape and len(values) == 2 for values, weights in measures.values())
    assert task.best == ("min" if task.metric == "loss" else "max")

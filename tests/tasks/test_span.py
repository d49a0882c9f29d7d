"""What a task says of its span is what its batches show."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from seqbench.config.presets import preset_names
from seqbench.tasks.synthetic.temporal_order import DISTRACTORS

#: The tasks with a span, and the least value of it.
LEAST = {
    "adding": 2,
    "copy_memory": 1,
    "cycle_navigation": 2,
    "distracted_stories": 1,
    "even_pairs": 2,
    "induction_heads": 3,
    "latch": 4,
    "modular_arithmetic_simple": 2,
    "mqar": 16,
    "multiplication": 2,
    "needle": 1,
    "noiseless_memory": 1,
    "parity": 2,
    "random_permutation": 2,
    "selective_copy": 1,
    "temporal_order": 10,
    "time_warp": 1,
}


@pytest.mark.parametrize("name", preset_names("task"))
def test_the_least_span_of_every_preset_can_be_drawn(name: str, make_task: Any) -> None:
    span = make_task(f"task={name}").span
    assert (span and span.least) == LEAST.get(name)
    if span is not None:
        task = make_task(f"task={name}", f"task.{span.key}={span.least}", "task.eval_lengths=null")
        batch = next(task.train_batches(0, 4))
        assert len(batch.inputs) == 4 and batch.inputs.shape[1] <= task.steps
        assert span.least % span.unit == 0
        nearest, farthest = task.span.dependency(span.least)
        assert 0 <= nearest <= farthest < task.steps
        assert len(task.test(task.length).inputs) == task.eval_size


def adding(batch: Any) -> torch.Tensor:
    return (batch.inputs[..., 1] == 1).int().argmax(1)  # of equal values the first


def temporal_order(batch: Any) -> torch.Tensor:
    return (batch.inputs < DISTRACTORS).int().argmax(1)


def last_of(batch: Any) -> torch.Tensor:
    steps = batch.inputs.shape[1]
    return torch.full((len(batch.inputs),), steps) - 1 if batch.lengths is None else batch.lengths - 1


@pytest.mark.parametrize("length", [24, 40])
@pytest.mark.parametrize(
    ("typed", "first"),
    [
        (["task=adding"], adding),
        (["task=adding", "task.variant=anywhere"], adding),
        (["task=multiplication"], adding),
        (["task=temporal_order"], temporal_order),
        (["task=temporal_order", "task.symbols=3"], temporal_order),
        (["task=temporal_order", "task.variant='1997'"], temporal_order),
        (["task=temporal_order", "task.variant='1997'", "task.symbols=3"], temporal_order),
    ],
)
def test_the_first_input_that_counts_lies_as_far_back_as_is_said(
    typed: list[str], first: Any, length: int, make_task: Any
) -> None:
    task = make_task(*typed, f"task.length={length}")
    batch = task.sample(torch.Generator().manual_seed(1), 20_000, length)
    distances = last_of(batch) - first(batch)
    assert (int(distances.min()), int(distances.max())) == task.span.dependency(length)


def test_marks_of_1997_that_hide_on_the_first_step_are_the_farthest(make_task: Any) -> None:
    task = make_task("task=adding", "task.variant='1997'", "task.length=24")
    batch = task.sample(torch.Generator().manual_seed(1), 20_000, 24)
    marks = (batch.inputs[..., 1] == 1).int()
    hidden = marks.sum(1) == 1  # a marked first step carries −1
    distances = last_of(batch) - torch.where(hidden, 0, marks.argmax(1))
    assert (int(distances.min()), int(distances.max())) == task.span.dependency(24)


@pytest.mark.parametrize("length", [10, 30])
def test_the_cue_of_latch_is_what_the_two_classes_differ_in(length: int, make_task: Any) -> None:
    task = make_task("task=latch", f"task.length={length}", "task.noise_variance=0")
    inputs = task.sample(torch.Generator().manual_seed(1), 50, length).inputs[..., 0]
    shows = torch.nonzero(inputs.abs().amax(0)).flatten()
    distances = length - 1 - shows
    assert (int(distances.min()), int(distances.max())) == task.span.dependency(length)


@pytest.mark.parametrize(
    "typed",
    [["task=copy_memory"], ["task=noiseless_memory"], ["task=noiseless_memory", "task.variant=20bit"]],
)
@pytest.mark.parametrize("delay", [1, 30])
def test_each_symbol_is_due_as_long_after_as_is_said(typed: list[str], delay: int, make_task: Any) -> None:
    task = make_task(*typed, f"task.length={delay}")
    batch = task.sample(torch.Generator().manual_seed(1), 50, delay)
    nearest, farthest = task.span.dependency(delay)
    assert nearest == farthest
    assert torch.equal(batch.inputs[:, : task.symbols], batch.targets[:, nearest : nearest + task.symbols])
    assert nearest + task.symbols == batch.inputs.shape[1]


def test_the_first_symbol_of_random_permutation_is_the_last_target(make_task: Any) -> None:
    task = make_task("task=random_permutation", "task.length=20")
    batch = task.sample(torch.Generator().manual_seed(1), 50, 20)
    assert torch.equal(batch.inputs[:, 0], batch.targets[:, -1])
    assert task.span.dependency(20) == (19, 19)


def test_queries_of_mqar_lie_as_far_from_their_values_as_is_said(make_task: Any) -> None:
    task = make_task("task=mqar", "task.length=24", "task.vocabulary=40", "task.power=1")
    batch = task.sample(torch.Generator().manual_seed(1), 20_000, 24)
    keys = batch.inputs[:, : 2 * task.pairs : 2]
    queries = torch.nonzero(batch.mask)
    asked = batch.inputs[batch.mask]
    pair = (keys[queries[:, 0]] == asked[:, None]).int().argmax(1)
    distances = queries[:, 1] - (2 * pair + 1)
    assert (int(distances.min()), int(distances.max())) == task.span.dependency(24)
    assert task.span.unit == 2


@pytest.mark.parametrize("variant", ["variable", "uniform"])
def test_the_character_before_has_ended_within_the_warp(variant: str, make_task: Any) -> None:
    task = make_task("task=time_warp", f"task.variant={variant}", "task.warp=6", "task.length=60")
    inputs = task.sample(torch.Generator().manual_seed(1), 500, 60).inputs
    changes = torch.nonzero((inputs[:, 1:] != inputs[:, :-1]).int())  # (row, last step of a character)
    row, last = changes[:-1].T
    following = torch.where(changes[1:, 0] == row, changes[1:, 1], last + 1)
    assert (1, int((following - last).max())) == task.span.dependency(6)

"""A trial of a user's own task before anything trains: that it can be asked again, and what it measures."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from torch import Tensor

from seqbench.errors import ConfigError, SeqbenchError, one_line
from seqbench.runs.generators import generators_kept, position
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import COLUMNS, LOOPS, Measures

#: Batches that are compared, and rows of a set that are measured.
BATCHES, ROWS = 24, 64

#: What is wrong with a method that moves a global generator.
DRAWS = (
    "draws from a global generator of torch, NumPy or Python, or seeds it, and so changes what a model "
    "draws; draw from a torch.Generator of its own that follows from the seed."
)


def try_own_task(task: Task, batch_size: int) -> None:
    """Try a task whose class, inputs or targets are not of seqbench, whose own suite tests those.

    A run that is resumed, or that trains beside others, asks for batches and measures again: what is given
    must follow from the arguments alone. No generator moves.

    Args:
        task: the task.
        batch_size: sequences of one optimisation step.

    Raises:
        ConfigError: something is given that is another when it is asked for again, or draws from a global
            generator; a metric is not declared, or has the name of something else; or a method fails.
    """
    check_names(task, [metric.name for metric in task.metrics])
    for name in dict.fromkeys((task.metric, task.solved_metric)):
        _check_declared(task, name)
    if all(type(its).__module__.startswith("seqbench.") for its in (task, task.inputs, task.targets)):
        return
    with generators_kept():
        # So that a generator which is seeded anew moves, whatever it was seeded with.
        torch.rand(()), np.random.rand(), random.random()
        _called(task, f"prepare({batch_size})", partial(task.prepare, batch_size))
        _try_batches(task, batch_size)
        _try_measures(task, "validation()", task.validation)
        for length in task.eval_lengths:
            _try_measures(task, f"test({length})", partial(task.test, length))
            _called(task, f"baseline_loss({length})", partial(task.baseline_loss, length))
            _called(task, f"chance({length})", partial(task.chance, length))


def check_names(task: Task, names: Iterable[str], loops: Sequence[str] = LOOPS) -> None:
    """Raise a ConfigError where a metric has the name of another quantity of a run.

    In another loop, a metric `open_loss` is what is measured of a metric `loss`.
    """
    names = [*names]
    for name in names:
        loop = next((its for its in loops if name.startswith(its)), "")
        if name in COLUMNS or loop == "beside_" or (loop and name.removeprefix(loop) in names):
            raise ConfigError(
                f"{type(task).__name__} has a metric {name!r}, a name that is taken in the records of a run; "
                "give it another."
            )


def _check_declared(task: Task, name: str) -> None:
    try:
        task.metric_of(name)
    except KeyError as error:
        declared = ", ".join(metric.name for metric in task.metrics)
        raise ConfigError(
            f"{type(task).__name__} has {name!r} for a metric and declares {declared}; declare it in "
            "`extra_metrics`."
        ) from error


def _try_batches(task: Task, size: int) -> None:
    """Draw batches twice, and from later steps on: from the second, and around the end of the first epoch."""
    epoch = task.epoch_steps(size)
    _twice(task, f"train_batches(0, {size})", lambda: [*islice(task.train_batches(0, size), 2)])
    for start in (1, *([epoch] if epoch else [])):
        named = f"train_batches(0, {size}, start={start})"
        before = position()
        alike = _called(task, named, partial(_compared, task, size, start))
        if position() != before:
            raise ConfigError(f"{type(task).__name__}.{named} {DRAWS}")
        if not all(alike):
            raise ConfigError(
                f"{type(task).__name__}.{named} does not go on as a run does that began before, so that one "
                "which is resumed would learn from other batches."
            )
        if len(alike) < BATCHES:
            raise ConfigError(
                f"{type(task).__name__}.{named} ends after {len(alike)} batches; they go on without end."
            )


def _compared(task: Task, size: int, start: int) -> list[bool]:
    """Return of batches from a step on whether they are those of a run that began a step before."""
    earlier, later = (task.train_batches(0, size, step) for step in (start - 1, start))
    pairs = zip(islice(earlier, 1, None), islice(later, BATCHES), strict=False)
    return [_same(one, other) for one, other in pairs]


def _try_measures(task: Task, what: str, make: Callable[[], Batch]) -> None:
    """Measure random outputs on the first rows of a set."""
    batch = _twice(task, what, lambda: _first(task, make()))
    shape = (*batch.targets.shape[: 1 + task.targets.per_step], task.targets.size)
    outputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    named = f"measure of outputs {tuple(outputs.shape)} on {what}"
    try:
        means = _twice(task, named, lambda: _means(task.measure(outputs, batch)))
        check_names(task, means)
        if "loss" not in means:
            raise ConfigError(
                f"{type(task).__name__}.{named} has no 'loss', which decides whether a run diverges."
            )
        metrics = _twice(task, f"summary of {', '.join(means)}", lambda: dict(task.summary(dict(means))))
        check_names(task, metrics, ())
        for name in metrics:
            _check_declared(task, name)
        _twice(task, f"solved of {', '.join(metrics)}", lambda: bool(task.solved(metrics)))
    except ConfigError as error:
        if not _needs_more(error.__cause__):
            raise


def _needs_more(error: BaseException | None) -> bool:
    """Whether outputs for a few rows do not do: a variance is 0, or a model's own loop is asked for."""
    asked = str(error.args[0]) if isinstance(error, KeyError) and error.args else ""
    return isinstance(error, ArithmeticError) or asked.startswith(LOOPS)


def _first(task: Task, batch: Batch) -> Batch:
    """Return the first rows of a set; of streams, which are long, the first steps."""
    batch = batch.rows(0, ROWS)
    return batch.time_slice(0, task.length, per_step=task.targets.per_step) if task.streams else batch


def _means(measures: Measures) -> dict[str, float]:
    return {
        name: float((values * weights).sum() / weights.sum()) for name, (values, weights) in measures.items()
    }


def _twice(task: Task, what: str, call: Callable[[], Any]) -> Any:
    """Return what a call returns, which must be the same a second time, and move no generator."""
    before = position()
    first, again = _called(task, what, call), _called(task, what, call)
    name = f"{type(task).__name__}.{what}"
    if position() != before:
        raise ConfigError(f"{name} {DRAWS}")
    if not _same(first, again):
        raise ConfigError(
            f"{name} gives something else when it is asked for again; it must follow from its arguments "
            "alone, or no run could be resumed, nor made again."
        )
    return first


def _called(task: Task, what: str, call: Callable[[], Any]) -> Any:
    try:
        return call()
    except SeqbenchError:
        raise
    except Exception as error:  # whatever a user's code raises
        name = f"{type(task).__name__}.{what}"
        raise ConfigError(f"{name} fails with {type(error).__name__}: {one_line(error)}.") from error


def _same(one: Any, other: Any) -> bool:
    """Return whether two tensors, numbers, or lists, tuples and dicts of such are the same."""
    if isinstance(one, Tensor):
        return isinstance(other, Tensor) and one.shape == other.shape and _equal(one, other)
    if isinstance(one, Mapping):
        return list(one) == list(other) and all(_same(one[key], other[key]) for key in one)
    if isinstance(one, list | tuple):
        return len(one) == len(other) and all(map(_same, one, other))
    return bool(one == other) or bool(one != one and other != other)  # NaN, of whatever kind


def _equal(one: Tensor, other: Tensor) -> bool:
    numbers = one.is_floating_point() or one.is_complex()
    return torch.equal(one.nan_to_num(), other.nan_to_num()) if numbers else torch.equal(one, other)

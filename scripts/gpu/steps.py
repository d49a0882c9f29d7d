"""Steps of optimisation: passes that take them, and their time."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Sequence
from functools import partial

import torch
from torch import nn

import seqbench
from seqbench.tasks.batch import Batch
from seqbench.training.optimisation import OptimizerConfig
from seqbench.training.passes import Pass
from seqbench.training.seed_stack import stack_batches

from .plan import Plan, Size


def training(
    plan: Plan,
    preset: str,
    *overrides: str,
    size: Size,
    seeds: int | None = None,
    dtype: torch.dtype = torch.float32,
    capturable: bool = False,
    batches: int = 1,
    convert: Callable[[nn.Module], nn.Module] = lambda model: model,
) -> tuple[Pass, list[Batch]]:
    """Return a pass through a preset, and batches of one shape to train it on.

    Args:
        plan: of what is checked.
        preset: of the model, which learns the first of its tasks.
        overrides: more than those of the preset and its task.
        size: of model and batches.
        seeds: in a stack; None for one seed with a pass of its own.
        dtype: float32 or float64, of weights and batches.
        capturable: whether Adam counts its steps on the device, so that a CUDA graph can hold them.
        batches: how many.
        convert: called with each model.
    """
    cfg = seqbench.compose([*plan.overrides(preset, size), *overrides])
    task = seqbench.build_task(cfg)
    torch.manual_seed(0)
    models = [seqbench.build_model(cfg, task).to(plan.device, dtype) for _ in range(seeds or 1)]
    config = OptimizerConfig(partial(torch.optim.Adam, capturable=capturable), lr=0.003)
    its = Pass([convert(model) for model in models], task, config, max_steps=1, stacked=seeds is not None)
    # One draw gives them one shape, also where sequences differ in length.
    drawn = next(task.train_batches(0, batches * size.batch)).map(lambda part: part.to(plan.device))
    drawn = drawn.map(lambda part: part.to(dtype) if part.is_floating_point() else part)
    return its, [stack_batches([b] * seeds) if seeds else b for b in drawn.split(size.batch)]


def step_of(its: Pass, batch: Batch) -> Callable[[], object]:
    """Return what takes an optimisation step on a batch, and nothing beside."""
    return lambda: its.update.step(batch, its.optimizer, torch.autograd.backward)


def milliseconds(plan: Plan, *steps: Callable[[], object]) -> list[float]:
    """Return the time of each step: the median over rounds in which they take turns, after one to warm up."""
    times: list[list[float]] = [[] for _ in steps]
    for _ in range(plan.rounds + 1):
        for step, mine in zip(steps, times, strict=True):
            mine.append(_timed(plan, step))
    return [statistics.median(mine[1:]) for mine in times]


def _timed(plan: Plan, step: Callable[[], object]) -> float:
    synchronize(plan)
    start = time.perf_counter()
    for _ in range(plan.repeats):
        step()
    synchronize(plan)
    return (time.perf_counter() - start) / plan.repeats * 1e3


def synchronize(plan: Plan) -> None:
    """Wait for what the device has still to do."""
    if plan.device == "cuda":
        torch.cuda.synchronize()


def weights(its: Pass) -> Sequence[torch.Tensor]:
    """Return the trained weights of a pass."""
    return its.together.parameters()

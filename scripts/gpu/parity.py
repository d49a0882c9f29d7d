"""Parity: every model and engine against a CPU in double precision."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

import seqbench
from seqbench.models.body import Stack
from seqbench.models.model import Model
from seqbench.models.unfold import Cell, Engine, check_engine, chosen_engine
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.training.seed_stack import run

from .outcome import Outcome, Row, distance, reason
from .plan import Plan


def parity(plan: Plan) -> Outcome:
    """Outputs and all gradients against those of the loop on a CPU in double precision: the largest distance.

    Single precision is full precision here. Runs leave torch's default, which lets cuDNN round the factors of
    products to TF32: what that does is told and not judged.
    """
    outcome = Outcome()
    for preset in plan.models:
        for task in plan.tasks(preset, plan.small):
            try:
                _check(plan, preset, task, outcome)
            except Exception as error:  # whatever it is, the other presets are still to be checked
                outcome.failed.append(f"{preset} ({task[0]}): {reason(error)}")
    return outcome


def _check(plan: Plan, preset: str, overrides: list[str], outcome: Outcome) -> None:
    cfg = seqbench.compose([*overrides, *plan.model(preset, plan.small)])
    task = seqbench.build_task(cfg)
    torch.manual_seed(0)
    model = seqbench.build_model(cfg, task)
    batch = next(task.train_batches(0, plan.small.batch))
    expected = results(model, task, batch, "loop", "cpu", torch.float64)
    its_cells = cells(model)
    by_rule = {chosen_engine(cell, device=plan.device) for cell in its_cells}
    # A model that unfolds nothing has one way only.
    for engine in [e for e in plan.engines if _have(its_cells, e)] if its_cells else [None]:
        name = f"{preset} ({overrides[0]})" + (f", engine {engine}" if engine else "")
        row: Row = {"model": preset, "task": cfg.preset.task, "engine": engine}
        row["by rule"] = "yes" if engine in by_rule or engine is None else ""
        outcome.rows.append(row)
        for dtype, tolerance in plan.tolerances.items():
            kind = str(dtype).removeprefix("torch.")
            try:
                with full_precision():
                    found = results(model, task, batch, engine, plan.device, dtype)
                row[kind] = far = distance(found, expected)
            except Exception as error:
                outcome.failed.append(f"{name}, {kind}: {reason(error)}")
                continue
            if far > tolerance:
                outcome.failed.append(f"{name}, {kind}: {far:.1e} away, and {tolerance:.0e} is allowed")
        if plan.device == "cuda" and engine == "native":
            found = results(model, task, batch, engine, plan.device, torch.float32)
            row["float32 with TF32"] = distance(found, expected)


def results(
    model: Model, task: Task, batch: Batch, engine: Engine | None, device: str, dtype: torch.dtype
) -> list[Tensor]:
    """Return a model's outputs for a batch, and the gradients of the loss in its parameters and inputs.

    Args:
        model: in single precision, on a CPU; it is copied.
        task: whose loss is taken.
        batch: likewise.
        engine: that unfolds all cells; None if there are none.
        device: where.
        dtype: float64 or float32.
    """
    mine = copy.deepcopy(model)
    if dtype == torch.float64:  # some buffers have it anyway
        mine.double()
        batch = batch.map(lambda part: part.double() if part.is_floating_point() else part)
    mine.to(device)
    batch = batch.map(lambda part: part.to(device))
    for body in bodies(mine):
        body.engine = engine or "auto"
    if mine.solves_readout:
        mine.accumulate(**batch.arguments(inspect.signature(mine.accumulate).parameters))
        mine.solve()
    learnt = [parameter for parameter in mine.parameters() if parameter.requires_grad]
    if batch.inputs.is_floating_point():
        learnt.append(batch.inputs.requires_grad_())  # type: ignore[arg-type]
    outputs, _ = run(mine, batch)
    gradients = torch.autograd.grad(
        task.targets.loss(outputs, batch), learnt, allow_unused=True, materialize_grads=True
    )
    return [*tree_leaves(outputs), *gradients]


def bodies(model: nn.Module) -> list[Stack]:
    """Return the parts of a model that unfold cells."""
    return [module for module in model.modules() if isinstance(module, Stack)]


def cells(model: nn.Module) -> list[Cell]:
    """Return the cells that a model unfolds."""
    layers = [layer for body in bodies(model) for layer in (*body.layers, *body.backward_layers)]
    return [layer for layer in layers if isinstance(layer, Cell)]


def _have(cells: list[Cell], engine: Engine) -> bool:
    try:
        for cell in cells:
            check_engine(cell, engine)
    except ValueError:
        return False
    return True


@contextmanager
def full_precision() -> Iterator[None]:
    """Keep cuDNN from TF32 within the context."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    try:
        yield
    finally:
        torch.backends.cudnn.allow_tf32 = before

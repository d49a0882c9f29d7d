"""What a user would pick instead of seqbench, each as a function that takes an optimisation step."""

from __future__ import annotations

import copy
import importlib.util
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from torch import nn

from . import torch_nn
from .measure import Point, Settings, steps_in_turn
from .models import Case, Data
from .step import Training

#: How far losses may differ, as a share; those near zero by a hundredth of it.
TOLERANCE = 1e-4


def jax_is_installed() -> bool:
    """Whether JAX is there: `pip install -e '.[bench]'`."""
    return importlib.util.find_spec("jax") is not None


def compare(cell: str, point: Point, count: int, settings: Settings) -> tuple[str, dict[str, float]]:
    """Return the engine that is taken, and the milliseconds a seed of a step of `count` seeds.

    They are those of `ours` and of `torch`; where JAX is there, of `jit`, of `vmap` for several seeds, and of
    `JAX`, the better of the two.
    """
    case = Case(cell)
    engine = case.engines(point)[0]
    models = case.build(point, engine, settings.device, count)
    data = case.data(point, settings.device, count)
    steps = {"ours": Training(models, data).step, **rivals(cell, point, models, data, settings)}
    ms = {name: value / count for name, value in steps_in_turn(steps, settings).items()}
    forms = [ms[form] for form in ("jit", "vmap") if form in ms]
    return engine, ms | ({"JAX": min(forms)} if forms else {})


def rivals(
    cell: str, point: Point, models: Sequence[nn.Module], data: Sequence[Data], settings: Settings
) -> dict[str, Callable[[], Any]]:
    """Return steps of as many models as there are of seqbench: `jit` and `vmap` of JAX, and bare PyTorch.

    Those of JAX have the weights of seqbench's. They are there on a CPU, if JAX is.

    Raises:
        ValueError: JAX does not find the losses that seqbench finds.
    """
    alone = [torch_nn.training_step(cell, point, mine, settings.device) for mine in data]
    steps: dict[str, Callable[[], Any]] = {"torch": lambda: [step() for step in alone]}
    if not jax_is_installed() or settings.device != "cpu":
        return steps
    from .jax_scan import JaxTraining

    first = JaxTraining(cell, models[:1], data[:1])
    others = zip(models[1:], data[1:], strict=True)
    jitted = [first, *(JaxTraining(cell, [model], [mine], first) for model, mine in others)]
    steps["jit"] = lambda: [training.step() for training in jitted]
    if len(models) > 1:
        steps["vmap"] = JaxTraining(cell, models, data).step
    check_agreement(cell, models, data, steps)
    return steps


def check_agreement(
    cell: str, models: Sequence[nn.Module], data: Sequence[Data], steps: dict[str, Callable[[], Any]]
) -> None:
    """Raise a ValueError if JAX does not find the losses of seqbench's models, which stay as they are."""
    ours = Training([copy.deepcopy(model) for model in models], data)
    # Adam's first step is the sign of a gradient, so that rounding around 0 parts the courses a little.
    largest = 0.0
    for tolerance in (TOLERANCE, 100 * TOLERANCE, 100 * TOLERANCE):
        expected = [loss.item() for loss in ours.step()]
        largest = max(largest, *expected)
        for name in steps.keys() & {"jit", "vmap"}:
            found = [float(loss) for loss in steps[name]()]
            if not np.allclose(found, expected, rtol=tolerance, atol=tolerance * largest):
                raise ValueError(f"{cell}: JAX ({name}) finds losses of {found}, seqbench {expected}.")

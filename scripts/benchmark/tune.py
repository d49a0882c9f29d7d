"""The table of engines: which one each cell takes on a kind of device."""

from __future__ import annotations

import math
from typing import Any, cast

import seqbench
from seqbench.config.presets import preset_names
from seqbench.errors import ConfigError
from seqbench.models.sequence import SequenceModel

from .measure import Point, Settings, steps_in_turn
from .models import Case
from .step import Training
from .tables import Row

#: Where engines are compared; the geometric mean over these decides.
POINTS = (Point(), Point(length=1000), Point(width=256), Point(batch=256))


def tune(settings: Settings) -> list[Row]:
    """The fastest engine of every cell on this kind of device, of all that it has.

    By the geometric mean of an optimisation step of one seed at batch 32, 100 steps, 64 units, and with 1,000
    steps, 256 units, or a batch of 256 instead. `ms` is at the first of these, `mean` in ratio to the best.
    """
    points = (settings.point,) if settings.quick else POINTS
    rows: list[Row] = []
    for model in recurrent_models():
        case = Case(model)
        engines = case.engines(settings.point)
        found: dict[str, list[float]] = {engine: [] for engine in engines}
        for point in points if len(engines) > 1 else points[:1]:
            data = case.data(point, settings.device)
            steps = {e: Training(case.build(point, e, settings.device), data).step for e in engines}
            for engine, ms in steps_in_turn(steps, settings).items():
                found[engine].append(ms)
        means = {engine: math.exp(sum(map(math.log, ms)) / len(ms)) for engine, ms in found.items()}
        best = min(means, key=lambda engine: means[engine])
        (made,) = case.build(settings.point)
        row: Row = {"cell": type(cast(Any, made).body.layers[0]).__name__, "preset": model}
        row |= {"device": settings.device, "engine": best}
        rows.append(row | {f"{engine}, ms": ms[0] for engine, ms in found.items()} | means_of(means))
    return rows


def means_of(means: dict[str, float]) -> Row:
    """Return the columns of the means, as ratios to the best."""
    return {f"{engine}, mean": value / min(means.values()) for engine, value in means.items()}


def recurrent_models() -> list[str]:
    """Return the presets of models that are made of cells, read vectors and learn by gradients.

    A model that is fed its outputs is left out: its loop goes over all of it, and not over its cell.
    """
    names = []
    for name in preset_names("model"):
        cfg = seqbench.compose([f"model={name}", "task=adding"])
        try:
            model = seqbench.build_model(cfg, seqbench.build_task(cfg))
        except ConfigError:  # a model of trees or stories
            continue
        if isinstance(model, SequenceModel) and not (model.solves_readout or model.feedback.beside):
            names.append(name)
    return names

"""What the platform adds to a training step."""

from __future__ import annotations

from collections.abc import Callable

import torch

import seqbench

from .cores import overrides, train, training_steps
from .measure import Settings, in_turn, seconds
from .models import Case, Data
from .step import Training
from .tables import Row, against

#: The largest ratios that will do, of 1 seed and of 16.
MARKS = {1: 1.10, 16: 1.05}


def overhead(settings: Settings) -> list[Row]:
    """Training by `seqbench.train`, W&B offline and all, against a bare loop with the same engine; ms a seed.

    Batch 32, 100 steps, 64 units of the adding problem; both draw a fresh batch for each step. Evaluations do
    not count.
    """
    rows: list[Row] = []
    for cell in settings.cells:
        engine = Case(cell).engines(settings.point)[0]
        for count in (1, settings.seeds):
            asked = [*overrides(cell, settings, count), f"model.engine={engine}", "logger=wandb"]
            bare = bare_loop(cell, engine, count, settings)
            bare()
            measures = {"bare": bare, "platform": lambda asked=asked: train(asked)}
            ms = in_turn(measures, min(5, settings.rounds))
            row: Row = {"cell": cell, "seeds": count, "engine": engine}
            row |= {"bare loop": ms["bare"], "seqbench.train": ms["platform"]}
            rows.append(row | against("the bare loop", ms["platform"], ms["bare"], MARKS.get(count)))
    return rows


def bare_loop(cell: str, engine: str, count: int, settings: Settings) -> Callable[[], float]:
    """Return a function that trains on fresh batches in bare PyTorch: the milliseconds a seed and step."""
    task = seqbench.build_task(seqbench.compose(["task=adding", f"task.length={settings.point.length}"]))
    streams = [task.train_batches(seed, settings.point.batch) for seed in range(count)]
    models = Case(cell).build(settings.point, engine, settings.device, count)
    training = Training(models, [])

    def step() -> list[torch.Tensor]:
        batches = [next(stream) for stream in streams]
        training.data = [Data({"inputs": b.inputs}, b.targets).to(settings.device) for b in batches]
        return training.step()

    return lambda: seconds(step, settings.device, training_steps(settings, count)) / count * 1e3

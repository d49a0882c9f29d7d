"""Costs: peak memory and time of an optimisation step."""

from __future__ import annotations

import gc
import math
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from seqbench.models.unfold import chosen_engine
from seqbench.runs.devices import peak_memory, reset_peak_memory
from seqbench.tasks.batch import Batch

from .outcome import Outcome, Row, reason
from .parity import cells
from .plan import Plan, Size
from .steps import milliseconds, step_of, synchronize, training

#: The largest exponent of memory against the length that counts as linear.
LINEAR = 1.05
#: torch's own modules.
MODULES: dict[str, Callable[..., nn.RNNBase]] = {"rnn": nn.RNN, "gru": nn.GRU, "lstm": nn.LSTM}


def memory(plan: Plan) -> Outcome:
    """Peak memory of an optimisation step in MB, at two lengths; the exponent of its growth, 1 being linear.

    On a GPU that of tensors. On a CPU that of the process, which is not judged.
    """
    outcome = Outcome()
    kept = f"model.checkpoint_steps={plan.checkpoint_steps}"
    for preset in plan.memory_of:
        peaks: dict[str, list[float]] = {}
        for way in ("model.engine=auto", "model.engine=loop", kept):
            row: Row = {"model": preset, "way": way}
            outcome.rows.append(row)
            try:
                peaks[way] = [_peak(plan, preset, way, steps) / 1e6 for steps in plan.lengths]
            except Exception as error:  # out of memory, for one
                outcome.failed.append(f"{preset}, {way}: {reason(error)}")
                continue
            row |= {f"MB at {steps:,}": mb for steps, mb in zip(plan.lengths, peaks[way], strict=True)}
            row["exponent"] = growth = exponent(plan.lengths, peaks[way])
            if plan.device == "cuda" and growth > LINEAR:
                outcome.failed.append(f"{preset}, {way}: memory grows with the length to the {growth:.2f}")
        loop, less = (peaks.get(way, [math.nan])[-1] for way in ("model.engine=loop", kept))
        if plan.device == "cuda" and less >= loop:
            outcome.failed.append(f"{preset}: {kept} takes {less:.0f} MB, and keeping every state {loop:.0f}")
    return outcome


def _peak(plan: Plan, preset: str, way: str, steps: int) -> float:
    """Return the bytes of the second step: the first makes the optimiser's state."""
    gc.collect()  # what came before must not count
    its, (batch,) = training(plan, preset, way, size=plan.memory._replace(steps=steps))
    step_of(its, batch)()
    synchronize(plan)
    reset_peak_memory()
    step_of(its, batch)()
    synchronize(plan)
    return peak_memory(torch.device(plan.device))


def exponent(lengths: tuple[int, int], values: list[float]) -> float:
    """Return the slope between two points of logarithms."""
    return math.log(values[1] / values[0]) / math.log(lengths[1] / lengths[0])


def speed(plan: Plan) -> Outcome:
    """Milliseconds of an optimisation step of one seed, on the adding problem, beside torch's own module.

    A seed by itself takes the engine that is named. In a stack seeds share a pass, a loop under vmap: one
    seed costs all of it, each of several its part.
    """
    outcome = Outcome()
    for size in plan.speeds:
        for preset in plan.speed_of:
            row: Row = {"model": preset, "batch": size.batch, "steps": size.steps, "units": size.width}
            outcome.rows.append(row)
            try:
                row |= _times(plan, preset, size)
            except Exception as error:  # whatever it is, the other models are still to be timed
                outcome.failed.append(f"{preset} at {size}: {reason(error)}")
    return outcome


def _times(plan: Plan, preset: str, size: Size) -> Row:
    alone, (batch,) = training(plan, preset, size=size)
    one, (of_one,) = training(plan, preset, size=size, seeds=1)
    several, (of_several,) = training(plan, preset, size=size, seeds=plan.width)
    steps = [step_of(alone, batch), step_of(one, of_one), step_of(several, of_several)]
    if preset in MODULES:
        steps.append(bare_step(MODULES[preset], batch, size.width))
    ms: list[Any] = [*milliseconds(plan, *steps), None][:4]
    (engine,) = {chosen_engine(cell, device=plan.device) for cell in cells(alone.models[0])}
    return {
        "torch.nn": ms[3],
        "1 seed": ms[0],
        "engine": engine,
        "1 seed in a stack": ms[1],
        f"a seed of {plan.width} in a stack": ms[2] / plan.width,
    }


class Bare(nn.Module):
    """A recurrent module of torch's own, and a readout of its last output."""

    def __init__(self, body: nn.RNNBase, units: int) -> None:
        super().__init__()
        self.body = body
        self.readout = nn.Linear(units, 1)

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = self.readout(self.body(x)[0][:, -1])
        return outputs


def bare_step(module: Callable[..., nn.RNNBase], batch: Batch, units: int) -> Callable[[], object]:
    """Return an optimisation step as one would write it, with Adam and clipped gradients."""
    model = Bare(module(batch.inputs.shape[-1], units, batch_first=True), units).to(batch.inputs.device)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.003)

    def step() -> None:
        optimizer.zero_grad()
        (model(batch.inputs) - batch.targets).square().mean().backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()

    return step

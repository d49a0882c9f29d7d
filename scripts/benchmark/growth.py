"""How time and memory grow with the length of sequences."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from .measure import Settings, exponent, steps_in_turn
from .models import Case
from .step import Training
from .surroundings import in_new_process
from .tables import Row

#: The largest exponents that will do.
MARK = 1.05


def growth(settings: Settings) -> list[Row]:
    """An optimisation step against the length T: exponents of power laws, 1 being linear.

    Batch 32, 64 units. Time is in ms a seed; memory is what the process holds at most beyond what it held
    before the first step. Each row is measured in a process of its own.
    """
    lengths = [8, 16, 32] if settings.quick else [100, 200, 400, 800, 1600]
    rows: list[Row] = []
    for cell in settings.cells:
        engines = Case(cell).engines(settings.point)
        for engine, count in dict.fromkeys([(engines[0], 1), (engines[0], settings.seeds), ("loop", 1)]):
            times, memory = in_new_process(grow, cell, engine, count, lengths, settings)
            row: Row = {"cell": cell, "engine": engine, "seeds": count}
            row |= {f"ms at {n:,}": ms for n, ms in zip(lengths, times, strict=True)}
            if memory:
                row |= {f"MB at {lengths[-1]:,}": memory[-1] / 1e6}
            for name, values in (("time", times), ("memory", memory)):
                if values and min(values) > 0:
                    slope = exponent(lengths, values)
                    row |= {
                        f"{name} exponent": slope,
                        f"{name}, at most {MARK}": "yes" if slope <= MARK else "no",
                    }
            rows.append(row)
    return rows


def grow(
    cell: str, engine: str, count: int, lengths: list[int], settings: Settings
) -> tuple[list[float], list[float]]:
    """Return the ms a seed, and the bytes, of a step at each length; no bytes where they are not known."""
    torch.set_num_threads(1)
    case, times, memory = Case(cell), [], []
    shortest = replace(settings.point, length=4)
    Training(
        case.build(shortest, engine, settings.device, count), case.data(shortest, settings.device, count)
    ).step()
    before = peak_memory(settings)
    for length in lengths:
        point = replace(settings.point, length=length)
        models = case.build(point, engine, settings.device, count)
        training = Training(models, case.data(point, settings.device, count))
        training.step()
        if before is not None:
            memory.append(float((peak_memory(settings) or 0) - before))
        ms = steps_in_turn({"step": training.step}, settings)["step"]
        times.append(ms / count)
    return times, memory


def peak_memory(settings: Settings) -> int | None:
    """Return the largest number of bytes held so far, by the process or on a GPU; None if it is not known."""
    if settings.device == "cuda":
        return torch.cuda.max_memory_allocated()
    status = Path("/proc/self/status")
    if not status.exists():
        return None
    (line,) = [line for line in status.read_text().splitlines() if line.startswith("VmHWM:")]
    return int(line.split()[1]) * 1024

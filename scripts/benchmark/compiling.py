"""What compilation takes, the first time and again."""

from __future__ import annotations

import tempfile

import torch

from .measure import Settings, seconds
from .models import Case
from .rivals import jax_is_installed
from .step import Training
from .surroundings import in_new_process
from .tables import Row

OTHERS = ("mgu", "mut1", "skip_rnn", "clockwork_rnn", "deep_transition_rnn", "peephole_lstm")
#: The most seconds that will do: the first time, and again.
MARKS = {"first": 3.0, "again": 0.05}


def compiling(settings: Settings) -> list[Row]:
    """Seconds that compilation adds to the first step of a process: with an empty cache on disk, and again.

    Batch 32, 100 steps, 64 units; engine fused. JAX compiles the same step anew in every process.
    """
    rows: list[Row] = []
    for cell in (*settings.cells, *OTHERS):
        row: Row = {"cell": cell}
        if "fused" in Case(cell).engines(settings.point):
            with tempfile.TemporaryDirectory() as home:
                for when, mark in MARKS.items():
                    places = {"HOME": home, "XDG_CACHE_HOME": home}
                    taken = in_new_process(first_step, cell, settings, environment=places)
                    row |= {
                        when: taken,
                        f"{when}, mark": mark,
                        f"{when}, reached": "yes" if taken <= mark else "no",
                    }
        if cell in settings.cells and jax_is_installed():
            row["JAX"] = in_new_process(compile_in_jax, cell, settings)
        rows.append(row)
    return rows


def first_step(cell: str, settings: Settings) -> float:
    """Return the seconds that a model and its first step take in a process, beyond a second one's."""
    torch.set_num_threads(1)
    case, point = Case(cell), settings.point
    data = case.data(point)

    def one(engine: str) -> float:
        return seconds(lambda: Training(case.build(point, engine), data).step(), settings.device)

    one("loop")  # torch has first steps of its own
    first = one("fused")
    return first - min(one("fused") for _ in range(3))


def compile_in_jax(cell: str, settings: Settings) -> float:
    """Return the seconds that tracing and compiling take in a process that has used JAX before."""
    import jax
    import jax.numpy as jnp

    from .jax_scan import JaxTraining

    jax.jit(lambda x: x + 1)(jnp.zeros(3)).block_until_ready()
    case, point = Case(cell), settings.point
    return JaxTraining(cell, case.build(point), case.data(point)).compile_seconds

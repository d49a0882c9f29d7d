"""CUDA graphs: a whole optimisation step, captured once and replayed without Python."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from torch.utils._pytree import tree_leaves

import seqbench
from seqbench.models.unfold import chosen_engine
from seqbench.tasks.batch import Batch

from .outcome import Outcome, ProcessError, Row, apart, distance, reason
from .parity import cells
from .plan import Plan
from .steps import milliseconds, step_of, training, weights

#: Steps before a capture, in which libraries and the optimiser allocate what they keep.
WARM_UP = 3


def graphs(plan: Plan) -> Outcome:
    """An optimisation step in one CUDA graph: whether it can be captured, and what it saves.

    Replayed steps are compared with eager ones in double precision, on other batches and at tiny sizes; the
    times are of single precision. Each model has the engine that it takes by rule, and the loop.
    """
    outcome = Outcome()
    for preset in plan.graphs_of:
        for engine in engines(plan, preset):
            row: Row = {"model": preset, "engine": engine}
            outcome.rows.append(row)
            try:
                # A failed capture leaves its process unfit for another.
                row |= apart(graph, plan, preset, engine, seconds=plan.seconds / 4)
            except ProcessError as error:
                row["captured"] = "no"
                outcome.failed.append(f"{preset}, engine {engine}: {error}")
            far: Any = row.get("distance", 0.0)
            if far > plan.tolerances[torch.float64]:
                outcome.failed.append(f"{preset}, engine {engine}: replayed steps end {far:.1e} away")
    return outcome


def engines(plan: Plan, preset: str) -> list[str | None]:
    """Return the engine that a model takes by rule, and the loop; None for a model that unfolds nothing."""
    cfg = seqbench.compose(plan.overrides(preset, plan.small))
    its_cells = cells(seqbench.build_model(cfg, seqbench.build_task(cfg)))
    by_rule = {chosen_engine(cell, device=plan.device) for cell in its_cells}
    return [*sorted(by_rule - {"loop"}), "loop"] if its_cells else [None]


def graph(plan: Plan, preset: str, engine: str | None) -> Row:
    """Capture a step of a preset, compare it with an eager one, and time both."""
    overrides = [] if engine is None else [f"model.engine={engine}"]
    of = partial(training, plan, preset, *overrides)
    options: dict[str, Any] = {
        "dtype": torch.float64,
        "capturable": plan.device == "cuda",
        "batches": 1 + plan.compared_steps,
    }
    eager, (first, *others) = of(size=plan.small, **options)
    mine, _ = of(size=plan.small, **options)
    if mine.models[0].solves_readout:
        return {"captured": "no: it solves for its readout"}
    static = first.map(torch.clone)
    try:
        replay = captured(step_of(mine, static))
        for batch in [*[first] * WARM_UP, *others]:
            step_of(eager, batch)()
        for batch in others:
            copy_into(static, batch)
            replay()
        row: Row = {"captured": "yes", "distance": distance(weights(mine), weights(eager))}
        # Adam that counts on the device is slower outside of a graph, and seqbench does not use it.
        eager, (batch,) = of(size=plan.graphs)
        mine, _ = of(size=plan.graphs, capturable=plan.device == "cuda")
        ms = milliseconds(plan, step_of(eager, batch), captured(step_of(mine, batch)))
    except CaptureError as error:
        return {"captured": f"no: {error}"}
    return row | {"eager, ms": ms[0], "graph, ms": ms[1], "times as fast": ms[0] / ms[1]}


class CaptureError(Exception):
    """A step that cannot be captured."""


def captured(step: Callable[[], object]) -> Callable[[], object]:
    """Return what replays a step, of which some have then been taken, `WARM_UP`; to capture takes none.

    Raises:
        CaptureError: the step waits for the device, or does something else that a graph cannot hold.
    """
    stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
    stream.wait_stream(torch.cuda.current_stream())
    with torch.cuda.stream(stream):
        for _ in range(WARM_UP):
            step()
    torch.cuda.current_stream().wait_stream(stream)
    graph = torch.cuda.CUDAGraph()
    try:
        with torch.cuda.graph(graph, stream=stream):
            step()
    except Exception as error:  # that of the capture's end hides the first one
        first: BaseException = error
        while first.__context__ is not None:
            first = first.__context__
        raise CaptureError(reason(first)) from None
    return graph.replay


def copy_into(static: Batch, batch: Batch) -> None:
    """Write a batch into the memory of another, which a graph reads."""
    for to, part in zip(tree_leaves(static), tree_leaves(batch), strict=True):
        if part is not None:
            to.copy_(part)

"""The four cells at other lengths, widths and batches."""

from __future__ import annotations

import math
from dataclasses import replace

from .measure import Point, Settings
from .rivals import compare
from .tables import Row, against

#: One size at a time leaves the point of the headline.
SIZES = {
    "length": (20, 50, 200, 500, 1000, 2000),
    "width": (32, 128, 256),
    "batch": (1, 8, 128, 256),
}
#: The largest ratios to the better of JAX and torch that will do, and other ones for some cells.
MARKS: dict[tuple[str, int], tuple[float, dict[str, float]]] = {
    ("length", 20): (1.0, {"leaky_rnn": 1.5}),
    ("length", 1000): (0.65, {"lstm": 0.85}),
    ("width", 128): (0.65, {"lstm": 0.85}),
    ("width", 256): (0.65, {"lstm": 0.85}),
    ("batch", 256): (1.0, {"lstm": 1.05}),
    ("batch", 1): (2.0, {}),
}
#: For as many seeds at a batch of 1.
MARK_OF_MANY = 1.0


def sizes(settings: Settings) -> list[Row]:
    """An optimisation step of one seed, in ms, as in `headline`, where one size differs from those.

    At a batch of 1 also of 16 seeds, a seed. The ratio is to the better of JAX and torch.
    """
    if settings.quick:
        points = [("batch", 1, replace(settings.point, batch=1))]
    else:
        points = [
            (name, size, replace(settings.point, **{name: size}))
            for name, values in SIZES.items()
            for size in values
        ]
    rows: list[Row] = []
    for name, size, point in points:
        for cell in settings.cells:
            mark, others = MARKS.get((name, size), (None, {}))
            rows.append(row_of(cell, name, point, 1, others.get(cell, mark), settings))
            if point.batch == 1:
                rows.append(row_of(cell, name, point, settings.seeds, MARK_OF_MANY, settings))
    return rows


def row_of(cell: str, name: str, point: Point, count: int, mark: float | None, settings: Settings) -> Row:
    """Measure one cell at one point; `name` is the size that differs."""
    engine, ms = compare(cell, point, count, settings)
    row: Row = {"size": f"{name} {getattr(point, name):,}", "cell": cell, "seeds": count, "engine": engine}
    row |= {"seqbench": ms["ours"], "JAX, jit": ms.get("jit"), "JAX, vmap": ms.get("vmap")}
    better = min(ms["torch"], ms.get("JAX", math.inf))
    return row | {"torch": ms["torch"]} | against("the better", ms["ours"], better, mark)

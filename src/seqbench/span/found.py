"""What was found: tables on a terminal, and files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from seqbench.results.figures import save
from seqbench.results.numbers import MISSING
from seqbench.results.pages import write_page
from seqbench.results.rendering.rows import print_rows
from seqbench.results.report import made_with
from seqbench.results.spans.figure import draw_spans
from seqbench.results.spans.forest import draw_forest
from seqbench.results.spans.formats import texts
from seqbench.results.spans.measured import Measured
from seqbench.results.spans.tables import (
    COSTS,
    DETAILS,
    cost_rows,
    detail_rows,
    legend,
    protocol_lines,
    span_rows,
)
from seqbench.span.climb import Course, measured
from seqbench.span.cost import Costs
from seqbench.span.plan import SpanPlan

#: Columns of numbers.
NUMBERS = ("span", "dependency", "test differs", "diverged", "FLOPs a step", "sequences", "FLOPs")


class Found(NamedTuple):
    """What a command has found.

    entrants: on each task.
    command: that was typed.
    made_with: code, machine and time; empty where nothing has ended.
    """

    entrants: list[Measured]
    command: str
    made_with: str

    @classmethod
    def of(cls, courses: Sequence[Course], plan: SpanPlan, command: str) -> Found:
        """Gather it; operations are counted for what is new."""
        costs = Costs(plan.folder.parent / "flops.json")
        entrants = measured(courses, costs)
        costs.keep()
        runs = [run for course in courses for its in course.complete.values() for run in its]
        return cls(entrants, command, f"{len(runs)} runs; {made_with(runs)}" if runs else "")


def show(found: Found) -> None:
    """Print the tables."""
    costs = [row for row in cost_rows(found.entrants) if {row["sequences"], row["FLOPs"]} != {MISSING}]
    tables = [
        (span_rows(found.entrants), legend(found.entrants)),
        (costs, COSTS),
        (detail_rows(found.entrants), DETAILS),
    ]
    for rows, _ in (shown := [table for table in tables if table[0]]):
        print()
        print_rows(rows, right=NUMBERS)
    print()
    print_rows([], "\n".join([*(below for _, below in shown), *protocol_lines(found.entrants)]))


def write(found: Found, stem: Path) -> list[Path]:
    """Write the tables in each format and the figures; return the paths.

    Raises:
        StoreError: a file cannot be written.
    """
    paths = write_page(stem, texts(*found), draw_spans(found.entrants))
    return paths + save(draw_forest(found.entrants), stem.with_name(f"{stem.name}-forest"))

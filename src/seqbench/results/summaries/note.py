"""What a reader must know of a cell: how many runs it has, of which kind, and what they do not share."""

from __future__ import annotations

from collections.abc import Callable

from seqbench.results.summaries.base import Cell, Row, Summary
from seqbench.runs.result import Result

#: What the runs of a cell should share, by what a note calls it.
SHARED: dict[str, Callable[[Result], str | None]] = {
    "commits": lambda run: run.commit,
    "revisions": lambda run: ", ".join(f"{key} {n}" for key, n in sorted(run.revisions.items())),
    "versions of torch": lambda run: run.versions.get("torch"),
    "compilers": lambda run: run.versions.get("compiler"),
    "devices": lambda run: run.device,
}


class Note(Summary):
    """`3 seeds`, `1 failed`, `1 diverged`, `2 of 3 with a value`, one a line. It ends every comparison.

    The number of seeds is said where most cells of the task have another. How many were asked for no result
    says: `seqbench span` asks for more where it needs them, a sweep that was stopped for more than are there.

    Where the runs of a cell do not share the commit, the revision of a component, the version of torch, the
    compiler or the device, it says how many there are: `2 commits`, `2 revisions`, `2 versions of torch`.

    Columns: `note`, the same facts with commas between them; empty where there are none.
    """

    columns = ("note",)

    def compute(self, cell: Cell) -> Row:
        """Return what a reader must know of the cell."""
        runs, seeds, n = len(cell.runs), len(cell.seeds), len(cell.values)
        facts = [f"{runs} seed{'s' * (runs > 1)}"] if runs != cell.usual_runs else []
        facts += [f"{cell.ended('failed')} failed"] if cell.ended("failed") else []
        facts += [f"{cell.ended('diverged')} diverged"] if cell.ended("diverged") else []
        facts += [f"{n} of {seeds} with a value"] if 0 < n < seeds else []
        mixed = {name: len({of(run) for run in cell.seeds}) for name, of in SHARED.items()}
        facts += [f"{count} {name}" for name, count in mixed.items() if count > 1]
        return {"note": ", ".join(facts)}

    def text(self, row: Row) -> str:
        """Return one fact a line."""
        return str(row["note"]).replace(", ", "\n")

"""What a reader must know of a cell: missing, failed and diverged runs."""

from __future__ import annotations

from seqbench.results.summaries.base import Cell, Row, Summary


class Note(Summary):
    """`3 of 5 seeds`, `1 failed`, `1 diverged`, `mean of 2`, one a line. Every comparison ends with it.

    Columns: `note`, the same facts with commas between them; empty for a cell that is complete.
    """

    columns = ("note",)

    def compute(self, cell: Cell) -> Row:
        """Return what is wrong with the cell."""
        runs, seeds, n = len(cell.runs), len(cell.seeds), len(cell.values)
        if not runs:
            return {"note": "not run"}
        facts = [f"{runs} of {cell.most_runs} seeds"] if runs < cell.most_runs else []
        facts += [f"{cell.ended('failed')} failed"] if cell.ended("failed") else []
        facts += [f"{cell.ended('diverged')} diverged"] if cell.ended("diverged") else []
        facts += [f"mean of {n}"] if 0 < n < seeds else []
        return {"note": ", ".join(facts)}

    def text(self, row: Row) -> str:
        """Return one fact a line."""
        return str(row["note"]).replace(", ", "\n")

"""A statistic of one's own: the worst seed of a cell."""

from __future__ import annotations

import pandas as pd

from seqbench.results.numbers import measured
from seqbench.results.summaries import Cell, Row, Summary


class Worst(Summary):
    """The value of the worst seed: `worst 97.5 %`."""

    columns = ("worst",)
    legend = "value of the worst seed"

    def compute(self, cell: Cell) -> Row:
        if not cell.values:
            return {}
        return {"worst": min(cell.values) if cell.seeds[0].direction == "max" else max(cell.values)}

    def text(self, row: Row) -> str:
        return "" if pd.isna(row["worst"]) else f"worst {measured(row['worst'], row['unit'])}"

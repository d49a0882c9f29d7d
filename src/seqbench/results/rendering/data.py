"""The frame of a comparison for programs: CSV and JSON."""

from __future__ import annotations

import pandas as pd
from pandas.api.types import is_numeric_dtype

from seqbench.results.frame import Comparison
from seqbench.results.rendering.rows import quoted


def to_csv(comparison: Comparison) -> str:
    """Return the frame as CSV. An infinite number of steps reads `inf`."""
    return without_formulas(comparison.frame).to_csv(index=False)


def without_formulas(frame: pd.DataFrame) -> pd.DataFrame:
    """Return a table in which no text is a formula to a spreadsheet: `=1+1` reads `'=1+1`."""
    texts = [column for column in frame if not is_numeric_dtype(frame[column])]
    return frame.assign(**{str(column): frame[column].map(quoted) for column in texts})


def to_json(comparison: Comparison) -> str:
    """Return the frame as a JSON list of records. A missing or infinite value reads null."""
    frame = comparison.frame
    return frame.to_json(orient="records", indent=1, double_precision=15, force_ascii=False) + "\n"

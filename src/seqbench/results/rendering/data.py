"""The frame of a comparison for programs: CSV and JSON."""

from __future__ import annotations

import pandas as pd
from pandas.api.types import is_numeric_dtype

from seqbench.results.frame import Comparison
from seqbench.results.rendering.rows import DIGITS, quoted


def to_csv(comparison: Comparison) -> str:
    """Return the frame as CSV. An infinite number of steps reads `inf`."""
    return frame_to_csv(comparison.frame)


def frame_to_csv(frame: pd.DataFrame, digits: int = DIGITS) -> str:
    """Return a table as CSV, in which no text is a formula to a spreadsheet: `=1+1` reads `'=1+1`."""
    texts = [column for column in frame if not is_numeric_dtype(frame[column])]
    quotes = {str(column): frame[column].map(quoted) for column in texts}
    return frame.assign(**quotes).to_csv(index=False, float_format=f"%.{digits}g")


def to_json(comparison: Comparison) -> str:
    """Return the frame as a JSON list of records. A missing or infinite value reads null."""
    frame = comparison.frame
    return frame.to_json(orient="records", indent=1, double_precision=15, force_ascii=False) + "\n"

"""The frame of a comparison for programs: CSV and JSON."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pandas as pd
from pandas.api.types import is_numeric_dtype

from seqbench.results.frame import Comparison
from seqbench.results.rendering.rows import DIGITS, quoted, rows_to_json


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
    return rows_to_json([_without_nan(row) for row in comparison.frame.to_dict("records")])


def _without_nan(value: Any) -> Any:
    """Return a value of JSON for one of a frame: None for a number that JSON does not have."""
    if isinstance(value, dict):
        return {str(key): _without_nan(part) for key, part in value.items()}
    if isinstance(value, (list, tuple)):
        return [_without_nan(part) for part in value]
    if isinstance(value, np.generic):
        value = value.item()
    return value if value is not pd.NA and (not isinstance(value, float) or math.isfinite(value)) else None

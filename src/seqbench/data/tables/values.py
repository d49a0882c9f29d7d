"""Single columns of a table, read as numbers, texts, times or lists; what cannot be is named with its row."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from seqbench.errors import DataError

if TYPE_CHECKING:
    import pandas as pd

Where = Callable[[int], str]
#: What may be an entry with an entry a step.
LISTS = (list, tuple, np.ndarray)
#: Up to here a float of 64 bits holds each whole number.
EXACT = 2**53
#: Seconds of the units that times may be counted in.
TICKS = {"s": 1.0, "ms": 1e-3, "us": 1e-6, "ns": 1e-9}
#: What is hardly the name of a category beside numbers, in lower case.
NO_NAMES = {"true", "false", "nan", "na", "n/a", "null", "none"}
#: A whole number, with a point or without one, as a text.
WHOLE = r"-?(0|[1-9]\d{0,15})(\.0*)?"
#: A number with a comma in place of its point.
COMMA = r"\s*[+-]?\d*,\d+([eE][+-]?\d+)?\s*"


def is_text(column: pd.Series[Any]) -> bool:
    """Return whether a column may hold texts, and not numbers or dates alone."""
    return column.dtype == object or str(column.dtype) in ("string", "str", "category")


def entries(column: pd.Series[Any], name: str, where: Where, as_texts: bool = False) -> np.ndarray:
    """Return a column as numbers (N,) of float64, or as texts (N,); NaN or None where one is missing.

    Args:
        column: of a table.
        name: of the column.
        where: says where a row stands.
        as_texts: whether its entries are texts, even where they read as numbers.

    Raises:
        DataError: it holds something else, or numbers and texts.
    """
    if as_texts:
        return _as_written(column, name, where)
    if is_text(column):
        return _texts(column, name, where)
    if column.dtype.kind == "M" or str(column.dtype).startswith("period"):
        raise DataError(f"{name} holds dates, which are neither numbers nor names; task.time takes them.")
    return numbers(column, name, where)


def numbers(column: pd.Series[Any], name: str, where: Where) -> np.ndarray:
    """Return a column as numbers (N,) of float64, NaN where one is missing.

    Raises:
        DataError: an entry is no number, or is infinite.
    """
    import pandas as pd

    if column.dtype.kind == "m":
        column = column.dt.total_seconds()
    if column.dtype == object:  # as of JSON, which has both
        truths = np.array([isinstance(entry, (bool, np.bool_)) for entry in column])
        if truths.any() and len(others := np.flatnonzero(~truths & column.notna().to_numpy())):
            row, other = int(np.flatnonzero(truths)[0]), int(others[0])
            raise DataError(
                f"{where(row)}: {name} is {_shown(column.iloc[row])}, and {_shown(column.iloc[other])} in "
                f"{where(other)}; a column is of numbers or of true and false."
            )
    found = pd.to_numeric(column, errors="coerce").to_numpy(dtype=np.float64, na_value=np.nan)
    if len(wrong := np.flatnonzero(np.isnan(found) & column.notna().to_numpy())):
        row = int(wrong[0])
        raise DataError(f"{where(row)}: {name} is {_shown(column.iloc[row])}, which is no number.")
    if len(wrong := np.flatnonzero(np.isinf(found))):
        raise DataError(f"{where(int(wrong[0]))}: {name} is infinite.")
    return found


def words(column: pd.Series[Any], name: str, where: Where) -> np.ndarray:
    """Return a column as texts (N,), none of which is missing; numbers as they are written.

    Raises:
        DataError: one is missing, or is no text.
    """
    if len(wrong := np.flatnonzero(column.isna().to_numpy())):
        raise DataError(f"{where(int(wrong[0]))}: {name} is missing.")
    return _as_written(column, name, where)


def identifiers(column: pd.Series[Any], name: str, where: Where) -> np.ndarray:
    """Return a column that names sequences, groups or splits as texts (N,), none of which is missing.

    Whole numbers are written without a point in every format: a file of text has `1.0` where one with types
    has a number. Where that would make two names one, they are as they are written.

    Raises:
        DataError: see `words`.
    """
    import pandas as pd

    found = words(column, name, where)
    different = pd.Series(pd.unique(found), dtype=str)
    if not (different.str.fullmatch(WHOLE).all() and different.str.contains(".", regex=False).any()):
        return found
    short = dict(zip(different, different.str.partition(".")[0], strict=True))
    if len({*short.values()}) < len(short) or any(abs(int(each)) >= EXACT for each in short.values()):
        return found
    return np.array([short[each] for each in found], dtype=object)


def seconds(column: pd.Series[Any], name: str, where: Where) -> np.ndarray:
    """Return times (N,) since the first of them: numbers as they are, dates and durations in seconds.

    So times that differ by little are not equal, however long ago a calendar or a clock began.

    Raises:
        DataError: one is missing, infinite, or neither.
    """
    import pandas as pd

    if is_text(column):
        # Texts that are numbers are those that a file without types would have: in most rows, so that the
        # one that is neither is the one that is named.
        read = pd.to_numeric(column, errors="coerce")
        if 2 * read.notna().sum() <= column.notna().sum():
            dates = pd.to_datetime(column, format="ISO8601", utc=True, errors="coerce")
            read = pd.Series(dates).where(column.notna())
        column = read
    if isinstance(column.dtype, pd.PeriodDtype):
        column = column.dt.to_timestamp()
    each = 1.0
    if column.dtype.kind in "mM":
        missing = column.isna().to_numpy()
        if column.dtype.kind == "M" and column.dt.tz is not None:
            column = column.dt.tz_convert(None)
        ticks = column.to_numpy()
        each = TICKS[np.datetime_data(ticks.dtype)[0]]
        found = ticks.astype(np.int64)
    else:
        found = column.to_numpy(dtype=np.float64, na_value=np.nan)
        missing = ~np.isfinite(found)
        if column.dtype.kind in "iu" and not missing.any():
            found = column.to_numpy().astype(np.int64 if column.dtype.kind == "i" else np.uint64)
    if len(wrong := np.flatnonzero(missing)):
        row = int(wrong[0])
        no_time = "missing, or neither a number nor a date such as 2026-01-31T12:00"
        raise DataError(f"{where(row)}: {name} is {'infinite' if np.isinf(found[row]) else no_time}.")
    if found.dtype.kind == "i":  # whose differences may be larger, and wrap around to what they are
        found = found.astype(np.uint64) - found.min(initial=2**63 - 1).astype(np.uint64)
    elif len(found):
        found = found - found.min()
    since: np.ndarray = found.astype(np.float64) * each
    return since


def holds_lists(column: pd.Series[Any]) -> bool:
    """Return whether any entry of a column is a list."""
    return column.dtype == object and any(isinstance(entry, LISTS) for entry in column)


def lists(
    column: pd.Series[Any], name: str, where: Where, as_texts: bool = False
) -> tuple[np.ndarray, np.ndarray]:
    """Return the length of each list of a column (S,), and the entries of all of them (N,); see `entries`.

    Raises:
        DataError: an entry is no list, or its entries are neither numbers nor texts.
    """
    import pandas as pd

    for row, entry in enumerate(column):
        if not isinstance(entry, LISTS):
            raise DataError(f"{where(row)}: {name} is {_shown(entry)}, where other rows have a list.")
    lengths = np.array([len(entry) for entry in column])
    rows = np.repeat(np.arange(len(column)), lengths)
    flat = pd.Series([value for entry in column for value in entry]).infer_objects()
    return lengths, entries(flat, name, lambda step: where(int(rows[step])), as_texts)


def _as_written(column: pd.Series[Any], name: str, where: Where) -> np.ndarray:
    """Return a column as texts (N,), whole numbers without a point, None where one is missing."""
    missing = column.isna().to_numpy()
    for row, entry in enumerate(column if column.dtype == object else ()):
        if isinstance(entry, (bytes, dict, *LISTS)):  # as sound and pictures are
            raise DataError(f"{where(row)}: {name} is {_shown(entry)}, which is no text.")
    if column.dtype.kind == "f":
        values = column.to_numpy(dtype=np.float64, na_value=np.nan)
        whole = (values == np.floor(values)) | missing
        if len(beyond := np.flatnonzero(whole & (abs(values) >= EXACT) & (abs(values) < 2**64))):
            raise DataError(
                f"{where(int(beyond[0]))}: {name} has more digits than a float of 64 bits tells apart, as "
                f"numbers are in a column of which one is missing or has a point; write them as texts, or of "
                f"a CSV file give task.texts={name}."
            )
        if whole.all() and (abs(values[~missing]) < EXACT).all():
            column = column.astype("Int64")
    found = column.astype(str).to_numpy(dtype=object, copy=True)
    found[missing] = None
    return found


def _texts(column: pd.Series[Any], name: str, where: Where) -> np.ndarray:
    import pandas as pd

    missing = column.isna().to_numpy()
    text = np.array([isinstance(entry, str) for entry in column])
    if not text.any():
        return numbers(column, name, where)
    if len(strange := np.flatnonzero(~text & ~missing)):
        row, other = int(strange[0]), int(np.flatnonzero(text)[0])
        raise DataError(
            f"{name} has numbers and texts: {_shown(column.iloc[row])} in {where(row)}, "
            f"{_shown(column.iloc[other])} in {where(other)}."
        )
    is_number = pd.to_numeric(column, errors="coerce").notna().to_numpy()
    others = np.flatnonzero(~is_number & ~missing)
    count, no_names = is_number.sum(), {text.casefold() for text in column.iloc[others]} <= NO_NAMES
    # A column of numbers, with something else in it.
    if len(others) and (count > len(others) or (count and no_names)):
        row = int(others[0])
        some = "most" if count > len(others) else "other"
        raise DataError(
            f"{where(row)}: {name} is {_shown(column.iloc[row])}, where {some} rows have a number"
            f"; task.texts={name} takes all for texts."
        )
    if len(others) and column[~is_number & ~missing].astype(str).str.fullmatch(COMMA).all():
        row = int(others[0])
        raise DataError(
            f"{where(row)}: {name} is {_shown(column.iloc[row])}, with a comma for a point; write a point."
        )
    found = column.to_numpy(dtype=object, copy=True)
    found[missing] = None
    return found


def _shown(entry: object) -> str:
    text = repr(entry) if isinstance(entry, str) else str(entry)
    return text if len(text) <= 40 else f"{text[:40]}…"

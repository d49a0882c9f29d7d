"""Tables in files: CSV, JSON lines or Parquet, read as a frame; where a row stands, for messages."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING

from seqbench.errors import ConfigError, DataError, nearest, one_line

if TYPE_CHECKING:
    import pandas as pd

#: The separator of the columns, by the end of a file's name.
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
JSON_LINES, PARQUET = (".jsonl", ".ndjson"), (".parquet", ".pq")
FORMATS = (*SEPARATORS, *JSON_LINES, *PARQUET)
#: What stands for a missing number in files of R, NumPy, pandas and databases.
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
#: What stands for a missing name or label: `NA` may be Namibia.
NO_NAME = ["", "NaN", "nan"]


def read_table(
    path: Path, separator: str | None, names: Iterable[str], labels: Iterable[str]
) -> pd.DataFrame:
    """Return the rows of a file, in their order.

    Args:
        path: its name ends with .csv, .tsv, .txt, .jsonl, .ndjson, .parquet or .pq.
        separator: of the columns of a text file; None takes the one that its name says.
        names: columns that are read as text, whatever they hold: ids.
        labels: columns that may hold names: no `NA` of theirs is a missing number.

    Raises:
        ConfigError: the name says nothing of the format, or the separator is of no use.
        DataError: the file is missing, is not UTF-8, or is no such table.
    """
    ends = path.suffix.lower()
    if separator is not None and (ends not in SEPARATORS or len(separator) != 1):
        why = "is not one character" if ends in SEPARATORS else f"has no effect on {path.name}"
        raise ConfigError(f"task.separator={separator!r} {why}.")
    if ends not in FORMATS:
        raise ConfigError(
            f"task.path={path}: the end of its name says no format; give a file in {', '.join(FORMATS)}."
        )
    if not path.is_file():
        there = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
        raise DataError(f"There is no file {path}.{nearest(path.name, there)}")
    try:
        if ends in PARQUET:
            frame = _parquet(path)
        elif ends in JSON_LINES:
            frame = _json_lines(path)
        else:
            frame = _text(path, separator or SEPARATORS[ends], list(names), list(labels))
    except UnicodeDecodeError as error:
        raise DataError(f"{_not_utf8(path)}; save it as UTF-8.") from error
    except (OSError, MemoryError) as error:
        raise DataError(f"{path} cannot be read: {one_line(error)}.") from error
    if not len(frame):
        raise DataError(f"{path} holds no rows.")
    if len({*frame.columns}) < len(frame.columns):
        twice = next(name for name in frame.columns if list(frame.columns).count(name) > 1)
        raise DataError(f"{path} has two columns {twice!r}; rename one.")
    return frame


def where(path: Path, row: int) -> str:
    """Return where a row stands, in words: `data.csv line 7`.

    Args:
        path: of the file.
        row: its number, from 0, without the header.
    """
    ends = path.suffix.lower()
    if ends in PARQUET:
        return f"{path} row {row}"
    with path.open(encoding="utf-8-sig", newline="") as file:
        if ends in JSON_LINES:
            filled = (number for number, line in enumerate(file, 1) if line.strip())
            return f"{path} line {next(n for i, n in enumerate(filled) if i == row)}"
        reader = csv.reader(file)
        before, records = 0, -2  # a record may have several lines, and the first is the header
        for record in reader:
            records += bool(record)
            if records == row:
                return f"{path} line {before + 1}"
            before = reader.line_num
    return f"{path} row {row}"


def column(frame: pd.DataFrame, name: str, key: str, path: Path | str) -> str:
    """Return the name of a column that is there.

    Raises:
        DataError: it is not; the message names those there are.
    """
    if name not in frame:
        names = [str(each) for each in frame]
        shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        raise DataError(f"task.{key}: {path} has no column {name!r}, but {shown}.{nearest(name, names)}")
    return name


def _parquet(path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa

    try:
        return pd.read_parquet(path)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{path} is no Parquet file: {one_line(error)}.") from error


def _json_lines(path: Path) -> pd.DataFrame:
    import pandas as pd

    records = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line)
            except ValueError as error:
                raise DataError(f"{path} line {number} is no JSON: {one_line(error)}.") from error
            if not isinstance(record, dict):
                raise DataError(f"{path} line {number} is no object of JSON, column to value.")
            records.append(record)
    return pd.DataFrame.from_records(records)


def _text(path: Path, separator: str, names: list[str], labels: list[str]) -> pd.DataFrame:
    import pandas as pd

    with path.open(encoding="utf-8-sig", newline="") as file:
        header = next(csv.reader(file, delimiter=separator), [])
    if len({*header}) < len(header):
        twice = next(name for name in header if header.count(name) > 1)
        raise DataError(f"{path} has two columns {twice!r}; rename one.")
    others = [mark for mark in ",;\t|" if mark != separator and len(header) == 1 and mark in header[0]]
    if others:
        raise DataError(
            f"{path} has one column, {header[0]!r}; if its columns are separated by {others[0]!r}, give "
            f"task.separator={others[0]!r}."
        )
    said: dict[str, list[str]] = {name: NO_NAME if name in (*names, *labels) else MISSING for name in header}
    try:
        frame = pd.read_csv(
            path,
            sep=separator,
            encoding="utf-8-sig",
            dtype={name: str for name in names if name in header},
            na_values=said,
            keep_default_na=False,
            low_memory=False,
        )
    except pd.errors.EmptyDataError:
        return pd.DataFrame(columns=header)
    except (pd.errors.ParserError, ValueError) as error:
        if isinstance(error, UnicodeDecodeError):
            raise
        raise DataError(f"{path} is no table: {one_line(error)}.") from error
    if not isinstance(frame.index, pd.RangeIndex):  # pandas takes the first fields for names of the rows
        raise DataError(f"{path}: the rows have more fields than the header, which names {len(header)}.")
    return frame


def _not_utf8(path: Path) -> str:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                return f"{path} line {number} is not UTF-8: it has the byte 0x{line[error.start]:02x}"
    return f"{path} is not UTF-8"

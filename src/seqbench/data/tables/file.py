"""Tables in files: CSV, JSON lines or Parquet, read as a frame; where a row stands, for messages."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seqbench.data.checksums import checksum
from seqbench.errors import ConfigError, DataError, nearest, one_line

if TYPE_CHECKING:
    import pandas as pd

#: The separator of the columns, by the end of a file's name.
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
JSON_LINES, PARQUET = (".jsonl", ".ndjson"), (".parquet", ".pq")
TEXTS = (*SEPARATORS, *JSON_LINES, ".json")
FORMATS = (*SEPARATORS, *JSON_LINES, *PARQUET)
#: The most characters of a field.
LONGEST = 2**31 - 1
#: What stands for a missing number in files of R, NumPy, pandas and databases.
MISSING = ["", "NA", "N/A", "NaN", "nan", "null", "NULL", "None"]
#: What stands for a missing name or label: `NA` may be Namibia.
NO_NAME = ["", "NaN", "nan"]


@dataclass(frozen=True)
class TableFile:
    """A table in a file.

    Attributes:
        path: its name ends with .csv, .tsv, .txt, .jsonl, .ndjson, .parquet or .pq.
        separator: of the columns of a text file; None takes the one that its name says.
        header: the names of the columns of a text file that has none of its own; None: its first line.
    """

    path: Path
    separator: str | None = None
    header: Sequence[str] | None = None

    def read(self, names: Iterable[str], labels: Iterable[str], texts: Iterable[str] = ()) -> pd.DataFrame:
        """Return the rows, in their order.

        Args:
            names: columns that are read as text, whatever they hold: ids.
            labels: columns that may hold names: no `NA` of theirs is a missing number.
            texts: columns that are read as text, and whose `NA` is missing.

        Raises:
            ConfigError: the name says nothing of the format, or the separator or header is of no use.
            DataError: the file is missing, is not UTF-8, or is no such table.
        """
        path = self.path
        self._check()
        try:
            if self._ends in PARQUET:
                frame = _parquet(path)
            elif self._ends in JSON_LINES:
                frame = _json_lines(path)
            else:
                frame = self._text(list(names), list(labels), list(texts))
        except UnicodeDecodeError as error:
            raise DataError(not_utf8(path) or f"{path} is not UTF-8.") from error
        except (OSError, MemoryError) as error:
            raise DataError(f"{path} cannot be read: {one_line(error)}.") from error
        if not len(frame):
            raise DataError(f"{path} holds no rows.")
        return frame

    def digest(self) -> str:
        """Return a hash of the content, the format, and how it is read.

        Raises:
            ConfigError, DataError: as for `read`, of what is known without reading it as a table.
        """
        self._check()
        try:
            content = checksum(self.path)
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {one_line(error)}.") from error
        form = self._separator if self._ends in SEPARATORS else self._ends in PARQUET
        return f"{content} {form} {self.header}"

    def where(self, row: int) -> str:
        """Return where a row stands, in words: `data.csv line 7`.

        Args:
            row: its number, from 0, without the header.
        """
        if self._ends in PARQUET:
            return f"{self.path} row {row}"
        with self.path.open(encoding="utf-8-sig", newline="") as file:
            if self._ends in JSON_LINES:
                filled = (number for number, line in enumerate(file, 1) if line.strip())
                return f"{self.path} line {next(n for i, n in enumerate(filled) if i == row)}"
            first = row + (self.header is None)
            line = next((line for i, (line, _) in enumerate(self._records(file)) if i == first), None)
        return f"{self.path} row {row}" if line is None else f"{self.path} line {line}"

    def _records(self, file: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """Yield the line that each record of a text file begins in, and its fields, without empty lines.

        A record may have several lines. As pandas does, a line of white space alone is taken for empty.
        """
        csv.field_size_limit(LONGEST)
        reader, before = csv.reader(file, delimiter=self._separator), 0
        for record in reader:
            if record and not (len(record) == 1 and record[0] and not record[0].strip(" \t")):
                yield before + 1, record
            before = reader.line_num

    @property
    def _ends(self) -> str:
        return self.path.suffix.lower()

    @property
    def _separator(self) -> str:
        return self.separator or SEPARATORS[self._ends]

    def _check(self) -> None:
        """Check that there is such a file, its format, and whether the settings apply to it.

        Raises:
            ConfigError, DataError: it does not, or they do not.
        """
        if self._ends not in FORMATS:
            raise ConfigError(
                f"{self.path}: the end of its name says no format; give a file in {', '.join(FORMATS)}."
            )
        for key, value in (("separator", self.separator), ("header", self.header)):
            if value is not None and self._ends not in SEPARATORS:
                raise ConfigError(f"task.{key}={value} has no effect on {self.path.name}.")
        if self.separator is not None and len(self.separator) != 1:
            raise ConfigError(f"task.separator={self.separator!r} is not one character.")
        path = self.path
        if not path.is_file():
            there = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
            raise DataError(f"There is no file {path}.{nearest(path.name, there)}")

    def _text(self, names: list[str], labels: list[str], texts: list[str]) -> pd.DataFrame:
        import pandas as pd

        path, separator = self.path, self._separator
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = next(self._records(file), (0, list[str]()))[1]
        header = first if self.header is None else list(self.header)
        if len(header) != len(first):
            raise DataError(f"task.header names {len(header)} columns, and {path} has {len(first)}.")
        if len({*header}) < len(header):
            twice = next(name for name in header if header.count(name) > 1)
            raise DataError(f"{path} has two columns {twice!r}; rename one.")
        others = [mark for mark in ",;\t|" if mark != separator and len(first) == 1 and mark in first[0]]
        if others:
            raise DataError(
                f"{path} has one column, {first[0]!r}; if its columns are separated by {others[0]!r}, give "
                f"task.separator={others[0]!r}."
            )
        none = {name: NO_NAME if name in (*names, *labels) else MISSING for name in header}
        try:
            frame = pd.read_csv(
                path,
                sep=separator,
                encoding="utf-8-sig",
                header=0 if self.header is None else None,
                names=header,
                dtype={name: str for name in (*names, *texts) if name in header},
                na_values=none,
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
        frame = pd.read_parquet(path)
    except (pa.ArrowException, ValueError) as error:
        raise DataError(f"{path} is no Parquet file: {one_line(error)}.") from error
    # What pandas wrote as the names of the rows is a column of the file.
    index = [name for name in frame.index.names if name is not None]
    frame = frame.reset_index(drop=not index or bool({*index} & {*frame.columns}))
    frame.columns = frame.columns.map(str)
    return frame


def _json_lines(path: Path) -> pd.DataFrame:
    import pandas as pd

    records = []
    with path.open(encoding="utf-8-sig") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                record = json.loads(line, parse_int=_whole)
                if "\\u" in line:  # which may be half a pair of UTF-16, and then no text
                    json.dumps(record, ensure_ascii=False).encode()
            except (ValueError, RecursionError) as error:
                raise DataError(f"{path} line {number} is no JSON: {one_line(error)}.") from error
            if not isinstance(record, dict):
                raise DataError(f"{path} line {number} is no object of JSON, column to value.")
            records.append(record)
    return pd.DataFrame.from_records(records)


def _whole(digits: str) -> int | float:
    """Return a whole number of JSON; one that no float holds is infinite."""
    return int(digits) if len(digits) < 300 else float(digits)


def not_utf8(path: Path) -> str | None:
    """Return in words where a file is not UTF-8; None if it is."""
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = f"0x{line[error.start]:02x}"
                return f"{path} line {number} is not UTF-8: it has the byte {byte}; save it as UTF-8."
    return None

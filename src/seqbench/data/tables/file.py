"""Tables in files: CSV, JSON lines or Parquet, read as a frame; where a row stands, for messages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqbench.data.checksums import checksum
from seqbench.data.tables.delimited import Delimited
from seqbench.errors import ConfigError, DataError, nearest, one_line

if TYPE_CHECKING:
    import pandas as pd

#: The separator of the columns, by the end of a file's name.
SEPARATORS = {".csv": ",", ".tsv": "\t", ".txt": "\t"}
JSON_LINES, PARQUET = (".jsonl", ".ndjson"), (".parquet", ".pq")
TEXTS = (*SEPARATORS, *JSON_LINES, ".json")
FORMATS = (*SEPARATORS, *JSON_LINES, *PARQUET)
#: The column that says which split of a data set a row is of.
SPLIT = "the data set's split"


@dataclass(frozen=True)
class TableFile:
    """A table in a file.

    Attributes:
        path: its name ends with .csv, .tsv, .txt, .jsonl, .ndjson, .parquet or .pq.
        separator: of the columns of a text file; None takes the one that its name says.
        header: the names of the columns of a text file that has none of its own; None: its first line.
        as_trained: whether these are as the table of a trained run has them, so that no setting changes them.
    """

    path: Path
    separator: str | None = None
    header: Sequence[str] | None = None
    as_trained: bool = False

    def read(self, names: Iterable[str], labels: Iterable[str]) -> pd.DataFrame:
        """Return the rows, in their order.

        Args:
            names: columns that are read as text, whatever they hold: ids, codes.
            labels: columns of labels: no `NA` of theirs is a missing number.

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
                frame = self._text.read(list(names), list(labels))
        except UnicodeDecodeError as error:
            raise DataError(not_utf8(path) or f"{path} is not UTF-8.") from error
        except (OSError, MemoryError) as error:
            raise DataError(f"{path} cannot be read: {one_line(error)}.") from error
        if not len(frame):
            raise DataError(f"{path} holds no rows.")
        return frame

    def check_fields(self) -> None:
        """Check that each row of a text file has the fields of its header.

        Raises:
            DataError: one has others, or the file cannot be read.
        """
        try:
            self._text.columns()
        except UnicodeDecodeError as error:
            raise DataError(not_utf8(self.path) or f"{self.path} is not UTF-8.") from error
        except OSError as error:
            raise DataError(f"{self.path} cannot be read: {one_line(error)}.") from error

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
        form = self._text.separator if self._ends in SEPARATORS else self._ends in PARQUET
        return f"{content} {form} {self.header}"

    def without(self, optional: Iterable[str]) -> TableFile:
        """Return the same file, whose separator and header are those of another that had more columns.

        They do not count where this one is no text file.

        Args:
            optional: the columns that it may lack, all of them together.
        """
        if self._ends not in SEPARATORS:
            return TableFile(self.path)
        if self.header is not None and self.path.is_file():
            left = [name for name in self.header if name not in {*optional}]
            with suppress(UnicodeDecodeError):  # which is said where it is read
                if self._text.width() == len(left):
                    return TableFile(self.path, self.separator, left, as_trained=True)
        return replace(self, as_trained=True)

    def where(self, row: int) -> str:
        """Return where a row stands, in words: `data.csv line 7`.

        Args:
            row: its number, from 0, without the header.
        """
        if self._ends in PARQUET:
            return f"{self.path} row {row}"
        if self._ends in JSON_LINES:
            with self.path.open(encoding="utf-8-sig", newline="") as file:
                filled = (number for number, line in enumerate(file, 1) if line.strip())
                return f"{self.path} line {next(n for i, n in enumerate(filled) if i == row)}"
        line = self._text.line(row)
        return f"{self.path} row {row}" if line is None else f"{self.path} line {line}"

    @property
    def _ends(self) -> str:
        return self.path.suffix.lower()

    @property
    def _text(self) -> Delimited:
        separator = self.separator or SEPARATORS[self._ends]
        return Delimited(self.path, separator, self.header, self.as_trained)

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
        if self.separator is not None and not (len(self.separator) == 1 and self.separator.isascii()):
            raise ConfigError(f"task.separator={self.separator!r} is not one character of ASCII.")
        path = self.path
        if path.is_dir():
            raise DataError(f"{path} is a folder, whose name ends like that of a file; give a file in it.")
        if not path.is_file():
            there = [file.name for file in path.parent.glob("*")] if path.parent.is_dir() else []
            raise DataError(f"There is no file {path}.{nearest(path.name, there)}")


def column(frame: pd.DataFrame, name: str, key: str, path: Path | str) -> str:
    """Return the name of a column that is there.

    Raises:
        DataError: it is not; the message names those there are.
    """
    if name not in frame:
        names = [str(each) for each in frame if each != SPLIT]
        shown = ", ".join(names[:20]) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
        raise DataError(f"task.{key}: {path} has no column {name!r}, but {shown}.{nearest(name, names)}")
    return name


def _parquet(path: Path) -> pd.DataFrame:
    import pandas as pd
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        names = pq.read_schema(path).names
        if twice := [name for name in names if names.count(name) > 1]:
            raise DataError(f"{path} has two columns {twice[0]!r}; rename one.")
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
                record = json.loads(line, parse_int=_whole, object_pairs_hook=_columns)
                if "\\u" in line:  # which may be half a pair of UTF-16, and then no text
                    json.dumps(record, ensure_ascii=False).encode()
            except (ValueError, RecursionError) as error:
                why = error.msg if isinstance(error, json.JSONDecodeError) else one_line(error)
                raise DataError(
                    f"{path} line {number} is no JSON: {why}; each line is an object, column to value."
                ) from error
            if not isinstance(record, dict):
                raise DataError(f"{path} line {number} is no object of JSON, column to value.")
            records.append(record)
    return pd.DataFrame.from_records(records)


def _columns(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Return an object of JSON, in which no key stands twice."""
    found = dict(pairs)
    if len(found) < len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f"the key {next(name for name in names if names.count(name) > 1)!r} stands twice")
    return found


def _whole(digits: str) -> int | float:
    """Return a whole number of JSON; one that no float holds is infinite."""
    return int(digits) if len(digits) < 300 else float(digits)


def not_utf8(path: Path) -> str | None:
    """Return in words where a file is not UTF-8; None if it is."""
    with path.open("rb") as file:
        if file.read(4) == b"PAR1":
            return f"{path} is a Parquet file; let its name end with .parquet."
        file.seek(0)
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError as error:
                byte = f"0x{line[error.start]:02x}"
                return f"{path} line {number} is not UTF-8: it has the byte {byte}; save it as UTF-8."
    return None

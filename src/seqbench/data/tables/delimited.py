"""Text files of rows and fields, such as CSV, read as a frame: each row has the fields of the header."""

from __future__ import annotations

import csv
from collections.abc import Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, TextIO

from seqbench.data.tables.values import is_text
from seqbench.errors import DataError, one_line

if TYPE_CHECKING:
    import pandas as pd

#: The most characters of a field.
LONGEST = 2**31 - 1
#: What stands for anything that is missing.
MISSING = ["", "NaN", "nan"]
#: What also stands for a missing number, in files of R, NumPy, pandas and databases; as a text `NA` may be
#: Namibia.
NO_NUMBER = ["NA", "N/A", "null", "NULL", "None"]
#: What pandas reads as true and false.
BOOLEANS = {"True": True, "TRUE": True, "true": True, "False": False, "FALSE": False, "false": False}


@dataclass(frozen=True)
class Delimited:
    """A table in a text file, in UTF-8.

    Attributes:
        path: of the file.
        separator: of the fields of a row.
        header: the names of the columns; None: the first row has them.
        as_trained: see `TableFile`.
    """

    path: Path
    separator: str
    header: Sequence[str] | None = None
    as_trained: bool = False

    def read(self, names: Collection[str], labels: Collection[str]) -> pd.DataFrame:
        """Return the rows, in their order; see `TableFile.read`.

        Raises:
            DataError: as for `columns`.
            UnicodeDecodeError, OSError: it is not UTF-8, or cannot be read.
        """
        import pandas as pd

        header = self.columns()
        try:
            frame = pd.read_csv(
                self.path,
                sep=self.separator,
                encoding="utf-8-sig",
                header=0 if self.header is None else None,
                names=header,
                dtype={name: str for name in names if name in header},
                na_values=MISSING,
                keep_default_na=False,
                low_memory=False,
            )
        except pd.errors.EmptyDataError:
            return pd.DataFrame(columns=header)
        except (pd.errors.ParserError, ValueError) as error:
            if isinstance(error, UnicodeDecodeError):
                raise
            raise DataError(f"{self.path} is no table: {one_line(error)}.") from error
        for name in (name for name in header if is_text(frame[name])):
            # Beside numbers of 64 bits pandas leaves them as they are.
            frame[name] = frame[name].mask(frame[name].isin(MISSING))
        return with_numbers(frame, but=(*names, *labels))

    def columns(self) -> list[str]:
        """Return the names of the columns, once all rows were counted.

        Raises:
            DataError: two are equal, a row has more or fewer fields, or the separator is another.
            UnicodeDecodeError, OSError: it is not UTF-8, or cannot be read.
        """
        path, separator, line = self.path, self.separator, 0
        with self._open() as file:
            records = self._records(file)
            try:
                line, first = next(records, (0, list[str]()))
                header = first if self.header is None else list(self.header)
                marks = [
                    mark for mark in ",;\t|" if mark != separator and len(first) == 1 and mark in first[0]
                ]
                if marks and self.as_trained:
                    raise DataError(
                        f"{path} has one column, {first[0]!r}; those of the table that the run was trained "
                        f"on are separated by {separator!r}."
                    )
                if marks:
                    raise DataError(
                        f"{path} has one column, {first[0]!r}; if its columns are separated by {marks[0]!r}, "
                        f'give "task.separator={marks[0]!r}".'
                    )
                if len(header) != len(first):
                    raise DataError(f"task.header names {len(header)} columns, and {path} has {len(first)}.")
                for line, record in records:
                    if len(record) != len(header):
                        raise DataError(
                            f"{path} line {line} has {len(record)} field{'s' * (len(record) != 1)}, and the "
                            f"{'header' if self.header is None else 'first row'} {len(header)}."
                            + self._unclosed(line)
                        )
            except csv.Error as error:
                raise DataError(f"{path} line {line + 1} is no row of a table: {error}.") from error
        if unclosed := self._unclosed(line):
            raise DataError(f"{path} line {line}:{unclosed}")
        if len({*header}) < len(header):
            twice = next(name for name in header if header.count(name) > 1)
            raise DataError(f"{path} has two columns {twice!r}; rename one.")
        return header

    def width(self) -> int:
        """Return the fields of the first row; 0 of an empty file."""
        with self._open() as file:
            return len(next(self._records(file), (0, list[str]()))[1])

    def line(self, row: int) -> int | None:
        """Return the line that a row begins in, from 1; rows are counted from 0, without the header."""
        first = row + (self.header is None)
        with self._open() as file:
            return next((line for i, (line, _) in enumerate(self._records(file)) if i == first), None)

    def _open(self) -> TextIO:
        return self.path.open(encoding="utf-8-sig", newline="")

    def _records(self, file: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """Yield the line that each record begins in, and its fields, without empty lines.

        A record may have several lines. As pandas does, a line of white space alone is taken for empty.
        """
        csv.field_size_limit(LONGEST)
        reader, before = csv.reader(file, delimiter=self.separator), 0
        for record in reader:
            if record and not (len(record) == 1 and record[0] and not record[0].strip(" \t")):
                yield before + 1, record
            before = reader.line_num

    def _unclosed(self, line: int) -> str:
        """Return in words that a quote of the record that begins in a line is never closed, if that is so."""
        with self._open() as file:
            lines = islice(file, max(line - 1, 0), None)
            try:
                next(csv.reader(lines, delimiter=self.separator, strict=True), None)
            except csv.Error as error:
                if "unexpected end of data" in str(error):
                    return " A quote that begins there is not closed."
        return ""


def with_numbers(frame: pd.DataFrame, but: Collection[str] = ()) -> pd.DataFrame:
    """Return a table in which the marks of missing numbers are such, and columns that had them hold numbers.

    Args:
        frame: a table in which `MISSING` alone is missing; it is changed.
        but: columns whose marks are texts, whatever else they hold.
    """
    import pandas as pd

    for name in frame:
        if name not in but and _lacks_numbers(frame[name]):
            there = frame[name].mask(frame[name].isin(NO_NUMBER))
            truths = there.map(BOOLEANS)
            read = truths if truths.notna().any() else pd.to_numeric(there, errors="coerce")
            frame[name] = read if read.notna().equals(there.notna()) else there
    return frame


def _lacks_numbers(column: pd.Series[Any]) -> bool:
    """Return whether a column is one of numbers, or of booleans, some of which are marked as missing."""
    import pandas as pd

    if not is_text(column):
        return False
    there = column.dropna().astype(str)
    marked = there.isin(NO_NUMBER)
    others = there[~marked]
    numbers = int(pd.to_numeric(others, errors="coerce").notna().sum())
    return bool(marked.any()) and (2 * numbers >= len(others) or bool(others.isin(BOOLEANS).all()))

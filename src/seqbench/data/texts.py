"""Texts: a file, or a column of a data set, read block by block as bytes."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqbench.data.loading import content, fingerprint, load
from seqbench.errors import DataError

if TYPE_CHECKING:
    import datasets

#: Bytes that are read at once.
BLOCK = 1 << 22


class Text(ABC):
    """A text of any size."""

    @property
    @abstractmethod
    def name(self) -> str:
        """What messages call it."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it lies, whatever its contents."""

    @abstractmethod
    def blocks(self) -> Iterator[bytes]:
        """Yield the text in blocks of about `BLOCK` bytes.

        Raises:
            DataError: it is missing, empty, or cannot be read.
        """

    @abstractmethod
    def digest(self) -> str:
        """Return a hash of what the text is made of; equal for equal files, wherever they lie.

        Raises:
            DataError: it is missing or cannot be read.
        """


@dataclass(frozen=True)
class FileText(Text):
    """The text in a file.

    Attributes:
        path: of the file.
        key: of the configuration, which names it.
    """

    path: Path
    key: str

    @property
    def name(self) -> str:
        return str(self.path)

    @property
    def place(self) -> str:
        return str(self.path.resolve())

    def blocks(self) -> Iterator[bytes]:
        empty = True
        try:
            with self.path.open("rb") as file:
                while block := file.read(BLOCK):
                    empty = False
                    yield block
        except OSError as error:
            raise self._unreadable(error) from error
        if empty:
            raise DataError(f"{self.path} is empty; give {self.key} a file with a text.")

    def digest(self) -> str:
        try:
            return fingerprint(self.path)
        except OSError as error:
            raise self._unreadable(error) from error

    def _unreadable(self, error: OSError) -> DataError:
        if isinstance(error, FileNotFoundError):
            return DataError(f"There is no file {self.path}; set {self.key} to that of a text.")
        return DataError(f"{self.path} cannot be read ({error.strerror}); set {self.key} to a file.")


@dataclass(frozen=True)
class ColumnText(Text):
    """The text in a column of a split of a data set.

    A split of a single row is the text itself. The rows of others are lines, each of which ends.

    Attributes:
        dataset, hub_id, split, data_dir: as for `load`.
        column: with texts.
    """

    dataset: str
    hub_id: str | None
    split: str
    data_dir: str | Path
    column: str

    @property
    def name(self) -> str:
        return f"the {self.split} set of {self.dataset}"

    @property
    def place(self) -> str:
        return f"{self.dataset} {self.hub_id} {self.split} {self.column}"

    @cached_property
    def _rows(self) -> datasets.Dataset:
        return load(self.dataset, self.hub_id, self.split, self.data_dir)

    def blocks(self) -> Iterator[bytes]:
        if self.column not in self._rows.column_names:
            there = ", ".join(self._rows.column_names)
            raise DataError(f"{self.name} has no column {self.column!r}; task.column is one of {there}.")
        lines = len(self._rows) > 1
        gathered = bytearray()
        for row in self._texts():
            for i in range(0, len(row), BLOCK):
                gathered += row[i : i + BLOCK]
                if len(gathered) >= BLOCK:
                    yield bytes(gathered)
                    gathered.clear()
            gathered += b"\n" if lines else b""
        if gathered:
            yield bytes(gathered)

    def _texts(self) -> Iterator[memoryview]:
        """Yield the rows without a copy of the column."""
        import pyarrow as pa

        chunks: Any = self._rows.data.column(self.column).chunks
        for chunk in chunks:
            if not (pa.types.is_string(chunk.type) or pa.types.is_large_string(chunk.type)):
                raise DataError(f"The column {self.column!r} of {self.name} is no text.")
            for value in chunk:
                buffer = value.as_buffer()
                yield memoryview(b"" if buffer is None else buffer)

    def digest(self) -> str:
        return content(self.dataset, self.hub_id, self.split, self.data_dir)

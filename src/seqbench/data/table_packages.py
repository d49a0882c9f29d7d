"""Tables from packages: a Parquet file for each split, with the rows that a package is read as."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from seqbench.data.source import PackageSource, megabytes
from seqbench.errors import DataError

#: The rows of a table: by the name of a column its entries.
Rows = Mapping[str, Sequence[Any]]


@dataclass(frozen=True)
class TablePackage(PackageSource):
    """A table that can be mirrored from a package.

    Attributes:
        read: reads the rows of each split from the package.
        columns: what they hold, in words.
        what: what a row is, in the plural.
    """

    read: Callable[[Path], Mapping[str, Rows]]
    columns: str
    what: str

    @property
    def facts(self) -> dict[str, str]:
        return {"columns": self.columns}

    @property
    def content(self) -> str:
        return self.what

    def write(self, package: Path, folder: Path, report: Callable[[str], None]) -> None:
        write_splits(self, self.read(package), self.what, folder, report)


def write_splits(
    source: PackageSource,
    splits: Mapping[str, Rows],
    what: str,
    folder: Path,
    report: Callable[[str], None],
) -> None:
    """Write the rows of each split of a source as a Parquet file into a folder.

    Raises:
        DataError: they are not as many as the source says.
    """
    for split, rows in source.rows.items():
        if any(len(column) != rows for column in splits[split].values()):
            raise DataError(f"{source.package} does not hold {rows} {what} as its {split} split.")
        path = folder / f"{split}.parquet"
        write_table(splits[split], path)
        report(f"{split}.parquet, {rows} {what}, {megabytes(path)}")


def write_table(rows: Rows, path: Path) -> None:
    """Write the rows of a table as a Parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    pq.write_table(pa.table(dict(rows)), path)

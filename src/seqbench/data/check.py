"""Check what is here: that files can be read, have the pinned rows, and are those that were mirrored."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

from seqbench.data.catalogue import CATALOGUE, find
from seqbench.data.checksums import SUMS, checksums, fingerprint_of, kept_checksums
from seqbench.data.loading import place
from seqbench.data.source import Source, TextSource
from seqbench.errors import DataError, one_line


class Checked(NamedTuple):
    """What became of a check.

    Attributes:
        faults: a sentence each; none, if the data set is sound.
        says: of a sound one what was found.
    """

    faults: list[str]
    says: str


def check(name: str, data_dir: Path) -> Checked:
    """Check the files of a data set.

    Raises:
        DataError: there is no data set of that name.
    """
    source = find(name, CATALOGUE)
    folder = data_dir / name
    if not source.is_in(folder):
        if place(name, data_dir) == "hub cache":
            return Checked([], "in the cache of the hub's client, which checks what it loads")
        how = "is there and is not whole; move it away, and get" if folder.exists() else "is not there; get"
        return Checked([f"{folder} {how} the data set by {source.to_get_it(folder)}."], "")
    try:
        return _check_files(source, folder)
    except (DataError, OSError) as error:
        return Checked([one_line(error)], "")


def here(data_dir: Path) -> list[str]:
    """Return the names of the data sets that have a folder, whole or not."""
    return [name for name in CATALOGUE if (data_dir / name).is_dir()]


def _check_files(source: Source, folder: Path) -> Checked:
    kept = kept_checksums(folder)
    files = source.paths(folder)
    found = checksums([path for paths in files.values() for path in paths], folder)
    if kept is not None:
        changed = [name for name, digest in found.items() if kept.get(name) != digest]
        if changed:
            return Checked([f"{folder / name} is not the file that {SUMS} tells of." for name in changed], "")
    faults, rows = [], {}
    for split, paths in files.items():
        if not split:
            faults += [f"{path} is empty." for path in paths if not path.stat().st_size]
            continue
        try:
            rows[split] = sum(_rows(path, whole=kept is None) for path in paths)
        except DataError as error:
            faults.append(str(error))
    if "" in files:
        what = f"{len(found)} file{'s' * (len(found) > 1)} of text"
    else:
        what = "checksums as kept" if kept is not None else f"no {SUMS} is kept"
    if isinstance(source, TextSource) and source.count is not None and not faults:
        rows |= source.count(folder)
    for split, count in rows.items():
        if count != source.rows[split]:
            faults.append(f"{folder} has {count:,} rows for {split}, and not {source.rows[split]:,}.")
    if rows:
        what = f"rows as pinned ({', '.join(f'{count:,} {split}' for split, count in rows.items())}), {what}"
    return Checked(faults, f"{what}, fingerprint {fingerprint_of(found)}")


def _rows(path: Path, whole: bool) -> int:
    """Return the rows of a Parquet file; all of it is read if nothing else says that it is sound."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        rows = pq.read_table(path).num_rows if whole else pq.read_metadata(path).num_rows
    except (OSError, pa.ArrowException) as error:
        raise DataError(f"{path} cannot be read: {one_line(error)}.") from error
    return int(rows)

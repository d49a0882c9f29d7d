"""The files of a run: written whole or not at all, and checked when they are read."""

from __future__ import annotations

import hashlib
import io
import os
import stat
from collections.abc import Iterable
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from seqbench.errors import StoreError


class DamagedFileError(StoreError):
    """A file that is not what was written."""


def write_atomically(path: Path, content: str | bytes) -> None:
    """Write a file. A reader finds all of it or nothing of it, after a crash too.

    Raises:
        StoreError: the file cannot be written.
    """
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        path.parent.mkdir(exist_ok=True)
        with part.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        part.replace(path)
    except OSError as error:
        with suppress(OSError):  # such as that its name is too long
            part.unlink(missing_ok=True)
        raise StoreError(f"cannot write {path}: {error.strerror}.") from error


def tidy(folder: Path, names: Iterable[str]) -> None:
    """Remove what killed processes have left half written, and see that files can be written.

    Args:
        folder: a run's folder. It must be locked.
        names: the files that the run will write.

    Raises:
        StoreError: a folder lies where a file is to be, or a file where a folder.
    """
    for part in (*folder.glob(".*.part"), *folder.glob("*/.*.part")):
        with suppress(OSError):
            part.unlink(missing_ok=True)
    for path in [folder / name for name in names]:
        if path.is_dir():
            raise StoreError(f"{path} is a folder, and a file is to be written there; move it away.")
        if path.parent.exists() and not path.parent.is_dir():
            raise StoreError(f"{path.parent} is a file, and a folder is to be there; move it away.")


def set_aside(path: Path) -> Path:
    """Rename a file that cannot be used, so that another can be written; return its new place.

    Raises:
        StoreError: it cannot be renamed.
    """
    free = (path.with_name(f"unusable-{n}-{path.name}") for n in count(1))
    aside = next(place for place in free if not place.exists())
    try:
        path.replace(aside)
    except OSError as error:
        raise StoreError(f"cannot rename {path}: {error.strerror}.") from error
    return aside


def read(path: Path, most: int | None = None) -> bytes:
    """Return the content of a regular file: a pipe would wait for a writer.

    Args:
        path: the file.
        most: the greatest size in bytes of such a file; None does not limit it.

    Raises:
        FileNotFoundError: there is no such file.
        DamagedFileError: it is another kind of file, or larger than that.
        StoreError: it cannot be read.
    """
    try:
        found = path.stat()
        if not stat.S_ISREG(found.st_mode):
            raise DamagedFileError(f"{path} is not a file.")
        if most is not None and found.st_size > most:
            raise DamagedFileError(f"{path} is {found.st_size / 1e6:.0f} MB large, which no such file is.")
        return path.read_bytes()
    except (FileNotFoundError, NotADirectoryError) as error:
        raise FileNotFoundError(str(path)) from error
    except OSError as error:
        raise StoreError(f"cannot read {path}: {error.strerror}.") from error


def checksum(content: str | bytes) -> str:
    """Return the SHA-256 of a file's content."""
    return hashlib.sha256(content.encode() if isinstance(content, str) else content).hexdigest()


def read_checked(path: Path, expected: str) -> bytes:
    """Return the content of a file whose checksum is known.

    Raises:
        FileNotFoundError, StoreError: as for `read`.
        DamagedFileError: the checksum is another.
    """
    content = read(path)
    _verify(content, expected, path)
    return content


def _verify(content: bytes, expected: str, path: Path) -> None:
    if checksum(content) != expected:
        raise DamagedFileError(f"{path} is damaged: it is not what the run wrote.")


def save_sealed(state: Any, path: Path) -> None:
    """Save a state with torch, below a line with its checksum."""
    content = to_bytes(state)
    write_atomically(path, checksum(content).encode() + b"\n" + content)


def load_sealed(path: Path) -> Any:
    """Return a state that `save_sealed` saved, on the CPU.

    Raises:
        FileNotFoundError, StoreError: as for `read`.
        DamagedFileError: it is not what was saved.
    """
    expected, _, content = read(path).partition(b"\n")
    _verify(content, expected.decode(errors="replace"), path)
    return from_bytes(content, path)


def to_bytes(state: Any) -> bytes:
    """Return what torch saves of a state."""
    import torch

    buffer = io.BytesIO()
    torch.save(state, buffer)
    return buffer.getvalue()


def from_bytes(content: bytes, path: Path) -> Any:
    """Return the state that torch saved, on the CPU; nothing but tensors and plain values is read.

    Raises:
        DamagedFileError: it is no such state.
    """
    import torch

    try:
        return torch.load(io.BytesIO(content), map_location="cpu", weights_only=True)
    except Exception as error:  # torch raises many kinds for a damaged file
        raise DamagedFileError(
            f"{path} is damaged: torch cannot read it ({type(error).__name__})."
        ) from error

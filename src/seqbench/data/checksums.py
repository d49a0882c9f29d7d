"""Checksums: what the files of a mirror were when it was made, in a file that `sha256sum --check` reads."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path

from seqbench.errors import DataError, one_line

#: The file of checksums, in the folder of a mirror.
SUMS = "SHA256SUMS"


def checksum(path: Path) -> str:
    """Return the SHA-256 of a file's content, 64 hex digits."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def checksums(paths: Sequence[Path], folder: Path) -> dict[str, str]:
    """Return the checksum of each file by its path in a folder, in the order of these."""
    return {path.relative_to(folder).as_posix(): checksum(path) for path in sorted(paths)}


def listed(sums: Mapping[str, str]) -> str:
    """Return checksums by name as the lines that `sha256sum` prints."""
    return "".join(f"{digest}  {name}\n" for name, digest in sums.items())


def fingerprint_of(sums: Mapping[str, str]) -> str:
    """Return a hash of files by their checksums, 16 hex digits."""
    return hashlib.sha256(listed(sums).encode()).hexdigest()[:16]


def keep_checksums(folder: Path) -> None:
    """Write the checksums of a folder's Parquet files into it."""
    sums = checksums([*folder.rglob("*.parquet")], folder)
    (folder / SUMS).write_text(listed(sums), encoding="utf-8")


def kept_checksums(folder: Path) -> dict[str, str] | None:
    """Return the checksums that a folder keeps; None if it keeps none.

    Raises:
        DataError: the file of checksums cannot be read.
    """
    path = folder / SUMS
    if not path.is_file():
        return None
    try:
        pairs = [line.split("  ", 1) for line in path.read_text(encoding="utf-8").splitlines()]
        return {name: digest for digest, name in pairs}
    except (OSError, ValueError) as error:
        raise DataError(f"{path} cannot be read: {one_line(error)}.") from error

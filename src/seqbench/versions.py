"""The versions of what a run is made with."""

from __future__ import annotations

import platform
import tomllib
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path


def own_version() -> str:
    """Return seqbench's version: that of the package, or of a checkout that is not installed."""
    try:
        return version("seqbench")
    except PackageNotFoundError:
        project = Path(__file__).parents[2] / "pyproject.toml"
        return str(tomllib.loads(project.read_text(encoding="utf-8"))["project"]["version"])


def versions() -> dict[str, str]:
    """Return the versions that a result holds, by name."""
    packages = {name: version(name) for name in ("torch", "lightning")}
    return {"seqbench": own_version(), **packages, "python": platform.python_version()}

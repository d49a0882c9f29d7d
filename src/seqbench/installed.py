"""Which files are Python's own, or of what is installed beside it."""

from __future__ import annotations

import os
from pathlib import Path

STDLIB = Path(os.__file__).parent
#: The names of folders that packages are installed in.
FOLDERS = {"site-packages", "dist-packages"}


def is_installed(path: Path) -> bool:
    """Return whether a file is of Python's library or of an installed package, and not of a user's folder."""
    return path.is_relative_to(STDLIB) or not FOLDERS.isdisjoint(path.parts)

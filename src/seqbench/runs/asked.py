"""Which runs a command asked for: it tells the program that started it, such as `scripts/reproduce`.

A folder of runs may hold others too, of an earlier command, which no later one may take for its own.
"""

from __future__ import annotations

import os
from pathlib import Path

#: The variable that names the file in which a command is to list the folders of its runs.
FILE = "SEQBENCH_ASKED"


def tell(folder: Path) -> None:
    """List the folder of a run that this command asked for and that has a result, if that was wanted."""
    if file := os.environ.get(FILE):
        with Path(file).open("a", encoding="utf-8") as listed:
            listed.write(f"{folder.resolve()}\n")


def told(file: Path) -> set[Path]:
    """Return the folders that commands have listed in a file."""
    return {Path(line) for line in file.read_text(encoding="utf-8").splitlines()} if file.exists() else set()

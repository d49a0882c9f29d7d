"""What is Python's own or installed is told from a user's files."""

import json
from pathlib import Path

import torch

from seqbench.installed import is_installed


def test_libraries_are_installed_and_own_files_are_not(tmp_path: Path) -> None:
    assert is_installed(Path(json.__file__)) and is_installed(Path(torch.__file__))
    assert not is_installed(tmp_path / "cell.py") and not is_installed(Path(__file__))

"""What a process of a sweep has when it starts."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path

import pytest

START = """
import sys
from pathlib import Path
from seqbench.sweeps.processes import preload, start
from tests.sweeps.test_processes import modules
if sys.argv[2:]:
    preload(*sys.argv[2:])
process, connection = start(modules, Path(sys.argv[1]), {})
print(*connection.recv())
process.join()
"""


def modules(connection: Connection, log: Path, environment: Mapping[str, str]) -> None:
    """What a process is told to do: send the names of what it finds imported."""
    connection.send(list(sys.modules))


@pytest.mark.parametrize("more", [[], ["seqbench.gone_fishing", "wave"]])
def test_a_process_has_torch_whoever_starts_it_first(tmp_path: Path, more: list[str]) -> None:
    command = [sys.executable, "-c", START, str(tmp_path / "log"), *more]
    root = str(Path(__file__).parents[2])
    run = subprocess.run(command, capture_output=True, text=True, env=os.environ | {"PYTHONPATH": root})
    found = run.stdout.split()
    assert run.returncode == 0, run.stderr
    assert {"torch", "lightning.pytorch", "seqbench.runs.schedule"} <= set(found)
    assert ("wave" in found) == ("wave" in more)  # a module that is not there is left out

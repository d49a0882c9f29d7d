"""The scripts that run sweeps on a real Slurm and on Ray."""

from __future__ import annotations

import os
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
#: The code of a script that cannot be run here.
SKIPPED = 77


@pytest.mark.slow
@pytest.mark.parametrize("name", ["slurm", "ray"])
def test_a_sweep_of_four_on_a_cluster(name: str):
    if name == "ray" and find_spec("ray") is None:
        pytest.skip("Ray is not installed")
    command = [sys.executable, "-m", f"scripts.clusters.with_{name}"]
    said = subprocess.run(command, cwd=ROOT, env=os.environ, capture_output=True, text=True)
    if said.returncode == SKIPPED:
        pytest.skip(said.stderr)
    assert said.returncode == 0, said.stdout + said.stderr

"""The attack: damaged runs end in the right number or in one sentence."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[1] / "scripts" / "attack"


@pytest.mark.slow
def test_a_hundred_rounds_of_damage() -> None:
    done = subprocess.run([sys.executable, SCRIPT, "--seed", "0"], capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "100 rounds of seed 0, of which 0 failed." in done.stdout

"""Shapes and types are what the signatures say: tests of every preset, run again with every call checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
WRONG = """
import torch
from jaxtyping import TypeCheckError
import tests.conftest
from seqbench.models import unfold
from seqbench.models.cells.rnn import RNN
for x, lengths in [(torch.randn(3, 2), None), (torch.randn(4, 3, 2), torch.ones(5, dtype=torch.int64))]:
    try:
        unfold(RNN(2, 3), x, lengths=lengths)
    except TypeCheckError as error:
        print(*(name for name in ("parameter 'x'", "parameter 'lengths'") if name in str(error)))
"""


def checked(*command: str) -> str:
    """Return what a Python program with checked shapes prints; it must not fail."""
    done = subprocess.run(
        [sys.executable, *command],
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
        | {"SEQBENCH_CHECK_SHAPES": "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_a_wrong_shape_is_found():
    assert checked("-c", WRONG).splitlines() == ["parameter 'x'", "parameter 'lengths'"]


@pytest.mark.parametrize(
    ("folder", "tests"),
    [
        ("models", "test_nothing_is_kept_between_calls and tokens-steps"),
        ("tasks", "test_batches_are_as_the_specs_say"),
    ],
)
def test_every_preset_keeps_to_its_shapes(folder, tests):
    file = f"tests/{folder}/test_presets.py"
    assert " passed" in checked("-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", tests, file)

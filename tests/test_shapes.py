"""Shapes and types are what the signatures say: tests of every preset, run again with every call checked."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from jaxtyping import TypeCheckError

from seqbench.models import unfold
from seqbench.models.cells.rnn import RNN

ROOT = Path(__file__).parents[1]
CHECK = "SEQBENCH_CHECK_SHAPES"
#: What is run again: every model and every task at least once.
AGAIN = "(nothing_is_kept_between_calls and tokens-steps) or batches_are_as_the_specs_say or a_wrong_shape"


@pytest.mark.skipif(CHECK not in os.environ, reason="runs below, in a process that checks")
def test_a_wrong_shape_is_found():
    with pytest.raises(TypeCheckError, match="parameter 'x'"):
        unfold(RNN(2, 3), torch.randn(3, 2))
    with pytest.raises(TypeCheckError, match="parameter 'lengths'"):
        unfold(RNN(2, 3), torch.randn(4, 3, 2), lengths=torch.ones(5, dtype=torch.int64))


@pytest.mark.slow
@pytest.mark.skipif(CHECK in os.environ, reason="this is that process")
def test_every_preset_keeps_to_its_shapes():
    files = ["tests/models/test_presets.py", "tests/tasks/test_presets.py", "tests/test_shapes.py"]
    variables = {name: value for name, value in os.environ.items() if not name.startswith("PYTEST")}
    done = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "-k", AGAIN, *files],
        cwd=ROOT,
        env=variables | {CHECK: "1"},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert " passed" in done.stdout and "skipped" not in done.stdout

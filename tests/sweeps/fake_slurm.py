"""Commands of Slurm for tests: on this cluster two jobs are in `$STATES`, or fail."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

COMMANDS = {
    "sinfo": "printf 'low\\nhigh\\ngpu\\n'",
    "squeue": "cat queue.txt 2>/dev/null; true",
    "scontrol": 'echo "$@" >> scontrol.txt; echo "MaxArraySize            = 1001"',
    "srun": "",
    "sbatch": """
        case $(cat "$1") in *--account=poor*)
            echo 'sbatch: error: Batch job submission failed: Invalid account' >&2; exit 1
        esac
        cp "$1" submitted.sh
        echo "${STATES:-12_0 FAILED,12_1 OUT_OF_MEMORY}" | tr , '\\n' > queue.txt
        echo Submitted batch job 12""",
}


@pytest.fixture
def cluster(monkeypatch: pytest.MonkeyPatch) -> None:
    """Put commands of Slurm where the shell finds them."""
    folder = Path("bin").resolve()
    folder.mkdir()
    for name, text in COMMANDS.items():
        (folder / name).write_text(f"#!/bin/sh\n{text}\n")
        (folder / name).chmod(0o755)
    monkeypatch.setenv("PATH", f"{folder}:{os.environ['PATH']}")

"""Offline runs of W&B's, read by its own command."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

WANDB = Path(sys.executable).with_name("wandb")


def inspect(folder: Path, *options: str) -> str:
    """Return what `wandb leet inspect` says of an offline run, as JSON."""
    said = subprocess.run(
        [WANDB, "leet", "inspect", *options, "--json", folder], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr + said.stdout
    return said.stdout


def offline_runs() -> list[Path]:
    return sorted(Path("runs/wandb").glob("offline-run-*"))

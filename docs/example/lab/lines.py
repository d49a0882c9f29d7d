"""A logger of one's own."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lightning.pytorch.loggers import Logger


class Lines(Logger):
    """Writes what is measured at a step as a line of JSON, into a file for each seed.

    Args:
        save_dir: `<runs_dir>/lines`, as the node of the preset is called.
        name: `<task>/<model>-<hash>`.
        version: `seed-<number>`.
    """

    def __init__(self, save_dir: str, name: str, version: str) -> None:
        super().__init__()
        self._name, self._version = name, version
        self.path = Path(save_dir, name, f"{version}.jsonl")
        self.path.parent.mkdir(parents=True, exist_ok=True)

    @property
    def name(self) -> str:
        return self._name

    @property
    def version(self) -> str:
        return self._version

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        with self.path.open("a") as file:
            file.write(json.dumps({"step": step, **metrics}) + "\n")

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        pass

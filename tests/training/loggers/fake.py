"""A run of W&B's that keeps what it is told, in place of W&B."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest


class FakeRun:
    """What `wandb.init` returns, as far as it is used.

    Attributes:
        options: what `init` was given.
        rows: what was logged, by W&B's step.
        defined: what `define_metric` was given, by the metric's name.
    """

    starting_step = 0
    project_url = "http://example.org/me/seqbench"

    def __init__(self, **options: Any) -> None:
        self.options = options
        self.id = options.get("id")
        self.tags = tuple(options["tags"])
        self.settings = SimpleNamespace(
            sync_dir=str(Path(options["dir"], "wandb", f"offline-run-2-{self.id}"))
        )
        self.rows: dict[int, dict[str, Any]] = {}
        self.defined: dict[str, dict[str, Any]] = {}
        self.summary: dict[str, Any] = {}
        self.artifacts: list[Any] = []
        self.preempting = False
        self.exit_code: int | None = None

    @property
    def step(self) -> int:
        return max(self.rows, default=0)

    def log(self, data: dict[str, Any], step: int | None = None) -> None:
        step = self.step if step is None else step
        assert step >= self.step, "W&B drops it"
        self.rows.setdefault(step, {}).update(data)

    def define_metric(self, name: str, **options: Any) -> None:
        self.defined[name] = options

    def log_artifact(self, artifact: Any) -> None:
        self.artifacts.append(artifact)

    def mark_preempting(self) -> None:
        self.preempting = True

    def finish(self, exit_code: int) -> None:
        self.exit_code = exit_code


def fake_wandb(monkeypatch: pytest.MonkeyPatch) -> list[FakeRun]:
    """Put fake runs in W&B's place; return the list to which each is added."""
    import wandb

    made: list[FakeRun] = []

    def init(**options: Any) -> FakeRun:
        made.append(FakeRun(**options))
        return made[-1]

    monkeypatch.setattr(wandb, "init", init)
    return made

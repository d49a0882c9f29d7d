"""Runs stored by hand, as training leaves them but for their weights."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from seqbench.runs.result import Result
from seqbench.runs.store import run_folder, write_result
from seqbench.tasks.metrics import loss

CURVES = "step,loss,seconds\r\n100,0.5,1.0\r\n200,0.25,2.0\r\n"


def result(
    seed: int = 0,
    lr: float = 0.01,
    task: str = "adding",
    model: str = "lstm",
    length: int = 50,
    **fields: Any,
) -> Result:
    """Return the result of a run of 200 steps in 2.5 seconds; `fields` are those of `Result`."""
    config = {
        "seed": seed,
        "task": {"_target_": "seqbench.tasks.synthetic.adding.Adding", "length": length},
        "optim": {"lr": lr},
        "trainer": {"max_steps": 200},
        "preset": {"task": task, "model": model, "optim": "adam"},
    }
    identity = hashlib.sha256(ascii((task, model, lr)).encode()).hexdigest()
    known: dict[str, Any] = {
        "status": "solved",
        "config": config,
        "identity": identity,
        "hash": identity[:8],
        "metric": "loss",
        "metrics": {"loss": loss("squared error")},
        "steps": 200,
        "solved_at_step": 200,
        "solved_when": "a loss under 0.2",
        "test": {"50": {"loss": 0.125}},
        "wall_time_s": 2.5,
        "finished_at": "2026-01-01T00:00:00+00:00",
    }
    return Result(task=task, model=model, seed=seed, **(known | fields))


def place(runs_dir: Path, its: Result) -> Path:
    """Return the folder of a run."""
    return runs_dir / run_folder(its.task, its.model, its.hash) / f"seed-{its.seed}"


def store(runs_dir: Path, its: Result, curves: str = CURVES) -> Path:
    """Store a run that has ended; return its folder."""
    folder = place(runs_dir, its)
    folder.mkdir(parents=True)
    (folder / "metrics.csv").write_text(curves, newline="")
    write_result(folder, its)
    return folder


def begin(runs_dir: Path, its: Result) -> Path:
    """Store what a run leaves that was stopped after 100 steps; return its folder."""
    folder = place(runs_dir, its)
    (folder / "checkpoints").mkdir(parents=True)
    (folder / "checkpoints" / "last.pt").write_bytes(bytes(1000))
    (folder / "metrics.csv").write_text("step,loss,seconds\n100,0.5,1.0\n200,0.2")  # the last half written
    (folder / "config.yaml").write_text(OmegaConf.to_yaml(OmegaConf.create(its.config)))
    return folder

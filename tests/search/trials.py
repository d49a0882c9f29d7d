"""A search whose runs are not trained: how each ends follows from its configuration alone."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from seqbench.config.compose import named
from seqbench.runs.result import Result
from seqbench.runs.store import read_result
from seqbench.search import tune as module
from seqbench.search.found import Found, found
from seqbench.search.plan import SearchPlan, plan
from seqbench.search.study import Study, open_storage
from seqbench.sweeps.job import Facts, Job, Refused
from seqbench.sweeps.sweep import Sweep
from tests.runs.handmade import place, result, store

ARGS = (
    *("task=latch", "search.n_trials=8", "search.bracket=4", "search.n_seeds=2"),
    *("trainer.max_steps=400", "trainer.eval_every=50", "search.folder=search"),
)


class Launcher:
    """Takes the place of `sweeps.launch.run`: stores results, and counts the runs that had none.

    Attributes:
        ends: how a run ends: `ends(config, seed)` returns fields of its result, or None for no result. A
            `Refused` says why the job of the run cannot be run.
        trained: runs by folder and steps, as often as they were trained.
        left: runs until it stops as at a Ctrl-C; None for never.
    """

    def __init__(self, ends: Callable[[Any, int], dict[str, Any] | Refused | None]) -> None:
        self.ends = ends
        self.trained: Counter[tuple[str, int]] = Counter()
        self.left: int | None = None

    def __call__(self, sweep: Sweep, settings: Any, on_run: Callable[..., Any]) -> None:
        assert settings.show_test is False
        for job in sweep.jobs:
            config = OmegaConf.create(job.config)
            cfg: Any = OmegaConf.to_container(named(config, job.choices, job.typed))
            decides = {key: value for key, value in cfg.items() if key not in ("seed", "n_seeds", "runs_dir")}
            identity = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
            for seed in range(cfg["seed"], cfg["seed"] + cfg["n_seeds"]):
                name = cfg["preset"]
                its = result(seed, task=name["task"], model=name["model"], config=cfg, identity=identity)
                its.hash = identity[:8]
                where = place(Path(cfg["runs_dir"]), its)
                if (done := read_result(where)) is None or done.status == "failed":
                    self._train(its, cfg, sweep, job)
                if (where / "result.json").exists():
                    on_run(where)

    def _train(self, its: Result, cfg: Any, sweep: Sweep, job: Job) -> None:
        if self.left is not None:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
        self.trained[str(place(Path(cfg["runs_dir"]), its)), cfg["trainer"]["max_steps"]] += 1
        fields = self.ends(cfg, its.seed)
        if isinstance(fields, Refused):
            sweep.refused[job.number] = fields
        elif fields is not None:
            for name, value in fields.items():
                setattr(its, name, value)
            shutil.rmtree(place(Path(cfg["runs_dir"]), its), ignore_errors=True)
            store(Path(cfg["runs_dir"]), its)


def learns(cfg: Any, seed: int) -> dict[str, Any]:
    """Return how a run ends that learns best with a rate of 0.003: earlier, the nearer it is, and by seed."""
    distance = abs(cfg["optim"]["lr"] / 0.003 - 1)
    steps, needs = cfg["trainer"]["max_steps"], 50 * round(2 + 8 * distance + seed % 2)
    solves = needs <= steps
    return {
        "status": "solved" if solves else "finished",
        "solved_at_step": needs if solves else None,
        "steps": min(needs, steps),
        "validation": {"loss": distance / steps},
    }


def answers(jobs: Sequence[Job], folder: Path, timed: bool) -> list[tuple[Job, Facts]]:
    """Return jobs of which nothing is to be said: a step takes a quarter of a second on four threads."""
    facts = Facts("", "", range(1), (), 1, 1, 4, 1, "cpu", 1, 1, {}, lasting=True, seconds_per_step=0.25)
    return [(job, facts) for job in jobs]


def search(launcher: Launcher, monkeypatch: pytest.MonkeyPatch, *more: str) -> list[Found]:
    """Run a search, or go on with it; return what it found."""
    return attempt(launcher, monkeypatch, *more)[0]


def attempt(
    launcher: Launcher,
    monkeypatch: pytest.MonkeyPatch,
    *more: str,
    made_of: Mapping[str, list[str]] | None = None,
) -> tuple[list[Found], list[str]]:
    """Run a search, or go on with it; return what it found, and the trials that lack a result."""
    monkeypatch.setattr(module, "run_sweep", launcher)
    its: SearchPlan = plan([*ARGS, *(more or ("model=rnn,gru",))])
    storage = open_storage(its.folder / "study.db")
    studies = {
        part.model: Study(
            storage, part.model, part.space, part.settings, part.steps, part.made_with(), made_of or {}
        )
        for part in its.models
    }
    lacking = module.tune(its, studies)
    return found(its, studies), lacking

"""A search whose runs are not trained: how each ends follows from its configuration alone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from omegaconf import OmegaConf

from seqbench.config.compose import named
from seqbench.runs.result import Result
from seqbench.search import tune as module
from seqbench.search.found import Found, found
from seqbench.search.plan import SearchPlan, plan
from seqbench.search.study import Study, open_storage
from seqbench.sweeps.job import Job
from tests.runs.handmade import place, result, store

ARGS = (
    *("task=latch", "search.n_trials=8", "search.bracket=4", "search.n_seeds=2"),
    *("trainer.max_steps=400", "trainer.eval_every=50", "search.folder=search"),
)


class Launcher:
    """Takes the place of `launch`: stores results, and counts the runs that had none.

    Attributes:
        ends: how a run ends: `ends(config, seed)` returns fields of its result, or None for no result.
        trained: runs by folder and steps, as often as they were trained.
        left: runs until it stops as at a Ctrl-C; None for never.
    """

    def __init__(self, ends: Callable[[Any, int], dict[str, Any] | None]) -> None:
        self.ends = ends
        self.trained: Counter[tuple[str, int]] = Counter()
        self.left: int | None = None

    def __call__(self, jobs: Sequence[Job], folder: Path, settings: Any, on_run: Callable[..., Any]) -> None:
        assert settings.show_test is False
        for job in jobs:
            config = OmegaConf.create(job.config)
            cfg: Any = OmegaConf.to_container(named(config, job.choices, job.typed))
            decides = {key: value for key, value in cfg.items() if key not in ("seed", "n_seeds", "runs_dir")}
            identity = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
            for seed in range(cfg["seed"], cfg["seed"] + cfg["n_seeds"]):
                its = result(seed, task="latch", model=cfg["preset"]["model"], config=cfg, identity=identity)
                its.hash = identity[:8]
                where = place(Path(cfg["runs_dir"]), its)
                if not (where / "result.json").exists():
                    self._train(its, cfg)
                if (where / "result.json").exists():
                    on_run(where)

    def _train(self, its: Result, cfg: Any) -> None:
        if self.left is not None:
            if not self.left:
                raise KeyboardInterrupt
            self.left -= 1
        self.trained[str(place(Path(cfg["runs_dir"]), its)), cfg["trainer"]["max_steps"]] += 1
        fields = self.ends(cfg, its.seed)
        for name, value in (fields or {}).items():
            setattr(its, name, value)
        if fields is not None:
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


def search(launcher: Launcher, monkeypatch: pytest.MonkeyPatch, *more: str) -> list[Found]:
    """Run a search, or go on with it; return what it found."""
    monkeypatch.setattr(module, "launch", launcher)
    its: SearchPlan = plan([*ARGS, *(more or ("model=rnn,gru",))])
    storage = open_storage(its.folder / "study.db")
    studies = {
        part.model: Study(storage, part.model, part.space, part.settings, part.steps, part.made_with())
        for part in its.models
    }
    module.tune(its, studies)
    return found(its, studies)

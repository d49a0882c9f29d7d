"""Spans whose runs are not trained: how each ends follows from its entrant, span and seed alone."""

from __future__ import annotations

import hashlib
import json
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from seqbench.config.compose import named
from seqbench.runs.result import Result
from seqbench.runs.store import read_result
from seqbench.sweeps.job import Facts, Job
from seqbench.sweeps.launch import Then
from seqbench.sweeps.outcome import FAILED, ended
from seqbench.sweeps.sweep import Sweep
from tests.runs.handmade import place, result, store

#: How a run ends: fields of its result, of its model, span and the number of its seed at this span.
Ends = Callable[[str, int, int], dict[str, Any]]


def solves_up_to(**limits: int) -> Ends:
    """Return how runs end of models that solve all spans up to a limit of their own, in 2 steps each."""

    def ends(model: str, span: int, k: int) -> dict[str, Any]:
        solved = span <= limits[model]
        return {"solved_at_step": 2 * span if solved else None, "status": "solved" if solved else "finished"}

    return ends


class Runner:
    """Takes the place of `sweeps.launch.run`: stores results, and counts the runs that had none.

    Attributes:
        trained: how often a run was trained, by model, span and number of its seed.
        asked: the labels of the jobs, in their order.
        refuses: whether a job is refused.
        left: runs until it stops as at a Ctrl-C; None for never.
    """

    def __init__(self, ends: Ends, key: str = "length") -> None:
        self.ends = ends
        self.key = key
        self.trained: Counter[tuple[str, int, int]] = Counter()
        self.asked: list[str] = []
        self.refuses: Callable[[Job], bool] = lambda job: False
        self.left: int | None = None

    def __call__(self, sweep: Sweep, settings: Any, on_run: Any, then: Then) -> None:
        assert settings.show_test is False
        for job in sweep.jobs:  # which grow
            self.asked.append(job.label)
            if self.refuses(job):
                sweep.codes.append(1)
                sweep.jobs += then(job)
                continue
            config = OmegaConf.create(job.config)
            cfg: Any = OmegaConf.to_container(named(config, job.choices, job.typed))
            decides = {key: value for key, value in cfg.items() if key not in ("seed", "n_seeds", "runs_dir")}
            identity = hashlib.sha256(json.dumps(decides, sort_keys=True).encode()).hexdigest()
            seeds = range(cfg["seed"], cfg["seed"] + cfg["n_seeds"])
            runs_dir, span = Path(cfg["runs_dir"]), cfg["task"][self.key]
            before = []
            for seed in seeds:
                its = self._result(cfg, identity, seed, span)
                folder = place(runs_dir, its)
                if not (folder / "result.json").exists():
                    self._train(runs_dir, its, span, cfg)
                    if its.status == "failed":
                        sweep.codes.append(FAILED)
                done = read_result(folder)
                assert done is not None
                before.append(ended(done, folder))
            sweep.facts[job.number] = Facts(
                group=str(folder.parent),
                identity=identity,
                seeds=seeds,
                before=tuple(before),
                parameters=1,
                max_steps=100,
                threads=1,
                devices=1,
                accelerator="cpu",
                there=0,
                together=1,
                made_of={},
                lasting=True,
            )
            sweep.jobs += then(job)

    def _result(self, cfg: Any, identity: str, seed: int, span: int) -> Result:
        preset = cfg["preset"]
        its = result(seed, task=preset["task"], model=preset["model"], config=cfg, identity=identity)
        its.hash, its.solved_on_test, its.solved_at_step, its.status = identity[:8], None, None, "finished"
        its.device, its.versions = "cpu of a test", {"torch": "2"}
        for name, value in self.ends(preset["model"], span, seed % 1000).items():
            setattr(its, name, value)
        return its

    def _train(self, runs_dir: Path, its: Result, span: int, cfg: Any) -> None:
        if self.left is not None:
            self.left -= 1
            if self.left < 0:
                raise KeyboardInterrupt
        self.trained[its.model, span, its.seed % 1000] += 1
        store(runs_dir, its)

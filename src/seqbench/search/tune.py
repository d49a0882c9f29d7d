"""The course of a search: the trials that are due are trained, and what they come to is kept."""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from seqbench.config.explain import explain
from seqbench.config.hydra_api import composed
from seqbench.config.overrides import quoted
from seqbench.errors import reader_may_leave, say
from seqbench.runs.result import Result
from seqbench.runs.store import read_result
from seqbench.search.objective import Outcome, outcome
from seqbench.search.plan import ModelPlan, SearchPlan
from seqbench.search.space import corners
from seqbench.search.study import Study, Trial
from seqbench.sweeps.checking import answers
from seqbench.sweeps.job import Job, Refused
from seqbench.sweeps.launch import launch
from seqbench.sweeps.outcome import failure


def check_space(plan: SearchPlan, timed: bool) -> dict[str, float] | None:
    """Check each model at every end of its space, at each length; say why one cannot be run.

    Args:
        plan: of the search.
        timed: whether to measure what a step takes.

    Returns:
        The mean seconds of a step of each model, 0 where they were not measured; None if one was refused.
    """
    with tempfile.TemporaryDirectory() as folder:
        jobs: list[Job] = []
        for part in plan.models:
            for params, length in itertools.product(corners(part.space), part.lengths):
                varied = part.arguments(params)
                run = [*varied, *_run(Path(folder), length, part.settings.seeds)]
                jobs.append(_job(len(jobs), part, run, f"model={part.model} {' '.join(varied)}"))
        seconds: dict[str, list[float]] = defaultdict(list)
        refused: dict[str, str] = {}
        for job, answer in answers(jobs, Path(folder), timed):
            model = job.choices["model"]
            if isinstance(answer, Refused):
                refused.setdefault(model, f"{job.label}: {answer.sentence}")
            else:
                seconds[model].append(answer.seconds_per_step or 0.0)
    for sentence in refused.values():
        say(sentence)
    return None if refused else {model: statistics.fmean(its) for model, its in seconds.items()}


def tune(plan: SearchPlan, studies: Mapping[str, Study]) -> None:
    """Train what is due until every study is over.

    Args:
        plan: of the search.
        studies: of each model.

    Raises:
        Stopped: the user has stopped it. Asked again, it goes on.
    """
    parts = {part.model: part for part in plan.models}
    while due := {model: its for model, study in studies.items() if (its := study.due()) is not None}:
        for model, (rung, trials) in due.items():
            numbers = ", ".join(str(trial.number) for trial in trials)
            with reader_may_leave():
                print(f"{model}: trials {numbers} to step {parts[model].steps[rung]}")
        wanted = [(parts[model], rung, trial) for model, (rung, trials) in due.items() for trial in trials]
        found = _trained(plan, wanted)
        for part, rung, trial in wanted:
            studies[part.model].note(trial, rung, _came_to(part, trial, found[_place(plan, part, trial)]))


def _trained(plan: SearchPlan, wanted: Sequence[tuple[ModelPlan, int, Trial]]) -> dict[Path, list[Result]]:
    """Train what trials lack for a rung; return the results by the folder of the trial."""
    jobs: list[Job] = []
    for part, rung, trial in wanted:
        for length, seeds in _missing(part, trial):
            run = [*part.arguments(trial.params), *_run(_place(plan, part, trial), length, seeds)]
            run.append(f"trainer.max_steps={part.steps[rung]}")
            at = f" at {length}" if len(part.lengths) > 1 else ""
            jobs.append(_job(len(jobs), part, run, f"{part.model} trial {trial.number}{at}"))
    found: dict[Path, list[Result]] = defaultdict(list)

    def collect(folder: Path) -> None:
        result = read_result(folder)
        if result is not None:
            found[folder.parents[2]].append(result)

    if jobs:
        launch(jobs, plan.folder / "logs", replace(plan.launcher, show_test=False), collect)
    return found


def _place(plan: SearchPlan, part: ModelPlan, trial: Trial) -> Path:
    """Return the folder for the runs of a trial."""
    return plan.folder / "trials" / f"{part.model.replace('/', '.')}-{trial.number}"


def _missing(part: ModelPlan, trial: Trial) -> list[tuple[int | None, range]]:
    """Return the runs of a trial that have not ended: a length, and seeds in a row."""
    ended = {(run.length, run.seed) for run in trial.outcomes if run.ended}
    return [
        (length, row)
        for length in part.lengths
        for row in rows([seed for seed in part.settings.seeds if (length, seed) not in ended])
    ]


def rows(seeds: Sequence[int]) -> list[range]:
    """Return seeds as ranges, each of seeds in a row: 3, 4, 6 are 3–4 and 6."""
    found: list[range] = []
    for seed in seeds:
        if found and found[-1].stop == seed:
            found[-1] = range(found[-1].start, seed + 1)
        else:
            found.append(range(seed, seed + 1))
    return found


def _run(folder: Path, length: int | None, seeds: range) -> list[str]:
    """Return the arguments that make runs out of a configuration."""
    at = [] if length is None else [f"task.length={length}"]
    return [*at, f"seed={seeds.start}", f"n_seeds={len(seeds)}", f"runs_dir={quoted(str(folder))}"]


def _job(number: int, part: ModelPlan, run: Sequence[str], label: str) -> Job:
    """Compose a job.

    Raises:
        ConfigError: a key or value is wrong.
    """
    typed = [*part.typed, *run]
    try:
        cfg = composed(typed)
    except Exception as error:  # Hydra's, OmegaConf's, YAML's
        raise explain(error, typed) from error
    plain: Any = OmegaConf.to_container(cfg, resolve=False)
    node = plain.pop("hydra")
    return Job(number, list(node["overrides"]["task"]), plain, node["runtime"]["choices"], label)


def _came_to(part: ModelPlan, trial: Trial, results: Sequence[Result]) -> list[Outcome] | str:
    """Return how all runs of a trial stand, with those that had ended before; or why the trial failed."""
    for result in results:
        if result.status == "failed":
            return failure(result.error or "no message")
    runs = {(run.length, run.seed): run for run in trial.outcomes if run.ended}
    runs |= {(run.length, run.seed): run for run in map(outcome, results)}
    wanted = [(length, seed) for length in part.lengths for seed in part.settings.seeds]
    if lacking := [seed for length, seed in wanted if (length, seed) not in runs]:
        return f"no result of seed {lacking[0]}"
    return [runs[which] for which in wanted]

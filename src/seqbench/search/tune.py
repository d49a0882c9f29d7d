"""The course of a search: the trials that are due are trained, and what they come to is kept."""

from __future__ import annotations

import itertools
import statistics
import tempfile
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import OmegaConf

from seqbench.config.explain import explain
from seqbench.config.hydra_api import composed
from seqbench.config.overrides import quoted
from seqbench.errors import StoreError, reader_may_leave, say
from seqbench.runs.result import Result
from seqbench.runs.store import read_result
from seqbench.search.objective import Outcome, outcome
from seqbench.search.plan import ModelPlan, SearchPlan
from seqbench.search.space import corners
from seqbench.search.study import Study, Trial
from seqbench.sweeps.checking import answers
from seqbench.sweeps.job import Facts, Job, Refused
from seqbench.sweeps.launch import run as run_sweep
from seqbench.sweeps.outcome import NO_MEMORY, failure, made_of
from seqbench.sweeps.sweep import Sweep


class Checked(NamedTuple):
    """What was found out about a model.

    seconds: the mean core-seconds of a step, 0 where not measured.
    made_of: what decides the numbers beside the configuration, by name: code of others, data. Several values
        where they differ from point to point of the space.
    """

    seconds: float
    made_of: dict[str, list[str]]


def check_space(plan: SearchPlan, timed: bool) -> dict[str, Checked] | None:
    """Check each model at every end of its space, at each length; say why one cannot be run.

    Args:
        plan: of the search.
        timed: whether to measure what a step takes.

    Returns:
        What was found out about each model; None if one was refused.
    """
    with tempfile.TemporaryDirectory() as folder:
        jobs: list[Job] = []
        for part in plan.models:
            for params, length in itertools.product(corners(part.space), part.lengths):
                varied = part.arguments(params)
                run = [*varied, *_run(part, Path(folder), length, part.settings.seeds)]
                jobs.append(_job(len(jobs), part, run, f"model={part.model} {' '.join(varied)}"))
        found: dict[str, list[Facts]] = defaultdict(list)
        refused: dict[str, str] = {}
        # In their order, so that what is said does not depend on which process is the first.
        for job, answer in sorted(answers(jobs, Path(folder), timed), key=lambda pair: pair[0].number):
            model = job.choices["model"]
            if isinstance(answer, Refused):
                refused.setdefault(model, f"{job.label}: {answer.sentence}")
            else:
                found[model].append(answer)
    for sentence in refused.values():
        say(sentence)
    return None if refused else {model: _checked(every) for model, every in found.items()}


def _checked(every: Sequence[Facts]) -> Checked:
    made_of: dict[str, set[str]] = defaultdict(set)
    for facts in every:
        for name, its in facts.made_of.items():
            made_of[name].add(its)
    seconds = statistics.fmean((facts.seconds_per_step or 0.0) * facts.threads for facts in every)
    return Checked(seconds, {name: sorted(its) for name, its in made_of.items()})


def tune(plan: SearchPlan, studies: Mapping[str, Study]) -> list[str]:
    """Train what is due until every study is over, or cannot go on now.

    Args:
        plan: of the search.
        studies: of each model.

    Returns:
        The trials that lack the result of a run, because its process was killed, say. Nothing is noted of
        them: asked again, they are trained, so that what a machine does decides nothing.

    Raises:
        StoreError: code of others, or data, were changed while runs trained.
        Stopped: the user has stopped it. Asked again, it goes on.
    """
    parts = {part.model: part for part in plan.models}
    going = dict(studies)
    lacking = []
    while due := {model: its for model, study in going.items() if (its := study.due()) is not None}:
        for model, (rung, trials) in due.items():
            numbers = ", ".join(str(trial.number) for trial in trials)
            with reader_may_leave():
                print(f"{model}: trials {numbers} to step {parts[model].steps[rung]}")
        wanted = [(parts[model], rung, trial) for model, (rung, trials) in due.items() for trial in trials]
        for (part, rung, trial), came_to in zip(wanted, _trained(plan, wanted, studies), strict=True):
            if came_to is None:
                lacking.append(f"{part.model} trial {trial.number}")
                going.pop(part.model, None)  # its bracket cannot be compared yet
            else:
                studies[part.model].note(trial, rung, came_to)
    return lacking


def _trained(
    plan: SearchPlan, wanted: Sequence[tuple[ModelPlan, int, Trial]], studies: Mapping[str, Study]
) -> list[list[Outcome] | str | None]:
    """Train what trials lack for a rung; return what each came to, see `_came_to`."""
    jobs: list[Job] = []
    place_of: list[Path] = []
    for part, rung, trial in wanted:
        place = _place(plan, part, trial)
        for length, seeds in _missing(part, trial):
            run = [*part.arguments(trial.params), *_run(part, place, length, seeds)]
            run.append(f"trainer.max_steps={part.steps[rung]}")
            at = f" at {length}" if len(part.lengths) > 1 else ""
            jobs.append(_job(len(jobs), part, run, f"{part.model} trial {trial.number}{at}"))
            place_of.append(place)
    results: dict[Path, list[Result]] = defaultdict(list)

    def collect(folder: Path) -> None:
        result = read_result(folder)
        if result is not None:
            results[folder.parents[2]].append(result)

    sweep = Sweep(jobs, plan.folder / "logs")
    if jobs:
        run_sweep(sweep, replace(plan.launcher, show_test=False), collect)
    refused = {place_of[number]: why.sentence for number, why in sweep.refused.items() if why.for_good}
    found = []
    for part, _, trial in wanted:
        place = _place(plan, part, trial)
        for result in results[place]:
            if changed := studies[part.model].differs(made_of(result.code, result.data)):
                raise StoreError(
                    f"{changed} was changed while {part.model} was searched, so that its trials cannot be "
                    "compared; search anew, with another search.folder=…."
                )
        found.append(refused.get(place) or _came_to(part, trial, results[place]))
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


def _run(part: ModelPlan, folder: Path, length: int | None, seeds: range) -> list[str]:
    """Return the arguments that make runs out of a configuration."""
    at = [] if length is None else [f"task.{part.span_key}={length}"]
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


def _came_to(part: ModelPlan, trial: Trial, results: Sequence[Result]) -> list[Outcome] | str | None:
    """Return how all runs of a trial stand, with those that had ended before; or why the trial failed.

    None where a run has no result, or had too little memory: the fault is not the configuration's.
    """
    errors = [failure(result.error or "no message") for result in results if result.status == "failed"]
    if own := [error for error in errors if error != NO_MEMORY]:
        return own[0]
    runs = {(run.length, run.seed): run for run in trial.outcomes if run.ended}
    ended = [outcome(result, part.span_key) for result in results if result.status != "failed"]
    runs |= {(run.length, run.seed): run for run in ended}
    wanted = [(length, seed) for length in part.lengths for seed in part.settings.seeds]
    return [runs[which] for which in wanted] if all(which in runs for which in wanted) else None

"""The jobs of a sweep, and what is found out about each before any of them trains."""

from __future__ import annotations

import math
import re
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

#: Groups whose preset says by itself what it is, in the order of a label.
PRESETS = ("model", "task", "optim", "experiment")


@dataclass(frozen=True)
class Job:
    """One configuration, with all its seeds.

    Attributes:
        number: its place in the sweep.
        typed: what Hydra's sweeper made of the command line for it, `key=value` each.
        config: as Hydra composed it, not yet resolved; plain, because it goes to other processes.
        choices: the preset of each group.
        label: what it is by what was varied, `lstm lr=0.01`.
        options: those of the command line that say where presets lie.
        gpus: of the machine that it is run on, where that is not this one.
    """

    number: int
    typed: list[str]
    config: dict[str, Any]
    choices: dict[str, Any]
    label: str
    options: list[str] = field(default_factory=list)
    gpus: int | None = None


@dataclass(frozen=True)
class Ended:
    """How a run ended, in plain values, because they go from process to process.

    `metric` and `value` are the headline metric and what it is on the test at the training length.
    """

    seed: int
    folder: str
    status: str
    solved_at_step: int | None = None
    metric: str | None = None
    value: float | None = None
    solvable: bool = False
    error: str | None = None


@dataclass(frozen=True)
class Facts:
    """What a job is, once its configuration was checked.

    Attributes:
        group: `<runs_dir>/<task>/<model>-<hash>`.
        identity: the whole hash of what decides the numbers.
        seeds: of its runs.
        before: how the runs ended that have a result, failed ones included.
        parameters: live ones.
        max_steps: of each run.
        threads: of a process that trains it.
        devices: that share each batch.
        accelerator: the kind of device.
        there: how many devices of this kind there are.
        together: seeds that train together, at most.
        made_of: what decides the numbers beside the configuration, by name: code of others, data.
        lasting: whether the same configuration means the same runs later, as long as the code is the
            same: no data that could change, no code of others.
        seconds_per_step: of one seed, if it was measured.
    """

    group: str
    identity: str
    seeds: range
    before: tuple[Ended, ...]
    parameters: int
    max_steps: int
    threads: int
    devices: int
    accelerator: str
    there: int
    together: int
    made_of: dict[str, str]
    lasting: bool
    seconds_per_step: float | None = None

    @property
    def done(self) -> list[Ended]:
        """The runs that need no training."""
        return [run for run in self.before if run.status != "failed"]

    def missing(self, retry_failed: bool = True) -> list[int]:
        """Return the seeds that are to be trained."""
        ended = {run.seed for run in (self.done if retry_failed else self.before)}
        return [seed for seed in self.seeds if seed not in ended]


@dataclass(frozen=True)
class Refused:
    """Why a job cannot be run.

    Attributes:
        sentence: why.
        exit_code: of its kind.
        for_good: whether its configuration cannot be run, however often it is asked for.
    """

    sentence: str
    exit_code: int
    for_good: bool = False


@dataclass
class Unit:
    """Seeds of a job that one process trains."""

    job: Job
    facts: Facts
    seeds: range
    ended: list[Ended] = field(default_factory=list)

    @property
    def label(self) -> str:
        """The job's, with the seeds if they are not all."""
        if self.seeds == self.facts.seeds:
            return self.job.label
        first, last = self.seeds[0], self.seeds[-1]
        return f"{self.job.label} seed{f's {first}–{last}' if last > first else f' {first}'}".strip()


def labels(jobs: Sequence[Sequence[str]]) -> list[str]:
    """Return what each job is by what was varied, `lstm lr=0.01 length=100`.

    A group's preset stands alone; a key is shortened to its last part where no other ends so.

    Args:
        jobs: the overrides of each.
    """
    # Hydra's sweeper writes a backslash before signs that its grammar would read.
    settings = [dict(re.sub(r"\\(.)", r"\1", text).partition("=")[::2] for text in typed) for typed in jobs]
    values: dict[str, list[str]] = defaultdict(list)
    for its in settings:
        for key, value in its.items():
            values[key].append(value)
    varied = [key for key, found in values.items() if len({*found}) > 1 or len(found) < len(jobs)]
    shown = varied or [key for key in PRESETS if key in values]
    shown.sort(key=lambda key: PRESETS.index(key) if key in PRESETS else len(PRESETS))
    last = [re.sub(r"^(~?)(?:.*\.)?", r"\1", key) for key in shown]
    names = {key: short if last.count(short) == 1 else key for key, short in zip(shown, last, strict=True)}
    return [" ".join(_part(key, names[key], its[key]) for key in shown if key in its) for its in settings]


def _part(key: str, name: str, value: str) -> str:
    """Return what a label says of a key, by a short name: `lstm`, `lr=0.01`; `~clip_norm` of one left out."""
    if key in PRESETS:
        return value
    return name if key.startswith("~") and not value else f"{name}={value}"


def given(typed: Sequence[str]) -> str:
    """Return what one configuration is by what was given of it, `lstm adding length=100`.

    Args:
        typed: its overrides. Those of how it is trained and where it is logged are left out.
    """
    words = [override.lstrip("+") for override in typed if not override.startswith("~")]
    own = [word for word in words if word.startswith(PRESETS)]
    return labels([own, []])[0]


def units(job: Job, facts: Facts, missing: Sequence[int], parts: int) -> list[Unit]:
    """Return the seeds that a job lacks in about as many parts, each of seeds in a row."""
    most = math.ceil(len(missing) / parts)
    rows: list[list[int]] = []
    for seed in missing:
        if rows and seed == rows[-1][-1] + 1 and len(rows[-1]) < most:
            rows[-1].append(seed)
        else:
            rows.append([seed])
    return [Unit(job, facts, range(row[0], row[-1] + 1)) for row in rows]

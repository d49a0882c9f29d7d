"""The table of published results: which of them the records in results/ beat, meet or miss."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from pathlib import Path
from statistics import fmean, median
from typing import Any, Literal

from scripts.pages.page import RESULTS
from scripts.pages.records import core_hours, read_records

from seqbench.config.identity import with_defaults
from seqbench.errors import ConfigError
from seqbench.results.frame import train_length
from seqbench.results.labels import label_runs
from seqbench.results.numbers import counts, measured
from seqbench.results.published import LARGER_IS_BETTER, SHARES, Entry, published, read_published
from seqbench.runs.files import write_atomically
from seqbench.runs.result import Result

Verdict = Literal["beaten", "met", "missed", "too few seeds", "not tried", "not comparable"]
#: Fewer seeds beat and meet nothing.
LEAST_SEEDS = 3

HEAD = """\
# Published results, and what is measured here

Made from [`published.yaml`](published.yaml) and the records beside the pages, by `scripts/published`. Of each
entry the best of its values is judged by the best configuration here that has its task and settings, those of
three seeds or more first: **beaten**, every one of three seeds or more is better; **met**, their median is as
good or better; **too few seeds**, fewer are as good or better; **missed**, they are not; **not tried**, no
records fit; **not comparable**, other data, another measure, or a value too rough to judge by. Of several
configurations the best by the figure that is shown counts, which is a choice by the test set; it is named
with the settings that tell it from the others that fit.

`sequences`, `solved`: a run has solved its task where both the validation set and the test set say so. That
is a condition of this table alone, as a run may meet a strict mark by luck at one of its many looks at the
validation set; pages count by the validation set, and say what the test set confirms. *None*: half of the
runs or more did not, at the step at which they ended. Protocols differ, as `published.yaml` says of each
entry. The core-hours are what all fitting runs took together, those of other configurations included.
"""


def table(entries: Iterable[Entry], results: Sequence[Result]) -> str:
    """Return the page: a line for each entry, and how many there are of each verdict."""
    rows, verdicts = [], defaultdict(int)
    for entry in entries:
        fitting = [its for its in results if fits(entry, its)]
        verdict, ours = judged(entry, fitting)
        verdicts[verdict] += 1
        spent = f"{core_hours(fitting):.2g}" if fitting else ""
        where = ", ".join(f"{key.removeprefix('task.')}={value}" for key, value in entry.settings.items())
        told = _told_best(entry)
        source = f"{entry.source}, {entry.at}; {entry.certainty}"
        rows.append([f"`{entry.task}`", where, f"{told} ({entry.metric})", source, verdict, ours, spent])
    counted = ", ".join(f"{number} {verdict}" for verdict, number in sorted(verdicts.items()))
    heads = ["task", "settings", "published", "source; reading", "here", "best configuration", "core-hours"]
    lines = [heads, [":--"] * (len(heads) - 1) + ["--:"], *rows]
    return f"{HEAD}\n{counted}.\n\n" + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def fits(entry: Entry, result: Result) -> bool:
    """Return whether a run can be judged by an entry: same task, settings as asked, and it did not fail."""
    if result.status == "failed" or result.task != entry.task:
        return False
    settings = {f"task.{key}": value for key, value in with_defaults(result.config)["task"].items()}
    least = all((settings.get(key) or 0) >= value for key, value in entry.least.items())
    return least and bool(published(result.task, settings, [entry]))


def judged(entry: Entry, fitting: Iterable[Result]) -> tuple[Verdict, str]:
    """Return the verdict on an entry, and the best configuration with its figure."""
    if not entry.comparable:
        return "not comparable", ""
    fitting = [*fitting]
    _check_direction(entry, fitting)
    sign = 1 if larger_is_better(entry) else -1
    # Enough seeds; median, worst: larger is better; how many values are finite, of those with the same.
    found: list[tuple[bool, float, float, int, list[Result]]] = []
    labels = dict(zip((run.hash for run in fitting), (m for _, m in label_runs(fitting)), strict=True))
    for runs in _grouped(fitting).values():
        values = [sign * value for value in figures(entry, runs)]
        if values:
            middle = max(values) if entry.beyond else median(values)
            finite = sum(map(math.isfinite, values))
            found.append((len(runs) >= LEAST_SEEDS, middle, min(values), finite, runs))
    if not found:
        return "not tried", ""
    enough, value, worst, _, runs = max(found, key=lambda its: its[:4])
    best = max(sign * its for its in entry.values.values())
    verdict: Verdict = "missed"
    if value >= best:
        verdict = "too few seeds" if not enough else "beaten" if worst > best else "met"
    size = "" if runs[0].parameters is None else f", {counts([runs[0].parameters])} parameters"
    seeds = "" if enough else ", one seed" if len(runs) == 1 else f", {len(runs)} seeds"
    shown = "none" if math.isinf(value) else _measured(entry, sign * value)
    solved = f", {sum(map(math.isfinite, map(_steps, runs)))} of {len(runs)} solve it"
    return verdict, f"`{labels[runs[0].hash]}` {shown}{solved * (entry.metric == 'sequences')}{size}{seeds}"


def figures(entry: Entry, runs: Sequence[Result]) -> list[float]:
    """Return what the runs of one configuration have of what an entry reports: a value for each seed.

    `solved` has one for all. A run that did not solve its task on both sets took infinitely many sequences,
    and a run without a value has the worst.
    """
    if entry.metric == "solved":
        return [fmean(_steps(run) < math.inf for run in runs)]
    if entry.metric == "sequences":
        return [_steps(run) * run.config["batch_size"] for run in runs]
    worst = -math.inf if larger_is_better(entry) else math.inf
    values = []
    for run in runs:
        trained = train_length(run) or 0
        lengths = [int(its) for its in run.test if int(its) > trained] if entry.beyond else [trained]
        its = [run.value_at(length, entry.metric) for length in lengths]
        known = [value for value in its if value is not None]
        values.append(fmean(known) if known and len(known) == len(its) else worst)
    return [] if all(math.isinf(value) for value in values) else values


def _steps(run: Result) -> float:
    """Return the steps until a run solved its task; infinite where it did not, or not on the test set.

    A strict mark can be met once by luck among many looks at the validation set; the test is looked at once.
    """
    found = run.steps_to_solve
    return math.inf if found is None or run.solved_on_test is False else found


def larger_is_better(entry: Entry) -> bool:
    """Return whether larger values of what an entry reports are better."""
    return entry.metric in LARGER_IS_BETTER


def _check_direction(entry: Entry, runs: Iterable[Result]) -> None:
    """Raise a ConfigError where runs say of the metric of an entry that it is better the other way."""
    for run in runs:
        metric = run.metrics.get(entry.metric)
        if metric is not None and metric.direction != ("max" if larger_is_better(entry) else "min"):
            raise ConfigError(
                f"{entry.source}, {entry.at}: the {entry.metric} of {entry.task} is better where it is "
                f"{'larger' if metric.direction == 'max' else 'smaller'}; LARGER_IS_BETTER of "
                "results/published.py says otherwise."
            )


def _told_best(entry: Entry) -> str:
    choose = max if larger_is_better(entry) else min
    name = choose(entry.values, key=lambda model: entry.values[model])
    return entry.told[list(entry.values).index(name)]


def _measured(entry: Entry, value: float) -> str:
    if entry.metric == "sequences":
        return f"{value:,.0f}"
    return measured(value, "share" if entry.metric in SHARES else "")


def _grouped(results: Iterable[Result]) -> dict[str, list[Result]]:
    grouped: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        grouped[result.hash].append(result)
    return grouped


def read_all(results: Path = RESULTS) -> list[Result]:
    """Return the runs of all records in a folder of results, each once.

    Of a run that two pages have, made on two kinds of processor, that of the last page by name counts.
    """
    found: dict[Any, Result] = {}
    for path in sorted(results.rglob("*.jsonl*")):
        for entry in read_records(path):
            found[entry.result.identity, entry.result.seed] = entry.result
    return list(found.values())


def write(results: Path = RESULTS) -> Path:
    """Write the page into a folder of results; return its path."""
    path = results / "published.md"
    write_atomically(path, table(read_published(), read_all(results)))
    return path


if __name__ == "__main__":
    print(write())

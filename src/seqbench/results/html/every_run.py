"""Every run: how it stands, with its configuration, seed, commit, and the command that makes it again."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from seqbench.config.command import command
from seqbench.errors import printable
from seqbench.results.frame import Comparison, records, train_length
from seqbench.results.html.leaderboard import key
from seqbench.results.labels import label_runs
from seqbench.results.numbers import MISSING, measured
from seqbench.results.rendering.rows import duration
from seqbench.runs.places import PlacedRun
from seqbench.runs.result import Configured, Result

#: What each state means to a reader, in the order of the page.
STATES = {
    "solved": "solved its task",
    "unsolved": "ended without solving its task",
    "finished": "ended; its task does not say when it is solved",
    "diverged": "had a loss that is not finite",
    "failed": "ended with an error",
    "running": "is being trained",
    "stopped": "was stopped, and goes on when it is asked for again",
    "orphan": "has a result that no configuration finds again",
}


#: What stands for the command of a run whose presets are elsewhere.
UNKNOWN = "unknown, as a preset of this run is not found here"


class Unfinished(Configured, Protocol):
    """A run that has not ended, or whose result cannot be used: `runs.inventory.StoredRun`."""

    @property
    def folder(self) -> Path: ...
    @property
    def hash(self) -> str: ...
    @property
    def why(self) -> str: ...
    @property
    def steps(self) -> int: ...
    @property
    def seconds(self) -> float: ...


@dataclass(frozen=True)
class Line:
    """A run, as the table shows it.

    Attributes:
        state: one of `STATES`.
        length: the training length; empty if it is not known.
        value: the test metric at that length.
        solved_at, steps: optimisation steps, and those to solve.
        keys: column to what it is sorted by, where that is not its text.
        more: what stands below the row once it is opened: name to text.
    """

    state: str
    task: str
    length: str
    model: str
    seed: int
    value: str
    solved_at: str
    steps: str
    time: str
    commit: str
    hash: str
    keys: Mapping[str, str]
    more: dict[str, str] = field(default_factory=dict)


def lines(runs: Sequence[PlacedRun], unfinished: Sequence[Unfinished]) -> list[Line]:
    """Return a line for each run: those that failed or have not ended first, then by task, length and model.

    Args:
        runs: those that have ended.
        unfinished: the others.
    """
    labels = label_runs([run.result for run in runs])
    asked: dict[str, str | None] = {}
    found = [_ended(run, *label, asked) for run, label in zip(runs, labels, strict=True)]
    # A run that has not ended is called as the other seeds of its configuration are.
    called = {
        (its.task, its.model, its.hash): label
        for its, label in zip((run.result for run in runs), labels, strict=True)
    }
    found += [
        _unfinished(run, *called.get((run.task, run.model, run.hash), (run.task, run.model)))
        for run in unfinished
    ]
    wrong = ("failed", "diverged", "orphan", "stopped", "running")

    def place(line: Line) -> tuple[int, str, int, str, int]:
        first = wrong.index(line.state) if line.state in wrong else len(wrong)
        return first, line.task, int(line.length or 0), line.model, line.seed

    return sorted(found, key=place)


def lacking(comparison: Comparison) -> list[str]:
    """Return a sentence on each model that at a training length has fewer runs than most cells of the task.

    `gru on adding: 3 of 5 runs at 50, none at 100.`
    """
    said = []
    for task, frame in comparison.frame.groupby("task", sort=False):
        rows = [row for row in records(frame) if row["length"] == row["train_length"]]
        counts = Counter(int(row["runs"]) for row in rows)
        usual = max(counts, key=lambda runs: (counts[runs], runs))
        lengths = sorted({row["length"] for row in rows})
        runs = {(row["model"], row["length"]): int(row["runs"]) for row in rows}
        for model in sorted({row["model"] for row in rows}):
            few = [
                f"{runs[model, length]} of {usual} runs" + (f" at {length}" if length else "")
                for length in lengths
                if runs.get((model, length), usual) < usual
            ]
            none = [str(length) for length in lengths if (model, length) not in runs]
            few += [f"none at {', '.join(none)}"] if none else []
            said += [f"{model} on {task}: {', '.join(few)}."] if few else []
    return said


def _ended(run: PlacedRun, task: str, model: str, asked: dict[str, str | None]) -> Line:
    its = run.result
    length = train_length(its)
    value = its.value_at(length or 0)
    unit = its.headline.unit if its.headline else ""
    sign = -1 if its.direction == "max" else 1
    more = {
        "command": _command(its.config, asked),
        "error": its.error or "",
        "configuration": _configuration(its.config),
        "commit": its.commit or "unknown",
        "identity": its.identity,
        "ended": its.finished_at,
        "continued from": its.continued_from or "",
        "data": its.data or "",
        "machine": ", ".join(filter(None, [its.device, its.mode, _versions(its)])),
        "place": str(run.place),
    }
    commit = (its.commit or "")[:9] + (its.commit or "")[40:41]
    return Line(
        state="unsolved" if its.status == "finished" and its.solved_when else its.status,
        task=printable(task),
        length=str(length or ""),
        model=printable(model),
        seed=its.seed,
        value=MISSING if value is None else measured(value, unit),
        solved_at=MISSING if its.steps_to_solve is None else f"{its.steps_to_solve:,}",
        steps=f"{its.steps:,}",
        time=duration(its.wall_time_s),
        commit=printable(commit) or MISSING,
        hash=printable(its.hash),
        keys={
            "value": key(None if value is None else sign * value),
            "solved_at": key(its.steps_to_solve),
            "steps": key(its.steps),
            "time": key(its.wall_time_s),
        },
        more={name: _lines(text) for name, text in more.items() if text},
    )


def _unfinished(run: Unfinished, task: str, model: str) -> Line:
    more = {
        "command": _command(run.config, {}),
        "why": run.why,
        "configuration": _configuration(run.config),
        "place": str(run.folder),
    }
    return Line(
        state=run.status,
        task=printable(task),
        length=str(run.config.get("task", {}).get("length") or ""),
        model=printable(model),
        seed=run.seed,
        value=MISSING,
        solved_at=MISSING,
        steps=f"{run.steps:,}",
        time=duration(run.seconds),
        commit=MISSING,
        hash=run.hash,
        keys={"value": "", "solved_at": "", "steps": key(run.steps), "time": key(run.seconds)},
        more={name: _lines(text) for name, text in more.items() if text},
    )


def _command(config: Mapping[str, Any], asked: dict[str, str | None]) -> str:
    """Return the command that makes a run again; that of its configuration is made once for all seeds."""
    text = json.dumps({name: value for name, value in config.items() if name != "seed"}, sort_keys=True)
    if text not in asked:
        asked[text] = command({**config, "seed": 0})
    found = asked[text]
    return UNKNOWN if found is None else found.removesuffix("seed=0") + f"seed={config.get('seed', 0)}"


def _configuration(config: Mapping[str, Any]) -> str:
    """Return a configuration as text, a key a line."""
    return "\n".join(_flat(config, ""))


def _flat(node: Mapping[str, Any], prefix: str) -> list[str]:
    found = []
    for name, value in node.items():
        if isinstance(value, Mapping) and value:
            found += _flat(value, f"{prefix}{name}.")
        else:
            found.append(f"{prefix}{name}: {json.dumps(value, ensure_ascii=False, default=str)}")
    return found


def _lines(text: str) -> str:
    return "\n".join(map(printable, text.split("\n")))


def _versions(its: Result) -> str:
    return ", ".join(f"{name} {version}" for name, version in its.versions.items() if version)

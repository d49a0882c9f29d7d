"""The runs that are compared: on each problem, a task at one training length, those of each model."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from seqbench.config.identity import with_defaults
from seqbench.errors import ConfigError, StoreError, nearest
from seqbench.results.labels import label_runs, told_by
from seqbench.results.settings import settings_of
from seqbench.results.summaries.note import SHARED
from seqbench.runs.result import Result

#: The settings that are the budget of a run. Runs of different budgets are not compared, but for those whose
#: readout is solved for: nothing that they learn is learnt in steps.
BUDGET = (
    "batch_size",
    *(f"trainer.{key}" for key in ("max_steps", "eval_every", "stop_when_solved", "patience")),
)
SOLVED_FOR = "seqbench.models.readouts.RidgeReadout"
#: The parts of a configuration in which two models may differ and that are not the model.
BESIDE = ("optim", "trainer")


@dataclass(frozen=True)
class Problem:
    """A task at one training length, and the runs of two models or more.

    Attributes:
        task: its label.
        length: the training length; 0 where it is not known.
        runs: name of a model, as it was asked for, to its runs that did not fail, one for every seed, in
            the order of the seeds.
    """

    task: str
    length: int
    runs: Mapping[str, tuple[Result, ...]]

    def __str__(self) -> str:
        """`adding at 50`; the task alone where its length is not known."""
        return f"{self.task} at {self.length}" if self.length else self.task


def problems(results: Sequence[Result], models: Sequence[str]) -> list[Problem]:
    """Return the problems for which two of the models or more have runs, by task and length.

    Of two runs of a model with the same seed on the same problem the later counts.

    Args:
        results: the runs.
        models: two names or more of presets, or labels of those that have several variants, `lstm (lr=0.01)`.
            What is a label on a task means that variant there: `gru` beside `gru (chrono=100)`.

    Raises:
        ConfigError: a name stands for several variants of a model, on a task or from task to task.
        StoreError: a model has no runs, no two have a problem in common, or runs differ in their budget.
    """
    labels = label_runs(results)
    _check_names(models, [result.model for result in results], [label for _, label in labels])
    found: dict[tuple[str, int], dict[str, dict[int, Result]]] = defaultdict(lambda: defaultdict(dict))
    variants: dict[tuple[str, int, str], set[str]] = defaultdict(set)
    labelled = set(labels)
    for result, (task, label) in sorted(
        zip(results, labels, strict=True), key=lambda pair: pair[0].finished_at
    ):
        for model in models:
            # Where a preset's name is a label, it is that of the variant at its defaults, or the only one.
            meant = label == model or (result.model == model and (task, model) not in labelled)
            if meant and result.status != "failed":
                found[task, _length(result)][model][result.seed] = result
                variants[task, _length(result), model].add(label)
    for (task, length, model), its in variants.items():
        if len(its) > 1:
            raise ConfigError(
                f"{model} stands for {len(its)} models on {task} at {length}: {', '.join(sorted(its))}. "
                "Name one by its label, or choose by --where key=value."
            )
    _check_same(results, labels, models)
    shared = [
        Problem(task, length, {name: _by_seed(its[name]) for name in models if name in its})
        for (task, length), its in sorted(found.items())
        if len(its) > 1
    ]
    if not shared:
        have = "; ".join(
            f"{model}: {', '.join(f'{t} at {n}' for t, n in sorted(found) if model in found[t, n])}"
            for model in models
        )
        raise StoreError(f"no two of these models have runs of one task and length. There are {have}.")
    for problem in shared:
        _check_budget(problem)
    return shared


def remarks(problem: Problem, models: Sequence[str]) -> list[str]:
    """Return what a reader must know of the runs of these models: what differs beside the models."""
    runs_of = {model: problem.runs[model] for model in models if model in problem.runs}
    every = [run for runs in runs_of.values() for run in runs]
    # Two models have revisions of their own, as their components differ.
    shared = {name: {of(run) for run in every} for name, of in SHARED.items() if name != "revisions"}
    facts = [f"{len(kinds)} {name}" for name, kinds in shared.items() if len(kinds) > 1]
    found = [f"the runs are of {', '.join(facts)}"] if facts else []
    for model, runs in runs_of.items():
        if (kinds := len(set(map(SHARED["revisions"], runs)))) > 1:
            found.append(f"the runs of {model} are of {kinds} revisions, which give other numbers")
    settings = [_beside(runs[0]) for runs in runs_of.values()]
    differing = sorted(
        key
        for key in set().union(*settings)
        if len({its.get(key) for its in settings}) > 1 and not _told(key, runs_of)
    )
    found += [f"the models differ in {', '.join(differing)} too"] if differing else []
    sizes = size_remark({model: runs[0].parameters for model, runs in runs_of.items()})
    return [*found, sizes] if sizes else found


def _told(key: str, labels: Iterable[str]) -> bool:
    """Return whether every label says its value of a setting: `gru (lr=0.01)` and `gru (lr=0.1)` do."""
    return all(re.search(rf"[(, ]{re.escape(key.rpartition('.')[2])}=", label) for label in labels)


def size_remark(parameters: Mapping[str, int | None]) -> str:
    """Return a remark on models that differ in size by more than a tenth; empty where they do not.

    Args:
        parameters: model to the number of its live parameters; None where it is not known.
    """
    sizes = {model: size for model, size in parameters.items() if size is not None}
    if not sizes or max(sizes.values()) <= 1.1 * min(sizes.values()):
        return ""
    listed = ", ".join(f"{model} {size:,}" for model, size in sizes.items())
    return f"the models differ in size: {listed} parameters"


def _by_seed(runs: Mapping[int, Result]) -> tuple[Result, ...]:
    return tuple(run for _, run in sorted(runs.items()))


def _check_names(asked: Iterable[str], models: Iterable[str], labels: Iterable[str]) -> None:
    """Raise a StoreError for a model that no run is of."""
    known = sorted({*models, *labels})
    for name in asked:
        if name not in known:
            raise StoreError(f"no runs of {name}; there are {', '.join(known)}.{nearest(name, known)}")


def _check_same(results: Sequence[Result], labels: Sequence[tuple[str, str]], models: Iterable[str]) -> None:
    """Raise a ConfigError where a preset's name is one of several variants on a task, and another elsewhere.

    Where it is the only one, its label says nothing of what tells the others apart.
    """
    told = told_by(results, labels)
    configs = [*settings_of(results)]
    for model in models:
        keys = {key for task, label in labels if label == model for key in told.get((model, task), ())}
        for key in sorted(keys):
            values = {
                config.get(key, "null"): task
                for (task, label), config in zip(labels, configs, strict=True)
                if label == model
            }
            if len(values) > 1:
                listed = " and ".join(f"{value} on {task}" for value, task in values.items())
                raise ConfigError(
                    f"{model} is not the same model on all tasks: {key} is {listed}. Choose by --where "
                    f"{key}=value."
                )


def _check_budget(problem: Problem) -> None:
    """Raise a StoreError where runs of a problem that learn in steps differ in a setting of their budget."""
    runs_of = {
        model: runs
        for model, runs in problem.runs.items()
        if setting(runs[0], "model.readout._target_") != SOLVED_FOR
    }
    for key in BUDGET:
        values = {model: sorted({str(setting(run, key)) for run in runs}) for model, runs in runs_of.items()}
        if len({value for its in values.values() for value in its}) > 1:
            listed = ", ".join(f"{model} with {' and '.join(its)}" for model, its in values.items())
            raise StoreError(
                f"the runs on {problem} differ in {key}: {listed}. Runs of different budgets are not "
                f"compared; --where {key}=… takes those of one."
            )


def setting(run: Result, key: str) -> Any:
    """Return a setting of a run by its dotted key: its frozen default where it is left out, or None."""
    node: Any = with_defaults(run.config)
    for part in key.split("."):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _beside(run: Result) -> dict[str, str]:
    """Return the settings of a run that are not of its model, dotted key to text."""
    settings = with_defaults(run.config)
    flat: dict[str, str] = {}
    for part in BESIDE:
        for key, value in settings.get(part, {}).items():
            flat[f"{part}.{key}"] = str(value)
    return flat


def _length(result: Result) -> int:
    """Return the training length of a run, which a task over fixed data has as that of its test."""
    return int(result.config.get("task", {}).get("length") or next(iter(result.test), 0))

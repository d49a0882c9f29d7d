"""What a search has found: the best configuration of each model, what it cost, and how to run it."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import Any, NamedTuple

from optuna.trial import TrialState

from seqbench.runs.files import write_atomically
from seqbench.search import entrants
from seqbench.search.objective import OBJECTIVE, score
from seqbench.search.plan import ModelPlan, SearchPlan
from seqbench.search.study import Study, Trial, best
from seqbench.search.table import row, to_markdown

#: The files of what was found, in the folder of a search: all of it, and a page of it for readers.
SEARCH_FILE = "search.json"
PAGE_FILE = "search.md"


class Found(NamedTuple):
    """What was found for a model.

    part: of the plan.
    trials: all of them.
    best: the one that is best; None if none came to the last rung.
    """

    part: ModelPlan
    trials: list[Trial]
    best: Trial | None

    @property
    def failed(self) -> list[Trial]:
        """Trials that failed."""
        return [trial for trial in self.trials if trial.error is not None]

    @property
    def stopped(self) -> int:
        """How many trials were stopped at a rung before the last."""
        return sum(trial.state == TrialState.PRUNED for trial in self.trials)

    @property
    def steps(self) -> int:
        """Optimisation steps of all runs."""
        return sum(run.steps for trial in self.trials for run in trial.outcomes)

    @property
    def core_hours(self) -> float:
        """Hours of one core that all runs took."""
        return sum(run.seconds for trial in self.trials for run in trial.outcomes) / 3600

    @property
    def arguments(self) -> list[str]:
        """What is typed for the best configuration."""
        return [] if self.best is None else self.part.arguments(self.best.params)

    def figures(self) -> dict[str, Any]:
        """Return how the best configuration did: runs, solved, median_steps, metric and its mean."""
        outcomes = [] if self.best is None else self.best.outcomes
        if not outcomes:
            return {}
        its = score(outcomes)
        values = [run.value for run in outcomes if run.value is not None]
        return {
            "runs": len(outcomes),
            "solved": its.solved if outcomes[0].solvable else None,
            "median_steps": -its.early if its.solved else None,
            "metric": outcomes[0].metric,
            "mean": statistics.fmean(values) if values else None,
        }


def found(plan: SearchPlan, studies: Mapping[str, Study]) -> list[Found]:
    """Return what was found for each model."""
    every = []
    for part in plan.models:
        trials = studies[part.model].trials()
        complete = [trial for trial in trials if trial.state == TrialState.COMPLETE]
        first = next(iter(best(complete, len(part.steps) - 1)), None)
        every.append(Found(part, trials, first))
    return every


def rows(every: Sequence[Found]) -> list[dict[str, str]]:
    """Return the rows of the table: a model each."""
    return [row(each.part.model, _plain(each)) for each in every]


def budget(part: ModelPlan) -> str:
    """Return the budget of each model, in words."""
    settings = part.settings
    steps = ", ".join(f"{settings.alive(rung)} to {step:,}" for rung, step in enumerate(part.steps))
    at = [str(length) for length in part.lengths if length is not None]
    lengths = f" at {', '.join(at)}" if at else ""
    return (
        f"Budget of each model: {settings.n_trials} trials{lengths}, seeds of each: {settings.n_seeds}; of "
        f"every {settings.bracket} trials, {steps} steps. That is {part.most_steps:,} steps at most."
    )


def compared(plan: SearchPlan) -> str:
    """Return by what trials were compared, in words."""
    seeds = ", ".join(map(str, plan.models[0].settings.seeds))
    return f"Compared by {OBJECTIVE}. Seeds, for tuning alone: {seeds}."


def _page(plan: SearchPlan, every: Sequence[Found]) -> str:
    """Return the page for readers."""
    runs = [run for each in every for trial in each.trials for run in trial.outcomes]
    made_with = [
        ", ".join(sorted({str(its) for its in all_of}))
        for all_of in ((run.commit for run in runs if run.commit), (run.device for run in runs if run.device))
    ]
    paragraphs = [
        f"# What was found for {plan.models[0].config.preset.task}",
        to_markdown(rows(every)),
        budget(plan.models[0]),
        f"{compared(plan)} Every trial, with its runs, is in {SEARCH_FILE}.",
        f"Code {made_with[0] or 'unknown'}; device {made_with[1] or 'unknown'}.",
        *(f"On fresh seeds. {what}: `{command}`" for what, command in entrants.commands(plan).items()),
    ]
    return "\n\n".join(paragraphs) + "\n"


def write(plan: SearchPlan, every: Sequence[Found]) -> None:
    """Write what was found into the folder of the search.

    Raises:
        StoreError: a file cannot be written.
    """
    first = plan.models[0]
    text = {
        "task": first.config.preset.task,
        "lengths": first.lengths,
        "typed": plan.typed,
        "objective": OBJECTIVE,
        "budget_of_each_model": {
            "trials": first.settings.n_trials,
            "seeds": list(first.settings.seeds),
            "bracket": first.settings.bracket,
            "rungs": {step: first.settings.alive(rung) for rung, step in enumerate(first.steps)},
            "most_steps": first.most_steps,
        },
        "command": entrants.sweep_command(plan),
        "span_command": entrants.span_command(plan),
        "models": {each.part.model: _plain(each) for each in every},
    }
    write_atomically(plan.folder / SEARCH_FILE, json.dumps(text, indent=1) + "\n")
    write_atomically(plan.folder / PAGE_FILE, _page(plan, every))
    best_of = {each.part.model: each.arguments for each in every if each.best}
    for name, content in entrants.files(plan, best_of).items():
        write_atomically(plan.folder / name, content)


def _plain(each: Found) -> dict[str, Any]:
    return {
        "best": {"trial": each.best.number, "arguments": each.arguments} | each.figures()
        if each.best is not None
        else None,
        "failed": len(each.failed),
        "stopped_early": each.stopped,
        "steps": each.steps,
        "core_hours": each.core_hours,
        "trials": [
            {
                "number": trial.number,
                "arguments": each.part.arguments(trial.params),
                "state": trial.state.name,
                "error": trial.error,
                "runs": [asdict(run) for run in trial.outcomes],
            }
            for trial in each.trials
        ],
    }

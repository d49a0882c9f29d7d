"""From results to what tables and figure are made of: nothing is trained, and no folder of runs is needed."""

from __future__ import annotations

import warnings
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from seqbench.config.fit import shown
from seqbench.errors import ConfigError, StoreError
from seqbench.results.comparing.problems import BUDGET, setting
from seqbench.results.labels import label_runs, left_out, with_length
from seqbench.results.spans.measured import AtSpan, Measured, Protocol, at_span
from seqbench.results.statistics.metrics import LEAST_SEEDS
from seqbench.runs.result import Result
from seqbench.runs.store import run_folder
from seqbench.span.cost import Costs, span_of
from seqbench.tasks.span import Span


def from_results(
    results: Iterable[Result],
    costs: Costs | None = None,
    warn: Callable[[str], object] = warnings.warn,
    whole: bool = True,
) -> list[Measured]:
    """Return the entrants of results, named as in a report: by their models and the settings that differ.

    Packages of others whose tasks and models they have are allowed by `seqbench.config.trust.allow`.

    Args:
        results: of any spans and models.
        costs: of steps, where they are known already.
        warn: called with a sentence about an entrant whose settings go with the span, or that is left out.
        whole: whether an entrant of which no span can be fitted is an error, and not left out.

    Raises:
        ConfigError: a task has no span, entrants on it had different budgets, a span has fewer than three
            runs, or runs of two configurations at one span have one name.
    """
    costs = costs or Costs()
    of_task: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        of_task[result.task].append(result)
    found = []
    for runs in of_task.values():
        beside = f"task.{_span(runs[0]).key}"
        entrants: dict[str, dict[str, list[Result]]] = defaultdict(lambda: defaultdict(list))
        labels = label_runs(runs, beside)
        for run, (task, label) in zip(runs, labels, strict=True):
            if run.status != "failed":
                entrants[task][label].append(run)
        for task, its in entrants.items():
            spans: dict[str, list[AtSpan]] = {}
            for label, mine in its.items():
                try:
                    spans[label] = _spans(f"{label} on {task}", mine, costs)
                except ConfigError as error:
                    if whole:
                        raise
                    warn(str(error))
            if spans:
                common = _protocol(task, [run for label in spans for run in its[label]], spans.values())
                found += [Measured(common, label, tuple(mine)) for label, mine in spans.items()]
        ended = [pair for pair in zip(runs, labels, strict=True) if pair[0].status != "failed"]
        with_span = with_length([run for run, _ in ended], [its for _, its in ended], beside)
        for sentences in (*with_span.values(), *left_out(runs, labels, beside).values()):
            for sentence in sentences:
                warn(sentence)
    return found


def from_span_json(
    told: Mapping[str, Any], results: Iterable[Result], costs: Costs | None = None
) -> list[Measured]:
    """Return the entrants of a `span.json`, made again from the results of the runs that it names.

        told = json.loads(Path("span.json").read_text())
        records = [parse(line, "runs.jsonl") for line in Path("runs.jsonl").read_text().splitlines()]
        measured = from_span_json(told, records)
        texts(measured), draw_spans(measured)

    Args:
        told: what the file holds: of each entrant the protocol, the seeds at each span, and what it lacks.
        results: such as those of a file of `seqbench runs export`; others than the file names are left out.
        costs: of steps, where they are known already.

    Raises:
        StoreError: the file holds something else, or the result of a run is not there.
        ConfigError: a task has no span, or a span has fewer than three runs.
    """
    costs = costs or Costs()
    try:
        entrants = [
            (
                Protocol(**each["protocol"]),
                str(each["entrant"]),
                tuple(each["lacking"]),
                [(at["folder"], seed) for at in each["spans"] for seed in at["seeds"]],
            )
            for each in told["entrants"]
        ]
    except (KeyError, TypeError) as error:
        raise StoreError("the index of spans is damaged, or was written by another version.") from error
    ended = {
        (run_folder(result.task, result.model, result.hash).as_posix(), result.seed): result
        for result in results
        if result.status != "failed"
    }
    found = []
    for protocol, label, lacking, places in entrants:
        name = f"{label} on {protocol.task}"
        if missing := [place for place in places if place not in ended]:
            folder, seed = missing[0]
            raise StoreError(f"{folder}/seed-{seed}, a run of {name}, is not among the records.")
        spans = _spans(name, [ended[place] for place in places], costs)
        found.append(Measured(protocol, label, tuple(spans), lacking))
    return found


def _span(result: Result) -> Span:
    """Return the span of the task of a run.

    Raises:
        ConfigError: it has none, or its package is not allowed here.
    """
    span = span_of(result.config)
    if span is None:
        raise ConfigError(f"{result.task} has no span, so that its runs are in no table of spans.")
    return span


def _spans(name: str, results: Sequence[Result], costs: Costs) -> list[AtSpan]:
    """Return what the runs of an entrant come to at each span, in ascending order.

    Raises:
        ConfigError: a span has fewer than three runs, or runs of two configurations.
    """
    of_folder: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        of_folder[result.hash].append(result)
    found: dict[int, AtSpan] = {}
    for runs in of_folder.values():
        span = _span(runs[0])
        value = runs[0].config["task"][span.key]
        if value in found:
            raise ConfigError(
                f"{name} at {value} has runs of two configurations with the same settings, such as from "
                "before and after a part was corrected; give a folder or file with those of one."
            )
        if len(runs) < LEAST_SEEDS:
            raise ConfigError(
                f"{name} at {value} has {len(runs)} run{'s' * (len(runs) > 1)}; a span is fitted from "
                f"{LEAST_SEEDS} runs on, each of a seed of its own."
            )
        runs.sort(key=lambda result: result.seed)
        found[value] = at_span(value, span.dependency(value), costs.of(runs[0]), runs)
    return [at for _, at in sorted(found.items())]


def _protocol(task: str, results: Sequence[Result], spans: Iterable[Sequence[AtSpan]]) -> Protocol:
    """Return the protocol that results have in common."""
    every = [at for its in spans for at in its]
    counts = [at.n for at in every]
    return Protocol(
        task=task,
        key=_span(results[0]).key,
        **_budget(task, results),
        least=min(at.span for at in every),
        most=max(at.span for at in every),
        n_seeds=min(counts),
        most_seeds=max(counts),
        by_staircase=False,
    )


def _budget(task: str, results: Sequence[Result]) -> dict[str, Any]:
    """Return the budget of runs on one task, by the last part of its keys.

    Raises:
        ConfigError: they had different ones, or do not say which.
    """
    found = {}
    for key in BUDGET:
        values = {setting(result, key) for result in results}
        if len(values) > 1:
            told = " and ".join(sorted(map(shown, values), key=lambda text: (len(text), text)))
            raise ConfigError(
                f"Runs on {task} had different budgets, {key} of {told}, so that their spans "
                f"cannot be compared; --where {key}=… takes those of one."
            )
        (value,) = values
        if value is None and not key.endswith("patience"):
            raise ConfigError(f"Runs on {task} do not say their {key}, so that no span is fitted.")
        found[key.rpartition(".")[2]] = value
    return found

"""From results to what tables and figure are made of: nothing is trained, and no folder of runs is needed."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from seqbench.errors import ConfigError
from seqbench.results.spans.measured import AtSpan, Measured, Protocol, at_span
from seqbench.runs.result import Result
from seqbench.runs.store import run_folder
from seqbench.span.cost import Costs, span_of
from seqbench.tasks.span import Span


def from_results(
    results: Iterable[Result],
    labels: Mapping[str, str] | None = None,
    protocols: Mapping[str, Protocol] | None = None,
    costs: Costs | None = None,
) -> list[Measured]:
    """Return the entrants of results, such as those of a file of `seqbench runs export`.

        records = [parse(line, "runs.jsonl") for line in Path("runs.jsonl").read_text().splitlines()]
        measured = from_results(records, *index(json.loads(Path("span.json").read_text())))
        texts(measured), draw_spans(measured)

    Args:
        results: those of other runs than `labels` names are left out.
        labels: `<task>/<model>-<hash>` to the name of the entrant, in the order of the table; None names all
            by their model.
        protocols: task to what its entrants have in common, in the order of the table; None takes that of
            the results.
        costs: of steps, where they are known already.

    Raises:
        ConfigError: a task has no span, entrants on it had different budgets, or two configurations at one
            span have one name.
    """
    costs = costs or Costs()
    ended: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        folder = run_folder(result.task, result.model, result.hash).as_posix()
        if result.status != "failed" and (labels is None or folder in labels):
            ended[folder].append(result)
    spans: dict[tuple[str, str], dict[int, AtSpan]] = defaultdict(dict)
    of_task: dict[str, tuple[Span, list[Result]]] = {}
    for folder, runs in ended.items():
        first = runs[0]
        if (span := span_of(first.config)) is None:
            raise ConfigError(f"{first.task} has no span, so that its runs are in no table of spans.")
        of_task.setdefault(first.task, (span, []))[1].append(first)
        value = first.config["task"][span.key]
        entrant = (first.task, first.model if labels is None else labels[folder])
        if value in spans[entrant]:
            raise ConfigError(
                f"{entrant[1]} on {first.task} at {value} has runs of two configurations; name them apart."
            )
        runs.sort(key=lambda result: result.seed)
        spans[entrant][value] = at_span(value, span.dependency(value), costs.of(first), runs)
    common = dict(protocols or {})
    common |= {task: _protocol(task, *of_task[task], spans) for task in of_task if task not in common}
    names = list(dict.fromkeys(labels.values() if labels is not None else (label for _, label in spans)))
    return [
        Measured(common[task], label, tuple(at for _, at in sorted(spans[task, label].items())))
        for task, label in itertools.product(common, names)
        if (task, label) in spans
    ]


def index(span_json: Mapping[str, Any]) -> tuple[dict[str, str], dict[str, Protocol]]:
    """Return the labels and the protocols that a `span.json` holds, for `from_results`."""
    entrants = span_json["entrants"]
    labels = {at["folder"]: each["entrant"] for each in entrants for at in each["spans"]}
    return labels, {each["task"]: Protocol(**each["protocol"]) for each in entrants}


def _protocol(
    task: str, span: Span, results: Sequence[Result], spans: Mapping[tuple[str, str], Mapping[int, AtSpan]]
) -> Protocol:
    """Return the protocol that results have in common."""
    every = [at for (its, _), found in spans.items() if its == task for at in found.values()]
    counts = [at.n for at in every]
    return Protocol(
        task=task,
        key=span.key,
        **budget(results),
        least=min(at.span for at in every),
        most=max(at.span for at in every),
        n_seeds=min(counts),
        most_seeds=max(counts),
    )


def budget(results: Sequence[Result]) -> dict[str, int]:
    """Return the budget of runs on one task: max_steps, eval_every, batch_size.

    Raises:
        ConfigError: they had different ones.
    """
    found = {}
    for key, name in (("trainer", "max_steps"), ("trainer", "eval_every"), ("", "batch_size")):
        values = {(r.config[key] if key else r.config)[name] for r in results}
        if len(values) > 1:
            whole, told = f"{key}.{name}".lstrip("."), " and ".join(map(str, sorted(values)))
            raise ConfigError(
                f"Runs on {results[0].task} had different budgets, {whole} of {told}, so that their spans "
                "cannot be compared."
            )
        found[name] = values.pop()
    return found

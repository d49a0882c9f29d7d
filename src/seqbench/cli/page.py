"""What `seqbench report --format html` reads beside the results: curves, spans, runs that have not ended."""

from __future__ import annotations

from argparse import Namespace
from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path

from seqbench.cli.choice import filters
from seqbench.errors import SeqbenchError, StoreError, printable
from seqbench.results.curves import curves_of, of_metrics, shown_metrics
from seqbench.results.frame import compare
from seqbench.results.html.detail import Detail
from seqbench.results.html.page import Content, write_page
from seqbench.results.order import in_order
from seqbench.results.published import read_published
from seqbench.results.spans.tables import protocol_lines, span_cells
from seqbench.results.summaries import DEFAULT, Summary
from seqbench.runs.inventory import StoredRun, inventory
from seqbench.runs.places import PlacedRun
from seqbench.runs.result import Result
from seqbench.runs.selection import fitting

#: The states of runs that have no result which counts.
UNFINISHED = ("running", "stopped", "orphan")


def write(
    args: Namespace, runs: Sequence[PlacedRun], summaries: Sequence[Summary], commands: Sequence[str]
) -> Path:
    """Write the page `<out>/<name>.html`; return its path.

    Args:
        args: of `seqbench report`.
        runs: those that have ended, in the metric that is shown.
        summaries: the statistics that were asked for beside the default ones.
        commands: the command that makes the page, and those that made the runs.

    Raises:
        ConfigError, StoreError: two summaries have one column, or the page cannot be written.
    """
    results = [run.result for run in runs]
    notes: list[str] = []
    curves, metrics = None, shown_metrics(runs, args.metric)
    try:
        curves = of_metrics(curves_of(runs, notes.append), metrics)
    except StoreError as error:
        notes.append(f"There are no learning curves: {error}")
    spans, told = _spans(results)
    comparison = compare(results, [*DEFAULT, Detail(), *summaries], read_published())
    said = {note for its in comparison.notes.values() for note in its}
    content = Content(
        comparison=in_order(comparison, args.sort) if args.sort else comparison,
        runs=runs,
        unfinished=_unfinished(args, results),
        spans=spans,
        curves=curves,
        metrics=metrics,
        summaries=summaries,
        ranked=not args.sort,
        notes=[note for note in (*told, *notes) if note not in said],
        commands=commands,
    )
    return write_page(content, args.out / f"{args.name}.html")


def _unfinished(args: Namespace, results: Sequence[Result]) -> list[StoredRun]:
    """Return the runs in the chosen folders that have not ended, or whose result cannot be used.

    One that has ended in another folder is not among them, nor is one that failed and is trained again: what
    it came to is in `results`.
    """
    ended = {(its.task, its.model, its.hash, its.seed) for its in results}
    found: dict[Path, StoredRun] = {}
    for place in map(Path, args.places):
        if place.is_dir():
            found |= {run.folder.resolve(): run for run in inventory(place) if run.status in UNFINISHED}
    left = [run for run in found.values() if (run.task, run.model, run.hash, run.seed) not in ended]
    return fitting(left, filters(args))


def _spans(results: Sequence[Result]) -> tuple[dict[tuple[str, str], str], list[str]]:
    """Return for each task and model the span at which half of the runs solve it, and what must be known.

    A model that ran at one span alone has none. A task whose span is not its length has one name here and a
    name for each span in the comparison.
    """
    from seqbench.span.cost import Costs, span_of
    from seqbench.span.records import from_results

    class Uncounted(Costs):
        """Costs of steps that are not counted, which would build each model."""

        def of(self, result: Result) -> int | None:
            return None

    of_task: dict[str, list[Result]] = defaultdict(list)
    for result in results:
        of_task[result.task].append(result)
    spans: dict[tuple[str, str], str] = {}
    notes: list[str] = []
    for task, its in of_task.items():
        try:
            if _one_setting(its) or span_of(its[0].config) is None:
                continue
            entrants = from_results(its, Uncounted(), notes.append, whole=False)
            measured = [each for each in entrants if len(each.spans) > 1]
            for name, cells in span_cells(measured).items():
                spans |= {(printable(name), printable(label)): text for label, text in cells.items()}
            notes += protocol_lines(measured)
        except SeqbenchError as error:
            notes.append(f"No length is given at which half of the runs solve {task}: {error}")
    return spans, notes


def _one_setting(results: Sequence[Result]) -> bool:
    """Return whether all runs are of one task with the same settings, or failed: there are no two spans."""
    ended = [result.config.get("task") for result in results if result.status != "failed"]
    return all(settings == ended[0] for settings in ended)

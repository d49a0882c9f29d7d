"""The rows of `seqbench runs`: one for each configuration, or one for each run."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from seqbench.errors import printable
from seqbench.results.labels import label_runs
from seqbench.results.rendering.rows import duration, print_rows, rows_to_csv, rows_to_json, size
from seqbench.runs.inventory import STATUSES, StoredRun
from seqbench.runs.result import Result

#: A row: plain values, for programs.
Row = dict[str, Any]


def of_runs(runs: Sequence[StoredRun]) -> list[Row]:
    """Return a row for each run.

    Columns: task, length, model, hash, seed; status, why (of an orphan), slow; steps, time_s,
    sequences_per_s, bytes, written (when a file of it was, ISO 8601), folder.
    """
    labels = _labels(runs)
    rows = [
        {
            **labels[run.folder.parent],
            "seed": run.seed,
            "status": run.status,
            "why": run.why,
            "slow": run.slow,
            "steps": run.steps,
            "time_s": round(run.seconds, 3),
            "sequences_per_s": run.result.sequences_per_s if run.result else None,
            "bytes": run.bytes,
            "written": run.written.isoformat(timespec="seconds"),
            "folder": printable(str(run.folder)),
        }
        for run in runs
    ]
    return sorted(rows, key=_order)


def of_configurations(runs: Sequence[StoredRun]) -> list[Row]:
    """Return a row for each configuration.

    Columns: task, length, model, hash; runs, how many there are, then how many of each status, and `slow`;
    why, of its orphans; steps_least, steps_most; time_s, of all runs; bytes; written, the last; folder.
    """
    labels = _labels(runs)
    rows = []
    for folder, group in _groups(runs).items():
        counts = Counter(run.status for run in group)
        rows.append(
            {
                **labels[folder],
                "runs": len(group),
                **{str(status): counts[status] for status in STATUSES},
                "slow": sum(run.slow for run in group),
                "why": ", ".join(sorted({run.why for run in group} - {""})),
                "steps_least": min(run.steps for run in group),
                "steps_most": max(run.steps for run in group),
                "time_s": round(sum(run.seconds for run in group), 3),
                "bytes": sum(run.bytes for run in group),
                "written": max(run.written for run in group).isoformat(timespec="seconds"),
                "folder": printable(str(folder)),
            }
        )
    return sorted(rows, key=_order)


def show(rows: Sequence[Row], notes: str, format: str) -> None:
    """Print rows of `of_runs` or `of_configurations` as table, json or csv; the notes go below a table."""
    if format != "table":
        print((rows_to_json if format == "json" else rows_to_csv)(rows), end="")
        return
    right = ("length", "seed", "steps", "time", "age", "size")
    print_rows([_as_text(row) for row in rows], notes, right, below="folder")


def total(runs: Sequence[StoredRun]) -> str:
    """Return how many runs there are and their size: `12 runs, 3.4 MB`."""
    return f"{len(runs)} run{'s' * (len(runs) != 1)}, {size(sum(run.bytes for run in runs))}"


def _as_text(row: Row) -> dict[str, str]:
    """Return a row for readers."""
    why = f" ({row['why']})" if row["why"] else ""
    if "seed" in row:
        steps = f"{row['steps']:,}"
        own = {
            "seed": str(row["seed"]),
            "status": row["status"] + why + " (slow)" * row["slow"],
        }
    else:
        steps = "–".join(dict.fromkeys(f"{row[key]:,}" for key in ("steps_least", "steps_most")))
        counts = [f"{row[key]} {key}{why * (key == 'orphan')}" for key in (*STATUSES, "slow") if row[key]]
        own = {"runs": ", ".join(counts)}
    age = (datetime.now(UTC) - datetime.fromisoformat(row["written"])).total_seconds()
    return {
        "task": row["task"],
        "length": "" if row["length"] is None else str(row["length"]),
        "model": row["model"],
        **own,
        "steps": steps,
        "time": duration(row["time_s"]),
        "age": duration(max(age, 0.0)),
        "size": size(row["bytes"]),
        "folder": row["folder"],
    }


def _groups(runs: Sequence[StoredRun]) -> dict[Path, list[StoredRun]]:
    groups: dict[Path, list[StoredRun]] = defaultdict(list)
    for run in runs:
        groups[run.folder.parent].append(run)
    return groups


def _labels(runs: Sequence[StoredRun]) -> dict[Path, Row]:
    """Return what names each configuration, by its folder: task, length, model, hash."""
    groups = _groups(runs)
    named = {folder: max(group, key=lambda run: bool(run.config)) for folder, group in groups.items()}
    data = {folder: {run.result.data for run in group if run.result} for folder, group in groups.items()}
    # Of a run without a result its configuration alone is known, so that all are labelled by theirs; and by
    # their data, which those that have ended tell.
    known = {
        folder: Result(
            *(run.task, run.model, run.hash, run.seed, "finished"),
            config=run.config,
            data=next(iter(data[folder] - {None}), None),
        )
        for folder, run in named.items()
        if run.config
    }
    labels = dict(zip(known, label_runs(list(known.values())), strict=True))
    rows = {}
    for folder, run in named.items():
        task, model = map(printable, labels.get(folder, (run.task, run.model)))
        rows[folder] = {"task": task, "length": _length(run.config), "model": model, "hash": run.hash}
    return rows


def _order(row: Row) -> tuple[Any, ...]:
    return row["task"], row["length"] or 0, row["model"], row["hash"], row.get("seed")


def _length(config: Mapping[str, Any]) -> int | None:
    task = config.get("task")
    length = task.get("length") if isinstance(task, Mapping) else None
    return length if isinstance(length, int) else None

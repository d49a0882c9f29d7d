"""The table of what a search has found, from what `search.json` holds. Optuna is not needed."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from tabulate import tabulate


def row(model: str, plain: Mapping[str, Any]) -> dict[str, str]:
    """Return a row of the table: what was found for a model, as `search.json` has it."""
    figures = plain["best"] or {}
    solved, steps, mean = (figures.get(key) for key in ("solved", "median_steps", "mean"))
    return {
        "model": model,
        "solved": "—" if solved is None else f"{solved}/{figures['runs']}",
        "median steps": "—" if steps is None else f"{steps:,.0f}",
        "metric": "—" if mean is None else f"{figures['metric']} {mean:.3g}",
        "trials": str(len(plain["trials"])),
        "stopped early": str(plain["stopped_early"]),
        "failed": str(plain["failed"]),
        "steps": f"{plain['steps']:,}",
        "core-hours": f"{plain['core_hours']:.2g}",
        "best configuration": shlex.join(figures.get("arguments", ())) or "—",
    }


def table_of(search: str) -> str:
    """Return the table of what was found as Markdown, from the text of a search's `search.json`."""
    return to_markdown([row(model, plain) for model, plain in json.loads(search)["models"].items()])


def to_markdown(rows: Sequence[Mapping[str, str]]) -> str:
    """Return the table as Markdown."""
    marked = [{**row, "best configuration": f"`{row['best configuration']}`"} for row in rows]
    return tabulate(marked, headers="keys", tablefmt="github", disable_numparse=True)

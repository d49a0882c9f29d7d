"""The table of a sweep, logged in Weights & Biases beside the runs."""

from __future__ import annotations

import hashlib
import os
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqbench.dashboards.account import logged_in
from seqbench.errors import one_line, say
from seqbench.results.frame import Comparison
from seqbench.results.rendering.data import to_csv
from seqbench.results.rendering.markdown import to_markdown
from seqbench.runs.result import Result

#: What W&B's logger is called in a configuration.
TARGET = "seqbench.training.loggers.wandb"


def share(runs: Mapping[Path, Result], comparison: Comparison, since: str, command: str) -> None:
    """Log the table of a sweep, and the records of its runs, if runs were trained and logged in W&B.

    Where W&B is the default logger alone, that is so if somebody is logged in. What W&B refuses is said.

    Args:
        runs: folder to result, of all runs.
        comparison: of them.
        since: when the command began, UTC, ISO 8601. Where no run is newer, the table was logged before.
        command: that made them.
    """
    results = list(runs.values())
    newest = max(results, key=lambda result: result.finished_at)
    configurations = {(result.task, result.model, result.hash) for result in results}
    if len(configurations) < 2 or newest.finished_at < since or "WANDB_SWEEP_ID" in os.environ:
        return
    node = next(iter(logged(newest)), None)
    if node is None or not (node.get("required") or logged_in()):
        return
    from seqbench.runs.exchange import export_runs
    from seqbench.runs.inventory import inventory
    from seqbench.training.loggers.wandb_table import log_table

    stored = [run for folder in sorted(runs) for run in inventory(folder)]
    seeds = "\n".join(sorted(f"{r.task}/{r.model}-{r.hash}/seed-{r.seed}" for r in results))
    tasks, models = (sorted({getattr(r, key) for r in results}) for key in ("task", "model"))
    frame = comparison.frame
    rates = frame[frame["length"] == frame["train_length"]].rename(columns={"train_length": "span"})
    with tempfile.TemporaryDirectory() as folder:
        place = Path(folder)
        (place / "table.csv").write_text(to_csv(comparison), encoding="utf-8")
        (place / "table.md").write_text(to_markdown(comparison), encoding="utf-8")
        try:
            export_runs(stored, place / "runs.jsonl.gz", curves=True, warn=say)
            log_table(
                id=f"table-{hashlib.sha256(seeds.encode()).hexdigest()[:12]}",
                name=f"table of {len(results)} runs: {', '.join(models)} on {', '.join(tasks)}",
                table=frame,
                rates={str(task): its for task, its in rates.groupby("task") if its["span"].nunique() > 1},
                files=sorted(place.iterdir()),
                config={"command": command, "runs": len(results)},
                runs_dir=Path(newest.config["runs_dir"]),
                **{key: node[key] for key in ("project", "entity", "mode", "tags") if key in node},
            )
        except Exception as error:  # of W&B's many kinds
            say(f"the table of the sweep is not in W&B: {one_line(error)}.")


def logged(result: Result) -> list[dict[str, Any]]:
    """Return the settings of W&B of a run that is logged there; none for another."""
    nodes = (result.config.get("logger") or {}).values()
    return [node for node in nodes if isinstance(node, dict) and node.get("_target_") == TARGET]

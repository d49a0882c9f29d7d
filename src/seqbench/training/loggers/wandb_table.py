"""The table of a sweep in Weights & Biases: a run of its own, with the records of all runs as an artifact."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from seqbench.training.loggers.wandb_start import check_wandb, mode_of, remove_earlier, start


def log_table(
    id: str,
    name: str,
    table: pd.DataFrame,
    rates: Mapping[str, pd.DataFrame],
    files: Sequence[Path],
    config: dict[str, Any],
    runs_dir: Path,
    **settings: Any,
) -> None:
    """Log the table of a sweep. Logged again by the same id, it takes the place of the earlier one.

    Args:
        id: of the run.
        name: of the run and its artifact.
        table: a row for each model, task and length.
        rates: task to a table with the columns `model`, `span` and `solve_rate`, drawn as lines.
        files: for the artifact. They are copied.
        config: of the run.
        runs_dir: where W&B's files lie, unless WANDB_DIR says so.
        settings: project, entity, mode and tags, as for `wandb`.

    Raises:
        Exception: of W&B's many kinds.
    """
    check_wandb(**settings)
    if mode_of(settings.get("mode", "auto")) == "disabled":
        return
    import wandb as client

    run = start(id, name, "tables", "table", config, runs_dir, **settings)
    remove_earlier(run)
    finite = table.astype(object).where(table.notna(), None).replace([np.inf, -np.inf], None)
    shown: dict[str, Any] = {"table": client.Table(dataframe=finite)}
    for task, its in rates.items():
        models = sorted(set(its["model"]))
        lines = [its[its["model"] == model].sort_values("span") for model in models]
        shown[f"solve_rate/{task}"] = client.plot.line_series(
            xs=[line["span"].tolist() for line in lines],
            ys=[line["solve_rate"].tolist() for line in lines],
            keys=models,
            title=f"Solve rate against span: {task}",
            xname="span",
        )
    run.log(shown)
    artifact = client.Artifact(id, type="table", description=name)
    for path in files:
        artifact.add_file(str(path))
    run.log_artifact(artifact)
    run.finish(exit_code=0)

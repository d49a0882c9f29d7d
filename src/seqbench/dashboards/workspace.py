"""A workspace of Weights & Biases': which charts of the runs a project shows, and in which order.

The names of metrics are those that `seqbench.training.loggers` gives them. All curves and bars are by
configuration, which is called by what was varied (`config.label`), with a band or whiskers from the least to
the largest of the seeds.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from typing import Any

import wandb_workspaces.reports.v2 as wr
import wandb_workspaces.workspaces as ws
from pydantic import ValidationError
from wandb_workspaces import expr
from wandb_workspaces.workspaces import internal

from seqbench.errors import ConfigError, StoreError, one_line
from seqbench.runs.result import Result

#: The configuration, called by what was varied.
LABEL = wr.Config("label")
#: What a run costs, in the summary of each run, with a title.
COSTS = {
    "parameters": "Parameters",
    "sequences": "Training sequences",
    "wall_time_s": "Seconds of training and evaluation",
    "peak_memory_bytes": "Peak memory in bytes",
}


def workspace(
    results: Sequence[Result],
    project: str,
    name: str = "seqbench",
    filters: Iterable[tuple[str, Sequence[Any]]] = (),
) -> ws.Workspace:
    """Return the workspace of the runs of these tasks and models, of those too that are still to come.

    Args:
        results: the runs; what they have measured decides which charts there are.
        project: of W&B, where they are.
        name: of the workspace.
        filters: keys, each with values of which a run must have one; as `selection.parse` returns them.
    """
    chosen = [("task", sorted({r.task for r in results})), ("model", sorted({r.model for r in results}))]
    headline = sorted({(r.metric, r.direction) for r in results if r.metric is not None})
    metrics = [metric for metric, _ in headline]
    lengths = sorted({int(length) for r in results for length in r.test})
    tested = {name for r in results for its in r.test.values() for name in its}
    sections = [
        ws.Section(name="Learning curves", is_open=True, panels=_curves(results, metrics)),
        ws.Section(
            name="Solved",
            is_open=True,
            panels=[
                wr.ScatterPlot(
                    title="Solved against span: runs of all models, and their running mean",
                    x=wr.SummaryMetric("span"),
                    y=wr.SummaryMetric("solved"),
                    running_ymean=True,
                    range_y=(0, 1),
                ),
                _bars("Solve rate", "solved", whiskers=False),
                _bars("Steps to solve, of runs that did", "steps_to_solve"),
            ],
        ),
        ws.Section(
            name="Test",
            is_open=True,
            panels=[
                *(_bars(f"Test {metric} at the training length", f"test/{metric}") for metric in metrics),
                *(
                    _bars(f"Test {metric} at length {length}", f"test/{length}/{metric}")
                    for metric in metrics
                    if metric in tested
                    for length in lengths
                ),
            ],
        ),
        ws.Section(
            name="Cost against quality",
            panels=[
                wr.ScatterPlot(
                    title=f"{title} against test {metric}",
                    x=wr.SummaryMetric(cost),
                    y=wr.SummaryMetric(f"test/{metric}"),
                    log_x=True,
                )
                for metric in metrics
                for cost, title in COSTS.items()
            ],
        ),
        ws.Section(
            name="Gradient flow",
            panels=[
                _lines("Norm of the gradient", "train/gradient_norm", log_y=True),
                _bars(
                    "log10 of the gradient's norm for each step of distance", "gradient_flow/log10_per_step"
                ),
                wr.MediaBrowser(title="Gradient norm against distance", media_keys=["gradient_flow"]),
            ],
        ),
        ws.Section(
            name="Looking inside",
            panels=[wr.MediaBrowser(title="Memory and attention", media_keys=["memory"])],
        ),
    ]
    columns = ["outcome", "solved", "steps_to_solve", *(f"test/{metric}" for metric in metrics), "parameters"]
    return ws.Workspace(
        entity="",  # known once somebody is logged in
        project=project,
        name=name,
        sections=sections,
        settings=ws.WorkspaceSettings(x_axis="step", group_by_prefix="first", max_runs=100),
        runset_settings=ws.RunsetSettings(
            filters=expr.And(*(_key(key, results).isin(list(its)) for key, its in [*chosen, *filters])),
            groupby=[expr.Config("label")],
            pinned_columns=["run:displayName", *(f"summary:{column}" for column in columns)],
        ),
    )


def _key(key: str, results: Iterable[Result]) -> Any:
    """Return where W&B has what a filter calls so; it puts `value` behind the first part of a key."""
    if key == "status":
        return expr.Summary("outcome")
    if any(key in r.config.get("preset", {}) for r in results):
        key = f"preset.{key}"
    first, dot, rest = key.partition(".")
    return expr.Config(f"{first}.value.{rest}" if dot else first)


def _curves(results: Iterable[Result], metrics: Iterable[str]) -> list[wr.LinePlot]:
    """Return learning curves against steps; where batch sizes differ, against training sequences too."""
    axes = {"step": "optimisation steps"}
    if len({r.config.get("batch_size") for r in results}) > 1:
        axes["sequences"] = "training sequences"
    names = [*(f"val/{metric}" for metric in metrics), "train/loss"]
    return [_lines(name, name, x=x, title_x=title) for x, title in axes.items() for name in names]


def _lines(title: str, metric: str, x: str = "step", **more: Any) -> wr.LinePlot:
    return wr.LinePlot(
        title=title,
        x=x,
        y=[metric],
        groupby=LABEL,
        groupby_aggfunc="median",
        groupby_rangefunc="minmax",
        **more,
    )


def _bars(title: str, metric: str, whiskers: bool = True) -> wr.BarPlot:
    return wr.BarPlot(
        title=title,
        metrics=[metric],
        groupby=LABEL,
        groupby_aggfunc="median" if whiskers else "mean",
        groupby_rangefunc="minmax" if whiskers else "none",
    )


def to_json(found: ws.Workspace) -> str:
    """Return a workspace as JSON, which the library's own model reads again."""
    text: str = found._to_model().model_dump_json(by_alias=True, exclude_none=True, indent=1)
    internal.View.model_validate_json(text)
    return text + "\n"


def from_json(text: str, where: str) -> ws.Workspace:
    """Return the workspace in a text that `to_json` made.

    Args:
        text: the text.
        where: where it was found, for errors.

    Raises:
        StoreError: it is no workspace.
    """
    try:
        return ws.Workspace._from_model(internal.View.model_validate_json(text))
    except (ValidationError, ValueError, KeyError, IndexError) as error:
        raise StoreError(f"{where} is no workspace of W&B's: {one_line(error)}.") from error


def save(found: ws.Workspace, entity: str | None, project: str | None) -> str:
    """Save a workspace in W&B; return its address.

    Args:
        found: the workspace.
        entity: None for WANDB_ENTITY, or else the account's own.
        project: None for the one that it was made for.

    Raises:
        ConfigError: W&B refuses it.
    """
    import wandb

    try:
        found.entity = entity or os.environ.get("WANDB_ENTITY") or str(wandb.Api().default_entity)
        found.project = project or found.project
        found.save()
        return str(found.url)
    except Exception as error:  # of W&B's many kinds
        raise ConfigError(f"W&B does not take the workspace: {one_line(error)}.") from error

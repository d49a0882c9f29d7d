"""Where metrics go besides `metrics.csv`.

A logger preset names `wandb` or `trackio` of this package, or one of Lightning's loggers, by `_target_`. The
parameters that depend on the run (`info`, `save_dir`, `name`, `version`, …) are filled in by name.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
from lightning.pytorch.loggers import Logger, TensorBoardLogger
from matplotlib.figure import Figure

from seqbench.errors import one_line, say
from seqbench.training.loggers.base import Dashboard, Ending, NoLogger, Outcome, RunInfo, sections
from seqbench.training.loggers.trackio_run import trackio
from seqbench.training.loggers.wandb_run import wandb

__all__ = ["Dashboard", "Ending", "NoLogger", "Outcome", "RunInfo", "trackio", "wandb"]


def restore(
    logger: Logger, rows: Sequence[dict[str, float]], unlogged: Sequence[dict[str, float]] = ()
) -> None:
    """Log the evaluations of a run that is resumed, if the logger does not keep them.

    Of Lightning's loggers that for TensorBoard appends to what is there, and the others begin anew.

    Args:
        logger: a logger of the run.
        rows: the evaluations so far.
        unlogged: those of them that no logger of the run has.
    """
    if isinstance(logger, Dashboard):
        logger.resume(rows)
        return
    lightnings = type(logger).__module__.startswith("lightning.")
    for row in rows if lightnings and not isinstance(logger, TensorBoardLogger) else unlogged:
        log_row(logger, row)


def log_row(logger: Logger, row: dict[str, float]) -> None:
    """Log an evaluation, at the step that is part of it."""
    log_metrics(logger, sections(row), int(row["step"]))


def log_metrics(logger: Logger, metrics: dict[str, float], step: int) -> None:
    """Log numbers at an optimisation step, by names with a section: `val/loss`."""
    if isinstance(logger, Dashboard):
        logger.log_row(metrics, step)
    else:
        logger.log_metrics(metrics, step=step)


def shows_figures(logger: Logger) -> bool:
    """Whether a logger can show a figure: W&B, Trackio, TensorBoard and MLflow can, a CSV file cannot."""
    experiment = getattr(logger, "experiment", None)
    return isinstance(logger, Dashboard) or any(
        hasattr(experiment, method) for method in ("add_figure", "log_figure")
    )


def show_figure(logger: Logger, name: str, figure: Figure, step: int) -> None:
    """Show a figure among a run's pictures."""
    experiment: Any = getattr(logger, "experiment", None)
    if isinstance(logger, Dashboard):
        logger.show_figure(name, figure, step)
    elif hasattr(experiment, "add_figure"):  # TensorBoard
        experiment.add_figure(name, figure, global_step=step, close=False)
    elif hasattr(experiment, "log_figure"):  # MLflow
        experiment.log_figure(logger.version, figure, f"{name}_{step}.png")


def show_table(logger: Logger, name: str, table: pd.DataFrame, step: int) -> None:
    """Show a table, where a logger can."""
    experiment: Any = getattr(logger, "experiment", None)
    if isinstance(logger, Dashboard):
        logger.show_table(name, table, step)
    elif hasattr(experiment, "add_text"):  # TensorBoard
        experiment.add_text(name, table.to_markdown(index=False, disable_numparse=True), global_step=step)
    elif hasattr(experiment, "log_table"):  # MLflow
        experiment.log_table(logger.version, table, f"{name}_{step}.json")


def finish(loggers: Sequence[Logger], ending: Ending) -> None:
    """Close loggers with the figures that summarise the run, and with how the run ended."""
    for logger in loggers:
        try:
            if isinstance(logger, Dashboard):
                logger.end(ending)
            else:
                logger.log_metrics({k: v for k, v in ending.summary.items() if isinstance(v, int | float)})
                logger.finalize("failed" if ending.exit_code else "success")
        except Exception as error:  # a disk that is full, a server that is gone: it must not hide the result
            say(f"{type(logger).__name__} could not be closed: {one_line(error)}.")

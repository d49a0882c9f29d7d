"""Weights & Biases: one run for each seed, grouped by configuration.

    train/loss, train/gradient_norm, train/lr, …     against the optimisation step
    val/<metric>                                     likewise; its summary is the best, by the task
    test/<length>/<metric>, solved, parameters, …    in the summary: what a leaderboard shows
    memory, gradient_flow, samples, test/table       pictures and tables, where there are any

W&B's own step is the optimisation step too. An offline run that is resumed begins a new folder, takes over
all evaluations and pictures so far, and removes the old one: `wandb sync` finds one run, whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from lightning.pytorch.loggers import Logger, WandbLogger
from matplotlib.figure import Figure

from seqbench.errors import one_line, say_once
from seqbench.training.loggers.base import Dashboard, Ending, NoLogger, RunInfo, cut, sections
from seqbench.training.loggers.wandb_start import (
    LONGEST_NAME,
    LONGEST_TAG,
    check_wandb,
    earlier,
    mode_of,
    remove_earlier,
    start,
)

#: Groups of runs for which W&B did not start, as one line has said.
_given_up: set[str] = set()


def wandb(
    info: RunInfo,
    project: str | None = None,
    entity: str | None = None,
    mode: Literal["auto", "online", "offline", "disabled"] = "auto",
    tags: Sequence[str] = (),
    required: bool | None = None,
) -> Logger:
    """Log to Weights & Biases: one run for each seed, grouped by configuration.

    What is left at its default follows W&B's environment variables: WANDB_PROJECT, WANDB_ENTITY, WANDB_MODE,
    WANDB_DIR, WANDB_NAME, WANDB_RUN_GROUP, WANDB_JOB_TYPE and others; WANDB_TAGS are more tags. The ids of
    runs are seqbench's own.

    Args:
        info: the run.
        project: W&B project; None for WANDB_PROJECT, or else seqbench.
        entity: W&B team or user; None for WANDB_ENTITY, or else the account's own.
        mode: auto is WANDB_MODE, or else online if somebody is logged in and offline otherwise, without a
            question.
        tags: more tags.
        required: whether a run is refused where W&B cannot start. If false one line says so, and the run is
            logged in `metrics.csv` alone.

    Files lie in `<runs_dir>/wandb`, or where WANDB_DIR says; `wandb sync` uploads an offline run later.

    Raises:
        ValueError: W&B refuses a setting, or cannot start and is required.
    """
    if required is False and info.group in _given_up:
        return NoLogger()
    try:
        check_wandb(project, entity, mode, tags)
        if mode_of(mode) == "disabled":
            return NoLogger()
        run = start(
            id=info.id,
            name=info.name,
            group=info.group,
            job_type="train",
            config=info.config | {"label": info.legend},
            runs_dir=info.runs_dir,
            tags=[*(cut(tag, LONGEST_TAG) for tag in info.tags), *tags],
            project=project,
            entity=entity,
            mode=mode,
        )
        return WandbRun(run, info)
    except Exception as error:  # of W&B's many kinds
        if required is not False:
            raise ValueError(f"W&B cannot start: {one_line(error)}.") from error
        _given_up.add(info.group)
        say_once(f"no dashboard, for W&B cannot start: {one_line(error)}.")
        return NoLogger()


wandb.check = check_wandb  # type: ignore[attr-defined]  # called before anything trains


class WandbRun(Dashboard, WandbLogger):
    """A run of W&B's.

    Args:
        run: `wandb.Run`, just started.
        info: what it is a run of.
    """

    def __init__(self, run: Any, info: RunInfo) -> None:
        WandbLogger.__init__(self, experiment=run)
        self._info = info
        self._step = run.starting_step
        self._defined: set[str] = set()
        run.define_metric("step", hidden=True)
        run.define_metric("sequences", step_metric="step", hidden=True)
        run.define_metric("*", step_metric="step")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log what a callback of the user's measures."""
        if (step or 0) >= self.experiment.starting_step:
            at = max(step or 0, self._step)
            self._log({**metrics, "step": at}, at)

    def log_row(self, metrics: Mapping[str, float], step: int) -> None:
        if step < self.experiment.starting_step:  # the server has it
            return
        for name in metrics.keys() - self._defined:
            section, _, metric = name.partition("/")
            if section == "val" and (task := self._info.task) is not None:
                best = task.metric_of(metric).direction
                self.experiment.define_metric(name, step_metric="step", summary=best)
        self._defined |= metrics.keys()
        self._log({**metrics, "step": step, "sequences": step * self._info.batch_size}, step)

    def _log(self, values: Mapping[str, Any], step: int) -> None:
        # W&B drops what is logged at an earlier step than the last.
        self._step = max(step, self._step)
        self.experiment.log(dict(values), step=self._step)

    def resume(self, rows: Sequence[Mapping[str, float]]) -> None:
        import wandb as client

        folders = earlier(self.experiment)
        pictures = sorted(path for folder in folders for path in folder.glob("files/media/images/*.png"))
        for row in rows:
            step = int(row["step"])
            self.log_row(sections(row), step)
            for path in pictures if step >= self.experiment.starting_step else ():
                name, at, _ = path.name.rsplit("_", 2)  # <name>_<step>_<hash>.png
                if at == str(step):
                    self._log({name: client.Image(str(path))}, step)
        remove_earlier(self.experiment)

    def show_figure(self, name: str, figure: Figure, step: int) -> None:
        import wandb as client

        self._log({name: client.Image(figure)}, step)

    def show_table(self, name: str, table: pd.DataFrame, step: int) -> None:
        import wandb as client

        self._log({name: client.Table(dataframe=table)}, step)

    def end(self, ending: Ending) -> None:
        run = self.experiment
        remove_earlier(run)  # W&B's service outlives a process that was killed, and may have written there
        if len(ending.table):
            self.show_table("test/table", ending.table, self._step)
        run.summary.update(dict(ending.summary))
        run.tags = (*run.tags, ending.outcome)
        if ending.files:
            self._log_files(ending.files)
        if ending.outcome == "preempted":
            run.mark_preempting()
        run.finish(exit_code=ending.exit_code)

    def _log_files(self, files: Sequence[Path]) -> None:
        """Log the run's records as an artifact. They are final, so that they need not be copied."""
        import wandb as client

        name = f"{self._info.group.replace('/', '.')}-seed-{self._info.seed}"
        artifact = client.Artifact(cut(name, LONGEST_NAME), type="run")
        for path in files:
            artifact.add_file(str(path.resolve()), policy="immutable", skip_cache=True)
        self.experiment.log_artifact(artifact)

"""Where metrics go besides `metrics.csv`.

A logger preset names seqbench's `wandb` below or one of Lightning's loggers by `_target_`. The parameters
that depend on the run (`info`, `save_dir`, `name`, `version`, …) are filled in by name.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import CSVLogger, Logger, WandbLogger
from matplotlib.figure import Figure

from seqbench.errors import one_line, say

#: What the environment variable WANDB_MODE may be.
WANDB_MODES = ("online", "offline", "disabled", "shared", "dryrun", "run")
#: The most characters that W&B takes.
LONGEST_TAG, LONGEST_NAME = 64, 128
#: Groups of runs for which W&B did not start, as one line has said.
_given_up: set[str] = set()


@dataclass
class RunInfo:
    """What a logger may want to know about a run.

    Attributes:
        group: `<task>/<model>-<hash>`, the same for every seed.
        seed: the run's seed.
        id: stays the same when the run continues after a stop.
        runs_dir: where all runs live.
        tags: words to find the run by.
        config: the whole configuration.
    """

    group: str
    seed: int
    id: str
    runs_dir: Path
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)

    def arguments(self) -> dict[str, Any]:
        """Return what the constructor of a logger may ask for, by name."""
        return {
            "info": self,
            "save_dir": str(self.runs_dir),
            "name": self.group,
            "version": f"seed-{self.seed}",
            "run_name": f"{self.group} seed {self.seed}",
            "experiment_name": "seqbench",
        }


def wandb(
    info: RunInfo,
    project: str = "seqbench",
    entity: str | None = None,
    mode: Literal["auto", "online", "offline", "disabled"] = "auto",
    tags: Sequence[str] = (),
    required: bool | None = None,
) -> Logger:
    """Log to Weights & Biases: one run for each seed, grouped by configuration.

    Args:
        info: the run.
        project: W&B project.
        entity: W&B team or user; None for the account's own.
        mode: auto is online if somebody is logged in and offline otherwise, without a question; the
            environment variable WANDB_MODE takes precedence.
        tags: more tags.
        required: whether a run is refused where W&B cannot start. If false one line says so, and the run is
            logged in `metrics.csv` alone.

    Files lie in `<runs_dir>/wandb`; `wandb sync` uploads an offline run later.

    Raises:
        ValueError: W&B refuses a setting, or cannot start and is required.
    """
    if required is False and info.group in _given_up:
        return NoLogger()
    try:
        check_wandb(project, mode, tags)
        return _start_wandb(info, project, entity, mode, tags)
    except Exception as error:  # of W&B's many kinds
        if required is not False:
            raise ValueError(f"W&B cannot start: {one_line(error)}.") from error
        _given_up.add(info.group)
        say(f"no dashboard, for W&B cannot start: {one_line(error)}.")
        return NoLogger()


def check_wandb(
    project: str = "seqbench", mode: str = "auto", tags: Sequence[str] = (), **others: Any
) -> None:
    """Raise a ValueError for what W&B refuses, without starting it; parameters are those of `wandb`."""
    chosen = os.environ.get("WANDB_MODE")
    if chosen and chosen not in WANDB_MODES:
        raise ValueError(f"the environment variable WANDB_MODE={chosen} is none of {', '.join(WANDB_MODES)}")
    if not project or len(project) > LONGEST_NAME or set(project) & set("/\\#?%:"):
        raise ValueError(f"project={project} must have 1 to {LONGEST_NAME} characters, none of / \\ # ? % :")
    for tag in tags:
        if not 1 <= len(tag) <= LONGEST_TAG:
            raise ValueError(f"tags={tag} must be of 1 to {LONGEST_TAG} characters each")
    if not Path(os.path.expanduser("~")).is_dir():  # noqa: PTH111 - pathlib raises where nobody has one
        raise ValueError("there is no home folder, where W&B keeps its settings")


wandb.check = check_wandb  # type: ignore[attr-defined]  # called before anything trains


def _start_wandb(info: RunInfo, project: str, entity: str | None, mode: str, tags: Sequence[str]) -> Logger:
    import wandb as client

    chosen: Any = mode
    if mode == "auto":
        chosen = os.environ.get("WANDB_MODE") or ("online" if _logged_in() else "offline")
    # A list of all packages takes a third of a second; the versions that decide are in result.json.
    settings = client.Settings(silent=True, console="off", init_timeout=30, x_save_requirements=False)
    options: dict[str, Any] = {
        "project": project,
        "entity": entity,
        "name": _cut(f"{info.group} seed {info.seed}", LONGEST_NAME),
        "id": info.id,
        "dir": str(info.runs_dir.resolve()),  # its server process may run in another folder
        "group": _cut(info.group, LONGEST_NAME),
        "job_type": "train",
        "tags": [*(_cut(tag, LONGEST_TAG) for tag in info.tags), *tags],
        "config": info.config,
        "settings": settings,
        "resume": "allow" if chosen == "online" else None,
        "reinit": "create_new",  # each of the seeds that train together has a run
    }
    try:
        run = client.init(mode=chosen, **options)
    except client.errors.CommError:  # logged in, and no network; the id is in use from now on
        run = client.init(mode="offline", **options | {"resume": None, "id": f"{info.id}-offline"})
    run.define_metric("*", step_metric="trainer/global_step")
    return WandbLogger(experiment=run)


def _cut(text: str, most: int) -> str:
    """Return a text of at most so many characters; of a longer one the middle is left out."""
    return text if len(text) <= most else f"{text[: most - most // 4]}…{text[1 - most // 4 :]}"


class NoLogger(Logger):
    """Logs nothing."""

    @property
    def name(self) -> str | None:
        return None

    @property
    def version(self) -> str | None:
        return None

    def log_metrics(self, metrics: Any, step: int | None = None) -> None:
        pass

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        pass


@cache
def _logged_in() -> bool:
    import wandb as client

    try:
        return client.login(prompt=False)
    except Exception:  # a malformed key, a server that does not answer
        return False


def restore(
    logger: Logger, rows: Sequence[dict[str, float]], unlogged: Sequence[dict[str, float]] = ()
) -> None:
    """Log the evaluations of a run that is resumed, if the logger does not keep them.

    Lightning's CSV logger starts its file anew; the others append to what is there.

    Args:
        logger: a logger of the run.
        rows: the evaluations so far.
        unlogged: those of them that no logger of the run has.
    """
    for row in rows if isinstance(logger, CSVLogger) else unlogged:
        log_row(logger, row)


def log_row(logger: Logger, row: dict[str, float]) -> None:
    """Log an evaluation, at the step that is part of it."""
    logger.log_metrics({k: v for k, v in row.items() if k != "step"}, step=int(row["step"]))


def shows_figures(logger: Logger) -> bool:
    """Whether a logger can show a figure: W&B, TensorBoard and MLflow can, a CSV file cannot."""
    experiment = getattr(logger, "experiment", None)
    return isinstance(logger, WandbLogger) or any(
        hasattr(experiment, method) for method in ("add_figure", "log_figure")
    )


def show_figure(logger: Logger, name: str, figure: Figure, step: int) -> None:
    """Show a figure among a run's pictures."""
    experiment: Any = getattr(logger, "experiment", None)
    if isinstance(logger, WandbLogger):
        logger.log_image(name, [figure], step=step)
    elif hasattr(experiment, "add_figure"):  # TensorBoard
        experiment.add_figure(name, figure, global_step=step, close=False)
    elif hasattr(experiment, "log_figure"):  # MLflow
        experiment.log_figure(logger.version, figure, f"{name}_{step}.png")


def finish(loggers: Sequence[Logger], summary: dict[str, Any], failed: bool) -> None:
    """Close loggers with the figures that summarise the run, and with how the run ended."""
    for logger in loggers:
        if isinstance(logger, WandbLogger):
            run = logger.experiment
            run.summary.update(summary)
            run.finish(exit_code=1 if failed else 0)
        else:
            with suppress(Exception):  # a disk that is full must not hide how the run ended
                logger.log_metrics({k: v for k, v in summary.items() if isinstance(v, int | float)})
                logger.finalize("failed" if failed else "success")

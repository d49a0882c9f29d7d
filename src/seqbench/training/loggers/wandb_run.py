"""Weights & Biases: one run for each seed, grouped by configuration.

    train/loss, train/gradient_norm, train/lr, …     against the optimisation step
    val/<metric>                                     likewise; its summary is the best, by the task
    test/<length>/<metric>, solved, parameters, …    in the summary: what a leaderboard shows
    memory, gradient_flow, samples, test/table       pictures and tables, where there are any

W&B's own step is the optimisation step too. An offline run that is resumed begins a new folder, takes over
all evaluations and pictures so far, and removes the old one: `wandb sync` finds one run, whole.
"""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from lightning.pytorch.loggers import Logger, WandbLogger
from matplotlib.figure import Figure

from seqbench.errors import one_line, say, say_once
from seqbench.training.loggers.base import Dashboard, Ending, NoLogger, RunInfo, cut, sections

#: What the environment variable WANDB_MODE may be.
WANDB_MODES = ("online", "offline", "disabled", "shared", "dryrun", "run")
ONLINE = ("online", "run")
#: The most characters that W&B takes.
LONGEST_TAG, LONGEST_NAME = 64, 128
#: W&B's settings that have another default here, each with the environment variable that sets it. A list of
#: all packages takes a third of a second, and the versions that decide are in result.json.
SETTINGS: dict[str, tuple[Any, str]] = {
    "silent": (True, "WANDB_SILENT"),
    "console": ("off", "WANDB_CONSOLE"),
    "init_timeout": (30, "WANDB_INIT_TIMEOUT"),
    "x_save_requirements": (False, "WANDB_X_SAVE_REQUIREMENTS"),
}
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
    WANDB_DIR, WANDB_NAME, WANDB_RUN_GROUP, WANDB_JOB_TYPE and others; WANDB_TAGS are more tags.

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
        if _mode(mode) == "disabled":
            return NoLogger()
        return WandbRun(_start(info, project, entity, mode, tags), info)
    except Exception as error:  # of W&B's many kinds
        if required is not False:
            raise ValueError(f"W&B cannot start: {one_line(error)}.") from error
        _given_up.add(info.group)
        say(f"no dashboard, for W&B cannot start: {one_line(error)}.")
        return NoLogger()


def check_wandb(
    project: str | None = None,
    entity: str | None = None,
    mode: str = "auto",
    tags: Sequence[str] = (),
    required: bool | None = None,
    n_seeds: int = 1,
) -> None:
    """Raise a ValueError for what W&B refuses, without starting it.

    Args:
        project, entity, mode, tags, required: as for `wandb`.
        n_seeds: runs of the configuration.
    """
    given = os.environ.get("WANDB_MODE")
    if given and given not in WANDB_MODES:
        raise ValueError(f"the environment variable WANDB_MODE={given} is none of {', '.join(WANDB_MODES)}")
    name = _or_variable(project, "WANDB_PROJECT", "seqbench")
    if not name or len(name) > LONGEST_NAME or set(name) & set("/\\#?%:"):
        raise ValueError(f"project={name} must have 1 to {LONGEST_NAME} characters, none of / \\ # ? % :")
    for tag in tags:
        if not 1 <= len(tag) <= LONGEST_TAG:
            raise ValueError(f"tags={tag} must be of 1 to {LONGEST_TAG} characters each")
    if not Path(os.path.expanduser("~")).is_dir():  # noqa: PTH111 - pathlib raises where nobody has one
        raise ValueError("there is no home folder, where W&B keeps its settings")
    if _in_sweep() and n_seeds > 1:
        raise ValueError(
            f"the agent of a W&B sweep gives each process one run, and n_seeds={n_seeds} asks for more; sweep"
            " over seed instead"
        )
    if _mode(mode) in ONLINE and not _logged_in():
        asked = f"mode={mode}" if mode != "auto" else f"the environment variable WANDB_MODE={given}"
        raise ValueError(
            f"{asked} asks for W&B's server, and nobody is logged in, or it does not answer;"
            " run `wandb login`, or give mode=offline"
        )


wandb.check = check_wandb  # type: ignore[attr-defined]  # called before anything trains


def _or_variable(value: str | None, variable: str, default: str | None = None) -> str | None:
    """Return a value; where there is none that of an environment variable, or else a default."""
    return value if value is not None else os.environ.get(variable) or default


def _mode(mode: str) -> str:
    """Return the mode, or for auto that of the environment; auto where that has none."""
    return (os.environ.get("WANDB_MODE") or mode) if mode == "auto" else mode


def _in_sweep() -> bool:
    """Whether the agent of a W&B sweep has started this process."""
    return bool(os.environ.get("WANDB_SWEEP_ID"))


def _start(info: RunInfo, project: str | None, entity: str | None, mode: str, tags: Sequence[str]) -> Any:
    """Start a run of W&B's and return it, a `wandb.Run`."""
    import wandb as client

    settings = {key: value for key, (value, variable) in SETTINGS.items() if variable not in os.environ}
    more = [tag for tag in os.environ.get("WANDB_TAGS", "").split(",") if tag]
    options: dict[str, Any] = {
        "name": cut(_or_variable(None, "WANDB_NAME", info.name) or "", LONGEST_NAME),
        # Its server process may run in another folder.
        "dir": _or_variable(None, "WANDB_DIR", str(info.runs_dir.resolve())),
        "group": cut(_or_variable(None, "WANDB_RUN_GROUP", info.group) or "", LONGEST_NAME),
        "job_type": _or_variable(None, "WANDB_JOB_TYPE", "train"),
        "tags": [*(cut(tag, LONGEST_TAG) for tag in info.tags), *tags, *more],
        "config": info.config | {"label": info.label},
        "settings": client.Settings(**settings),
        "reinit": "create_new",  # each of the seeds that train together has a run
    }
    if not _in_sweep():  # its agent says which run this is, and of which project
        options |= {
            "project": _or_variable(project, "WANDB_PROJECT", "seqbench"),
            "entity": _or_variable(entity, "WANDB_ENTITY"),
            "id": info.id,
        }
    chosen: Any = _mode(mode)
    if chosen != "auto":
        return _init(mode=chosen, resume="allow" if chosen in ONLINE else None, **options)
    if not _logged_in():
        return _init(mode="offline", **options)
    try:
        return _init(mode="online", resume="allow", **options)
    except client.errors.CommError:
        say_once("W&B does not answer; runs are logged offline, and `wandb sync` uploads them later.")
        # The id is in use in this process from now on.
        return _init(mode="offline", **options | {"id": f"{info.id}-offline"})


def _init(**options: Any) -> Any:
    """Return `wandb.init(**options)`. A run that this process has just finished may still be in use."""
    import wandb as client

    for seconds in (0.1, 0.5, 2.0, 5.0):
        try:
            return client.init(**options)
        except client.errors.Error as error:
            if "in use" not in str(error):
                raise
            time.sleep(seconds)
    return client.init(**options)


@cache
def _logged_in() -> bool:
    import wandb as client

    try:
        return client.login(prompt=False)
    except Exception:  # a malformed key, a server that does not answer
        return False


class WandbRun(Dashboard, WandbLogger):
    """A run of W&B's.

    Args:
        run: `wandb.Run`, just started.
        info: what it is a run of.
    """

    def __init__(self, run: Any, info: RunInfo) -> None:
        WandbLogger.__init__(self, experiment=run)
        self._info = info
        self._resumed_at = 0
        self._step = run.starting_step
        self._defined: set[str] = set()
        run.define_metric("step", hidden=True)
        run.define_metric("sequences", step_metric="step", hidden=True)
        run.define_metric("*", step_metric="step")

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        """Log what a callback of the user's measures; Lightning counts steps from where a run was resumed."""
        at = self._resumed_at + (step or 0)
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

        folders = self._earlier_folders()
        pictures = sorted(path for folder in folders for path in folder.glob("files/media/images/*.png"))
        for row in rows:
            step = int(row["step"])
            self.log_row(sections(row), step)
            for path in pictures:  # named <name>_<step>_<hash>.png
                name, at, _ = path.name.rsplit("_", 2)
                if at == str(step):
                    self._log({name: client.Image(str(path))}, step)
            self._resumed_at = step
        self._remove_earlier()

    def _remove_earlier(self) -> None:
        for folder in self._earlier_folders():
            shutil.rmtree(folder, ignore_errors=True)

    def _earlier_folders(self) -> list[Path]:
        """Return the folders of the same run from before it was stopped, those of offline runs."""
        own = Path(self.experiment.settings.sync_dir)
        found = own.parent.glob(f"offline-run-*-{self.experiment.id}*")
        return sorted(folder for folder in found if folder.name != own.name)

    def show_figure(self, name: str, figure: Figure, step: int) -> None:
        import wandb as client

        self._log({name: client.Image(figure)}, step)

    def show_table(self, name: str, table: pd.DataFrame, step: int) -> None:
        import wandb as client

        self._log({name: client.Table(dataframe=table)}, step)

    def end(self, ending: Ending) -> None:
        run = self.experiment
        self._remove_earlier()  # W&B's service outlives a process that was killed, and may have written there
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

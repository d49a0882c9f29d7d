"""Trackio: runs in a browser while they train, without an account or a network.

All processes write to one database in `<runs_dir>/trackio`, or where TRACKIO_DIR says. A run that is resumed
goes on where the database ends.
"""

from __future__ import annotations

import io
import os
import re
from collections.abc import Mapping, Sequence
from contextlib import redirect_stdout, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import pandas as pd
from lightning.pytorch.loggers import Logger
from matplotlib.figure import Figure

from seqbench.training.loggers.base import Dashboard, Ending, RunInfo, cut, sections

#: The most bytes of a run's name.
LONGEST = 200


def trackio(info: RunInfo, save_dir: str, project: str = "seqbench") -> Logger:
    """Log to Trackio: one run for each seed, grouped by configuration.

    Args:
        info: the run.
        save_dir: where the database lies, unless the environment variable TRACKIO_DIR says so.
        project: Trackio's project.

    Raises:
        ValueError: this process has a database elsewhere; Trackio has one for each process.
    """
    folder = Path(os.environ.get("TRACKIO_DIR") or Path(save_dir).resolve())
    client = _client(folder)
    if folder != client.utils.TRACKIO_DIR:
        raise ValueError(f"Trackio writes to {client.utils.TRACKIO_DIR} in this process, not to {folder}")
    name = _name(client, project, info)
    with redirect_stdout(io.StringIO()):
        run = client.init(
            project=project,
            name=name,
            group=info.group,
            config=info.config | {"label": info.legend},
            resume="allow",
            embed=False,
            auto_log_cpu=False,
            auto_log_gpu=False,
        )
    client.context_vars.current_run.set(None)  # else Trackio ends it once more, and says so, at exit
    return TrackioRun(client, run, info)


def _check(project: str = "seqbench") -> None:
    """Raise a ValueError where Trackio is missing, before anything trains."""
    if find_spec("trackio") is None:
        raise ValueError("it needs the package Trackio: pip install trackio")


trackio.check = _check  # type: ignore[attr-defined]


def _name(client: Any, project: str, info: RunInfo) -> str:
    """Return the name of a run, by which Trackio finds it again, and calls the folder of its pictures.

    Two sweeps may have a `lstm seed 0` each, and another command than before may call a run otherwise.
    """
    end = f" seed {info.seed} {info.id.rpartition('-')[2]}"
    with suppress(ValueError):  # there is no such project yet
        if begun := [run.name for run in client.Api().runs(project) if run.name.endswith(end)]:
            return str(begun[0])
    text = re.sub(r"[/\\]", "_", (info.label or info.group) + end)
    fits = (most for most in range(LONGEST, 0, -1) if len(cut(text, most).encode()) <= LONGEST)
    return cut(text, next(fits))


def _client(folder: Path) -> Any:
    """Return the package, which reads where its database lies from the environment when it is imported."""
    before = os.environ.get("TRACKIO_DIR")
    os.environ["TRACKIO_DIR"] = str(folder)
    try:
        import trackio as client
    finally:
        if before is None:
            del os.environ["TRACKIO_DIR"]
        else:
            os.environ["TRACKIO_DIR"] = before
    return client


class TrackioRun(Dashboard, Logger):
    """A run of Trackio's.

    Args:
        client: the package.
        run: `trackio.Run`, just started.
        info: what it is a run of.
    """

    def __init__(self, client: Any, run: Any, info: RunInfo) -> None:
        super().__init__()
        self._client = client
        self.experiment = run
        self._info = info
        self._logged_to = run._next_step - 1  # of a run that is resumed, the last step that the database has
        self._last = 0

    @property
    def name(self) -> str:
        return str(self.experiment.project)

    @property
    def version(self) -> str:
        return str(self.experiment.name)

    def log_metrics(self, metrics: Mapping[str, float], step: int | None = None) -> None:
        at = self._last if step is None else step
        if at > self._logged_to:
            self.experiment.log(dict(metrics), step=at)

    def log_hyperparams(self, params: Any, *args: Any, **kwargs: Any) -> None:
        pass

    def log_row(self, metrics: Mapping[str, float], step: int) -> None:
        self._last = step
        if step > self._logged_to:
            sequences = step * self._info.batch_size
            self.experiment.log({**metrics, "sequences": sequences}, step=step)

    def resume(self, rows: Sequence[Mapping[str, float]]) -> None:
        for row in rows:
            self.log_row(sections(row), int(row["step"]))

    def show_figure(self, name: str, figure: Figure, step: int) -> None:
        from PIL import Image

        buffer = io.BytesIO()
        figure.savefig(buffer, format="png")
        self.experiment.log({name: self._client.Image(Image.open(buffer))}, step=step)

    def show_table(self, name: str, table: pd.DataFrame, step: int) -> None:
        self.experiment.log({name: self._client.Table(dataframe=table)}, step=step)

    def end(self, ending: Ending) -> None:
        if len(ending.table):
            self.show_table("test/table", ending.table, self._last)
        summary = {
            name if "/" in name else f"summary/{name}": value for name, value in ending.summary.items()
        }
        self.experiment.log(summary, step=self._last)
        with redirect_stdout(io.StringIO()):
            self.experiment.finish()

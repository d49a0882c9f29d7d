"""What a logger is told of a run, and what a dashboard shows of it besides numbers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import pandas as pd
from lightning.pytorch.loggers import Logger
from matplotlib.figure import Figure

from seqbench.tasks.base import Task

#: How a run ended, in a word. `preempted`: a signal has stopped it, and it can be resumed.
Outcome = Literal["solved", "finished", "diverged", "failed", "preempted"]
#: What loggers call the quantities of a row that are no validation metrics. The part before the slash is the
#: section in which a dashboard shows them.
SECTIONS = {
    "train_loss": "train/loss",
    **{name: f"train/{name}" for name in ("gradient_norm", "lr")},
    **{name: f"train/{name}" for name in ("spectral_radius", "largest_singular_value")},
    "seconds": "seconds",
}


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
        label: the run by what was varied, `lstm length=100`, the same for every seed.
        task: what is learnt; it knows which way each metric is better.
        batch_size: sequences of one optimisation step.
    """

    group: str
    seed: int
    id: str
    runs_dir: Path
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)
    label: str = ""
    task: Task | None = None
    batch_size: int = 1

    @property
    def name(self) -> str:
        """What a reader calls the run: `lstm length=100 seed 3`."""
        return f"{self.label or self.group} seed {self.seed}"

    @property
    def legend(self) -> str:
        """What charts call the configuration, and no other: `lstm length=100 (latch/lstm-1234abcd)`.

        The label alone says what one command has varied, so that two configurations may have the same.
        """
        return f"{self.label} ({self.group})" if self.label else self.group

    def arguments(self) -> dict[str, Any]:
        """Return what the constructor of a logger may ask for, by name."""
        return {
            "info": self,
            "save_dir": str(self.runs_dir),
            "name": self.group,
            "version": f"seed-{self.seed}",
            "run_name": self.name,
            "experiment_name": "seqbench",
        }


@dataclass(frozen=True)
class Ending:
    """How a run ended, as a dashboard shows it.

    Attributes:
        outcome: in a word.
        summary: the figures that summarise it, by name.
        table: the test, a row for each length and metric; empty where there was none.
        files: the run's own records.
        exit_code: 0 unless the run failed or was stopped.
    """

    outcome: Outcome
    summary: Mapping[str, Any] = field(default_factory=dict)
    table: pd.DataFrame = field(default_factory=pd.DataFrame)
    files: Sequence[Path] = ()
    exit_code: int = 0


class Dashboard(ABC):
    """A logger of seqbench's own, which shows more than numbers. Steps are optimisation steps."""

    @abstractmethod
    def log_row(self, metrics: Mapping[str, float], step: int) -> None:
        """Log an evaluation, with names as `sections` makes them."""

    @abstractmethod
    def resume(self, rows: Sequence[Mapping[str, float]]) -> None:
        """Take over all evaluations so far of a run that is resumed, so that each is there once."""

    @abstractmethod
    def show_figure(self, name: str, figure: Figure, step: int) -> None:
        """Show a figure."""

    @abstractmethod
    def show_table(self, name: str, table: pd.DataFrame, step: int) -> None:
        """Show a table."""

    @abstractmethod
    def end(self, ending: Ending) -> None:
        """Close the run."""


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


def sections(row: Mapping[str, float]) -> dict[str, float]:
    """Return an evaluation by section: `train/loss`, `val/accuracy`; `seconds` has none, `step` is left out.

    Args:
        row: an evaluation, as `metrics.csv` has it.
    """
    return {SECTIONS.get(name, f"val/{name}"): value for name, value in row.items() if name != "step"}


def cut(text: str, most: int) -> str:
    """Return a text of at most so many characters; of a longer one the middle is left out."""
    return text if len(text) <= most else f"{text[: most - most // 4]}…{text[1 - most // 4 :]}"


def run_label(varied: str, model: str, task: str) -> str:
    """Return what readers call a configuration: what was varied, with the model, and without seeds.

    Args:
        varied: `length=100 seed=3`; may be empty.
        model, task: presets.
    """
    words = [word for word in varied.split() if not word.startswith("seed=")]
    if not words:
        return f"{model} {task}"
    return " ".join(words if model in words else [model, *words])

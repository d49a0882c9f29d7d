"""Data sets of the archives of time series: one of their names, and what a table is for the rest."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from seqbench.data.ucr import SOURCE as UCR
from seqbench.data.uea import SOURCE as UEA
from seqbench.errors import ConfigError, nearest
from seqbench.tasks.tabular.table import Table

ARCHIVES = {"ucr": UCR, "uea": UEA}


class Archive(Table):
    """Classify a time series of the UCR or UEA archive after its last step.

        ▁▂▃▅▇▇▆▄▂▁▁▂▃▅▆▇▆▅▃▂    target 1: at each step a number, or one of each channel

    The archives divide each data set into training and test. A fifth of the training series, of each class
    alike, is for validation. Archives are compared over many of their data sets, by the ranks of the models.

    Args:
        name: of the data set, such as FordA.
        archive: that it is in: `ucr` or `uea`.
        missing: as for `Table`; a few data sets lack values.
        class_weights: as for `Table`.
        solved_at: the accuracy that counts as solved; null: none.
        data_dir: the folder of the data sets.

    Raises:
        ConfigError: the archive has no such data set.
        DataError: on first use, if the data are missing.
    """

    def __init__(
        self,
        name: str = "FordA",
        archive: Literal["ucr", "uea"] = "ucr",
        missing: Literal["refuse", "ffill", "mask"] = "refuse",
        class_weights: Literal["balanced"] | None = None,
        solved_at: float | None = None,
        data_dir: str | Path = "data",
    ) -> None:
        if archive not in ARCHIVES:
            raise ConfigError(f"task.archive={archive} must be one of {', '.join(ARCHIVES)}.")
        names = ARCHIVES[archive].names
        if name not in names:
            raise ConfigError(
                f"task.name={name} is not in {archive}.{nearest(name, names)} "
                f"`seqbench data {archive}` names the {len(names)} that are."
            )
        super().__init__(
            dataset=f"{archive}/{name}",
            data_dir=data_dir,
            target="label",
            classes=True,
            shares=(0.2, 0.2),
            missing=missing,
            class_weights=class_weights,
            solved_at=solved_at,
        )
        self.variant = name

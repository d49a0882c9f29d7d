"""The settings of a search: its budget, its seeds, and how trials are stopped early."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seqbench.config.fit import shown
from seqbench.config.refusal import made


@dataclass(frozen=True)
class SearchSettings:
    """The keys of `conf/search`.

    Trials are made and run a bracket at a time: at first all of a bracket are trained for a few steps, then
    the best part of them for more, and so on (successive halving: Jamieson & Talwalkar, 2016).

    Attributes:
        n_trials: configurations of each model.
        n_seeds: runs of each configuration at each length.
        seed: the first seed. Seeds for tuning are other ones than those that are reported.
        lengths: of the task, at which each configuration is trained; None for `task.length` alone.
        bracket: trials that are made at a time, from what the brackets before have found.
        rungs: how many times the trials of a bracket are compared; 1 trains each to the last step.
        keep: the part that goes on after each comparison. As many times fewer are then the steps before it.
        folder: for the study, the runs and what was found; None for `<runs_dir>/.searches/<task>-<lengths>`.
        space: nodes as those of a run's configuration, that end in a range or in choices.
    """

    n_trials: int = 16
    n_seeds: int = 2
    seed: int = 10_000
    lengths: list[int] | None = None
    bracket: int = 8
    rungs: int = 3
    keep: float = 0.5
    folder: str | None = None
    space: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name in ("n_trials", "n_seeds", "bracket", "rungs"):
            if getattr(self, name) < 1:
                raise ValueError(f"{name}={getattr(self, name)} must be at least 1")
        if self.seed < 0:
            raise ValueError(f"seed={self.seed} must be at least 0")
        if not 0 < self.keep < 1:
            raise ValueError(f"keep={self.keep} must lie between 0 and 1, ends excluded")
        if self.n_trials % self.bracket:
            raise ValueError(
                f"n_trials={self.n_trials} must be a multiple of bracket={self.bracket}, so that each is "
                "whole"
            )
        if self.lengths is not None and not 0 < len(self.lengths) == len({*self.lengths}):
            raise ValueError(f"lengths={shown(self.lengths)} must name at least one length, and each once")

    @property
    def seeds(self) -> range:
        """The seeds of each configuration."""
        return range(self.seed, self.seed + self.n_seeds)

    def alive(self, rung: int) -> int:
        """Return how many trials of a bracket are trained to a rung."""
        return max(1, math.ceil(self.bracket * self.keep**rung - 1e-9))

    def steps(self, max_steps: int, eval_every: int) -> list[int]:
        """Return the optimisation steps at which the trials of a bracket are compared, the last one included.

        All but the last are evaluations, so that a run can go on from there.
        """
        shares = (self.keep ** (self.rungs - 1 - rung) for rung in range(self.rungs))
        evaluations = (math.ceil(max_steps * share / eval_every) * eval_every for share in shares)
        return sorted({min(steps, max_steps) for steps in evaluations})

    def most_steps(self, steps: Sequence[int], n_lengths: int) -> int:
        """Return the optimisation steps of all runs of a model, if none ends before a rung.

        Args:
            steps: of the rungs.
            n_lengths: at which each configuration is trained.
        """
        of_bracket = sum(
            self.alive(rung) * (last - first)
            for rung, (first, last) in enumerate(zip([0, *steps], steps, strict=False))
        )
        return self.n_trials // self.bracket * of_bracket * n_lengths * self.n_seeds


def settings_of(node: DictConfig) -> SearchSettings:
    """Return the settings in a node of `conf/search`.

    Raises:
        ConfigError: a key is unknown, or a value does not fit.
    """
    plain: Any = OmegaConf.to_container(node, resolve=False)
    return made(SearchSettings, plain, "search")

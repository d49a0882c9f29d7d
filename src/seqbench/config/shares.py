"""Memory as a share of the task's length: what a preset or an argument says once holds at every length.

`model.cell.chrono=${seqbench.steps:0.5}` expects dependencies of up to half of `task.length`, whatever it is.
Below, u = share × task.length, in the unit of `task.length`.

    ${seqbench.steps:share}        u, a whole number
    ${seqbench.steps:share,power}  u^power, a whole number, for periods between 1 and u
    ${seqbench.steps:share,1,2}    the same as the first, but at least 2
    ${seqbench.alpha:share}        u / (1 + u): what a unit keeps of its state at a step, so that the inputs
                                   which its state holds are u steps old in the mean
    ${seqbench.keep_bias:share}    log u, for the bias of a gate that keeps the state: σ(log u) = u / (1 + u)
    ${seqbench.take_bias:share}    −log u, for that of a gate that replaces it
"""

from __future__ import annotations

import math
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seqbench.errors import ConfigError


def register() -> None:
    """Make the names above known to OmegaConf."""

    def steps(share: Any, power: Any = 1, least: Any = 0, *, _root_: DictConfig) -> int:
        u = _steps("steps", share, _root_)
        return max(int(least), round(math.pow(u, float(power))))

    def alpha(share: Any, *, _root_: DictConfig) -> float:
        u = _steps("alpha", share, _root_)
        return u / (1 + u)

    def keep_bias(share: Any, *, _root_: DictConfig) -> float:
        return math.log(_steps("keep_bias", share, _root_))

    def take_bias(share: Any, *, _root_: DictConfig) -> float:
        return -math.log(_steps("take_bias", share, _root_))

    for resolver in (steps, alpha, keep_bias, take_bias):
        OmegaConf.register_new_resolver(f"seqbench.{resolver.__name__}", resolver, replace=True)


def _steps(name: str, share: Any, root: DictConfig) -> float:
    """Return share × task.length.

    Raises:
        ConfigError: the share is no number above 0, or the task has no length.
    """
    typed = f"${{seqbench.{name}:{share}}}"
    length = OmegaConf.select(root, "task.length")
    try:
        u = float(share) * float(length)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{typed} is a share of task.length, which is {length}.") from error
    if not 0 < u < math.inf:
        raise ConfigError(f"{typed} must be a share above 0 of task.length={length}.")
    return u

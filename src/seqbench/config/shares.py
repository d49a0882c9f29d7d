"""Memory as a share of the task's span: what a preset or an argument says once holds at every span.

`model.cell.chrono=${seqbench.steps:0.5}` expects dependencies of up to half of `task.length`, whatever it is.
Below, u = share × the value of the key that sets the span of the task, in its unit: `task.length` of most
tasks, `task.warp` of `time_warp` (see `Task.span_key`).

    ${seqbench.steps:share}        u, a whole number
    ${seqbench.steps:share,power}  u^power, a whole number, for periods between 1 and u
    ${seqbench.steps:share,1,2}    the same as the first, but at least 2
    ${seqbench.alpha:share}        u / (1 + u): what a unit keeps of its state at a step, so that the inputs
                                   which its state holds are u steps old in the mean
    ${seqbench.rate:share}         1 / (1 + u): what it takes in, such as a time step of at most 1
    ${seqbench.keep_bias:share}    log u, for the bias of a gate that keeps the state: σ(log u) = u / (1 + u)
    ${seqbench.take_bias:share}    −log u, for that of a gate that replaces it
"""

from __future__ import annotations

import math
from typing import Any

from omegaconf import DictConfig, OmegaConf

from seqbench.config.trust import allowed_packages
from seqbench.errors import ConfigError

#: The key that sets the span of a task, unless its class has another `span_key`.
SPAN_KEY = "length"


def register() -> None:
    """Make the names above known to OmegaConf."""

    def steps(share: Any, power: Any = 1, least: Any = 0, *, _root_: DictConfig) -> int:
        u = _steps("steps", share, _root_)
        return max(int(least), round(math.pow(u, float(power))))

    def alpha(share: Any, *, _root_: DictConfig) -> float:
        u = _steps("alpha", share, _root_)
        return u / (1 + u)

    def rate(share: Any, *, _root_: DictConfig) -> float:
        return 1 / (1 + _steps("rate", share, _root_))

    def keep_bias(share: Any, *, _root_: DictConfig) -> float:
        return math.log(_steps("keep_bias", share, _root_))

    def take_bias(share: Any, *, _root_: DictConfig) -> float:
        return -math.log(_steps("take_bias", share, _root_))

    for resolver in (steps, alpha, rate, keep_bias, take_bias):
        OmegaConf.register_new_resolver(f"seqbench.{resolver.__name__}", resolver, replace=True)


def span_key(config: DictConfig) -> str:
    """Return the key that sets the span of the task of a configuration; nothing is built.

    Args:
        config: of a run. Only its `task._target_` and `allowed_packages` are read.

    Raises:
        ConfigError: the task is in no allowed package, or does not exist.
    """
    from seqbench.config.targets import kind_of, locate  # torch, which takes seconds to import

    target = OmegaConf.select(config, "task._target_")
    if target is None:
        return SPAN_KEY
    task = locate(str(target), "task._target_", kind_of("task"), allowed_packages(config))
    return str(getattr(task, "span_key", SPAN_KEY))


def _steps(name: str, share: Any, root: DictConfig) -> float:
    """Return share × the value of the key that sets the span.

    Raises:
        ConfigError: the share is no number above 0, or the task has no such key.
    """
    typed, key = f"${{seqbench.{name}:{share}}}", f"task.{span_key(root)}"
    span = OmegaConf.select(root, key)
    try:
        u = float(share) * float(span)
    except (TypeError, ValueError) as error:
        raise ConfigError(f"{typed} is a share of {key}, which is {span}.") from error
    if not 0 < u < math.inf:
        raise ConfigError(f"{typed} must be a share above 0 of {key}={span}.")
    return u

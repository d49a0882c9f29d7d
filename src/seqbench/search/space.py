"""The space of a search: which keys of a run's configuration are varied, and over what."""

from __future__ import annotations

import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from omegaconf import OmegaConf

from seqbench.config.fit import shown
from seqbench.config.refusal import made
from seqbench.errors import ConfigError

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

#: What stands for the number drawn in the `value` of a range.
DRAW = "${draw}"
#: Digits of a number that is drawn.
DIGITS = 3


@dataclass(frozen=True)
class Range:
    """Numbers from `low` to `high`, both included.

    Attributes:
        low: the least.
        high: the largest.
        log: whether they are even in the logarithm.
        integer: whether they are whole.
        value: what is typed for the key, with ${draw} in place of the number; `${seqbench.steps:${draw}}`
            makes it a share of the task's length.
    """

    low: float
    high: float
    log: bool = False
    integer: bool = False
    value: str = DRAW

    def __post_init__(self) -> None:
        if not self.low < self.high:
            raise ValueError(f"low={shown(self.low)} must be below high={shown(self.high)}")
        if self.log and not self.low > 0:
            raise ValueError(f"low={shown(self.low)} must be above 0 where log=true")
        if self.integer and (self.low % 1 or self.high % 1):
            raise ValueError(f"low={shown(self.low)} and high={shown(self.high)} must be whole")
        if DRAW not in self.value:
            raise ValueError(f"value={self.value} must have {DRAW} where the number goes")

    def at(self, place: float) -> float:
        """Return the number at a place in [0, 1)."""
        low, high = (self.low, self.high + 1) if self.integer else (self.low, self.high)
        number = low * (high / low) ** place if self.log else low + place * (high - low)
        return int(number) if self.integer else min(number, self.high)

    def corners(self) -> list[float]:
        """Return the ends."""
        return [self.low, self.high]

    def typed(self, drawn: float) -> str:
        """Return what is typed for a number, of which three digits count."""
        number = int(drawn) if self.integer else min(max(float(f"{drawn:.{DIGITS}g}"), self.low), self.high)
        return self.value.replace(DRAW, repr(number))

    def distribution(self) -> BaseDistribution:
        """Return what Optuna calls this."""
        from optuna.distributions import FloatDistribution, IntDistribution

        if self.integer:
            return IntDistribution(int(self.low), int(self.high), log=self.log)
        return FloatDistribution(self.low, self.high, log=self.log)


@dataclass(frozen=True)
class Choices:
    """Values of which one is taken."""

    choices: list[Any]

    def __post_init__(self) -> None:
        if not self.choices:
            raise ValueError("choices=[] names no value")
        if any(text.endswith("…") for text in self.corners()):  # shown, a long value is cut
            raise ValueError("one of the choices is too long; make a preset with it")

    def at(self, place: float) -> str:
        """Return the choice at a place in [0, 1), as it is typed."""
        return self.corners()[int(place * len(self.choices))]

    def corners(self) -> list[str]:
        """Return all choices, as they are typed."""
        return [shown(choice) for choice in self.choices]

    def typed(self, drawn: str) -> str:
        """Return what is typed for a choice."""
        return drawn

    def distribution(self) -> BaseDistribution:
        """Return what Optuna calls this."""
        from optuna.distributions import CategoricalDistribution

        return CategoricalDistribution(self.corners())


#: The whole key of a run's configuration to what it is varied over.
Space = dict[str, Range | Choices]


def space_of(nodes: Mapping[str, Any]) -> Space:
    """Return the space that `search.space` describes.

    Args:
        nodes: as those of a run's configuration; each ends in the fields of a `Range` or of `Choices`.

    Raises:
        ConfigError: it is empty, or a node is neither.
    """
    found: Space = {}

    def collect(node: Any, key: str) -> None:
        if not isinstance(node, Mapping) or not node:
            raise ConfigError(
                f"search.space.{key}={shown(node)} says over what {key} is varied: {{low: …, high: …}} or "
                f"{{choices: […]}}; one value of it is typed as {key}=…."
            )
        where = f"search.space.{key}"
        if "choices" in node:
            found[key] = made(Choices, node, where)
        elif "low" in node or "high" in node:
            found[key] = made(Range, node, where)
        else:
            for name, value in node.items():
                collect(value, f"{key}.{name}")

    for name, node in nodes.items():
        collect(node, str(name))
    if not found:
        raise ConfigError("search.space is empty: there is nothing to vary.")
    return found


def drawn(space: Space, count: int) -> list[dict[str, Any]]:
    """Return points of a space, evenly spread: of each key, one in every `count`-th part of its range.

    It is a Latin hypercube. The places of the i-th key are the same in every space, so that all models begin
    with the same learning rates.

    Args:
        space: the keys.
        count: how many points.
    """
    points: list[dict[str, Any]] = [{} for _ in range(count)]
    for i, (key, varied) in enumerate(space.items()):
        rng = random.Random(i)
        for point, part in zip(points, rng.sample(range(count), count), strict=True):
            point[key] = varied.at((part + rng.random()) / count)
    return points


def arguments(space: Space, params: Mapping[str, Any], config: Any) -> list[str]:
    """Return what is typed for a point of a space.

    Args:
        space: the keys.
        params: the point, by key.
        config: the configuration that they go into: a key that it lacks is added, with a `+`.
    """
    found = []
    for key, varied in space.items():
        node, _, last = key.rpartition(".")
        there = last in (OmegaConf.select(config, node) or {}) if node else key in config
        found.append(f"{'' if there else '+'}{key}={varied.typed(params[key])}")
    return found


def corners(space: Space) -> list[dict[str, Any]]:
    """Return points with every end of a range and every choice: the fewest that have them all."""
    ends = {key: varied.corners() for key, varied in space.items()}
    count = max(map(len, ends.values()))
    return [{key: values[min(i, len(values) - 1)] for key, values in ends.items()} for i in range(count)]

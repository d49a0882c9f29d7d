"""Selecting runs by their configuration, in the words in which they were asked for: `optim.lr=0.01,0.03`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, TypeVar

import yaml
from omegaconf import OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seqbench.config.command import chosen_part
from seqbench.config.identity import with_defaults
from seqbench.config.presets import SUBGROUPS
from seqbench.errors import ConfigError, StoreError, listed, nearest, nearest_key
from seqbench.runs.result import Configured

#: What stands for a value that a configuration does not have.
MISSING = object()


Run = TypeVar("Run", bound=Configured)


def select(runs: Sequence[Run], filters: Sequence[str]) -> list[Run]:
    """Return the runs that every filter lets through.

    Args:
        runs: there must be one.
        filters: `key=value`, or several values of which one must be the run's, `key=value,value`. A key is
            one of the configuration; `status`; or a group, as in `task=adding`, whose value is a preset.

    Raises:
        ConfigError: a filter cannot be read, or no run has its key.
        StoreError: no run has one of a filter's values, or a filter lets no run through.
    """
    everything = [(run, with_defaults(run.config)) for run in runs] if filters else []
    kept = everything
    for filter in filters:
        key, values = parse(filter)
        found = [_value(run, settings, key) for run, settings in everything]
        if all(value is MISSING for value in found):
            keys = {"task", "model", "seed", "status", *SUBGROUPS}
            keys |= {k for _, its in everything for k in _keys(its)}
            raise ConfigError(f"{filter}: no such run has the key {key}.{nearest_key(key, keys)}")
        for value in values:
            if not any(_same(its, value) for its in found):
                raise _nothing(f"{key}={value}", value, found)
        found = [_value(run, settings, key) for run, settings in kept]
        chosen = [
            entry
            for entry, its in zip(kept, found, strict=True)
            if any(_same(its, value) for value in values)
        ]
        if not chosen:
            raise _nothing(filter, values[0], found)
        kept = chosen
    return [run for run, _ in kept] if filters else list(runs)


def fitting(runs: Sequence[Run], filters: Sequence[str]) -> list[Run]:
    """Return the runs that every filter lets through, of which there may be none; see `select`.

    Raises:
        ConfigError: a filter cannot be read.
    """
    wanted = [parse(filter) for filter in filters]

    def fits(run: Run, settings: Mapping[str, Any]) -> bool:
        found = [(_value(run, settings, key), values) for key, values in wanted]
        return all(any(_same(its, value) for value in values) for its, values in found)

    return [run for run in runs if fits(run, with_defaults(run.config))]


def _nothing(filter: str, value: Any, found: Sequence[Any]) -> StoreError:
    """Return the error of a filter that lets no run through, which have these values."""
    shown = list(dict.fromkeys(str(its) for its in found if its is not MISSING))
    near = nearest(str(value), shown)
    return StoreError(f"{filter}: there is no such run; there are {listed(shown)}.{near}")


def parse(filter: str) -> tuple[str, list[Any]]:
    """Return the key of a filter and its values.

    Raises:
        ConfigError: it cannot be read.
    """
    key, equals, text = filter.partition("=")
    if key == "n_seeds":
        raise ConfigError(
            f"{filter}: n_seeds is of a command, and a run has one seed; seed=0,1 chooses runs."
        )
    try:
        node = OmegaConf.create(f"values: [{text}]")
        values: Any = OmegaConf.to_container(node, resolve=False)
    except (OmegaConfBaseException, yaml.YAMLError, ValueError) as error:
        raise ConfigError(f"{filter} cannot be read; a filter reads key=value or key=value,value.") from error
    if not equals or not key or list(values) != ["values"] or not values["values"]:
        raise ConfigError(f"{filter} cannot be read; a filter reads key=value or key=value,value.")
    return key, values["values"]


def _value(run: Configured, settings: Mapping[str, Any], key: str) -> Any:
    """Return a run's value of a key; `MISSING` where it has none."""
    if key in ("task", "model", "seed", "status"):
        return getattr(run, key)
    if key in SUBGROUPS:
        return chosen_part(settings, key) or MISSING
    presets = settings.get("preset")
    if isinstance(presets, Mapping) and key in presets:
        return presets[key]
    node: Any = settings
    for part in key.split("."):
        node = node.get(part, MISSING) if isinstance(node, Mapping) else MISSING
    return MISSING if isinstance(node, Mapping) else node


def _same(one: Any, other: Any) -> bool:
    """Return whether two values are the same: 1 and 1.0 are, and so is what reads the same."""
    if one is MISSING:
        return False
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in (one, other))
    return bool(one == other) if numbers else str(one) == str(other)


def _keys(settings: Mapping[str, Any], prefix: str = "") -> Iterator[str]:
    for key, value in settings.items():
        if isinstance(value, Mapping):
            yield from _keys(value, f"{prefix}{key}.")
        else:
            yield f"{prefix}{key}"

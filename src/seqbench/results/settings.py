"""The settings of runs, as texts by their keys: what labels may name."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from seqbench.config.identity import INCIDENTAL, PLACES, frozen_defaults, public_name, with_defaults
from seqbench.config.presets import GROUPS
from seqbench.runs.result import Result

#: The end of the key that says which class a part is.
TARGET = "._target_"
#: The parts of a configuration that no label names.
UNNAMED = {
    *(key for key in (*INCIDENTAL, *PLACES) if key not in ("preset", "model.param_budget")),
    *(f"preset.{group}" for group in GROUPS if group != "optim"),
    "task.eval_lengths",
}


def settings_of(results: Iterable[Result]) -> Iterator[dict[str, str]]:
    """Yield the settings of each run; the seeds of a configuration, which share them, have them made once."""
    made: dict[str, tuple[tuple[object, ...], dict[str, str]]] = {}
    for result in results:
        of = (
            result.data,
            result.execution,
            result.code,
            {k: v for k, v in result.config.items() if k != "seed"},
        )
        if result.hash not in made or made[result.hash][0] != of:
            made[result.hash] = (of, _settings(result))
        yield made[result.hash][1]


def _settings(result: Result) -> dict[str, str]:
    """Return the settings that labels may name: dotted key to value as text.

    A setting that a run leaves out has its frozen default: runs from before an option are labelled as those
    after it. One of None is without what the setting adds, and is not named, unless None takes away what the
    default adds, as `optim.clip_norm=null` does. Other data make another task, and another source of a class
    that is not of seqbench another class. How a run is executed counts by what it came to, its engine, not by
    what was asked for.
    """
    settings = {
        key: public_name(value) if key.endswith(TARGET) and isinstance(value, str) else _text(value)
        for key, value in _flat(
            with_defaults(result.config) | {"task.data": result.data, "execution": result.execution}
        )
    } | {f"{place}.code": source for place, source in result.code.items()}
    if "model.param_budget" in settings:
        settings.pop("model.hidden_size", None)  # derived from the budget, for each task anew
    return settings


def _text(value: Any) -> str:
    if value is None:
        return "null"
    return str(int(value)) if isinstance(value, float) and value.is_integer() else str(value)


def _flat(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield dotted keys and values, without what no label names and without None where it is the default."""
    target = config.get("_target_")
    defaults = frozen_defaults().get(public_name(target), {}) if isinstance(target, str) else {}
    for name, value in config.items():
        key = f"{prefix}{name}"
        if key in UNNAMED or (value is None and defaults.get(name) is None):
            continue
        if isinstance(value, dict):
            yield from _flat(value, f"{key}.")
        else:
            yield key, value


def defaults_of(config: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield dotted keys and the defaults, as text, that the classes of a configuration have for them."""
    target = config.get("_target_")
    frozen = frozen_defaults().get(public_name(target), {}) if isinstance(target, str) else {}
    yield from ((f"{prefix}{name}", _text(value)) for name, value in frozen.items() if value is not None)
    for name, value in config.items():
        if isinstance(value, dict):
            yield from defaults_of(value, f"{prefix}{name}.")

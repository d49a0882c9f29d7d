"""The command that asks for a configuration: its presets, then the keys whose values differ from theirs."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any

from omegaconf import OmegaConf

from seqbench.config.identity import INCIDENTAL, public_name, with_defaults
from seqbench.config.overrides import quoted
from seqbench.config.presets import (
    SUBGROUPS,
    default_preset,
    main_config,
    part_of,
    preset_names,
    preset_node,
)

#: The groups whose presets decide a run's numbers.
NAMED = ("task", "model", "optim", "trainer")
#: Top-level keys that a command names where they are not at their default.
TOP = ("batch_size", "allowed_packages")
#: A text that Hydra reads as itself. One that reads as a number, or as true or null, is quoted.
PLAIN = re.compile(r"(?!(?:true|false|null|nan|inf)$)[A-Za-z_][\w./-]*")


def command(config: Mapping[str, Any]) -> str | None:
    """Return the command that asks for a configuration with its seed.

        command(result.config)  # "seqbench task=adding model=lstm task.length=50 seed=3"

    Keys that decide no number, such as loggers and folders, are left out, as are values at the default of
    their preset or of the code. None where a preset of it is not found here.

    Args:
        config: a configuration as results hold it.
    """
    chosen = {group: default_preset(group) for group in ("optim", "trainer")} | config.get("preset", {})
    names = {group: str(chosen.get(group)) for group in NAMED}
    if any(names[group] not in preset_names(group) for group in NAMED):
        return None
    words = [
        f"{g}={name}" for g, name in names.items() if g in ("task", "model") or name != default_preset(g)
    ]
    for group in NAMED:
        base, its = dict(_preset(group, names[group])), dict(config.get(group) or {})
        for part in SUBGROUPS if group == "model" else ():
            key, usual = part.rpartition("/")[2], part_of(names[group], part)
            if usual is None:
                continue
            chosen_part = _part(part, its.get(key), usual)
            words += [f"{part}={chosen_part}"] if chosen_part != usual else []
            base[key] = _preset(part, chosen_part) if isinstance(its.get(key), Mapping) else None
        if its.get("param_budget") is not None:
            its.pop("hidden_size", None)  # it follows from the budget
            base.pop("hidden_size", None)
        words += _differing(base, its, group)
    for key in TOP:
        if key in config and config[key] != main_config()[key]:
            words.append(f"{key}={_typed(config[key])}")
    return shlex.join(["seqbench", *words, f"seed={config.get('seed', 0)}"])


@cache
def _preset(group: str, name: str) -> dict[str, Any]:
    """Return what a preset says; what it takes from elsewhere in a configuration as `${…}`."""
    found: Any = OmegaConf.to_container(preset_node(group, name))
    return dict(found)


def chosen_part(config: Mapping[str, Any], group: str) -> str | None:
    """Return the preset of a part, as `model/readout`, of a configuration; None if it has no such part."""
    model = config.get("model") or {}
    usual = part_of(str((config.get("preset") or {}).get("model")), group)
    return None if usual is None else _part(group, model.get(group.rpartition("/")[2]), usual)


def _part(group: str, node: Any, usual: str) -> str:
    """Return the preset of a part of a model, a readout or a block; the usual one where none is like it."""
    target = node.get("_target_") if isinstance(node, Mapping) else None
    names = sorted(preset_names(group), key=lambda name: name != usual)
    return next((name for name in names if _preset(group, name).get("_target_") == target), usual)


def _differing(base: Mapping[str, Any], its: Mapping[str, Any], group: str) -> Iterator[str]:
    """Yield `key=value` for what differs from a preset, and `+key=value` for what the preset lacks."""
    written, known = dict(_flat(base, group)), dict(_flat(with_defaults(base), group))
    for key, value in _flat(with_defaults(its), group):
        if (key in INCIDENTAL and key != "model.param_budget") or key.endswith("._partial_"):
            continue
        if key not in known or _meant(key, known[key]) != _meant(key, value):
            yield f"{'' if key in written else '+'}{key}={_typed(value)}"


def _meant(key: str, value: Any) -> Any:
    """Return what is compared: a class of seqbench by its name, which it keeps in another module."""
    return public_name(value) if key.endswith("._target_") and isinstance(value, str) else value


def _flat(node: Mapping[str, Any], prefix: str) -> Iterator[tuple[str, Any]]:
    for name, value in node.items():
        key = f"{prefix}.{name}"
        if isinstance(value, Mapping) and value:
            yield from _flat(value, key)
        else:
            yield key, value


def _typed(value: Any) -> str:
    """Return a value as Hydra reads it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, Mapping):
        return "{" + ",".join(f"{_typed(key)}:{_typed(item)}" for key, item in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ",".join(map(_typed, value)) + "]"
    if isinstance(value, str):
        return value if PLAIN.fullmatch(value) else quoted(value)
    return str(value)

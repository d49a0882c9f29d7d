"""Explaining: an error of Hydra, OmegaConf or YAML becomes one sentence, with the whole key."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf

from seqbench.config.hydra_api import composed
from seqbench.config.overrides import choices
from seqbench.config.presets import (
    CONF_DIR,
    GROUPS,
    OTHER_GROUPS,
    SUBGROUPS,
    default_preset,
    main_config,
    preset_names,
)
from seqbench.errors import ConfigError, SeqbenchError, listed, nearest, nearest_key, one_line

#: The most presets that a message names.
NAMED = 3


def explain(error: BaseException, overrides: Sequence[str] = ()) -> SeqbenchError:
    """Put an error of Hydra, OmegaConf or YAML into one sentence, with the nearest valid name.

    Args:
        error: raised while a configuration was composed.
        overrides: what it was composed of.
    """
    text = str(error)
    if isinstance(error, SeqbenchError):
        return error
    if found := re.search(r"ConfigError raised while resolving interpolation: (.*)", text):
        return ConfigError(found[1])
    if isinstance(error, RecursionError):
        return ConfigError("A preset builds on itself: what its defaults list leads back to it.")
    if isinstance(mark := getattr(error, "problem_mark", None), yaml.Mark):
        return ConfigError(
            f"{mark.name}, line {mark.line + 1}, is not YAML: {getattr(error, 'problem', '')}."
        )
    if found := re.search(r"Ambiguous value for argument '(.*)'|Sweep parameters '(.*)' requires", text):
        return ConfigError(f"Several values make a sweep: put -m first. ({found[1] or found[2]})")
    if "Config group override must be" in text:
        return ConfigError(
            "A group takes the name of a preset, or a list of names: logger=none, logger=[csv]."
        )
    if found := re.search(r"Could not (?:find|load) '(\S+)/([^/'\s]+)'", text):
        group = next((its for its in (*SUBGROUPS, *GROUPS) if f"{found[1]}/".startswith(f"{its}/")), found[1])
        name = f"{found[1]}/{found[2]}".removeprefix(f"{group}/")
        there = [option for option in re.findall(r"^\t(\S+)$", text, re.MULTILINE) if option[0] != "_"]
        # Hydra lists none where several were chosen, and of a folder only what is in there.
        valid = preset_names(group) if "/" in name else sorted({*there, *preset_names(group)})
        asks = re.search(r"In '([^']+/[^']+)'", text)
        is_typed = f"{group}={name}" in (override.lstrip("+") for override in overrides)
        by = f"{asks[1]} builds on {group}/{name}. " if asks and not is_typed else ""
        return no_preset(group, name, valid, by)
    if found := re.search(r"(\S+) appears more than once in the final defaults list", text):
        return ConfigError(
            f"{found[1]} is chosen twice: a preset that builds on another lists that one alone in its "
            "defaults, and not also what that one lists."
        )
    if found := re.search(r"already at '([^']+)'", text):
        return ConfigError(f"{found[1]} has a value already; set it without +: {found[1]}=….")
    if found := re.search(
        r"Could not (?:override|delete from config\.) '([^']+)'|Key '([^']+)' is not in struct", text
    ):
        key = found[1] or found[2]
        if key in SUBGROUPS:
            return ConfigError(f"This model has no {key} to choose.")
        if (CONF_DIR / key).is_dir() and key not in OTHER_GROUPS:
            plural = f"{key.removesuffix('s')}s"
            return ConfigError(f"{key} takes the name of a preset; `seqbench ls {plural}` lists them.")
        full = re.search(r"full_key: (\S+)", text)
        return unknown_key(full[1] if full and "." in full[1] else key, overrides)
    if found := re.search(r"Error merging override (.*)", text):
        return ConfigError(f"{found[1]} does not fit: {one_line(error.__cause__ or error)}.")
    if found := re.search(r"(Cannot find primary config '.*?')", text):
        return ConfigError(f"{found[1]}.")
    if found := re.search(r"Interpolation key '(.*)' not found", text):
        typed = next((f"{override}: " for override in overrides if f"{{{found[1]}}}" in override), "")
        return ConfigError(f"{typed}there is no key {found[1]!r} to refer to.")
    if found := re.search(r"raised while resolving interpolation: (.*)", text):
        typed = next((f"{override}: " for override in overrides if "${" in override), "")
        return ConfigError(f"{typed}{found[1].strip(chr(34))}.")
    return ConfigError(f"{one_line(error.__cause__ if not text and error.__cause__ else error)}.")


def no_preset(group: str, name: str, valid: Sequence[str], by: str = "") -> ConfigError:
    """Return the error for a preset that a group does not have; `by` says who asks for it."""
    within = [each for each in valid if each.startswith(f"{name}/")]
    near = f" Did you mean {within[0]!r}?" if within else nearest(name, valid)
    return ConfigError(f"{by}There is no preset {name!r} in {group}.{near} There are: {', '.join(valid)}.")


def unknown_key(key: str, overrides: Sequence[str] = ()) -> ConfigError:
    """Return the error for a key that is none, with the key of this configuration that is closest."""
    if (group := key.partition(".")[0]) in OTHER_GROUPS:
        return ConfigError(f"{key} goes with `seqbench {group} …`.")
    known = dict.fromkeys(_keys_of_hydra(overrides) if group == "hydra" else _keys_of_this(overrides))
    if key in known and f"~{key}" in overrides:  # Hydra deletes no key whose value is null
        deleted = any(o.lstrip("+").startswith(f"{key}=") for o in overrides)
        return ConfigError(f"{key} is {'set too' if deleted else 'null already'}; leave ~{key} out.")
    if group == "hydra":
        near = nearest_key(key, known) or _beside(key, known)
        chosen = "".join(f" {override}" for override in overrides if override.startswith("hydra/"))
        return ConfigError(
            f"There is no key {key!r} here.{near} `seqbench --cfg hydra{chosen}` shows all there are."
        )
    for group in OTHER_GROUPS:
        if key not in known and key in _keys(OmegaConf.load(CONF_DIR / group / "_budget.yaml")):
            return ConfigError(
                f"There is no key {key!r} here. Did you mean '{group}.{key}', of `seqbench {group} …`?"
            )
    if (empty := _empty_node(key, overrides)) is not None:
        return ConfigError(f"{empty} is empty, and a key is added to it with a +: +{empty}.name=value.")
    if (taker := _taker(key, overrides)) is not None:
        return ConfigError(f"There is no key {key!r} here, but {taker} takes it; add it with a +: +{key}=….")
    holders = _presets_with(key)
    guess = "" if holders else nearest_key(key, known)
    elsewhere = ""
    if holders:
        some = f"{', '.join(holders[:NAMED])}{' …' * (len(holders) > NAMED)}"
        lacking = _chosen(key.partition(".")[0], overrides)
        elsewhere = f" {some} would have it{f', and {lacking} has not' if lacking else ''}."
    beside = ""
    if not guess and not holders:
        beside = _beside(key, known)
        guess = nearest_key(key, (name for name, _ in _keys_of_all_presets()))
    return ConfigError(
        f"There is no key {key!r} here.{elsewhere}{guess}{beside} `seqbench --cfg job` shows all there are."
    )


def _beside(key: str, known: Iterable[str]) -> str:
    """Return ` model.cell has heads, context, positions.`, or an empty string if nothing is in that node."""
    node = key.rpartition(".")[0]
    there = [name.removeprefix(f"{node}.") for name in known if node and name.rpartition(".")[0] == node]
    return f" {node} has {listed(there)}." if there else ""


def _empty_node(key: str, overrides: Sequence[str]) -> str | None:
    """Return the key of a node that is empty, such as trainer.lightning: this key or the one above."""
    with suppress(Exception):
        cfg = composed(choices(overrides))
        for name in (key, key.rpartition(".")[0]):
            node = OmegaConf.select(cfg, name) if name else None
            if isinstance(node, DictConfig) and not node:
                return name
    return None


def _chosen(group: str, overrides: Sequence[str]) -> str | None:
    """Return the task or the model that was composed, `model=rnn`, of which a sweep may have several."""
    if group not in ("task", "model"):
        return None
    typed = [choice for choice in choices(overrides) if choice.startswith(f"{group}=")]
    return [f"{group}={default_preset(group)}", *typed][-1]


def _taker(key: str, overrides: Sequence[str]) -> str | None:
    """Return the class of seqbench that has a default for a key which its preset leaves out, if one has."""
    from seqbench.config.identity import frozen_defaults, public_name

    above, _, name = key.rpartition(".")
    with suppress(Exception):
        node = OmegaConf.select(composed(choices(overrides)), above) if above else None
        target = public_name(str(node.get("_target_"))) if isinstance(node, DictConfig) else ""
        return target if name in frozen_defaults().get(target, {}) else None
    return None


def _keys_of_hydra(overrides: Sequence[str]) -> Iterator[str]:
    """Yield every dotted key of Hydra's own node, with the chosen launcher and sweeper."""
    with suppress(Exception):
        chosen = [override for override in overrides if override.startswith("hydra/")]
        yield from _keys(composed([*choices(overrides), *chosen]).hydra, "hydra.")


def _keys_of_this(overrides: Sequence[str]) -> Iterator[str]:
    """Yield every dotted key of the configuration with the chosen presets, and of the main one."""
    with suppress(Exception):  # the presets are those of an error that is being explained
        yield from _keys(composed(choices(overrides)))
    yield from _keys(main_config())


def _keys_of_all_presets() -> Iterator[tuple[str, str]]:
    """Yield every dotted key in a preset's own file, with `group=preset`."""
    for group in GROUPS[:-1]:
        for path in sorted(
            (CONF_DIR / group).rglob("*.yaml")
        ):  # model/readout/deep.yaml: keys of model.readout
            where = path.relative_to(CONF_DIR).parent
            for key in _keys(OmegaConf.load(path), f"{'.'.join(where.parts)}."):
                yield key, f"{where}={path.stem}"


def _presets_with(key: str) -> list[str]:
    return [preset for name, preset in _keys_of_all_presets() if name == key and "=_" not in preset]


def _keys(node: Any, prefix: str = "") -> Iterator[str]:
    for key in map(str, node) if isinstance(node, DictConfig) else ():
        if key not in ("defaults", "hydra") and not key.startswith("_"):
            yield f"{prefix}{key}"
            yield from _keys(node._get_node(key), f"{prefix}{key}.")

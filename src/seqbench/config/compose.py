"""Composing: presets and `key=value` become one configuration, or one sentence that says what is wrong."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any

import yaml
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from seqbench.config.presets import CONF_DIR, GROUPS, LISTS, SUBGROUPS, preset_names
from seqbench.config.trust import typed
from seqbench.errors import ConfigError, SeqbenchError, first_line, nearest


def compose(overrides: Sequence[str] = ()) -> DictConfig:
    """Compose a configuration from presets, as the command line does.

    Args:
        overrides: `key=value` and `group=preset`, as typed on the command line.

    Raises:
        ConfigError: a preset, key or value is wrong.
    """
    import hydra

    from hydra_plugins.seqbench.loader import preset_loader

    with preset_loader(), hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        try:
            cfg = hydra.compose("config", overrides=list(overrides), return_hydra_config=True)
        except Exception as error:  # Hydra's, OmegaConf's, YAML's
            raise explain(error) from error
    choices = {group: cfg.hydra.runtime.choices.get(group) for group in GROUPS}
    with open_dict(cfg):
        del cfg["hydra"]
    return named(cfg, choices, overrides)


def named(cfg: DictConfig, choices: Mapping[str, Any], overrides: Sequence[str]) -> DictConfig:
    """Return `cfg`, resolved, with the names of its presets under the key `preset`.

    Args:
        cfg: a configuration as Hydra composed it, without the key `hydra`.
        choices: the preset of each group. Hydra lists none where several were chosen; then `preset` has the
            names of the nodes, such as [wandb, csv].
        overrides: what was typed; the packages that it allows are trusted from now on.

    Raises:
        ConfigError: a key is unknown, has no value, or is not what its place asks for.
    """
    cfg = cfg.copy()
    with open_dict(cfg):
        for group in LISTS:
            cfg[group] = cfg.get(group) or {}
        cfg.preset = {
            group: list(cfg[group]) if group in LISTS and choices.get(group) is None else choices.get(group)
            for group in GROUPS
        }
        cfg.allowed_packages = typed(overrides)
    try:
        OmegaConf.resolve(cfg)
        missing = sorted(OmegaConf.missing_keys(cfg))
    except OmegaConfBaseException as error:
        raise ConfigError(f"The configuration cannot be resolved: {first_line(error)}") from error
    if isinstance(cfg.get("experiment"), DictConfig):
        raise ConfigError(
            f"The experiment preset {choices['experiment']!r} changes nothing: its first line must read "
            "'# @package _global_'."
        )
    for key in cfg:
        if key not in (*GROUPS, "preset") and key not in _main_config():
            raise _unknown_key(str(key))
    if missing:
        raise ConfigError(f"{missing[0]} has no value; give it one with {missing[0]}=….")
    for group in ("task", "model", "optim", "trainer"):
        if not isinstance(cfg.get(group), DictConfig):
            raise ConfigError(f"{group} is empty; choose a preset with {group}=… (seqbench ls {group}s).")
    for group in LISTS:
        _check_names(group, cfg[group])
    return cfg


def _check_names(group: str, nodes: Any) -> None:
    """Raise a ConfigError unless the group holds nodes by name, as `logger: {wandb: {_target_: …}}`."""
    if not isinstance(nodes, DictConfig):
        raise ConfigError(f"{group}={nodes} is not a set of named nodes; choose presets: {group}=[…].")
    if "_target_" in nodes:
        raise ConfigError(
            f"{group}._target_ has no name; a preset of this group reads 'name: {{_target_: …}}'."
        )


def explain(error: BaseException) -> SeqbenchError:
    """Put an error of Hydra, OmegaConf or YAML into one sentence, with the nearest valid name."""
    if isinstance(error, SeqbenchError):
        return error
    text = str(error)
    if isinstance(mark := getattr(error, "problem_mark", None), yaml.Mark):
        return ConfigError(
            f"{mark.name}, line {mark.line + 1}, is not YAML: {getattr(error, 'problem', '')}."
        )
    if "Ambiguous value" in text:
        return ConfigError(f"Several values make a sweep: put -m first. ({first_line(error)})")
    if "Config group override must be" in text:
        return ConfigError(
            "A group takes the name of a preset, or a list of names: logger=none, logger=[csv]."
        )
    if found := re.search(r"Could not (?:find|load) '(\S+)/([^/'\s]+)'", text):
        group, name = found.groups()
        listed = [option for option in re.findall(r"^\t(\S+)$", text, re.MULTILINE) if option[0] != "_"]
        valid = listed or preset_names(group)  # Hydra lists none where several were chosen
        return ConfigError(
            f"There is no preset {name!r} in {group}.{nearest(name, valid)} There are: {', '.join(valid)}."
        )
    if found := re.search(r"Could not override '([^']+)'|Key '([^']+)' is not in struct", text):
        key = found[1] or found[2]
        if key in SUBGROUPS:
            return ConfigError(f"This model has no {key} to choose.")
        if (CONF_DIR / key).is_dir():
            plural = f"{key.removesuffix('s')}s"
            return ConfigError(f"{key} takes the name of a preset; `seqbench ls {plural}` lists them.")
        full = re.search(r"full_key: (\S+)", text)
        return _unknown_key(full[1] if full and "." in full[1] else key)
    if re.search(
        r"[Ee]rror parsing override|mismatched input|no viable alternative|extraneous|token recog", text
    ):
        return ConfigError(
            f"An argument cannot be understood; it should read key=value. ({first_line(error)})"
        )
    return ConfigError(first_line(error))


def _unknown_key(key: str) -> ConfigError:
    known = [name for name in dict.fromkeys(_known_keys()) if name != key]
    guess = nearest(key, known) or nearest(key.split(".")[-1], [name.split(".")[-1] for name in known])
    return ConfigError(f"There is no key {key!r} here.{guess} `seqbench --cfg job` shows all there are.")


def _known_keys() -> Iterator[str]:
    """Yield every dotted key of the main configuration and of the built-in presets."""

    def walk(node: Any, prefix: str) -> Iterator[str]:
        for key in map(str, node) if isinstance(node, DictConfig) else ():
            if key not in ("defaults", "hydra") and not key.startswith("_"):
                yield f"{prefix}{key}"
                yield from walk(node._get_node(key), f"{prefix}{key}.")

    yield from walk(_main_config(), "")
    for group in GROUPS[:-1]:
        yield group
        for path in (CONF_DIR / group).rglob("*.yaml"):  # model/readout/deep.yaml has keys of model.readout
            where = ".".join(path.relative_to(CONF_DIR).parent.parts)
            yield from walk(OmegaConf.load(path), f"{where}.")


@cache
def _main_config() -> DictConfig:
    config = OmegaConf.load(CONF_DIR / "config.yaml")
    assert isinstance(config, DictConfig)
    return config

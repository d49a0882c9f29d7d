"""Composing: presets and `key=value` become one configuration, or one sentence that says what is wrong."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from seqbench.config.explain import explain, unknown_key
from seqbench.config.fit import LARGEST, count, folder
from seqbench.config.hydra_api import composed
from seqbench.config.overrides import readable
from seqbench.config.presets import GROUPS, LISTS, OTHER_GROUPS, main_config
from seqbench.config.trust import typed
from seqbench.errors import ConfigError

#: The least and the most that a top-level key may be which counts something.
COUNTS = {"seed": (0, LARGEST), "n_seeds": (1, 100_000), "batch_size": (1, 2**31 - 1)}
#: The top-level keys that name a folder.
FOLDERS = ("runs_dir", "data_dir")


def compose(overrides: Sequence[str] = ()) -> DictConfig:
    """Compose a configuration from presets, as the command line does.

    Args:
        overrides: `key=value` and `group=preset`, as typed on the command line.

    Raises:
        ConfigError: a preset, key or value is wrong.
    """
    arguments = readable(overrides)
    try:
        cfg = composed(arguments)
    except Exception as error:  # Hydra's, OmegaConf's, YAML's
        raise explain(error, arguments) from error
    choices = {group: cfg.hydra.runtime.choices.get(group) for group in GROUPS}
    with open_dict(cfg):
        del cfg["hydra"]
    return named(cfg, choices, arguments)


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
    for word in (override.partition("=")[0].lstrip("+~") for override in overrides):
        if word.partition(".")[0] in OTHER_GROUPS:
            raise unknown_key(word, overrides)
    cfg = cfg.copy()
    with open_dict(cfg):
        for group in OTHER_GROUPS:  # what a preset says of a search is for `seqbench search` alone
            cfg.pop(group, None)
        for group in LISTS:
            cfg[group] = cfg.get(group) or {}
        cfg.preset = {
            group: list(cfg[group]) if group in LISTS and choices.get(group) is None else choices.get(group)
            for group in GROUPS
        }
        _drop_budget(cfg, overrides)
        for key in {*main_config()} - {"defaults", "hydra", *GROUPS, *cfg}:
            cfg[key] = main_config()[key]  # `~seed` means the default
        cfg.allowed_packages = typed(overrides)
    for key in cfg:
        if key not in (*GROUPS, "preset") and key not in main_config():
            raise unknown_key(str(key), overrides)
    try:
        cfg = fitted(cfg)
        for name, node in cfg.logger.items() if isinstance(cfg.logger, DictConfig) else ():
            if isinstance(node, DictConfig) and "required" in node and node.required is None:
                node.required = any(o.startswith(("logger=", f"logger.{name!s}")) for o in overrides)
        OmegaConf.resolve(cfg)
        missing = sorted(OmegaConf.missing_keys(cfg))
    except OmegaConfBaseException as error:
        raise explain(error, overrides) from error
    if isinstance(cfg.get("experiment"), DictConfig):
        raise ConfigError(
            f"The experiment preset {choices['experiment']!r} changes nothing: its first line must read "
            "'# @package _global_'."
        )
    if missing:
        raise ConfigError(f"{missing[0]} has no value; give it one with {missing[0]}=….")
    for group in ("task", "model", "optim", "trainer"):
        if not isinstance(cfg.get(group), DictConfig):
            raise ConfigError(f"{group} is empty; choose a preset with {group}=… (seqbench ls {group}s).")
    for group in LISTS:
        _check_names(group, cfg[group])
    return cfg


def _drop_budget(cfg: DictConfig, overrides: Sequence[str]) -> None:
    """Of the two keys for a run's budget drop the one that a preset gives, where the other one is typed."""
    trainer, typed = cfg.get("trainer"), {override.partition("=")[0].lstrip("+") for override in overrides}
    if not isinstance(trainer, DictConfig) or trainer.get("max_epochs") is None:
        return
    if "trainer.max_epochs" not in typed and "trainer.max_steps" in typed:
        trainer.max_epochs = None
    elif "trainer.max_epochs" in typed and "trainer.max_steps" not in typed:
        trainer.pop("max_steps", None)


def fitted(cfg: DictConfig) -> DictConfig:
    """Return a configuration with its top-level counts and folders as such, however they are written.

    Raises:
        ConfigError: one is none, or out of its range.
    """
    if not isinstance(cfg, DictConfig):
        raise ConfigError(
            f"A configuration is what seqbench.compose returns, and this is a {type(cfg).__name__}."
        )
    counts = {key: count(cfg.get(key), key, least, most) for key, (least, most) in COUNTS.items()}
    folders = {key: folder(cfg.get(key), key) for key in FOLDERS}
    cfg = cfg.copy()
    for key, value in (counts | folders).items():
        cfg[key] = value
    return cfg


def _check_names(group: str, nodes: Any) -> None:
    """Raise a ConfigError unless the group holds nodes by name, as `logger: {wandb: {_target_: …}}`."""
    if not isinstance(nodes, DictConfig):
        raise ConfigError(f"{group}={nodes} is not a set of named nodes; choose presets: {group}=[…].")
    if "_target_" in nodes:
        raise ConfigError(
            f"{group}._target_ has no name; a preset of this group reads 'name: {{_target_: …}}'."
        )

"""Loads presets for seqbench's applications: what they and the command line may set of the node `hydra`.

Hydra builds and calls what that node names, such as callbacks, launchers and handlers of logging, before an
application sees its configuration. A preset may come from anywhere, and has no say in it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import hydra._internal.hydra as hydra_application
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from omegaconf import DictConfig, OmegaConf

from seqbench.config.presets import CONF_DIR
from seqbench.errors import ConfigError

#: The presets that come with seqbench, and the configurations of Hydra and its plugins.
OWN = (f"file://{CONF_DIR}", "pkg://hydra.conf", "structured://")
OWN_PLUGINS = "pkg://hydra_plugins."
#: What other presets may set of the node `hydra`, besides the parameters of a sweep.
PRESET_KEYS = ("hydra.mode", "hydra.launcher.n_jobs")
PARAMS = "hydra.sweeper.params."
#: The names of such parameters. Each becomes an argument, as if it had been typed.
PARAM = r"\+{0,2}(?!hydra\b|allowed_packages\b)[A-Za-z][\w./]*"
#: What the command line may set of it.
TYPED_KEYS = r"hydra\.(mode|verbose|searchpath|output_subdir|(run|sweep|job|launcher|sweeper)\..+)"


class PresetLoader(ConfigLoaderImpl):
    """Hydra's loader, which refuses presets and arguments that make Hydra itself run code."""

    def _process_config_searchpath(self, config_name: Any, parsed_overrides: Any, repo: Any) -> None:
        for override in parsed_overrides:
            _check_typed(override.key_or_group, override.input_line)
        if config_name is not None and (main := repo.load_config(config_path=config_name)) is not None:
            _check_preset(config_name, main)
        super()._process_config_searchpath(config_name, parsed_overrides, repo)

    def _load_single_config(self, default: Any, repo: Any) -> Any:
        loaded = super()._load_single_config(default=default, repo=repo)
        _check_preset(default.config_path, loaded, default.package)
        return loaded


@contextmanager
def preset_loader() -> Iterator[None]:
    """Within this, applications of Hydra use `PresetLoader`. Hydra has no option that names a loader."""
    application: Any = hydra_application
    theirs, application.ConfigLoaderImpl = application.ConfigLoaderImpl, PresetLoader
    try:
        yield
    finally:
        application.ConfigLoaderImpl = theirs


def _check_typed(key: str, line: str) -> None:
    if (key == "hydra" or key.startswith("hydra.")) and (
        not re.fullmatch(TYPED_KEYS, key) or re.search(r"\b_target_\b|pkg://", line)
    ):
        raise ConfigError(f"{line} is not allowed: it could make Hydra run code.")


def _check_preset(path: str, loaded: Any, package: str | None = None) -> None:
    if path.startswith("/") or ".." in path.split("/"):
        raise ConfigError(f"{path} leaves the folder of presets; a preset is named by its file in there.")
    if re.match(r"hydra\b", package or "") and not path.startswith("hydra/"):
        raise ConfigError(f"The preset {path} cannot be put in {package}.")
    own = loaded.path in OWN or loaded.path.startswith(OWN_PLUGINS)
    if own or not isinstance(loaded.config, DictConfig):
        return
    file = f"{loaded.path.removeprefix('file://')}/{path}.yaml"
    plain: Any = OmegaConf.to_container(loaded.config, resolve=False)
    if plain.get("allowed_packages"):
        raise ConfigError(
            f"{file} sets allowed_packages; packages are trusted on the command line, allowed_packages=[…], "
            "or in ~/.config/seqbench/trusted, and nowhere else."
        )
    for key, value in _leaves(plain.get("hydra", {}), "hydra"):
        known = key in PRESET_KEYS or (
            key.startswith(PARAMS) and re.fullmatch(PARAM, key.removeprefix(PARAMS))
        )
        if not known or not _is_plain(value):
            raise ConfigError(
                f"{file} sets {key}={value}; of hydra a preset may set hydra.mode, hydra.launcher.n_jobs and "
                "hydra.sweeper.params, to plain values."
            )


def _leaves(node: Any, key: str) -> Iterator[tuple[str, Any]]:
    """Yield every value under a node with its dotted key; the value of a sweep's parameter as it is."""
    if isinstance(node, dict) and not key.startswith(PARAMS):
        for name, value in node.items():
            yield from _leaves(value, f"{key}.{name}")
    else:
        yield key, node


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(map(_is_plain, value))
    return value is None or (isinstance(value, str | int | float) and "${" not in str(value))

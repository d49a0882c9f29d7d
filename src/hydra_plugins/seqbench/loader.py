"""Loads presets for seqbench's applications, each choice of them once, and checks what they set of `hydra`.

Hydra builds and calls what that node names, such as callbacks, launchers and handlers of logging, before an
application sees its configuration. A preset may come from anywhere, and has no say in it.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import hydra._internal.hydra as hydra_application
import yaml
from hydra._internal.config_loader_impl import ConfigLoaderImpl
from hydra._internal.config_repository import CachingConfigRepository
from hydra.core.object_type import ObjectType
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import Override
from hydra.types import RunMode
from omegaconf import DictConfig, OmegaConf

from seqbench.config.presets import CONF_DIR, GROUPS, OTHER_GROUPS, SUBGROUPS, circle_of, preset_names
from seqbench.errors import ConfigError

#: The presets that come with seqbench, and the configurations of Hydra and its plugins.
OWN = (f"file://{CONF_DIR}", "pkg://hydra.conf", "structured://")
OWN_PLUGINS = "pkg://hydra_plugins."
#: What other presets may set of the node `hydra`, besides the parameters of a sweep. Of launchers it is what
#: asks for resources: no lines of shell, no options of sbatch, and no address, whose answers are unpickled.
LAUNCHER_KEYS = (
    *("n_jobs", "gpus_per_job", "cpus_per_job", "memory_per_job", "seeds_per_job"),
    *("partition", "account", "qos", "time", "requeue"),
)
PRESET_KEYS = ("hydra.mode", "hydra.sweeper.zip", *(f"hydra.launcher.{key}" for key in LAUNCHER_KEYS))
PARAMS = "hydra.sweeper.params."
#: The names of such parameters. Each becomes an argument, as if it had been typed.
PARAM = r"\+{0,2}(?!hydra\b|allowed_packages\b)[A-Za-z][\w./]*"
#: What the command line may set of it.
TYPED_KEYS = r"hydra\.(mode|verbose|searchpath|output_subdir|(run|sweep|job|launcher|sweeper)\..+)"


#: Keys of a value, which choose no preset: of the main configuration, or under a group and with a dot.
VALUE = re.compile(r"seed|n_seeds|batch_size|runs_dir|data_dir|hydra\.mode|(?!hydra\.)[a-z_]+(\.\w+)+")

#: Choices of presets that are kept, at most.
MOST_COMPOSED = 100
#: A preset's file, and what is known of its content without reading it; None where there is none.
Files = dict[Path, tuple[int, int, int] | None]


class Composed(NamedTuple):
    """What a choice of presets is composed to, as long as its files stay what they are."""

    config: DictConfig
    files: Files


class PresetLoader(ConfigLoaderImpl):
    """Hydra's loader, which refuses presets and arguments that make Hydra itself run code.

    Composing from presets takes most of a tenth of a second, and the jobs of a sweep differ in values more
    than in presets. So each choice of presets is composed once, and values are set in a copy.
    """

    _composed: ClassVar[dict[tuple[Any, ...], Composed]] = {}
    _repository: CachingConfigRepository

    def _parse_overrides_and_create_caching_repo(
        self, config_name: Any, overrides: Any, *args: Any, **kwargs: Any
    ) -> tuple[list[Override], CachingConfigRepository]:
        parsed, self._repository = super()._parse_overrides_and_create_caching_repo(
            config_name, overrides, *args, **kwargs
        )
        load: Any = self._repository.load_config

        def load_config(config_path: str) -> Any:
            _check_file(self._repository, config_path)
            return load(config_path)

        vars(self._repository)["load_config"] = load_config
        return parsed, self._repository

    def _load_configuration_impl(
        self,
        config_name: Any,
        overrides: list[str],
        run_mode: Any,
        from_shell: bool = True,
        validate_sweep_overrides: bool = True,
        **_: Any,  # of Hydra 1.4: the overrides parsed, and here they are taken apart
    ) -> DictConfig:
        parsed = OverridesParser.create(config_loader=self).parse_overrides(overrides)
        choices = [o for o in parsed if o.is_sweep_override() or not VALUE.fullmatch(str(o.key_or_group))]
        if validate_sweep_overrides:
            self.validate_sweep_overrides_legal(parsed, run_mode, from_shell)
        config = self._of_choices(config_name, choices, run_mode)
        values = [override for override in parsed if override not in choices]
        if run_mode == RunMode.MULTIRUN:
            later = _left_to_jobs(choices, config)
            values = [o for o in values if str(o.key_or_group).partition(".")[0] not in later]
        self._apply_overrides_to_config(values, config)
        config.hydra.overrides.hydra = [o.input_line for o in parsed if o.is_hydra_override()]
        own = [override for override in parsed if not override.is_hydra_override()]
        config.hydra.overrides.task = [override.input_line for override in own]
        names = config.hydra.job.config.override_dirname
        lines = sorted(str(o.input_line) for o in own if o.key_or_group not in names.exclude_keys)
        config.hydra.job.override_dirname = names.item_sep.join(lines).replace("=", names.kv_sep)
        return config

    def get_group_options(self, group_name: str, *args: Any, **kwargs: Any) -> list[str]:
        """Return the names in a group; of one of seqbench's without parts, and with presets in folders."""
        found = list(super().get_group_options(group_name, *args, **kwargs))
        kind = args[0] if args else kwargs.get("results_filter", ObjectType.CONFIG)
        if group_name not in (*GROUPS, *SUBGROUPS, *OTHER_GROUPS) or kind != ObjectType.CONFIG:
            return found
        return sorted({*(name for name in found if not name.startswith("_")), *preset_names(group_name)})

    def _of_choices(self, config_name: Any, choices: list[Override], run_mode: Any) -> DictConfig:
        """Return a copy of what a choice of presets is composed to.

        Hydra composes to see whether it is to be a sweep, and then again. A choice without several values
        comes to the same both times, unless a default is missing, which only a sweep may leave out.
        """
        if run_mode == RunMode.MULTIRUN and not any(choice.is_sweep_override() for choice in choices):
            with suppress(Exception):
                return self._of_choices(config_name, choices, RunMode.RUN)
        typed = [str(choice.input_line) for choice in choices]
        paths = [str(entry.path) for entry in self.config_search_path.get_path()]
        key = (config_name, *typed, *paths, Path.cwd(), run_mode)
        found = self._composed.get(key)
        if found is None or found.files != _state(found.files):
            config = super()._load_configuration_impl(
                config_name, typed, run_mode, validate_sweep_overrides=False
            )
            if len(self._composed) == MOST_COMPOSED:
                self._composed.clear()
            found = self._composed[key] = Composed(config, _state(_files(self._repository)))
        return copy.deepcopy(found.config)

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


def _left_to_jobs(choices: Iterable[Override], config: DictConfig) -> set[str]:
    """Return the parts, as `model`, of which a sweep may have several presets: its jobs alone set their keys.

    Hydra composes the sweep itself too, with a part's default preset, which may lack what all of its presets
    have.
    """
    sweeper = config.hydra.sweeper
    if sweeper.get("jobs") is not None:
        return {*GROUPS}
    keys = [str(choice.key_or_group) for choice in choices if choice.is_sweep_override()]
    keys += [str(key).lstrip("+") for key in sweeper.get("params") or {}]
    return {key.partition("/")[0] for key in keys} & {*GROUPS}


def _check_file(repository: CachingConfigRepository, path: str) -> None:
    """Raise a ConfigError where a user's preset is no text, holds no keys, or builds on itself."""
    name = path.removesuffix(".yaml")
    if f"config_path={path}" in repository.cache or name.startswith("/") or ".." in name.split("/"):
        return
    file = next(
        (file for folder in _folders(repository) if (file := folder / f"{name}.yaml").is_file()), None
    )
    if file is None or file.is_relative_to(CONF_DIR):
        return
    try:
        content = yaml.safe_load(file.read_text(encoding="utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{file} is not UTF-8: {error.reason} at byte {error.start}; save it as such."
        ) from error
    except (yaml.YAMLError, OSError):  # of which who loads it says where
        return
    if content is not None and not isinstance(content, dict):
        raise ConfigError(f"{file} holds a {type(content).__name__}, and a preset holds keys: key: value.")
    group = next((its for its in (*SUBGROUPS, *GROUPS, *OTHER_GROUPS) if name.startswith(f"{its}/")), "")
    if group and (circle := circle_of(group, name.removeprefix(f"{group}/"))):
        raise ConfigError(f"{file} builds on itself: {' → '.join(circle)}, by what its defaults list.")


def _files(repository: CachingConfigRepository) -> list[Path]:
    """Return where the presets that were asked for lie, or could."""
    names = [key.removeprefix("config_path=").removesuffix(".yaml") for key in repository.cache]
    return [folder / f"{name}.yaml" for folder in _folders(repository) for name in names]


def _folders(repository: CachingConfigRepository) -> list[Path]:
    return [Path(str(source.path)) for source in repository.get_sources() if source.scheme() == "file"]


def _state(files: Iterable[Path]) -> Files:
    found: Files = {}
    for file in files:
        try:
            stat = file.stat()
            found[file] = (stat.st_mtime_ns, stat.st_size, stat.st_ino)
        except OSError:
            found[file] = None
    return found


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
                f"{file} sets {key}={value}; of hydra a preset may set hydra.mode, hydra.sweeper.params and "
                f"zip, and of hydra.launcher {', '.join(LAUNCHER_KEYS)}, to plain values."
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

"""Presets: where they are, what they are called, and what they describe."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import yaml
from omegaconf import DictConfig, ListConfig, OmegaConf
from omegaconf.errors import OmegaConfBaseException

from seqbench.errors import ConfigError, SeqbenchError

#: The built-in presets: inside the package in a wheel, at the top of the tree in a checkout.
CONF_DIR = next(
    folder
    for folder in (Path(__file__).parents[1] / "conf", Path(__file__).parents[3] / "conf")
    if (folder / "config.yaml").is_file()
)
#: The groups of presets that a run is composed of.
GROUPS = ("task", "model", "optim", "trainer", "callbacks", "logger", "experiment")
#: The groups of which a run may have several presets, `logger=[wandb,csv]`. Each preset holds a named node.
LISTS = ("callbacks", "logger")
#: Groups of a part of a preset: `model/readout=deep` beside `model=lstm`.
SUBGROUPS = ("model/readout", "model/block")
#: Groups of which no run is composed: `seqbench search search=gru`.
OTHER_GROUPS = ("search",)
#: The variable of the environment by which the processes of a command know its `--config-dir`.
OF_COMMAND = "SEQBENCH_CONFIG_DIR"
#: A comment of a preset that says something under a word: `# Solved: the accuracy of the IRNN.`
_SAYS = re.compile(r"([A-Z]\w*): (.*)")


def user_presets() -> tuple[Path, ...]:
    """Return the folders of the user's own presets, of which the first that has a preset counts.

    They are that of `--config-dir`, and `$SEQBENCH_PRESETS`, or `./presets` if it exists.

    Raises:
        ConfigError: `$SEQBENCH_PRESETS` is not a folder.
    """
    named = os.environ.get("SEQBENCH_PRESETS")
    if named and not Path(named).is_dir():
        raise ConfigError(f"SEQBENCH_PRESETS={named} is not a folder.")
    folders = [Path(folder) for folder in (os.environ.get(OF_COMMAND), named or "presets") if folder]
    return tuple(dict.fromkeys(folder.resolve() for folder in folders if folder.is_dir()))


def add_presets(folder: str) -> None:
    """Put a folder before the user's other folders of presets, for this process and those that it starts.

    Raises:
        ConfigError: it is no folder, or that of a group.
    """
    if not folder or not Path(folder).is_dir():
        raise ConfigError(f"--config-dir={folder} is not a folder.")
    if Path(folder).name in GROUPS and not any(Path(folder, group).is_dir() for group in GROUPS):
        raise ConfigError(
            f"--config-dir={folder} is the folder of a group; give the one above, {Path(folder).parent}."
        )
    os.environ[OF_COMMAND] = str(Path(folder).resolve())


@cache
def main_config() -> DictConfig:
    """Return `conf/config.yaml`: the top-level keys with their defaults. It must not be changed."""
    config = OmegaConf.load(CONF_DIR / "config.yaml")
    assert isinstance(config, DictConfig)
    return config


def preset_names(group: str) -> list[str]:
    """Return the names of a group's presets, with the user's own, such as `lstm`, or `mine/lstm` in a folder.

    A name with a leading `_` is a part.
    """
    found = set()
    for folder in (folder / group for folder in _folders()):
        files = (path.relative_to(folder) for path in folder.rglob("*.yaml") if path.is_file())
        found |= {
            file.with_suffix("").as_posix()
            for file in files
            if f"{group}/{file.parts[0]}" not in SUBGROUPS
            and not any(part.startswith(("_", ".")) for part in file.parts)
        }
    return sorted(found)


def describe(group: str, name: str) -> str:
    """Return the first comment of a preset that is not an instruction to Hydra, such as `@package`."""
    return next(iter(_head(group, name)), "").rstrip(".")


def noted(group: str, name: str, word: str) -> str:
    """Return what a preset's first comments say after a word and a colon, such as `Kind`, `Solved`, `Data`.

    A preset that does not say it takes it from those of its group that it builds on. Empty if none says it.
    """
    said = _says(group, name, word)
    return said or next(filter(None, (_says(group, each, word) for each in lineage(group, name)[1:])), "")


def _says(group: str, name: str, word: str) -> str:
    found = (_SAYS.match(line) for line in _head(group, name))
    return next((each[2].rstrip(".") for each in found if each and each[1] == word), "")


def commands(group: str, name: str) -> list[str]:
    """Return the commands that a preset's first comments show."""
    return [line for line in _head(group, name) if line.startswith("seqbench ")]


def _head(group: str, name: str) -> list[str]:
    """Return the comments at the head of a preset, without instructions to Hydra, such as `@package`."""
    path = _find(group, name)
    lines = path.read_text(encoding="utf-8-sig", errors="replace").splitlines() if path else []
    return [line.lstrip("# ") for line in lines if line.startswith("#") and "@package" not in line]


def default_preset(group: str) -> str:
    """Return the preset of a group that is taken where none is named."""
    (found,) = (entry[group] for entry in main_config().defaults if group in entry)
    return str(found)


def preset_node(group: str, name: str) -> DictConfig:
    """Return what a preset says with those of its group that it builds on; empty if there is no such file."""
    own = _own(group, name)
    parts = [part for part in _parts(own) if isinstance(part, str)]
    if circle_of(group, name):  # of which who composes it is told
        parts = []
    if "_self_" not in parts:
        parts.append("_self_")
    found = OmegaConf.merge(*(own if part == "_self_" else preset_node(group, part) for part in parts))
    assert isinstance(found, DictConfig)
    return found


def _own(group: str, name: str) -> DictConfig:
    """Return what a preset's file says; nothing where it cannot be read, of which who composes it is told."""
    path = _find(group, name)
    try:
        own = OmegaConf.load(path) if path else None
    except (yaml.YAMLError, OmegaConfBaseException, UnicodeDecodeError, OSError):
        own = None
    return own if isinstance(own, DictConfig) else OmegaConf.create()


def _parts(own: DictConfig) -> list[Any]:
    """Take the list of defaults out of what a preset's file says; nothing where it is no list."""
    found = own.pop("defaults", None)
    return list(found) if isinstance(found, ListConfig) else []


def lineage(group: str, name: str) -> list[str]:
    """Return a preset's name, and those of the presets of its group that it builds on, nearest first."""
    found = [name]
    for each in found:
        parts = _parts(_own(group, each))
        found += [part for part in parts if isinstance(part, str) and part != "_self_" and part not in found]
    return found


def circle_of(group: str, name: str) -> list[str]:
    """Return the presets of a group that lead from one back to it, by what they build on; [] if none does."""
    ways = [[name]]
    for way in ways:
        for part in _parts(_own(group, way[-1])):
            if part == name:
                return [*way, name]
            if isinstance(part, str) and part != "_self_" and not any(part in each for each in ways):
                ways.append([*way, part])
    return []


def part_of(model: str, group: str) -> str | None:
    """Return the preset of a part, as `model/readout`, that a model's preset has; None if it has none."""
    name = group.rpartition("/")[2]
    for each in lineage("model", model):
        for entry in _parts(_own("model", each)):
            parts = entry.items() if isinstance(entry, DictConfig) else ()
            for part, preset in parts:
                if str(part).removeprefix("override ") == name:
                    return str(preset)
    return None


def model_accepts(name: str, allowed: Sequence[str] = ()) -> tuple[str, ...]:
    """Return the kinds of task that a model preset accepts, () for a preset that cannot be read.

    The answer is cached, and nothing is composed: this imports the model's module and reads its class.

    Args:
        name: the preset.
        allowed: packages that a `_target_` may come from, besides the built-in ones.
    """
    return _accepts(name, _folders(), tuple(allowed))


def default_task(model: str, allowed: Sequence[str] = ()) -> str | None:
    """Return the task preset at which a model is shown where none is named; None if no task fits it.

    That is the usual one, or, if the model does not take it, the first that it takes and that reads no data.
    Nothing is composed or built.
    """
    fitting = model_accepts(model, allowed)
    usual = default_preset("task")
    free = [name for name in preset_names("task") if "data_dir" not in preset_node("task", name)]
    return next((name for name in (usual, *free) if _kind(name, _folders(), tuple(allowed)) in fitting), None)


@cache
def _kind(task: str, folders: tuple[Path, ...], allowed: tuple[str, ...]) -> str | None:
    from seqbench.config.targets import kind_of, locate

    try:
        target = str(preset_node("task", task).get("_target_", ""))
        return str(getattr(locate(target, "task._target_", kind_of("task"), allowed), "kind", None))
    except (SeqbenchError, OSError, yaml.YAMLError):
        return None


@cache
def _accepts(name: str, folders: tuple[Path, ...], allowed: tuple[str, ...]) -> tuple[str, ...]:
    from seqbench.config.targets import kind_of, locate

    try:
        target = str(preset_node("model", name).get("_target_", ""))
        found: tuple[str, ...] = getattr(
            locate(target, "model._target_", kind_of("model"), allowed), "accepts", ("sequence",)
        )
    except (SeqbenchError, OSError, yaml.YAMLError):
        return ()
    return found


def _folders() -> tuple[Path, ...]:
    """Return the folders of presets; the first that has a preset counts."""
    return (*user_presets(), CONF_DIR)


def _find(group: str, name: str) -> Path | None:
    paths = (folder / group / f"{name}.yaml" for folder in _folders())
    return next((path for path in paths if path.is_file()), None)

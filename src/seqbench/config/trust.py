"""Trust: the packages whose code a configuration may run, besides seqbench's own.

They are named on the command line, `allowed_packages=[lab]`, or line by line in `~/.config/seqbench/trusted`.
Nothing else counts: a preset names none, nor does the configuration in the folder of a run.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from omegaconf import DictConfig, ListConfig

from seqbench.errors import ConfigError

#: Packages of which what a `_target_` may name is fixed.
BUILT_IN = ("seqbench", "torch", "lightning")
#: The packages that were allowed in this process. A configuration that was read from a file adds none.
_allowed: set[str] = set()


def allow(packages: str | Iterable[str]) -> list[str]:
    """Allow packages in this process, and return their names. For the command line and callers in Python.

    Raises:
        ConfigError: one is no name of a package.
    """
    names = [packages] if isinstance(packages, str) else list(packages)
    for name in names:
        if not _is_name(name):
            raise ConfigError(f"allowed_packages={names} must hold names of packages, and {name!r} is none.")
        if name.partition(".")[0] in BUILT_IN:
            raise ConfigError(f"allowed_packages={names}: {name} is built in, and allowing it adds nothing.")
    _allowed.update(names)
    return names


def typed(overrides: Sequence[str]) -> list[str]:
    """Return the packages that a command line names, and allow them; of several overrides the last counts.

    Args:
        overrides: as typed: `allowed_packages=[lab]` among others.

    Raises:
        ConfigError: one is no name of a package, or what was typed is no list.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    value: Any = None
    own = [override for override in overrides if "allowed_packages" in override]
    try:
        parsed = OverridesParser.create().parse_overrides(own)
    except HydraException as error:
        raise ConfigError(f"{own[0]} cannot be read; it should be allowed_packages=[mypackage].") from error
    for override in parsed:
        if override.key_or_group == "allowed_packages" and not override.is_delete():
            value = override.value()
    return [] if value is None else allow(value if isinstance(value, str | list) else [value])


def allowed_packages(cfg: DictConfig) -> list[str]:
    """Return the packages that a configuration may use: those that it names, and those of the file.

    Raises:
        ConfigError: it names one that is not trusted.
    """
    named = _listed(cfg.get("allowed_packages"))
    filed = packages_of_file()
    if untrusted := [name for name in named if name not in (*_allowed, *filed)]:
        raise ConfigError(
            f"allowed_packages={named} was not typed, so that {untrusted[0]} is not trusted; name it on the "
            "command line, in seqbench.compose([…]), or in ~/.config/seqbench/trusted."
        )
    return list(dict.fromkeys([*named, *filed]))


def still_allowed(packages: Any) -> list[str]:
    """Return those of these packages that were allowed in this process.

    For the configuration of a run that is read again: what it names is trusted only if the user has named it
    too.

    Args:
        packages: the value of its `allowed_packages`.
    """
    return [name for name in _listed(packages) if name in tuple(_allowed)]


def packages_of_file() -> list[str]:
    """Return the packages named in `~/.config/seqbench/trusted`; `#` begins a comment.

    Raises:
        ConfigError: the file cannot be read, or a line is no name of a package.
    """
    path = _file()
    if path is None or not path.is_file():
        return []
    try:
        lines = path.read_text(encoding="utf-8").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}, the list of trusted packages, cannot be read: {error}.") from error
    names = [line.partition("#")[0].strip() for line in lines]
    for number, name in enumerate(names, 1):
        if name and not _is_name(name):
            raise ConfigError(f"{path}, line {number}: {name!r} is no name of a package.")
    return [name for name in names if name]


def _listed(packages: Any) -> list[Any]:
    """Return the value of `allowed_packages`, which may be one name, as a list."""
    packages = packages or []
    return list(packages) if isinstance(packages, list | tuple | ListConfig) else [packages]


def _file() -> Path | None:
    """Return the path of the file, in `$XDG_CONFIG_HOME` if that is set; None for a user without a home."""
    folder = os.environ.get("XDG_CONFIG_HOME", "")
    try:
        home = Path(folder) if Path(folder).is_absolute() else Path.home() / ".config"
    except RuntimeError:
        return None
    return home / "seqbench" / "trusted"


def _is_name(name: Any) -> bool:
    return isinstance(name, str) and re.fullmatch(r"[^\W\d]\w*(\.[^\W\d]\w*)*", name) is not None

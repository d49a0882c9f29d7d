"""Refusals: what a class or a function says to its arguments, told with the whole key of the argument."""

from __future__ import annotations

import re
import traceback
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from seqbench.config.fit import fit, shown
from seqbench.errors import ConfigError, nearest_key, one_line

T = TypeVar("T")

#: The kinds of error by which a constructor refuses a value. Any other is a fault of its code.
REFUSING = (ValueError, TypeError, AssertionError, RuntimeError, OverflowError, ImportError, MemoryError)
#: What torch, numpy and Python say to a size beyond any memory.
TOO_LARGE = re.compile(
    "overflow|n[o']t allocate|not enough memory|too (large|big) to convert|allowed dimension|sys.maxsize",
    re.I,
)


def refusal(error: Exception, node: dict[str, Any], where: str) -> ConfigError:
    """Return the error for what was raised when a configuration node was made, with the whole key.

    A message of seqbench's own begins with a parameter, `alpha=2 must lie in [0, 1]`; another's may mention
    one: `Invalid beta parameter at index 0`. Either may come from a node within the node.

    Args:
        error: raised by what was called.
        node: its configuration.
        where: the key of the node.
    """
    text, keys = one_line(error), dict(_values(node))
    if lacking := re.match(r"(?:(?:\w+\.)*?(\w+)(?:\.__init__)?\(\) )?missing .*?'(\w+)'", text):
        needs = lacking[1] or str(node.get("_target_")).rpartition(".")[2]
        key = next((f"{key}." for key, name in _targets(node) if name == needs), "")
        return ConfigError(f"{where}.{key}{lacking[2]} has no value, and {needs} needs one.")
    if twice := re.search(r"(\w+)\.__init__\(\) got multiple values for argument '(\w+)'", text):
        key = next((f"{key}." for key, name in _targets(node) if name == twice[1]), "")
        return ConfigError(f"{where}.{key}{twice[2]} is set by the place of {twice[1]}; leave it out.")
    if isinstance(error, MemoryError) or TOO_LARGE.search(text):
        return ConfigError(f"{largest({where: node})} is larger than any memory; give less.")
    if not isinstance(error, REFUSING):
        last = traceback.extract_tb(error.__traceback__)[-1]
        place = f"{Path(last.filename).name}, line {last.lineno}"
        return ConfigError(f"{where}: {type(error).__name__} in {place}: {text}.")
    if re.match(r"\w+=", text):
        whole = re.sub(r"\b(\w+)=(?=(\S*))", lambda found: f"{_whole(found, keys, where)}=", text)
        if whole != text:
            return ConfigError(f"{whole}.")
    for word in re.findall(r"[a-z_]{3,}", text.lower()):
        for key, value in keys.items():
            name = key.rpartition(".")[2]
            if name.rstrip("s") == word.rstrip("s") or (len(name) > 2 and word.startswith(name)):
                return ConfigError(f"{where}.{key}={shown(value)}: {text}.")
    return ConfigError(f"{where}: {text}.")


def _whole(found: re.Match[str], keys: dict[str, Any], where: str) -> str:
    """Return the whole key of a parameter in a message: of several of its name, that with the value told."""
    meant = [key for key in keys if key.rpartition(".")[2] == found[1]]
    exact = [key for key in meant if found[2].startswith(shown(keys[key]))]
    return next((f"{where}.{key}" for key in exact or meant), found[1])


def largest(node: dict[str, Any]) -> str:
    """Return `key=value` for the largest number in a node, or the key of its first part if there is none."""
    sizes = {
        key: value
        for key, value in _values(node)
        if isinstance(value, int | float) and not isinstance(value, bool) and value > 1
    }
    key = max(sizes, key=lambda key: sizes[key], default=None)
    return next(iter(node)) if key is None else f"{key}={shown(sizes[key])}"


def _values(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield every dotted key of a node with its value, those of the node before those of nodes within it."""
    for key, value in node.items():
        if not key.startswith("_") and not isinstance(value, dict):
            yield f"{prefix}{key}", value
    for key, value in node.items():
        if isinstance(value, dict):
            yield from _values(value, f"{prefix}{key}.")


def _targets(node: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    """Yield the dotted key of every node within a node, with the name of what it makes."""
    for key, value in node.items():
        if isinstance(value, dict) and "_target_" in value:
            yield f"{prefix}{key}", str(value["_target_"]).rpartition(".")[2]
            yield from _targets(value, f"{prefix}{key}.")


def made(kind: type[T], node: Mapping[str, Any], where: str) -> T:
    """Return the dataclass that a node describes.

    Args:
        kind: the dataclass.
        node: its fields.
        where: the node's key, for messages.

    Raises:
        ConfigError: a key is unknown, a value does not fit or is refused, or one is missing.
    """
    hints = get_type_hints(kind)
    for key in node:
        if key not in hints:
            guess = nearest_key(f"{where}.{key}", [f"{where}.{name}" for name in hints])
            raise ConfigError(f"There is no key {where}.{key}.{guess}")
    values = {key: fit(value, hints[key], f"{where}.{key}") for key, value in node.items()}
    try:
        return kind(**values)
    except (ValueError, TypeError) as error:
        raise refusal(error, values, where) from error

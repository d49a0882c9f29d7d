"""Fitting: a value becomes one of the type that its place asks for, or a sentence says what would fit."""

from __future__ import annotations

import collections.abc
import math
import os
import types
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, Union, get_args, get_origin

from seqbench.config.presets import SUBGROUPS
from seqbench.errors import ConfigError

if TYPE_CHECKING:
    from pydantic import TypeAdapter

#: The most characters of a value that a message shows.
SHOWN = 80
#: The largest whole number that torch takes, and the largest number that single precision holds.
LARGEST, LARGEST_NUMBER = 2**63 - 1, 3.4e38
#: A type in words: one value of it, several, and examples of these in a list.
WORDS: dict[Any, tuple[str, str, tuple[str, ...]]] = {
    int: ("a whole number", "whole numbers", ("50", "100", "200")),
    float: ("a number", "numbers", ("0.9", "0.99", "0.999")),
    bool: ("true or false", "true or false", ("true", "false", "true")),
    str: ("text", "words", ("one", "two", "three")),
    type(None): ("null", "null", ("null",)),
}
SEQUENCES = (list, tuple, set, frozenset, collections.abc.Sequence, collections.abc.Iterable)


def fit(value: Any, hint: Any, where: str) -> Any:
    """Return a value as the type `hint`.

    A whole number may be written in any way, 1000, 1e3 or "1000". True and false are no numbers, and every
    number is finite.

    Args:
        value: what was typed, or is in a preset.
        hint: an annotation. Any, and what no configuration can hold, such as a tensor, takes every value.
        where: the whole key, for messages.

    Raises:
        ConfigError: the value is none of this type, or larger than torch takes.
    """
    fitting = _fit(value, hint, where)
    for part in _parts(fitting):
        largest = LARGEST if isinstance(part, int) else LARGEST_NUMBER
        if isinstance(part, int | float) and abs(part) > largest:
            limit = f"at most {largest}" if part > 0 else f"at least {-largest}"
            raise ConfigError(f"{where}={shown(value)} must be {limit}.")
    return fitting


def _fit(value: Any, hint: Any, where: str) -> Any:
    from pydantic import ValidationError

    _check_finite(value, value, where)
    adapter = _adapter(hint)
    if adapter is None:
        return value
    try:
        if value == "" and Path in _members(hint):
            raise ValueError("an empty path is that of the working directory")
        if not _takes_boolean(hint) and any(isinstance(part, bool) for part in _parts(value)):
            raise ValueError("true and false are numbers to Python alone")
        fitting = adapter.validate_python(_adapted(value, hint))
    except (ValidationError, ValueError, OverflowError) as error:
        if isinstance(value, dict) and _is_callable(hint):
            raise ConfigError(f"{where} has no _target_: it does not say what to build.") from error
        group = where.replace(".", "/")
        hint_at_preset = f"; {group}={shown(value)} chooses a preset" if group in SUBGROUPS else ""
        raise ConfigError(
            f"{where}={shown(value)} must be {words(hint)}{hint_at_preset}{_swept(value, hint, where)}."
        ) from error
    _check_finite(fitting, value, where)  # the word "inf" has become a number
    return list(fitting) if isinstance(fitting, tuple) else fitting


def _swept(value: Any, hint: Any, where: str) -> str:
    """Return how a sweep is written over the values of a list, where no list goes; else an empty string."""
    listed = isinstance(value, collections.abc.Sequence) and not isinstance(value, str)
    if not listed or len(value) < 2 or any((get_origin(m) or m) in SEQUENCES for m in _members(hint)):
        return ""
    return f"; a sweep over these values reads {where}={','.join(map(shown, value))}"


def count(value: Any, where: str, least: int, most: int) -> int:
    """Return a value as a whole number in a range.

    Raises:
        ConfigError: it is none.
    """
    try:
        number: int = _fit(value, int, where)
    except ConfigError as error:
        raise ConfigError(
            f"{where}={shown(value)} must be a whole number, at least {least}{_swept(value, int, where)}."
        ) from error
    if not least <= number <= most:
        limit = f"at least {least}" if number < least else f"at most {most}"
        raise ConfigError(f"{where}={shown(value)} must be a whole number, {limit}.")
    return number


def folder(value: Any, where: str) -> str:
    """Return a value as the path of a folder, with the home folder in place of `~`.

    Raises:
        ConfigError: it names no folder.
    """
    named = not isinstance(value, bool) and isinstance(value, str | int) and "\0" not in str(value)
    if not named or not str(value).strip():
        raise ConfigError(
            f"{where}={shown(value)} must name a folder, such as {where}={where.partition('_')[0]}."
        )
    return os.path.expanduser(str(value))  # noqa: PTH111 - a path without a home stays as it is


def shown(value: Any) -> str:
    """Return a value as one types it."""
    if value is None or isinstance(value, bool):
        text = {None: "null", True: "true", False: "false"}[value]
    elif isinstance(value, collections.abc.Mapping):
        text = f"{{{','.join(f'{key}:{shown(item)}' for key, item in value.items())}}}"
    elif isinstance(value, collections.abc.Sequence) and not isinstance(value, str):
        text = f"[{','.join(map(shown, value))}]"
    else:
        text = str(value)
    return text if len(text) <= SHOWN else f"{text[:SHOWN]}…"


def words(hint: Any) -> str:
    """Return what a value of a type is, in words: `a list of whole numbers, such as [50,100], or null`."""
    known = [name for member in _members(hint) for name in _words_of_one(member)]
    if Path in _members(hint):
        known = ["a path", *(name for name in known if name != "text")]
    named = list(dict.fromkeys(sorted(known, key=lambda name: name == "null")))
    comma = "," if any("," in name for name in named[:-1]) else ""
    return (
        " or ".join([*([f"{', '.join(named[:-1])}{comma}"] if named[1:] else []), *named[-1:]]) or "left out"
    )


def _words_of_one(hint: Any) -> list[str]:
    """Return the words for one type; none for a type that nobody can type, such as a tensor."""
    origin, parts = get_origin(hint) or hint, get_args(hint)
    if hint is bool:
        return ["true", "false"]
    if hint in WORDS:
        return [WORDS[hint][0]]
    if origin is Literal:
        return [shown(part) for part in parts]
    if origin in SEQUENCES:
        items = [part for part in parts if part is not Ellipsis]
        if items and get_origin(items[0]) is Literal:
            return [f"a list of {words(items[0])}"]
        members = (member for item in items for member in _members(item))
        _, plural, examples = next((WORDS[member] for member in members if member in WORDS), WORDS[str])
        fixed = len(parts) if origin is tuple and Ellipsis not in parts else None
        return [
            f"a list of {fixed or ''} {plural}, such as [{','.join(examples[: fixed or 2])}]".replace(
                "  ", " "
            )
        ]
    if origin in (dict, collections.abc.Mapping):
        return ["keys with values, such as {key:value}"]
    return ["a node with a _target_"] if _is_callable(hint) else []


def _members(hint: Any) -> tuple[Any, ...]:
    """Return the types of a union, or the one type that it is."""
    return get_args(hint) if get_origin(hint) in (Union, types.UnionType) else (hint,)


def _is_callable(hint: Any) -> bool:
    return any(collections.abc.Callable in (member, get_origin(member)) for member in _members(hint))


def _adapted(value: Any, hint: Any) -> Any:
    """Return a whole number, a word or a name as its type has it, however it is written."""
    members = _members(hint)
    if isinstance(value, list):
        items = next((get_args(m) for m in members if get_origin(m) in SEQUENCES and get_args(m)), None)
        if items is None or (len(items) not in (1, len(value)) and Ellipsis not in items):
            return value
        each = items if len(items) == len(value) and Ellipsis not in items else (items[0],) * len(value)
        return [_adapted(item, its) for item, its in zip(value, each, strict=True)]
    names = [name for m in members if get_origin(m) is Literal for name in get_args(m)]
    if value not in names and str(value) in names:
        return str(value)  # a name that reads as a number: 1997
    if int in members and not {float, str} & {*members} and isinstance(value, float | str):
        return _whole(value)
    if str in members and int not in members and isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    return value


def _whole(value: float | str) -> Any:
    """Return the whole number that is written `1000`, `1e3` or `1000.0`; anything else as it is."""
    try:
        return int(value) if isinstance(value, str) or value.is_integer() else value
    except ValueError:
        pass
    try:
        return int(float(value)) if float(value).is_integer() else value
    except (ValueError, OverflowError):
        return value


def _parts(value: Any) -> Iterator[Any]:
    """Yield the values in a value, at any depth."""
    if isinstance(value, dict | list | tuple):
        for item in value.values() if isinstance(value, dict) else value:
            yield from _parts(item)
    else:
        yield value


def _check_finite(value: Any, typed: Any, where: str) -> None:
    if any(isinstance(part, float) and not math.isfinite(part) for part in _parts(value)):
        raise ConfigError(f"{where}={shown(typed)} must be finite.")


@cache
def _takes_boolean(hint: Any) -> bool:
    """Whether true and false are values of a type. (They are numbers to Python, and no numbers here.)"""
    parts = [part for part in get_args(hint) if not isinstance(part, list)]  # a callable's parameters
    return hint in (bool, Any, object) or any(part in (True, False) or _takes_boolean(part) for part in parts)


@cache
def _adapter(hint: Any) -> TypeAdapter[Any] | None:
    """Return what validates a type; None for a type that no configuration holds, such as a tensor."""
    from pydantic import ConfigDict, TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            return None
        return TypeAdapter(hint)  # a model or dataclass, which has a configuration of its own
    except TypeError:
        return None

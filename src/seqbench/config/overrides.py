"""Overrides: what one types, `key=value` and `group=preset`, checked before Hydra sees it."""

from __future__ import annotations

import os
import posixpath
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from seqbench.config.presets import GROUPS, LISTS, SUBGROUPS
from seqbench.errors import ConfigError, one_line

if TYPE_CHECKING:
    from hydra.core.override_parser.types import Override

#: A path in somebody's home folder, at the start of a value. Hydra's grammar has no unquoted `~`.
HOME = re.compile(r"(?<=[=,\[])~[^,\[\]{}()'\"=]*")


def readable(arguments: Sequence[str]) -> list[str]:
    """Return overrides as Hydra reads them: with the home folder in place of `~`.

    Raises:
        ConfigError: an override cannot be read, or gives a group what is no name of a preset.
    """
    found = [HOME.sub(_at_home, argument) for argument in arguments]
    for override in parse(found):
        _check_choice(override)
    return found


def parse(overrides: Sequence[str]) -> list[Override]:
    """Return overrides, parsed.

    Raises:
        ConfigError: one cannot be read.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    parser = OverridesParser.create()
    found = []
    for text in overrides:
        try:
            override = parser.parse_rule(text, "override")
        except HydraException as error:
            raise ConfigError(f"{text!r} cannot be read: {_obstacle(text, error)}.") from error
        if not override.key_or_group:
            raise ConfigError(f"{text!r} cannot be read: an argument reads key=value.")
        found.append(override)
    return found


def choices(overrides: Sequence[str]) -> list[str]:
    """Return those overrides that choose a preset; of several presets, in a sweep, the first."""
    found = []
    for override, text in zip(parse(overrides), overrides, strict=True):
        if override.key_or_group in (*GROUPS, *SUBGROUPS) and not override.is_delete():
            value = (
                text.partition("=")[2] if not override.is_sweep_override() else next(_values(override), None)
            )
            if isinstance(value, str):
                found.append(f"{override.key_or_group}={value}")
    return found


def _at_home(found: re.Match[str]) -> str:
    path = os.path.expanduser(found[0])  # noqa: PTH111 - a user's name, `~ada`, too
    if path == found[0]:
        raise ConfigError(f"{found[0]} is in no home folder that is known here; give a whole path.")
    return quoted(path)


def quoted(text: str) -> str:
    """Return a text as a value that Hydra reads as that text, whatever signs it has."""
    return "'" + text.replace("\\", "\\\\").replace("'", "\\'") + "'"


def _check_choice(override: Override) -> None:
    """Raise a ConfigError where a group is given something other than the names of presets."""
    group = str(override.key_or_group)
    if group not in (*GROUPS, *SUBGROUPS) or override.is_delete():
        return
    typed = str(override.input_line).lstrip("+")
    if override.is_add() or override.is_force_add():
        raise ConfigError(f"A preset is chosen without +: {typed}.")
    for value in _values(override):
        names = value if isinstance(value, list) else [value]
        if value is None or not all(isinstance(name, str) and name for name in names):
            raise ConfigError(f"{typed} must name a preset{_of(group)}.")
        if files := [name for name in names if name.endswith((".yaml", ".yml"))]:
            raise ConfigError(
                f"{typed} names a file; a preset has no ending: {group}={files[0].rpartition('.')[0]}."
            )
        for name in names:
            _check_name(group, name, typed)
        if isinstance(value, list) and group not in LISTS:
            raise ConfigError(
                f"{typed} must be one preset and not a list; a sweep trains with each of them: "
                f"-m {group}={','.join(names)}."
            )


def _check_name(group: str, name: str, typed: str) -> None:
    """Raise a ConfigError where a preset is not called by its own name, or is one of a part."""
    plain = posixpath.normpath(name).lstrip("/")
    part, _, preset = plain.partition("/")
    if f"{group}/{part}" in SUBGROUPS:
        raise ConfigError(f"{typed} is a preset of a part: {group}/{part}={preset or '…'} beside {group}=….")
    if plain != name:
        raise ConfigError(f"{typed} is not how a preset is named: {group}={plain}.")


def _values(override: Override) -> Iterator[Any]:
    from hydra.core.override_parser.types import QuotedString

    if override.is_sweep_override():
        found = getattr(override.value(), "list", [])  # a glob or a range has no list of them
        yield from (value.text if isinstance(value, QuotedString) else value for value in found)
    else:
        yield override.value()


def _of(group: str) -> str:
    if group == "experiment":
        return "; without one, leave experiment out"
    plural = group if group in SUBGROUPS else f"{group.removesuffix('s')}s"
    return (
        f": {group}=none, {group}=[…];" if group in LISTS else ";"
    ) + f" `seqbench ls {plural}` lists them"


def _obstacle(text: str, error: Exception) -> str:
    """Return why an argument cannot be read, in words."""
    key, equals, value = text.partition("=")
    if not equals:
        return "an argument reads key=value"
    if not re.fullmatch(r"[+~]{0,2}[\w@./$-]+", key, re.ASCII):
        return f"{key!r} is no key, and an argument reads key=value"
    if isinstance(error.__cause__, (ValueError, TypeError)) or "while evaluating" in str(error):
        return one_line(error.__cause__ or error)
    if value.endswith(",") or ",," in value:
        return "a value is missing beside a comma"
    if any(value.count(quote) % 2 for quote in "'\""):
        return "a quote is not closed"
    if any(value.count(opening) > value.count(closing) for opening, closing in ("[]", "{}", "()")):
        return "a bracket is not closed"
    return f"""a value with such signs goes in quotes, '{key}="…"'"""

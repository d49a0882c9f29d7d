"""Errors that are for the user: one sentence each, shown without a traceback."""

from __future__ import annotations

import difflib
import unicodedata
from collections.abc import Iterable


class SeqbenchError(Exception):
    """Something the user can put right. The command line prints the message and exits with `exit_code`."""

    exit_code = 2

    def __str__(self) -> str:
        """Return the message. What it quotes may hold anything, and the message goes to a terminal."""
        return "\n".join(map(printable, super().__str__().split("\n")))


class ConfigError(SeqbenchError):
    """A preset, key or value that cannot be used; found before anything trains."""


class DataError(SeqbenchError):
    """A data set that is missing, unreadable or not what it should be."""


class StoreError(SeqbenchError):
    """A run folder, result or checkpoint that cannot be read or written."""


def printable(text: str) -> str:
    r"""Return a text in one line without control characters, which command a terminal: each reads `\x1b`."""
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode()
        if unicodedata.category(char) in ("Cc", "Cf", "Cs", "Zl", "Zp")
        else char
        for char in text
    )


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the valid name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(valid), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def first_line(error: BaseException) -> str:
    """Return the first line of an error's message that is not empty, or else the name of its class."""
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__

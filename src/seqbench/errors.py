"""Errors that are for the user: one sentence each, shown without a traceback."""

from __future__ import annotations

import difflib
import os
import re
import sys
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import cache

#: The most characters that are shown of another library's message.
LONGEST = 600
#: How alike the last parts of two keys are, from 0 to 1, for one to be a guess at the other.
ALIKE = 0.6
#: The most names that a message lists.
LISTED = 12
#: Lines that OmegaConf adds to its messages.
ADDED_LINE = re.compile(r"(full_key|object_type|reference_type)[:=]")
#: In a process of a sweep, whose output is a log: passes on what is said once, so that the user reads it.
pass_on: Callable[[str], object] | None = None


class SeqbenchError(Exception):
    """Something the user can put right. The command line prints the message and exits with `exit_code`."""

    exit_code = 2

    def __str__(self) -> str:
        """Return the message. What it quotes may hold anything, and the message goes to a terminal."""
        return "\n".join(map(printable, super().__str__().split("\n")))


class ConfigError(SeqbenchError):
    """A preset, key or value that cannot be used; found before anything trains."""


class NoMemoryError(ConfigError):
    """A configuration that takes more memory than is free on this machine now."""


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


def say(sentence: str) -> None:
    """Print a sentence for the user to standard error, in one call, because processes share it."""
    sys.stderr.write(f"seqbench: {printable(sentence)}\n")
    sys.stderr.flush()


@cache
def say_once(sentence: str) -> None:
    """Print a sentence as `say` does, unless this process, or another of its sweep, has."""
    say(sentence)
    if pass_on is not None:
        with suppress(OSError):  # nobody listens any more
            pass_on(sentence)


@contextmanager
def reader_may_leave() -> Iterator[None]:
    """Write what is left of the output nowhere once its reader, such as `head`, has closed the pipe."""
    try:
        yield
        sys.stdout.flush()
    except BrokenPipeError:
        drop_output()


def drop_output() -> None:
    """Write what is left of the output nowhere, which cannot be written where it should go."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def listed(names: Sequence[str]) -> str:
    """Return `a, b, c`; of more than `LISTED` names the first, `and others`."""
    return f"{', '.join(names[:LISTED])}{' and others' * (len(names) > LISTED)}"


def nearest(name: str, valid: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the valid name closest to `name`, or an empty string."""
    close = difflib.get_close_matches(name, list(valid), n=1)
    return f" Did you mean {close[0]!r}?" if close else ""


def nearest_key(key: str, valid: Iterable[str]) -> str:
    """Return ` Did you mean 'optim.lr'?` for the valid dotted key closest to `key`, or an empty string.

    The last parts must be alike, and outside of the group of `key` the same. One whose last part is the same
    goes first, and then one in the same node as `key`; among several the last parts decide, and then all.
    """
    above, _, last = key.rpartition(".")
    group = f"{above}.".partition(".")[0]

    def likeness(other: str) -> tuple[bool, bool, float, float]:
        beside, _, name = other.rpartition(".")
        alike = _alike(last, name)
        return name == last, beside == above != "" and alike >= ALIKE, alike, _alike(key, other)

    near = (
        name
        for name in valid
        if name != key and (group in ("", name.partition(".")[0]) or name.rpartition(".")[2] == last)
    )
    found = max(near, key=likeness, default=None)
    return f" Did you mean {found!r}?" if found is not None and likeness(found)[2] >= ALIKE else ""


def _alike(a: str, b: str) -> float:
    return difflib.SequenceMatcher(None, a.lower(), b.lower()).ratio()


def one_line(error: BaseException | str) -> str:
    """Return an error's whole message on one line, without a full stop; its class's name if it has none."""
    lines = [line.strip() for line in str(error).splitlines()]
    text = " ".join(line for line in lines if line and not ADDED_LINE.match(line)).removesuffix(".")
    if len(text) > LONGEST:
        text = f"{text[:LONGEST].rpartition(' ')[0]} …"
    return text or type(error).__name__

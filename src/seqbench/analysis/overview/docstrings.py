"""Docstrings for readers: what a class says of itself, fitted to a width."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterable, Iterator
from itertools import groupby

#: Sections that are about the constructor, and not about what the class computes.
SECTION = re.compile(r"(Args|Attributes|Raises|Returns):$")
#: What shows that a line is part of a drawing.
DRAWN = re.compile("[│┌┐└┘├┤┬┴┼╲╱─▶◀▲▼]")
#: How an item of a list begins.
ITEM = re.compile(r" *\w+: ")
#: The gap before a remark beside a formula or a drawing, the last of its line.
GAP = re.compile(r"(?<=\S) {3,}(?=\S(?:(?! {3}).)*$)")


def docstring(of: type, width: int) -> str:
    """Return the docstring of a class without what it says of arguments and errors.

    Prose is filled; what is indented, such as equations and drawings, stays as it is where it fits. Where it
    does not, the remarks beside it move closer, or below.

    Args:
        of: the class.
        width: columns.
    """
    lines = _without_sections((inspect.getdoc(of) or "").splitlines())
    blocks = ["\n".join(_fitted(block, width)) for block in _blocks(lines)]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(blocks)).strip("\n")


def _without_sections(lines: list[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        if SECTION.match(line):
            inside = True
        elif line and not line.startswith(" "):
            inside = False
        if not inside:
            yield line


def _blocks(lines: Iterable[str]) -> Iterator[list[str]]:
    """Yield the lines that belong together: a paragraph, what is indented below it, or an empty line."""
    for _, block in groupby(lines, lambda line: (bool(line), line.startswith(" "))):
        yield list(block)


def _fitted(block: list[str], width: int) -> list[str]:
    """Return the lines of a block in at most `width` columns."""
    if not block[0].startswith(" "):
        return textwrap.wrap(" ".join(block), width) or [""]
    widest = max(block, key=len)
    if (over := len(widest) - width) <= 0:
        return block
    if over <= min(map(_indent, block)):  # less of an indent is enough
        return [line[over:] for line in block]
    drawn = any(map(DRAWN.search, block))
    gap = GAP.search(widest)
    if gap is None and not drawn and not any(" = " in line for line in block):
        return _items(block, width)
    # What begins where the widest line's remark does is a remark; other gaps are within a line.
    halves = [_split(line, gap.end() if gap else 0) for line in block]
    column = 0 if drawn else width - max(len(remark) for _, remark in halves)
    return [line for left, remark in halves for line in _beside(left, remark, column, width)]


def _items(block: list[str], width: int) -> list[str]:
    """Return the lines of prose that is indented: of one paragraph, or of items such as `halves: …`."""
    items: list[str] = []
    for line in block:
        if not items or (ITEM.match(line) and _indent(line) == _indent(block[0])):
            items.append(line)
        else:
            items[-1] += f" {line.strip()}"
    return [line for item in items for line in _wrapped(item, width)]


def _wrapped(line: str, width: int) -> list[str]:
    return textwrap.wrap(line, width, subsequent_indent=" " * (_indent(line) + 4))


def _indent(line: str) -> int:
    return len(line) - len(line.lstrip())


def _split(line: str, column: int) -> tuple[str, str]:
    """Return a line before its remark, and the remark; none where another thing is at its column."""
    left, remark = line[:column], line[column:]
    if not left.endswith("   ") or not left.strip() or DRAWN.search(remark):
        return line, ""
    return left.rstrip(), remark


def _beside(left: str, remark: str, column: int, width: int) -> list[str]:
    """Return a line with its remark, from a column on; below it where there is no room.

    Where there is no room for the line itself, a formula goes on below, and a drawing is cut off.
    """
    if len(left) > width:
        first = [f"{left[: width - 1]}…"] if DRAWN.search(left) else _wrapped(left, width)
    elif len(left) + 2 + len(remark) <= width:
        return [f"{left:<{max(column, len(left) + 2)}}{remark}".rstrip()]
    else:
        first = [left]
    return [*first, *_wrapped(f"{' ' * (_indent(left) + 4)}{remark}", width)] if remark else first

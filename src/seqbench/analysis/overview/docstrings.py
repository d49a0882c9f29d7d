"""Docstrings for readers: what a class says of itself, fitted to a width."""

from __future__ import annotations

import inspect
import re
import textwrap
from collections.abc import Iterator

#: Sections that are about the constructor, and not about what the class computes.
SECTION = re.compile(r"(Args|Attributes|Raises|Returns):$")
#: A gap before a remark beside a formula or a drawing.
GAP = re.compile(r" {3,}(?=\S[^│╲╱]*$)")


def docstring(of: type, width: int) -> str:
    """Return the docstring of a class without what it says of arguments and errors.

    Prose is filled; what is indented, such as equations and drawings, stays as it is where it fits. Where it
    does not, a remark beside it moves closer, or below.

    Args:
        of: the class.
        width: columns.
    """
    lines = _without_sections((inspect.getdoc(of) or "").splitlines())
    return re.sub(r"\n{3,}", "\n\n", "\n".join(_fitted(lines, width))).strip("\n")


def _without_sections(lines: list[str]) -> Iterator[str]:
    inside = False
    for line in lines:
        if SECTION.match(line):
            inside = True
        elif line and not line.startswith(" "):
            inside = False
        if not inside:
            yield line


def _fitted(lines: Iterator[str], width: int) -> Iterator[str]:
    """Yield lines of at most `width` columns."""
    paragraph: list[str] = []
    for line in (*lines, ""):
        if line and not line.startswith(" "):
            paragraph.append(line)
            continue
        if paragraph:
            yield from textwrap.wrap(" ".join(paragraph), width)
            paragraph = []
        yield from _indented(line, width)


def _indented(line: str, width: int) -> list[str]:
    """Return an indented line, in several where it is too long."""
    if len(line) <= width:
        return [line]
    indent = line[: len(line) - len(line.lstrip())]
    if gap := GAP.search(line, len(indent)):
        left, right = line[: gap.start()], line[gap.end() :]
        if len(left) + 2 + len(right) <= width:
            return [f"{left}  {right}"]
        return [*_indented(left, width), *_indented(f"{indent}    {right}", width)]
    return (
        textwrap.wrap(line, width, subsequent_indent=f"{indent}    ") if len(indent) + 20 < width else [line]
    )

"""Tables in Markdown."""

from __future__ import annotations

import re

from seqbench.errors import printable
from seqbench.results.frame import Comparison
from seqbench.results.rendering.blocks import blocks, legend


def to_markdown(comparison: Comparison) -> str:
    """Return the comparison as one Markdown table for every task."""
    parts = []
    for block in blocks(comparison):
        table = block.table.map(lambda text: "<br>".join(map(escape, text.split("\n"))))
        table = table.rename(index=escape, columns=escape)
        beside = [*["left"] * (1 + len(table.columns) - len(block.side)), *["right"] * len(block.side)]
        text = table.to_markdown(disable_numparse=True, colalign=beside)  # a number stays as it is written
        parts.append(f"**{escape(block.heading)}**\n\n{text}\n")
    return "\n".join([*parts, escape(legend(comparison))]) + "\n"


def escape(text: str) -> str:
    """Return a text in one line that is no column, element of HTML or link in Markdown."""
    text = printable(text).replace("|", "&#124;").replace("](", "]\\(")
    return re.sub(r"<(?=[A-Za-z/!?])", "&lt;", text)

"""Tables in Markdown."""

from __future__ import annotations

from seqbench.results.frame import Comparison
from seqbench.results.rendering.blocks import blocks, legend


def to_markdown(comparison: Comparison) -> str:
    """Return the comparison as one Markdown table for every task."""
    parts = []
    for block in blocks(comparison):
        table = block.table.map(lambda text: text.replace("\n", "<br>"))
        parts.append(f"**{block.heading}**\n\n{table.to_markdown()}\n")
    return "\n".join([*parts, legend(comparison)]) + "\n"

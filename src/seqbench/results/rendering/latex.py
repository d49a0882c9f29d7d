"""Tables in LaTeX."""

from __future__ import annotations

import re
from collections.abc import Collection
from itertools import chain, count

from seqbench.results.frame import Comparison
from seqbench.results.rendering.blocks import blocks

#: Characters that have a meaning of their own in LaTeX, or that its standard fonts lack.
ESCAPES = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--"}
    | {
        "±": r"$\pm$",
        "∞": r"$\infty$",
        "→": r"$\to$",
        "<": "$<$",
        ">": "$>$",
        "≤": r"$\leq$",
        "≥": r"$\geq$",
        "−": "$-$",
        "Ω": r"$\Omega$",
    }
)


def to_latex(comparison: Comparison) -> str:
    r"""Return the comparison as one LaTeX table for every task, with its legend in its caption.

    The preamble needs \usepackage{booktabs}. The table of a task has the label `tab:` and its name,
    `tab:adding`, where characters other than letters and digits read `-`; a number follows where two tasks
    would have the same.
    """
    parts = []
    used: set[str] = set()
    for block in blocks(comparison):
        table = block.table.map(_cell).rename(index=_escape, columns=_escape)
        label = _label(block.task, used)
        used.add(label)
        columns = "l" + "c" * (table.shape[1] - len(block.side)) + "r" * len(block.side)
        latex = table.style.to_latex(
            hrules=True,
            column_format=columns,
            caption=_escape(f"{block.heading}. {block.legend}".rstrip()),
            label=label,
            position_float="centering",
        )
        parts.append(latex)
    return "\n".join(parts)


def _label(task: str, used: Collection[str]) -> str:
    """Return the label of a task's table, which none before it has."""
    stem = f"tab:{re.sub(r'[^A-Za-z0-9]+', '-', task).strip('-')}"
    numbered = (f"{stem}-{n}" for n in count(2))
    return next(label for label in chain([stem], numbered) if label not in used)


def _cell(text: str) -> str:
    """Return the text of a cell; several lines are put on top of one another."""
    escaped = _escape(text)
    if "\n" not in escaped:
        return escaped
    return r"\shortstack{" + escaped.replace("\n", r" \\ ") + "}"


def _escape(text: str) -> str:
    # After the end of a row LaTeX takes what is in brackets for a length.
    return re.sub(r"^\[", "{[}", text.translate(ESCAPES), flags=re.MULTILINE)

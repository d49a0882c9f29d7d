"""Tables in LaTeX."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Collection
from itertools import chain, count
from math import isnan

from seqbench.results.frame import Comparison
from seqbench.results.rendering.blocks import blocks, column_of
from seqbench.results.statistics.metrics import LEAST_SEEDS
from seqbench.results.summaries import Row

#: Characters that have a meaning of their own in LaTeX, or that its standard fonts lack.
GREEK = dict(
    zip(
        "αβγδεζηθικλμνξπρστυφχψωΓΔΘΛΞΠΣΦΨΩ",
        (
            *("alpha", "beta", "gamma", "delta", "epsilon", "zeta", "eta", "theta", "iota", "kappa"),
            *("lambda", "mu", "nu", "xi", "pi", "rho", "sigma", "tau", "upsilon", "phi", "chi", "psi"),
            *("omega", "Gamma", "Delta", "Theta", "Lambda", "Xi", "Pi", "Sigma", "Phi", "Psi", "Omega"),
        ),
        strict=True,
    )
)
SIGNS = {
    "±": r"\pm",
    "×": r"\times",
    "∞": r"\infty",
    "→": r"\to",
    "≤": r"\leq",
    "≥": r"\geq",
    "≈": r"\approx",
}
SIGNS |= {"·": r"\cdot", "√": r"\surd", "∂": r"\partial", "‖": r"\|", "²": "^2", "³": "^3", "½": r"\frac12"}
SIGNS |= {"†": r"\dagger", "‡": r"\ddagger", "−": "-", "µ": r"\mu"} | {char: char for char in "<>|"}
ESCAPES = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {
        "\\": r"\textbackslash{}",
        "~": r"\textasciitilde{}",
        "^": r"\textasciicircum{}",
        "–": "--",
        "—": "---",
    }
    | {"…": r"\ldots{}", "‘": "`", "’": "'", "“": "``", "”": "''"}
    | {char: f"${sign}$" for char, sign in SIGNS.items()}
    | {char: rf"$\{name}$" for char, name in GREEK.items()}
)
#: The accents that LaTeX sets on letters of its standard fonts, and the other letters which these have.
ACCENTS = "\u0300\u0301\u0302\u0303\u0304\u0306\u0307\u0308\u030a\u030b\u030c\u0327"
LETTERS = "ßæœøłÆŒØŁı"
#: The most characters of a task in the name of a file or of a label.
LONGEST_STEM = 100
#: What keeps a table clear of its caption: LaTeX's own classes have captions below in mind.
BELOW_CAPTION = "\\smallskip\n"
#: What makes a table no wider than the text.
FITTED = "\\resizebox{\\ifdim\\width>\\linewidth\\linewidth\\else\\width\\fi}{!}{%\n"
#: What the caption of a table says of bold type.
BOLD = (
    "Bold: in each column the best median of the test metric, "
    "and every other whose interval or range holds it, of models of which all runs have a value."
)


def to_latex(comparison: Comparison) -> str:
    r"""Return the comparison as one LaTeX table for every task, with its legend in its caption.

    The preamble needs \usepackage{booktabs,graphicx}. A table is as wide as the text, over both columns where
    there are two, and is made smaller where its lengths do not fit. That of a task has the label `tab:` and
    its name, `tab:adding`, where characters other than letters and digits read `-`; a number follows where
    two tasks would have the same. Bold type marks the best median in each column, see `best`; the caption
    says so.
    """
    parts = []
    used: set[str] = set()
    for block in blocks(comparison):
        table = block.table.map(_cell)
        bold = best(block.rows)
        for model, column in bold:
            table.loc[model, column] = _cell(str(block.table.loc[model, column]), bold=True)
        table = table.rename(index=escape, columns=escape)
        stem = label_stem(block.task, used)
        used.add(stem)
        columns = "l" + "c" * (table.shape[1] - len(block.side)) + "r" * len(block.side)
        caption = " ".join(filter(None, [f"{block.heading}.", block.legend, BOLD if bold else ""]))
        latex = table.style.to_latex(
            hrules=True,
            column_format=columns,
            caption=escape(caption),
            label=f"tab:{stem}",
            position_float="centering",
            environment="table*",
        )
        head, rule, body = latex.partition("\\midrule\n")
        rows = body.replace(" \\\\\n", " \\\\ \\addlinespace\n")
        whole = head + rule + rows.replace(" \\addlinespace\n\\bottomrule", "\n\\bottomrule")
        before, tabular, after = whole.partition("\\begin{tabular}")
        inside, end, below = after.rpartition("\\end{tabular}")  # cells have tables too
        parts.append(f"{before}{BELOW_CAPTION}{FITTED}{tabular}{inside}{end}}}{below}")
    return "\n".join(parts)


def best(rows: Collection[Row]) -> set[tuple[str, str]]:
    """Return the models and columns with the best median, or with one that cannot be told from it.

    That is one whose interval holds the best median, or whose range does where so few seeds have no interval.
    Under three seeds a model has no median, and one of which a run diverged has that of the others alone,
    which is compared with nothing. A column in which one model alone has a median has no best.

    Args:
        rows: of a block.
    """
    found = set()
    for column in {column_of(row) for row in rows}:
        its = [row for row in rows if column_of(row) == column and LEAST_SEEDS <= row["n"] == row["seeds"]]
        if len(its) < 2:
            continue
        top = (max if its[0]["direction"] == "max" else min)(row["median"] for row in its)
        for row in its:
            low, high = (row["least"], row["largest"]) if isnan(row["low"]) else (row["low"], row["high"])
            if low <= top <= high:
                found.add((row["model"], column))
    return found


def label_stem(task: str, used: Collection[str]) -> str:
    """Return a name for what is of a task, of letters, digits and `-` alone, which nothing before it has.

    It names files too, and is no longer than `LONGEST_STEM` and a number.
    """
    stem = re.sub(r"[^A-Za-z0-9]+", "-", task)[:LONGEST_STEM].strip("-") or "task"
    numbered = (f"{stem}-{n}" for n in count(2))
    return next(name for name in chain([stem], numbered) if name not in used)


def _cell(text: str, bold: bool = False) -> str:
    """Return the text of a cell, the first line bold or not; several lines are a table of their own."""
    first, *others = escape(text).split("\n")
    lines = [rf"\textbf{{{first}}}" if bold else first, *others]
    if len(lines) == 1:
        return lines[0]
    return r"\begin{tabular}[t]{@{}c@{}}" + r" \\ ".join(lines) + r"\end{tabular}"


def escape(text: str) -> str:
    """Return a text that LaTeX prints as it is; of a character that its fonts lack the code, U+65E5."""
    plain = unicodedata.normalize("NFC", text).translate(ESCAPES)
    plain = "".join(char if _is_there(char) else rf"\texttt{{U+{ord(char):04X}}}" for char in plain)
    # After the end of a row LaTeX takes what is in brackets for a length.
    return re.sub(r"^\[", "{[}", plain, flags=re.MULTILINE)


def _is_there(char: str) -> bool:
    """Return whether the standard fonts have a character, perhaps as a letter and an accent."""
    parts = unicodedata.normalize("NFD", char)
    accented = ord(char) < 0x180 and parts[0].isascii() and parts[1:] in ACCENTS
    return char.isascii() or char in LETTERS or accented

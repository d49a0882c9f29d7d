"""A comparison of models as rows of text, for terminals and Markdown, and as rows of plain values."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from tabulate import tabulate

from seqbench.results.comparing.comparison import ModelComparison
from seqbench.results.comparing.contrasts import LEVEL, Contrast
from seqbench.results.numbers import MISSING, count, measured, number, signed
from seqbench.results.rendering.markdown import escape
from seqbench.results.statistics.metrics import LEAST_SEEDS

#: What the legend says of each quantity that a table holds, and of all.
OF = {
    "solved": "Solved: runs that solved the task; the difference with its 95 % interval (Newcombe), p by "
    "Boschloo's exact test.",
    "steps": "Steps: to solve, medians by Kaplan–Meier, unsolved runs censored at their budget, 'never' "
    "where half of the runs or more did not solve the task; p by the exact log-rank test.",
    "metric": "Metrics: means over seeds that did not diverge, geometric ones of losses where no line says "
    "arithmetic; p by a permutation test.",
}
OF_ALL = (
    f"×: first over second. Holm: p corrected for all lines of this table; * where it is {LEVEL} or less."
)

UNDER_THREE = f"{MISSING}: of fewer than {LEAST_SEEDS} runs there is no mean or median, and no test."


def rows(comparison: ModelComparison) -> list[dict[str, Any]]:
    """Return a row of plain values for every contrast; None for what is not finite."""
    return [
        {key: None if isinstance(its, float) and not math.isfinite(its) else its for key, its in row.items()}
        for row in map(asdict, comparison.contrasts)
    ]


def text_rows(comparison: ModelComparison) -> list[dict[str, str]]:
    """Return a row of text for every contrast."""
    two = len(comparison.models) == 2
    first, second = comparison.models[:2] if two else ("first", "second")
    return [
        {
            "task": c.task,
            "length": str(c.length or MISSING)
            if c.length == c.train_length
            else f"{c.train_length}→{c.length}",
            **({} if two else {"models": f"{c.first} : {c.second}"}),
            "": _measure(c),
            first: _value(c, c.value_first, c.n_first),
            second: _value(c, c.value_second, c.n_second),
            "difference": _difference(c),
            "p": _p(c.p) + (" paired" if c.paired else ""),
            "Holm": _p(c.p_holm) + (" *" if c.p_holm <= LEVEL else ""),
        }
        for c in comparison.contrasts
    ]


def overall_rows(comparison: ModelComparison) -> list[dict[str, str]]:
    """Return a row of text for every model over all tasks, the best rank first; none under two tasks."""
    overall = comparison.overall
    if overall is None or not (overall.scores or overall.ranks):
        return []
    ranks = dict(zip(overall.ranks.models, overall.ranks.ranks, strict=True)) if overall.ranks else {}
    return [
        {
            "model": model,
            **({"score": _interval(*overall.scores[model])} if overall.scores else {}),
            **({"average rank": f"{ranks[model]:.3g}"} if ranks else {}),
        }
        for model in sorted(comparison.models, key=lambda model: ranks.get(model, 0))
    ]


def sentences(comparison: ModelComparison) -> list[str]:
    """Return what a reader must know of the tables, one text a line."""
    overall = comparison.overall
    lines = [_legend(comparison), comparison.told, *comparison.remarks]
    if overall and overall.scores:
        lines.append(
            f"Score: interquartile mean over all runs of {overall.problems} problems, 0 to 1, with its 95 % "
            "interval (stratified bootstrap over seeds). A share counts as it is, a loss by what it takes "
            "off the baseline's."
        )
    if overall and overall.unscored:
        lines.append(f"There is no score over tasks: {overall.unscored}.")
    if overall and overall.ranks:
        ranks = overall.ranks
        groups = "; ".join(", ".join(group) for group in ranks.groups) or "none"
        lines.append(
            f"Average ranks of medians over {overall.tasks} tasks, 1 is best: Friedman p = {ranks.p:.2g}; "
            f"two ranks differ from {ranks.critical_difference:.3g} on (Nemenyi). Not told apart: {groups}."
        )
    return [line for line in lines if line]


def _legend(comparison: ModelComparison) -> str:
    shown = {c.measure if c.measure in OF else "metric" for c in comparison.contrasts}
    few = any(
        c.measure != "solved" and min(c.n_first, c.n_second) < LEAST_SEEDS for c in comparison.contrasts
    )
    parts = [*(text for name, text in OF.items() if name in shown), OF_ALL]
    return " ".join([*parts, *([UNDER_THREE] if few else [])])


def to_markdown(comparison: ModelComparison) -> str:
    """Return the tables and what is to be known of them as Markdown."""
    parts = [_table(text_rows(comparison))]
    if over_tasks := overall_rows(comparison):
        parts.append(_table(over_tasks))
    return "\n\n".join([*parts, *map(escape, sentences(comparison))]) + "\n"


def _table(rows: Sequence[dict[str, str]]) -> str:
    escaped = [{escape(key): escape(text) for key, text in row.items()} for row in rows]
    return tabulate(escaped, headers="keys", tablefmt="pipe", disable_numparse=True)


def _measure(c: Contrast) -> str:
    """Return what a line compares, and what is peculiar to it."""
    zeros = f", arithmetic: {c.zeros} {'is' if c.zeros == 1 else 'are'} 0" if c.zeros else ""
    return c.measure + zeros + (f", {c.left_out} left out" if c.left_out else "")


def _value(c: Contrast, value: float, runs: int) -> str:
    if math.isnan(value):
        return MISSING
    if c.measure == "solved":
        return f"{value * runs:.0f}/{runs}"
    if c.measure == "steps":
        return "never" if math.isinf(value) else count(value)
    return measured(value, c.unit)


def _difference(c: Contrast) -> str:
    if math.isnan(c.difference):
        return MISSING
    if c.ratio:
        return f"×{number(c.difference)}"
    if c.unit != "share":
        return signed(c.difference)
    if c.measure != "solved":
        return f"{signed(100 * c.difference, '.1f')} %"
    points, low, high = (signed(100 * share, ".0f") for share in (c.difference, c.low, c.high))
    return f"{points} [{low} to {high}] %"


def _interval(value: float, low: float, high: float) -> str:
    return f"{value:.2f}" if math.isnan(low) else f"{value:.2f} [{low:.2f}–{high:.2f}]"


def _p(value: float) -> str:
    return MISSING if math.isnan(value) else number(value, 2)

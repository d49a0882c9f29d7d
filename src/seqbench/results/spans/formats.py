"""The tables of spans in each format, and what they hold as numbers."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from typing import Any

from tabulate import tabulate

from seqbench.results.rendering import latex
from seqbench.results.rendering.markdown import escape
from seqbench.results.rendering.rows import DIGITS, rows_to_csv
from seqbench.results.spans.measured import Measured
from seqbench.results.spans.tables import (
    COSTS,
    DETAILS,
    Row,
    cost_rows,
    detail_rows,
    legend,
    protocol_lines,
    span_rows,
)


def numbers(measured: Sequence[Measured]) -> Iterator[dict[str, Any]]:
    """Yield the rows of the tables and the figure as numbers, one for each entrant at each span."""
    for each in measured:
        for at in each.spans:
            steps, (low, high), fit, confirmed = at.steps, at.interval, each.fit, each.confirmed.fit
            falling_low, falling_high = each.falling or (None, None)
            assert fit is not None and confirmed is not None
            yield {
                "task": each.protocol.task,
                "entrant": each.label,
                "span": at.span,
                "nearest": at.dependency[0],
                "farthest": at.dependency[1],
                "runs": at.n,
                "solved": at.solved,
                "solve_low": low,
                "solve_high": high,
                "test_differs": at.test_differs,
                "confirmed": at.confirmed.solved,
                "diverged": at.status.count("diverged"),
                "median_steps": steps.median,
                "median_low": steps.median_low,
                "median_high": steps.median_high,
                "batch_size": each.protocol.batch_size,
                "parameters": at.parameters,
                "state_size": at.state_size,
                "step_flops": at.step_flops,
                "half_span": fit.estimate,
                "half_span_low": fit.low,
                "half_span_high": fit.high,
                "confirmed_half_span": confirmed.estimate,
                "confirmed_low": confirmed.low,
                "confirmed_high": confirmed.high,
                "log2_m": fit.log2_m,
                "slope": fit.slope,
                "lapse": fit.lapse,
                "fit_p": each.fit_p,
                "falling_low": falling_low,
                "falling_high": falling_high,
            }


def texts(measured: Sequence[Measured], command: str = "", made_with: str = "") -> dict[str, str]:
    """Return the page in each format, by suffix: md, csv, tex, json.

    Args:
        measured: all entrants on all tasks.
        command: that made it, for the page; empty for none.
        made_with: a sentence on code and machine; empty for none.
    """
    rows = list(numbers(measured))
    return {
        "md": _markdown(measured, command, made_with),
        "csv": rows_to_csv(rows) if rows else "",
        "tex": _latex(measured),
        "json": to_json(measured, command, made_with),
    }


def to_json(measured: Sequence[Measured], command: str = "", made_with: str = "") -> str:
    """Return all that is known of the entrants as JSON.

    Numbers have the `DIGITS` of CSV, so that a page is the same on every processor; one that is not finite is
    null.
    """
    whole = {"command": command, "made_with": made_with, "entrants": [each.plain() for each in measured]}
    return json.dumps(_written(whole), indent=1, ensure_ascii=False) + "\n"


def _written(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _written(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_written(item) for item in value]
    if isinstance(value, float):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return value


def _markdown(measured: Sequence[Measured], command: str, made_with: str) -> str:
    parts = ["# The longest span learnt", _table(span_rows(measured)), legend(measured)]
    parts += [escape(line) for line in protocol_lines(measured)]
    parts += ["## Cost", _table(cost_rows(measured)), COSTS]
    parts += ["## Runs at each span", _table(detail_rows(measured)), DETAILS]
    parts += [f"Command: `{command}`"] * bool(command) + [made_with] * bool(made_with)
    return "\n\n".join(parts) + "\n"


def _table(rows: Sequence[Row]) -> str:
    if not rows:
        return "No span is complete."
    shown = [{key: escape(cell) for key, cell in row.items()} for row in rows]
    return tabulate(shown, headers="keys", tablefmt="github", disable_numparse=True)


def _latex(measured: Sequence[Measured]) -> str:
    r"""Return the table of spans in LaTeX, with what must be known in its caption (needs booktabs)."""
    rows = [[latex.escape(cell) for cell in row.values()] for row in span_rows(measured)]
    heads = [latex.escape(head) for head in span_rows(measured)[0]]
    caption = latex.escape(" ".join([legend(measured), *protocol_lines(measured)]))
    body = [" & ".join(row) + r" \\" for row in rows]
    return "\n".join(
        [
            *(r"\begin{table}", r"\centering", rf"\caption{{{caption}}}", r"\label{tab:span}"),
            *(rf"\begin{{tabular}}{{l{'c' * (len(heads) - 1)}}}", r"\toprule"),
            *(" & ".join(heads) + r" \\", r"\midrule", *body, r"\bottomrule"),
            *(r"\end{tabular}", r"\end{table}", ""),
        ]
    )

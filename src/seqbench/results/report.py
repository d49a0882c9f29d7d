"""The report: a comparison written with a figure in every format."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path

from seqbench.errors import printable
from seqbench.results.figures import draw
from seqbench.results.frame import Comparison
from seqbench.results.pages import write_page
from seqbench.results.rendering.data import to_csv, to_json
from seqbench.results.rendering.latex import to_latex
from seqbench.results.rendering.markdown import to_markdown
from seqbench.runs.result import Result

#: Suffix of a file -> how a comparison is written in its format.
WRITERS = {"md": to_markdown, "csv": to_csv, "tex": to_latex, "json": to_json}
#: Suffix of a file -> how a line of text is added to it. CSV and JSON hold no such lines.
ADDED_LINE = {"md": "\n{}\n", "tex": "% {}\n"}


def write_report(
    comparison: Comparison, results: Sequence[Result], commands: Iterable[str], stem: Path
) -> list[Path]:
    """Write a comparison in every format, and its figure; return the paths.

    Args:
        comparison: the comparison of `results`.
        results: its runs; the page says what they were made with.
        commands: the commands that made the runs.
        stem: the path of the files without a suffix.

    Raises:
        StoreError: a file cannot be written.
    """
    texts = {suffix: write(comparison) for suffix, write in WRITERS.items()}
    lines = [printable(line) for line in (*(f"Command: {c}" for c in commands), provenance(results))]
    for suffix, added in ADDED_LINE.items():
        texts[suffix] += "".join(added.format(line) for line in lines)
    return write_page(stem, texts, draw(comparison.frame))


def provenance(results: Sequence[Result]) -> str:
    """Return one sentence on what the results were made with: seeds, code, machine, time."""
    seeds = sorted({result.seed for result in results})
    many = f"{len(results):,} run{'s' * (len(results) != 1)}, seed{'s' * (len(seeds) != 1)}"
    return f"{many} {', '.join(map(str, seeds))}; {made_with(results)}"


def made_with(results: Sequence[Result]) -> str:
    """Return the end of a sentence on what the results were made with: code, machine, time."""

    def listed(values: Iterable[object]) -> str:
        return ", ".join(sorted({str(value) for value in values if value})) or "unknown"

    commits = listed((result.commit or "")[:9] + (result.commit or "")[40:] for result in results)
    seconds = sum(result.wall_time_s for result in results)
    spent = f"{seconds / 3600:.1f} h" if seconds >= 3600 else f"{seconds / 60:.0f} min"
    if seconds < 60:
        spent = f"{seconds:.0f} s"
    ended = max(result.finished_at for result in results)
    with suppress(ValueError, OverflowError):  # what is no time is said as it is
        ended = f"{datetime.fromisoformat(ended).astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    return (
        f"commit {commits}; "
        f"torch {listed(r.versions.get('torch') for r in results)} on {listed(r.device for r in results)}; "
        f"{spent} of training in all, until {ended}."
    )

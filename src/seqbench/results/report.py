"""The report: the comparison of runs as a table in every format, and the command that prints or writes it.

    adding: loss (lower is better)
            100             200             50→200
    lstm    1.2e-4 ±3e-5    2.1e-4 ±5e-5    0.03 ±0.01     test metric, mean ± 95 % t-interval over seeds
            5/5 [57–100]%   3/5 [23–88]%                   runs solved, 95 % Wilson interval
            2.4k steps      9.1k steps                     median steps to solve

A column 50→200 was trained at length 50 and tested at 200. Whether a run is solved is decided at the length
it was trained at, so that such a column says nothing of it.
"""

from __future__ import annotations

import argparse
import math
import sys
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from rich.text import Text

from seqbench.errors import StoreError, nearest
from seqbench.results.figures import save_figures
from seqbench.results.numbers import count, number
from seqbench.results.tables import Row, compare, is_share, provenance, records, told_by
from seqbench.runs.store import no_results, read_results, run_folders, write_atomically

LEGEND = (
    "Each cell: test metric, mean over seeds ± half-width of the 95 % t-interval; runs solved, with the 95 % "
    "Wilson interval; median steps to solve ('never': half of the runs or more did not). "
    "A column a→b was trained at length a and tested at b."
)
#: Columns at the side of a terminal's table, and what a length's column takes.
SIDE_WIDTH, CELL_WIDTH = 32, 17


def cell_text(row: Row) -> str:
    """Return what the table shows for a row of the comparison: one fact a line."""
    lines = []
    if row["n"]:
        half = row["high"] - row["mean"]
        if is_share(row["metric"]):
            value, spread, unit = f"{100 * row['mean']:.1f}", f"{100 * half:.1f}", " %"
        else:
            value, spread, unit = number(row["mean"]), number(half, 2), ""
        lines.append(value + ("" if math.isnan(half) else f" ±{spread}") + unit)
    elif row["seeds"]:
        lines.append("–")
    if row["seeds"] and not pd.isna(row["solved"]):
        bounds = f"{100 * row['solve_low']:.0f}–{100 * row['solve_high']:.0f}"
        lines.append(f"{row['solved']}/{row['seeds']} [{bounds}]%")
        lines.append("never" if math.isinf(row["median_steps"]) else f"{count(row['median_steps'])} steps")
    return "\n".join([*lines, *filter(None, row["note"].split(", "))])


def blocks(frame: pd.DataFrame) -> Iterator[tuple[str, pd.DataFrame]]:
    """Yield, for each task of a comparison, a heading and the table to show: text in every cell.

    Rows are models, then the baseline where the metric is the loss; columns are lengths, then parameters
    and throughput (least–most where they differ between lengths).
    """
    for task, block in frame.groupby("task", sort=False):
        head = records(block)[0]
        rows: dict[str, dict[str, str]] = defaultdict(dict)
        baseline: dict[str, str] = {}
        for row in records(block):
            trained, length = row["train_length"], row["length"]
            column = f"{length or '–'}" if trained == length else f"{trained}→{length}"
            rows[row["model"]][column] = cell_text(row)
            if row["metric"] == "loss":
                baseline[column] = number(row["baseline_loss"])
        for model, group in block.groupby("model"):
            rows[str(model)]["parameters"] = _span(group["parameters"])
            rows[str(model)]["seq/s"] = _span(group["sequences_per_s"])
        better = {"max": " (higher is better)", "min": " (lower is better)"}.get(head["best"], "")
        solved = f". Solved: {head['criterion']}" if head["criterion"] else ""
        rows |= {"baseline": baseline} if baseline else {}
        table = pd.DataFrame.from_dict(rows, orient="index").fillna("")
        yield f"{task}: {head['metric'] or 'no metric'}{better}{solved}", table


def _span(values: pd.Series[Any]) -> str:
    ends = [count(end) for end in (values.min(), values.max())]
    return "–".join(dict.fromkeys(ends))


#: What LaTeX takes for something else, or its plain fonts lack.
LATEX = str.maketrans(
    {char: f"\\{char}" for char in "&%$#_{}"}
    | {"\\": r"\textbackslash{}", "~": r"\textasciitilde{}", "^": r"\textasciicircum{}", "–": "--"}
    | {"±": r"$\pm$", "→": r"$\to$", "<": "$<$", ">": "$>$", "≤": r"$\leq$", "≥": r"$\geq$", "−": "$-$"}
)


def to_markdown(frame: pd.DataFrame) -> str:
    """Return the comparison as one Markdown table per task."""
    parts = [
        f"**{heading}**\n\n{table.map(lambda text: text.replace(chr(10), '<br>')).to_markdown()}\n"
        for heading, table in blocks(frame)
    ]
    return "\n".join([*parts, LEGEND]) + "\n"


def to_latex(frame: pd.DataFrame) -> str:
    r"""Return the comparison as one LaTeX table per task; the preamble needs \usepackage{booktabs}."""
    parts = []
    for heading, table in blocks(frame):
        table = table.map(lambda text: _latex(text).replace("\n", r" \\ "))
        table = table.map(lambda text: rf"\shortstack{{{text}}}" if r"\\" in text else text)
        table = table.rename(index=_latex, columns=_latex)
        columns = "l" + "c" * (table.shape[1] - 2) + "rr"
        latex = table.style.to_latex(
            hrules=True, column_format=columns, caption=f"{_latex(heading)}.", position_float="centering"
        )
        parts.append(latex)
    return "\n".join([*parts, f"% {LEGEND}"]) + "\n"


def _latex(text: str) -> str:
    return text.translate(LATEX)


def to_csv(frame: pd.DataFrame) -> str:
    """Return the tidy comparison as CSV; an infinite number of steps reads `inf`."""
    return frame.to_csv(index=False)


def to_json(frame: pd.DataFrame) -> str:
    """Return the tidy comparison as a JSON list of records; what is missing or infinite reads null."""
    return frame.to_json(orient="records", indent=1, double_precision=15, force_ascii=False) + "\n"


def print_table(frame: pd.DataFrame, console: Console | None = None) -> None:
    """Print the comparison, one block per task; lengths that do not fit side by side go below one another."""
    if console is None:
        console = Console()
        if not console.is_terminal:  # a pipe or a file has no width of its own
            console.width = max(console.width, 110)
    for heading, table in blocks(frame):
        console.print(Text(f"\n{heading}", style="bold"))
        side = ["parameters", "seq/s"]
        lengths = [column for column in table.columns if column not in side]
        fit = max(1, (console.width - SIDE_WIDTH) // CELL_WIDTH)
        for start in range(0, len(lengths), fit):
            console.print(_rich(table[lengths[start : start + fit] + side]))
    console.print(Text(LEGEND, style="dim"))


def _rich(table: pd.DataFrame) -> Table:
    """Return the table for a terminal: the first line of a cell in bold, the rest below it."""
    shown = Table(box=box.HORIZONTALS, padding=(0, 2, 0, 0), pad_edge=False, show_lines=True)
    for name in ("", *table.columns):
        shown.add_column(Text(name), justify="right" if name in ("parameters", "seq/s") else "left")
    for name, *cells in table.itertuples():
        texts = [Text(cell) for cell in (name.replace(" (", "\n("), *cells)]
        for text in texts:
            text.stylize("bold", 0, text.plain.find("\n") if "\n" in text.plain else len(text))
        shown.add_row(*texts)
    return shown


#: Format -> how the comparison is written in it; the name is the file's suffix.
WRITERS = {"md": to_markdown, "csv": to_csv, "tex": to_latex, "json": to_json}


#: How a line about where the numbers come from stands in a file; CSV and JSON have no place for it.
COMMENTS = {"md": "\n{}\n", "tex": "% {}\n"}


def print_report(folders: Iterable[Path], console: Console | None = None) -> None:
    """Print the comparison of the runs in the folders `<runs_dir>/<task>/<model>-<hash>`.

    Raises:
        StoreError: there is no result in them, or one that cannot be read.
    """
    folders = list(folders)
    results = read_results(folders)
    if not results:
        raise no_results(", ".join(map(str, folders)) or "no folder at all")
    print_table(compare(results), console)


def main(argv: list[str]) -> int:
    """Run `seqbench report` with the arguments after that word; return the exit code.

    Raises:
        StoreError: there is no result, one that cannot be read, or a folder that cannot be written.
    """
    args = _parser().parse_args(argv)
    results = read_results(run_folders(args.runs_dir))
    if not results:
        raise no_results(args.runs_dir)
    names = sorted({result.task for result in results})
    for name in args.task or []:
        if name not in names:
            raise StoreError(
                f"no results of task {name!r} in {args.runs_dir}; there are {', '.join(names)}."
                f"{nearest(name, names)}"
            )
    results = [result for result in results if not args.task or result.task in args.task]
    if args.metric:
        results = told_by(results, args.metric)
    frame = compare(results)
    out: Path = args.out or Path()
    written: list[Path] = []
    if args.out:
        try:
            out.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise StoreError(f"cannot write {out}: {error.strerror}.") from error
        for suffix, write in WRITERS.items():
            written.append(out / f"{args.name}.{suffix}")
            text = write(frame)
            if suffix in COMMENTS:
                lines = [*(f"Command: {note}" for note in args.note or []), provenance(results)]
                text += "".join(COMMENTS[suffix].format(line) for line in lines)
            write_atomically(written[-1], text)
    elif args.format == "table":
        print_table(frame)
    else:
        print(WRITERS["tex" if args.format == "latex" else args.format](frame), end="")
    if args.out or args.figure:
        written += save_figures(frame, out / args.name)
    for path in written:
        print(path, file=sys.stderr)
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="seqbench report", description="Compare the runs in a folder.")
    parser.add_argument("runs_dir", nargs="?", default="runs", metavar="RUNS_DIR", help="default: runs")
    formats = ["table", "md", "latex", "csv", "json"]
    parser.add_argument("--format", choices=formats, default="table", help="what to print; default: table")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write md, csv, tex, json and figures here")
    parser.add_argument("--name", default="report", help="name of the files; default: report")
    parser.add_argument("--note", action="append", metavar="COMMAND", help="a command that made the runs")
    parser.add_argument("--task", action="append", metavar="NAME", help="only this task; may be repeated")
    parser.add_argument("--metric", metavar="NAME", help="show this test metric, not the task's own")
    parser.add_argument("--figure", action="store_true", help="save the figure here, or in --out, too")
    return parser

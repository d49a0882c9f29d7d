"""`seqbench report`: the comparison of runs, printed or written."""

from __future__ import annotations

import shlex
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from seqbench.cli.arguments import Arguments
from seqbench.cli.choice import add_choice, chosen
from seqbench.cli.watch import watch
from seqbench.errors import ConfigError, say
from seqbench.results.figures import draw, save
from seqbench.results.frame import Comparison, compare, with_metric
from seqbench.results.order import ORDERS, in_order
from seqbench.results.published import read_published
from seqbench.results.rendering.terminal import parts, print_comparison
from seqbench.results.report import WRITERS, write_report
from seqbench.results.summaries import DEFAULT, Summary, find
from seqbench.runs.places import PlacedRun


def main(argv: list[str]) -> int:
    """Run `seqbench report` with the arguments after that word; return the exit code.

    Raises:
        ConfigError: an argument cannot be used, or a summary is not found, or has a column that another has.
        StoreError: there is no result that can be read, or none is chosen, or a file cannot be written.
    """
    args = _parser().parse_args(argv)
    _check(args)
    summaries = [*map(find, args.summary)]
    if args.watch:
        watch(args.places, lambda width, warn: parts(_compared(args, _runs(args, warn), summaries), width))
        return 0
    runs = _runs(args, say)
    written: list[Path] = []
    if args.figures:
        from seqbench.results.paper import write_figures

        written += write_figures(runs, args.figures, say, args.metric)
    if args.format == "html":
        from seqbench.cli import page

        command = shlex.join(["seqbench", "report", *argv])
        written.append(page.write(args, runs, summaries, [*args.note, command]))
    else:
        comparison = _compared(args, runs, summaries)
        if args.out:
            results = [run.result for run in runs]
            written += write_report(comparison, results, args.note, args.out / args.name)
        elif args.format == "table":
            print_comparison(comparison)
        else:
            print(WRITERS["tex" if args.format == "latex" else args.format](comparison), end="")
        if args.figure and not args.out:
            written += save(draw(comparison.frame), Path(args.name))
    for path in written:
        print(path, file=sys.stderr)
    return 0


def _check(args: Namespace) -> None:
    """Raise a ConfigError if arguments do not go together."""
    if Path(args.name).name != args.name or args.name in ("", "..") or "\0" in args.name:
        raise ConfigError(f"--name={args.name} must be the name of a file alone; --out names its folder.")
    if args.watch and (args.out or args.figure or args.figures or args.format != "table"):
        raise ConfigError(
            "--watch shows the table on the terminal; leave out --format, --out, --figure and --figures."
        )
    if args.out and args.format != "html" and (args.format != "table" or args.figure):
        raise ConfigError(
            "--out writes md, csv, tex, json and the figure; leave out --format and --figure, or --out."
        )
    if args.format == "html" and not args.out:
        raise ConfigError("--format html wants a folder to write the page into: --out DIR.")
    if args.format == "html" and args.figure:
        raise ConfigError(
            "--figure is not for a page, which has its figures; --figures DIR writes them for a paper."
        )


def _runs(args: Namespace, warn: Callable[[str], object]) -> list[PlacedRun]:
    """Return the runs that the arguments choose, in the metric that is shown."""
    runs = chosen(args, warn)
    if not args.metric:
        return runs
    shown = with_metric((run.result for run in runs), args.metric)
    return [replace(run, result=result) for run, result in zip(runs, shown, strict=True)]


def _compared(args: Namespace, runs: Sequence[PlacedRun], summaries: Sequence[Summary]) -> Comparison:
    comparison = compare([run.result for run in runs], [*DEFAULT, *summaries], read_published())
    return in_order(comparison, args.sort or "model")


def _parser() -> Arguments:
    parser = Arguments(prog="seqbench report", description="Compare the runs in folders and exported files.")
    add_choice(parser)
    formats = ["table", "md", "latex", "csv", "json", "html"]
    parser.add_argument(
        "--format",
        choices=formats,
        default="table",
        help="what to print; html, one page to open in a browser, is written to --out; default: table",
    )
    parser.add_argument(
        "--out",
        type=Path,
        metavar="DIR",
        help="write md, csv, tex, json and figures here; with html the page",
    )
    parser.add_argument("--name", default="report", help="name of the files; default: report")
    parser.add_argument("--figure", action="store_true", help="save the figure in this folder")
    parser.add_argument(
        "--figures", type=Path, metavar="DIR", help="write figures for a paper here, PDF and PNG"
    )
    parser.add_argument("--watch", action="store_true", help="show the table again whenever a run ends")

    def repeated(option: str, metavar: str, help: str) -> None:
        parser.add_argument(option, action="append", default=[], metavar=metavar, help=help)

    repeated("--note", "COMMAND", "a command that made the runs, for the page; may be repeated")
    repeated("--summary", "CLASS", "show this statistic too, package.module.Class; may be repeated")
    parser.add_argument("--metric", metavar="NAME", help="show this test metric, not the task's own")
    parser.add_argument(
        "--sort",
        metavar="COLUMN",
        help=f"{', '.join(ORDERS)}; default: model, and on a page what solves the task best",
    )
    return parser

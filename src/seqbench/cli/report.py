"""`seqbench report`: the comparison of runs, printed or written."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
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
from seqbench.runs.result import Result


def main(argv: list[str]) -> int:
    """Run `seqbench report` with the arguments after that word; return the exit code.

    Raises:
        ConfigError: an argument cannot be used, or a summary is not found, or has a column that another has.
        StoreError: there is no result that can be read, or none is chosen, or a file cannot be written.
    """
    args = _parser().parse_args(argv)
    if Path(args.name).name != args.name or args.name in ("", "..") or "\0" in args.name:
        raise ConfigError(f"--name={args.name} must be the name of a file alone; --out names its folder.")
    summaries = [*DEFAULT, *map(find, args.summary)]
    if args.watch:
        if args.out or args.figure or args.format != "table":
            raise ConfigError(
                "--watch shows the table on the terminal; leave out --format, --out and --figure."
            )
        watch(args.places, lambda width, warn: parts(_compared(args, _results(args, warn), summaries), width))
        return 0
    results = _results(args, say)
    comparison = _compared(args, results, summaries)
    written: list[Path] = []
    if args.out:
        written = write_report(comparison, results, args.note, args.out / args.name)
    elif args.format == "table":
        print_comparison(comparison)
    else:
        print(WRITERS["tex" if args.format == "latex" else args.format](comparison), end="")
    if args.figure and not args.out:
        written = save(draw(comparison.frame), Path(args.name))
    for path in written:
        print(path, file=sys.stderr)
    return 0


def _results(args: Namespace, warn: Callable[[str], object]) -> list[Result]:
    """Return the results that the arguments choose."""
    results = [run.result for run in chosen(args, warn)]
    return with_metric(results, args.metric) if args.metric else results


def _compared(args: Namespace, results: Sequence[Result], summaries: Sequence[Summary]) -> Comparison:
    return in_order(compare(results, summaries, read_published()), args.sort)


def _parser() -> Arguments:
    parser = Arguments(prog="seqbench report", description="Compare the runs in folders and exported files.")
    add_choice(parser)
    formats = ["table", "md", "latex", "csv", "json"]
    parser.add_argument("--format", choices=formats, default="table", help="what to print; default: table")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write md, csv, tex, json and figures here")
    parser.add_argument("--name", default="report", help="name of the files; default: report")
    parser.add_argument("--figure", action="store_true", help="save the figure in this folder")
    parser.add_argument("--watch", action="store_true", help="show the table again whenever a run ends")

    def repeated(option: str, metavar: str, help: str) -> None:
        parser.add_argument(option, action="append", default=[], metavar=metavar, help=help)

    repeated("--note", "COMMAND", "a command that made the runs, for the page; may be repeated")
    repeated("--summary", "CLASS", "show this statistic too, package.module.Class; may be repeated")
    parser.add_argument("--metric", metavar="NAME", help="show this test metric, not the task's own")
    parser.add_argument(
        "--sort", default="model", metavar="COLUMN", help=f"{', '.join(ORDERS)}; default: model"
    )
    return parser

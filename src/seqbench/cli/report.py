"""`seqbench report`: the comparison of the runs in a folder, printed or written."""

from __future__ import annotations

import sys
from pathlib import Path

from seqbench.cli.arguments import Arguments
from seqbench.errors import ConfigError, StoreError, nearest, say
from seqbench.results.figures import draw, save
from seqbench.results.frame import compare, with_metric
from seqbench.results.rendering.terminal import print_comparison
from seqbench.results.report import WRITERS, write_report
from seqbench.results.summaries import DEFAULT, find
from seqbench.runs.result import Result
from seqbench.runs.store import no_results, read_results, run_folders


def main(argv: list[str]) -> int:
    """Run `seqbench report` with the arguments after that word; return the exit code.

    Raises:
        ConfigError: the name is none of a file, a summary cannot be found, or has a column that another has.
        StoreError: there is no result that can be read, or a file cannot be written.
    """
    args = _parser().parse_args(argv)
    if Path(args.name).name != args.name or args.name in ("", "..") or "\0" in args.name:
        raise ConfigError(f"--name={args.name} must be the name of a file alone; --out names its folder.")
    results = _results(args.runs_dir, args.task)
    if args.metric:
        results = with_metric(results, args.metric)
    comparison = compare(results, [*DEFAULT, *map(find, args.summary)])
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


def _results(runs_dir: str, tasks: list[str]) -> list[Result]:
    """Return the results of the named tasks, or of all tasks where none is named.

    Raises:
        StoreError: there is no result, or none of a named task.
    """
    results = read_results(run_folders(runs_dir), say)
    if not results:
        raise no_results(runs_dir)
    names = sorted({result.task for result in results})
    for task in tasks:
        if task not in names:
            raise StoreError(
                f"no results of task {task!r} in {runs_dir}; there are {', '.join(names)}."
                f"{nearest(task, names)}"
            )
    return [result for result in results if not tasks or result.task in tasks]


def _parser() -> Arguments:
    parser = Arguments(prog="seqbench report", description="Compare the runs in a folder.")
    parser.add_argument("runs_dir", nargs="?", default="runs", metavar="RUNS_DIR", help="default: runs")
    formats = ["table", "md", "latex", "csv", "json"]
    parser.add_argument("--format", choices=formats, default="table", help="what to print; default: table")
    parser.add_argument("--out", type=Path, metavar="DIR", help="write md, csv, tex, json and figures here")
    parser.add_argument("--name", default="report", help="name of the files; default: report")
    parser.add_argument("--figure", action="store_true", help="save the figure in this folder")

    def repeated(option: str, metavar: str, help: str) -> None:
        parser.add_argument(option, action="append", default=[], metavar=metavar, help=help)

    repeated("--note", "COMMAND", "a command that made the runs, for the page; may be repeated")
    repeated("--task", "NAME", "only this task; may be repeated")
    repeated("--summary", "CLASS", "show this statistic too, package.module.Class; may be repeated")
    parser.add_argument("--metric", metavar="NAME", help="show this test metric, not the task's own")
    return parser

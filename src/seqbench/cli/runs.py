"""`seqbench runs`: which runs are there; `rm`, `export` and `import` remove them and carry them elsewhere."""

from __future__ import annotations

import sys
from argparse import Namespace
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path

from seqbench.cli.arguments import Arguments
from seqbench.cli.listing import of_configurations, of_runs, show, total
from seqbench.errors import ConfigError, StoreError, nearest, say
from seqbench.runs.exchange import Outcome, export_runs, import_runs
from seqbench.runs.inventory import STATUSES, StoredRun, check_removable, inventory, remove
from seqbench.runs.selection import select
from seqbench.runs.store import no_results

#: What is said of each outcome of an import.
SAID: dict[Outcome, str] = {
    "imported": "imported",
    "there": "there already",
    "differing": "there with other numbers",
    "running": "being trained",
}


def main(argv: list[str]) -> int:
    """Run `seqbench runs` with the arguments after these words; return the exit code.

    Raises:
        ConfigError: an argument cannot be read, or nothing says whether to remove.
        StoreError: there is no such run, or a file cannot be used.
    """
    if argv and argv[0] in ACTIONS:
        return ACTIONS[argv[0]](argv[1:])
    parser = _parser("", "Which runs are there: a line for each configuration.")
    parser.add_argument("--seeds", action="store_true", help="a line for each run")
    parser.add_argument("--format", choices=["table", "json", "csv"], default="table", help="default: table")
    args = parser.parse_intermixed_args(argv)
    runs = _selected(args.selection, args)
    show(of_runs(runs) if args.seeds else of_configurations(runs), total(runs), args.format)
    return 0


def _rm(argv: list[str]) -> int:
    parser = _parser(" rm", "Remove runs: names them, and asks.")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    args = parser.parse_intermixed_args(argv)
    if not (args.selection or args.task or args.model or args.status or args.where):
        raise ConfigError("`seqbench runs rm` wants to know which runs: `seqbench runs rm runs` means all.")
    runs = _selected(args.selection, args)
    _say_stays(run for run in runs if run.status == "running")
    runs = [run for run in runs if run.status != "running"]
    if not runs:
        raise StoreError("all of these runs are being trained; nothing was removed.")
    for run in runs:
        check_removable(run)
    show(of_runs(runs), "", "table")
    if not args.yes and not _confirmed(f"Remove {total(runs)}?"):
        print("Nothing was removed.")
        return 0
    removed = [run for run in runs if remove(run)]
    _say_stays(run for run in runs if run not in removed)  # it has begun since
    print(f"Removed {total(removed)}.")
    return 0 if len(removed) == len(runs) else 1


def _say_stays(runs: Iterable[StoredRun]) -> None:
    for run in runs:
        say(f"{run.folder} is being trained, and stays.")


def _confirmed(question: str) -> bool:
    """Ask on the terminal.

    Raises:
        ConfigError: there is none.
    """
    if not sys.stdin.isatty():
        raise ConfigError("nothing was removed, as there is no terminal to ask on; --yes removes unasked.")
    try:
        return input(f"{question} [y/N] ").strip().lower() in ("y", "yes")
    except EOFError:
        return False


def _export(argv: list[str]) -> int:
    parser = _parser(" export", "Write runs that have ended into a file, one a line.", file=True)
    parser.add_argument("--curves", action="store_true", help="with what was measured in training")
    args = parser.parse_intermixed_args(argv)
    runs = _selected(args.selection, args)
    written, left = export_runs(runs, args.file, args.curves, say)
    if left:
        say(f"{_counted(left.items())} left out, as only runs that have ended are exported.")
    print(f"{args.file}: {written} run{'s' * (written != 1)}")
    return 0


def _import(argv: list[str]) -> int:
    parser = Arguments(prog="seqbench runs import", description="Put the runs of a file where they belong.")
    parser.add_argument("file", type=Path, metavar="FILE", help="what `seqbench runs export` wrote")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs"), metavar="DIR", help="default: runs")
    args = parser.parse_args(argv)
    outcomes = import_runs(args.file, args.runs_dir, say)
    print(f"{args.runs_dir}: {_counted((text, outcomes[name]) for name, text in SAID.items())}")
    return 0


#: Words that may follow `seqbench runs`, with what they do.
ACTIONS: dict[str, Callable[[list[str]], int]] = {"rm": _rm, "export": _export, "import": _import}


def _counted(counts: Iterable[tuple[str, int]]) -> str:
    return ", ".join(f"{count} {name}" for name, count in counts if count)


def _parser(action: str, description: str, file: bool = False) -> Arguments:
    parser = Arguments(prog=f"seqbench runs{action}", description=description)
    if file:
        parser.add_argument("file", type=Path, metavar="FILE", help="compressed if it ends in .gz")
    parser.add_argument(
        "selection",
        nargs="*",
        metavar="DIR|KEY=VALUE",
        help="a folder of runs, or one in it (default: runs); only runs with this value, or one of several "
        "(optim.lr=0.01,0.03)",
    )
    for key in ("task", "model"):
        parser.add_argument(f"--{key}", action="append", default=[], metavar="NAME", help=f"only this {key}")
    parser.add_argument("--status", action="append", default=[], choices=STATUSES, help="only these")
    parser.add_argument(
        "--where", action="append", default=[], metavar="KEY=VALUE", help="as KEY=VALUE alone, as elsewhere"
    )
    return parser


def _selected(words: Sequence[str], options: Namespace) -> list[StoredRun]:
    """Return the runs that the arguments of a command name.

    Raises:
        ConfigError, StoreError: there is none.
    """
    places = [Path(word) for word in words if "=" not in word] or [Path("runs")]
    filters = [
        f"{key}={','.join(found)}" for key in ("task", "model", "status") if (found := getattr(options, key))
    ]
    runs: dict[Path, StoredRun] = {}
    for place in places:
        if not place.is_dir() and place != Path("runs"):
            raise StoreError(f"There is no folder {place}.{nearest(str(place), ACTIONS)}")
        found = {run.folder.absolute(): run for run in inventory(place)}
        if not found:
            raise no_results(place)
        runs |= found
    return select(list(runs.values()), [*filters, *options.where, *(word for word in words if "=" in word)])

"""The command `scripts/reproduce`."""

from __future__ import annotations

import os
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from scripts.pages import published
from scripts.pages.checkout import check_continued, clean_commit
from scripts.pages.comparison import differing
from scripts.pages.make import make, put
from scripts.pages.page import RESULTS, Page, load, names, records_of

from seqbench.cli.arguments import Arguments
from seqbench.errors import SeqbenchError, StoreError, say
from seqbench.runs import asked
from seqbench.runs.exchange import export_runs
from seqbench.runs.files import write_atomically
from seqbench.runs.inventory import StoredRun, inventory
from seqbench.signals import Stopped, handled


def main(argv: list[str]) -> int:
    """Reproduce pages; return the exit code.

    Raises:
        SeqbenchError: a page cannot be made.
    """
    parser = Arguments(prog="scripts/reproduce", description="Make pages of results/ again.")
    parser.add_argument("pages", nargs="*", metavar="NAME", help="of a page in results/pages")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--from-records", action="store_true", help="train nothing: make the files anew")
    how.add_argument(
        "--compare",
        action="store_true",
        help="replace nothing: say what differs; with an empty --runs-dir from scratch",
    )
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/pages"), help="default: runs/pages")
    args = parser.parse_args(argv)
    wanted = args.pages or [name for name in names() if args.from_records and records_of(name).exists()]
    if not wanted:
        print("\n".join(names()))
    found: list[str] = []
    for page in map(load, wanted):
        if args.from_records:
            written = make(page)
        else:
            with reproduced(page, args.runs_dir / page.name) as made:
                if args.compare:
                    written = []
                    found += differing(page, made, RESULTS)
                else:
                    written = [*put(made, RESULTS), published.write()]
        for path in written:
            print(path)
    if args.compare:
        print("\n".join(found) or "Equal to the digit.")
    return int(bool(found))


@contextmanager
def reproduced(page: Page, runs_dir: Path) -> Iterator[Path]:
    """Train what a page lacks; give a folder of its records and files, which goes away again.

    Raises:
        SeqbenchError: see `train`, `make`.
    """
    runs = train(page, runs_dir)
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder)
        records = records_of(page.name, made)
        records.parent.mkdir(parents=True, exist_ok=True)
        for name, source in page.keep.items():
            try:
                write_atomically(records.with_name(name), (runs_dir / source).read_bytes())
            except OSError as error:
                raise StoreError(
                    f"{runs_dir / source}, which the page keeps as {name}, cannot be read: {error.strerror}."
                ) from error
        export_runs(runs, records, page.curves, say)
        make(page, made)
        yield made


def train(page: Page, runs_dir: Path) -> list[StoredRun]:
    """Train what is not yet in a folder; return the runs that the page's commands asked for, and no others.

    Raises:
        ConfigError: the code or the page has changes that are not committed, so that no one could check it.
        StoreError: runs that are there are of other code, or a command failed.
    """
    commit = clean_commit(page)
    check_continued(page, runs_dir, commit)
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder, "asked")
        for line in page.run:
            words = [word.replace("RUNS", str(runs_dir)) for word in shlex.split(line)]
            words += [f"runs_dir={runs_dir}", "logger=none"]
            print(f"$ {shlex.join(words)}", flush=True)
            if (ended := _run(words, os.environ | {asked.FILE: str(file)})) != 0:
                raise StoreError(
                    f"`{line}` ended with exit code {ended}; scripts/reproduce again goes on there."
                )
        wanted = asked.told(file)
    there = inventory(runs_dir)
    runs = [run for run in there if run.folder.resolve() in wanted]
    if others := len(there) - len(runs):
        say(f"{others} run{'s' * (others > 1)} in {runs_dir} that no command of the page asks for: left out.")
    return runs


def _run(words: list[str], environment: dict[str, str]) -> int:
    """Run a command and return its exit code. A signal that stops this program stops the command first.

    The command is in a group of its own, which a Ctrl-C in the terminal does not reach: two signals at once
    would end it on the spot.
    """
    try:
        process = subprocess.Popen(words, env=environment, process_group=0)
    except OSError as error:
        raise StoreError(f"`{words[0]}` cannot be run: {error.strerror}.") from error
    try:
        return process.wait()
    except Stopped as stopped:
        process.send_signal(stopped.number)
        process.wait()
        raise


if __name__ == "__main__":
    try:
        with handled():
            sys.exit(main(sys.argv[1:]))
    except SeqbenchError as error:
        say(str(error))
        sys.exit(error.exit_code)
    except Stopped as stopped:
        say("stopped. The same command goes on there.")
        sys.exit(stopped.code)

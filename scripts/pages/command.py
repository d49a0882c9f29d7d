"""The command `scripts/reproduce`."""

from __future__ import annotations

import shlex
import shutil
import subprocess
import sys
from pathlib import Path

from scripts.pages.make import make
from scripts.pages.page import Page, load, names, records_of

from seqbench.cli.arguments import Arguments
from seqbench.errors import ConfigError, SeqbenchError, StoreError, say
from seqbench.runs.exchange import export_runs
from seqbench.runs.inventory import inventory


def main(argv: list[str]) -> int:
    """Reproduce pages; return the exit code.

    Raises:
        SeqbenchError: a page cannot be made.
    """
    parser = Arguments(prog="scripts/reproduce", description="Make pages of results/ again.")
    parser.add_argument("pages", nargs="*", metavar="NAME", help="of a page in results/pages")
    parser.add_argument("--from-records", action="store_true", help="train nothing: make the files anew")
    parser.add_argument("--runs-dir", type=Path, default=Path("runs/pages"), help="default: runs/pages")
    args = parser.parse_args(argv)
    wanted = args.pages or [name for name in names() if args.from_records and records_of(name).exists()]
    if not wanted:
        print("\n".join(names()))
    for page in map(load, wanted):
        if not args.from_records:
            run(page, args.runs_dir / page.name)
        for path in make(page):
            print(path)
    return 0


def run(page: Page, runs_dir: Path) -> None:
    """Train what is not yet in a folder, and write the records of all runs that are there.

    Raises:
        ConfigError: the code has changes that are not committed, so that no page could be made of its runs.
        StoreError: a command failed.
    """
    from seqbench.runs.devices import commit

    if (code := commit()) is None or "+" in code:
        raise ConfigError(f"the code is not that of a commit ({code}), and a page names one: commit first.")
    for line in page.run:
        words = [word.replace("RUNS", str(runs_dir)) for word in shlex.split(line)]
        words += [f"runs_dir={runs_dir}", "logger=none"]
        print(f"$ {shlex.join(words)}", flush=True)
        if (ended := subprocess.run(words).returncode) != 0:
            raise StoreError(f"`{line}` ended with exit code {ended}; scripts/reproduce again goes on there.")
    records = records_of(page.name)
    for name, source in page.keep.items():
        shutil.copyfile(runs_dir / source, records.with_name(name))
    export_runs(inventory(runs_dir), records, page.curves, say)


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except SeqbenchError as error:
        say(str(error))
        sys.exit(error.exit_code)

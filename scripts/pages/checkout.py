"""The code that a page is made with: it must be that of a commit, and the same for all of its runs."""

from __future__ import annotations

import subprocess
from pathlib import Path

from scripts.pages.page import RESULTS, Page, declaration
from scripts.pages.records import check, commits

from seqbench.errors import ConfigError, StoreError
from seqbench.runs import devices
from seqbench.runs.inventory import inventory

ROOT = Path(__file__).parents[2]
#: What makes the numbers of runs, and what makes pages of them.
TRAINS, MAKES = ("src/seqbench", "conf"), ("scripts/pages", "results/published.yaml")


def clean_commit(page: Page, results: Path = RESULTS) -> str:
    """Return the commit of the code that trains.

    Raises:
        ConfigError: the code, the declaration of the page, or what makes pages has changes that are not
            committed.
    """
    if (code := devices.commit()) is None or "+" in code:
        raise ConfigError(f"the code is not that of a commit ({code}), and a page names one: commit first.")
    if changed := uncommitted([declaration(page.name, results), *MAKES]):
        raise ConfigError(
            f"{', '.join(changed)} is not as committed, and a page is checked by its commit: commit first."
        )
    return code


def uncommitted(places: list[str | Path], root: Path = ROOT) -> list[str]:
    """Return the files in places of a repository that are not as they were committed, new ones included."""
    listed = _git(root, "status", "--porcelain", "--untracked-files=all", "--", *map(str, places))
    return [line[3:] for line in listed.stdout.splitlines()]


def check_continued(page: Page, runs_dir: Path, commit: str, root: Path = ROOT) -> None:
    """Raise a StoreError where no page could be made of the runs that are there together with further ones.

    Further runs are of another commit wherever anything was committed in between. That is refused where it
    has other code, unless the page says so: one of its changes names the commit that brought this code.

    Args:
        page: the page.
        runs_dir: the folder of its runs.
        commit: that further runs would be of.
        root: the repository.
    """
    there = [run.result for run in inventory(runs_dir) if run.result is not None and run.status != "orphan"]
    check(page, there)
    known = [*commits(there), *(change.commit for change in page.changes if change.commit)]
    if there and not any(_same_code(root, each, commit) for each in known):
        raise StoreError(
            f"the runs in {runs_dir} are of commit {commits(there)[-1][:9]}, and the code was changed since: "
            f"check that commit out to go on; or name {commit[:9]} in the page's changes, and say there what "
            "was changed and why; or train all anew with another --runs-dir."
        )


def _same_code(root: Path, one: str, other: str) -> bool:
    """Return whether two commits train alike; not where one of them is not known here."""
    return one == other or _git(root, "diff", "--quiet", one, other, "--", *TRAINS).returncode == 0


def _git(root: Path, *words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(["git", "-C", str(root), *words], capture_output=True, text=True)

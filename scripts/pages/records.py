"""The records of a page: which are refused, and what they say of how the page was made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path

from scripts.pages.page import Change, Page

from seqbench.errors import StoreError
from seqbench.runs.exchange import Entry, read_export
from seqbench.runs.result import Result


def read_records(path: Path) -> list[Entry]:
    """Return the runs in the records of a page.

    Raises:
        StoreError: there are none, they cannot be read, or a run is there twice, so that each reader of the
            file might take another of the two.
    """
    entries = read_export(path)
    first: dict[tuple[str, int], Entry] = {}
    for entry in entries:
        its = entry.result
        known = first.setdefault((its.identity, its.seed), entry)
        if known is not entry:
            raise StoreError(
                f"{entry.where} is the run of {known.where} again, {its.task} {its.model}-{its.hash} seed "
                f"{its.seed}: take one of the two away."
            )
    return entries


def check(page: Page, results: Sequence[Result]) -> None:
    """Raise a StoreError unless the code of every run can be had again, and changes of it are explained."""
    for result in results:
        check_commit(result.commit, f"{result.task} {result.model} seed {result.seed}")
    known = commits(results)
    listed = [change.commit for change in page.changes if change.commit]
    unlisted = [commit for commit in known if not any(commit.startswith(its) for its in listed)]
    if len(unlisted) > 1:
        raise StoreError(
            f"the runs of page {page.name} are of {len(known)} commits, and its changes do not name "
            f"{', '.join(commit[:9] for commit in unlisted[1:])}: say there what was changed and why."
        )


def check_commit(commit: str | None, run: str) -> None:
    """Raise a StoreError unless a run was made with the code of a commit."""
    if commit is None or "+" in commit:
        raise StoreError(
            f"{run} is of {commit or 'unknown code'}, not of a commit, so that its page cannot be checked; "
            "commit, remove the run and train it anew."
        )


def commits(results: Iterable[Result]) -> list[str]:
    """Return the commits of runs, that of the earliest run first. A run that was resumed has several."""
    ordered = sorted(results, key=lambda result: result.finished_at)
    return list(dict.fromkeys(commit for its in ordered for commit in (its.commit or "").split(", ")))


def core_hours(results: Iterable[Result]) -> float:
    """Return the hours of one core (or device) that runs took, with evaluations."""
    seconds = sum(
        result.wall_time_s
        * int(result.execution.get("threads", 1) or 1)
        * int(result.execution.get("devices", 1))
        for result in results
    )
    return seconds / 3600


def how_it_was_made(page: Page, results: Sequence[Result]) -> str:
    """Return the end of a page: runs, code, machine, time, commands, and what was changed."""

    def listed(values: Iterable[object]) -> str:
        return ", ".join(dict.fromkeys(str(value) for value in values if value))

    dates = sorted(result.finished_at[:10] for result in results)
    seeds = sorted({result.seed for result in results})
    versions = (f"{name} {result.versions.get(name)}" for name in ("torch", "compiler") for result in results)
    spent = core_hours(results)
    records = f"{page.name.rpartition('/')[2]}.jsonl"
    lines = [
        "## How it was made",
        *(
            f"- Runs: {len(results)}, seeds {', '.join(map(str, seeds))}, {listed((dates[0], dates[-1]))}; "
            f"[`{records}`]({records}) has the record of each.",
            f"- Code: commit {listed(commits(results))}, nothing uncommitted.",
            f"- Machine: {listed(result.device for result in results)}; {listed(versions)}.",
            f"- Cost of these runs: {f'{spent:.1f}' if spent >= 1 else f'{spent:.2f}'} core-hours.",
        ),
        "",
        "```bash",
        *page.run,
        "```",
        "",
        f"`scripts/reproduce {page.name}` runs it all; with `--from-records` it makes this page from the "
        "records alone.",
        "",
        "## Changes since the first run",
        "",
        *(map(_line, page.changes) if page.changes else ["None."]),
    ]
    return "\n".join([lines[0], "", *lines[1:]])


def _line(change: Change) -> str:
    since = f", runs since then of commit `{change.commit}`" if change.commit else ""
    return f"- {change.date}{since}: {change.what} Why: {change.why}"

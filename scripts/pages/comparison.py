"""Whether a page that was made twice is the same, to the digit."""

from __future__ import annotations

from pathlib import Path

from scripts.pages.page import Page, records_of
from scripts.pages.records import read_records

from seqbench.errors import StoreError
from seqbench.runs.differences import of_curves, of_results
from seqbench.runs.exchange import Entry

#: The beginnings of the lines of a page that say when it was made, of which commit, and what it cost.
MAY_DIFFER = ("- Runs: ", "- Code: ", "- Cost ")


def differing(page: Page, made: Path, results: Path) -> list[str]:
    """Return what differs between two makings of a page, in words; nothing if they are equal to the digit.

    All numbers of the records are compared, those measured in training where the page keeps them, and the
    page with its tables. Dates, times and the commit may differ. Figures follow from the tables.

    Args:
        page: its declaration.
        made: a folder with its records and files.
        results: another.

    Raises:
        StoreError: the other has no such page.
    """
    ours, theirs = (_records(records_of(page.name, folder)) for folder in (made, results))
    found = [f"{name}: it is in one of the two alone" for name in sorted(ours.keys() ^ theirs.keys())]
    for name in sorted(ours.keys() & theirs.keys()):
        fields = _differing(ours[name], theirs[name])
        found += [f"{name}: {', '.join(fields)}"] if fields else []
    for path in sorted(path for path in made.rglob("*") if path.suffix in (".md", ".csv")):
        other = results / path.relative_to(made)
        if not other.exists() or _lines(path) != _lines(other):
            found.append(f"{path.relative_to(made)} is another")
    return found


def _differing(one: Entry, other: Entry) -> list[str]:
    fields = [field for field in of_results(one.result, other.result) if field != "commit"]
    if one.curves is None or other.curves is None:
        return fields if one.curves == other.curves else [*fields, "one of the two has no metrics.csv"]
    return fields + of_curves(one.curves, other.curves)


def _records(path: Path) -> dict[str, Entry]:
    """Return the runs in a file of records by their name."""
    if not path.exists():
        raise StoreError(f"{path} is not there, so that there is nothing to compare with.")
    named = ((entry.result, entry) for entry in read_records(path))
    return {f"{its.task} {its.model}-{its.hash} seed {its.seed}": entry for its, entry in named}


def _lines(path: Path) -> list[str]:
    return [line for line in path.read_text().splitlines() if not line.startswith(MAY_DIFFER)]

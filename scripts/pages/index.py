"""The index of results/: which pages there are, and how far each is."""

from __future__ import annotations

import json
import re
import tarfile
from pathlib import Path

from scripts.pages.page import FOLDER, RESULTS, Page, load, names, records_of
from scripts.pages.records import core_hours, read_records

from seqbench.runs.files import write_atomically

HEAD = """\
# Results

A page stands with the record of every run beside it, `NAME.jsonl`, and is made of these by
`scripts/reproduce NAME --from-records`. It is declared in [`pages/`](pages), with the protocol that was
committed before its first run, and with what its runs were estimated to take; what was changed since then
stands at its end, with the reason. A page that was begun has the runs that are finished in
`NAME-runs.tar.gz`, without weights: unpacked in a checkout of the commit that they name,
`scripts/reproduce NAME` goes on there.

[`published.md`](published.md) has what the literature reports beside what was measured here,
[`chapter.md`](chapter.md) the chapter row by row, [`spans.md`](spans.md) and [`today.md`](today.md) the
protocols of the comparisons, [`speed.md`](speed.md) the speed, [`speed_heirs.md`](speed_heirs.md) that of
today's models beside public forms of theirs, and [`agreement.md`](agreement.md) how far models agree with
public implementations.

The core-hours are what the runs of a page took by the clock, each on one core, and after a + what searches
before them took. The machines had other work too, and were not equally fast: estimates and costs tell whether
a page is cheap, and not which of two is cheaper.
"""
LOOKS = """\
## Looks at models and runs

Made by `scripts/reproduce_chapter`, each by the command that it names; a run that was looked at is not kept.
"""
OLDER = """\
## Older pages

Made before pages had records, so that their numbers cannot be checked run by run. Those that are declared
above are made again by `scripts/reproduce`.
"""
#: What the protocol of a page says of its cost.
ESTIMATE = re.compile(
    r"[Ee]stimated?\s+before\s+the\s+first\s+run(?:,[^:]*)?:\s+(.*?core-hours?(?:[^;.]|\.(?=\d))*)", re.DOTALL
)
#: Pages that are no experiments.
OTHERS = ("README", "agreement", "chapter", "published", "spans", "speed", "speed_heirs", "today")


def index(results: Path = RESULTS) -> str:
    """Return the page: a line for each declared page, with its runs and cost, and the older ones."""
    rows = [["page", "what", "runs", "core-hours", "estimated"], [":--", ":--", "--:", "--:", ":--"]]
    declared = names(results)
    rows += [_row(load(name, results), results) for name in declared]
    looks, older = [], []
    for path in sorted(results.rglob("*.md")):
        name = path.relative_to(results).with_suffix("").as_posix()
        if name not in OTHERS and not (name in declared and records_of(name, results).exists()):
            kind = looks if "\nCommand: `seqbench analyse " in path.read_text() else older
            kind.append(f"- [`{name}`]({name}.md)")
    lines = [HEAD, *(f"| {' | '.join(row)} |" for row in rows)]
    for head, pages in ((LOOKS, looks), (OLDER, older)):
        lines += ["", head, *pages] if pages else []
    return "\n".join(lines) + "\n"


def _row(page: Page, results: Path) -> list[str]:
    records = records_of(page.name, results)
    found = ESTIMATE.search(page.protocol)
    estimate = " ".join(found[1].split()) if found else ""
    if not records.exists():
        link = f"{FOLDER}/{page.name}.yaml"
        return [f"[`{page.name}`]({link})", page.title, _begun(page, results), "", estimate]
    runs = [entry.result for entry in read_records(records)]
    return [
        f"[`{page.name}`]({page.name}.md)",
        page.title,
        str(len(runs)),
        f"{core_hours(runs):.2f}" + (f" + {searched:.2f}" if (searched := _searched(page, results)) else ""),
        estimate,
    ]


def _searched(page: Page, results: Path) -> float:
    """Return the core-hours of the searches that a page shows."""
    folder = (results / page.name).parent
    found = [json.loads((folder / item.search).read_text()) for item in page.show if item.search]
    return sum(model["core_hours"] for search in found for model in search["models"].values())


def _begun(page: Page, results: Path) -> str:
    """Return how far a page without records is; the trials of a search are no runs of the page."""
    path = results / f"{page.name}-runs.tar.gz"
    if not path.exists():
        return "not run yet"
    with tarfile.open(path) as archive:
        members = [Path(name).parts for name in archive.getnames()]
    trials = [any(part[0] == "." for part in parts) for parts in members if parts[-1] == "result.json"]
    how_far = "its search" if all(trials) else trials.count(False)
    return f"begun: [{how_far}]({page.name}-runs.tar.gz)"


def write(results: Path = RESULTS) -> Path:
    """Write the index into a folder of results; return its path."""
    path = results / "README.md"
    write_atomically(path, index(results))
    return path


if __name__ == "__main__":
    print(write())

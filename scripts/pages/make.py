"""How the files of a page are made from its records."""

from __future__ import annotations

import io
import json
import re
import shlex
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from importlib import import_module
from pathlib import Path

from scripts.pages.page import RESULTS, Item, Page, records_of
from scripts.pages.records import check, check_commit, how_it_was_made, read_records

from seqbench.cli.dispatch import COMMANDS
from seqbench.errors import ConfigError, StoreError, say
from seqbench.results.pages import make_folder, write_page
from seqbench.results.published import published_for, read_published
from seqbench.results.spans.figure import draw_spans
from seqbench.results.spans.forest import draw_forest
from seqbench.results.spans.formats import texts, to_json
from seqbench.runs.exchange import import_runs
from seqbench.runs.files import write_atomically
from seqbench.runs.places import read_places
from seqbench.search.table import table_of

#: What the table of a search counts.
SEARCH_LEGEND = "Solved: of the runs on tuning seeds. Median steps: of those that solved the task."


def make(page: Page, results: Path = RESULTS, out: Path | None = None) -> list[Path]:
    """Make the files of a page from its records: `NAME.md`, a CSV for each table and figure, and the figures.

    They are made elsewhere first, and take the place of others once all of them are.

    Args:
        page: its declaration.
        results: the folder with its records, `NAME.jsonl`.
        out: where the files go; None for `results`.

    Returns:
        the files.

    Raises:
        ConfigError: a command cannot be used.
        StoreError: there are no records, they are refused (see `records.check`), they are fewer than the page
            that lies beside them was made of, or a file cannot be read or written.
    """
    records = records_of(page.name, results)
    if not records.exists():
        raise StoreError(f"page {page.name} has no records yet; `scripts/reproduce {page.name}` makes them.")
    runs = [entry.result for entry in read_records(records)]
    check(page, runs)
    _check_whole(page, len(runs), results)
    parts = [f"# {page.title}", page.protocol]
    with tempfile.TemporaryDirectory() as made, _folder_of(page, records) as folder:
        stem = Path(made, page.name)
        stem.parent.mkdir(parents=True, exist_ok=True)
        parts += [_show(item, records, folder, stem) for item in page.show]
        if not any(item.words[1:2] == ["report"] for item in page.show):  # a report says it itself
            parts += map(str, published_for(runs, read_published()))
        parts.append(how_it_was_made(page, runs))
        text = "\n\n".join(part.strip() for part in parts) + "\n"
        write_atomically(stem.with_name(f"{stem.name}.md"), text)
        return put(Path(made), out or results)


def _check_whole(page: Page, runs: int, results: Path) -> None:
    """Raise a StoreError where the page was made of more runs: a file may be cut where a line ends."""
    path = results / f"{page.name}.md"
    said = re.search(r"^- Runs: (\d+),", path.read_text(), re.MULTILINE) if path.exists() else None
    if said and runs < int(said[1]):
        raise StoreError(
            f"{records_of(page.name, results)} holds {runs} runs, and {path} was made of {said[1]}: get the "
            "others back, or remove the page to make it of these."
        )


def put(made: Path, results: Path) -> list[Path]:
    """Put all files of a folder into one of results, each as a whole; return the paths, pages first.

    Raises:
        StoreError: a file cannot be written.
    """
    files = [path for path in made.rglob("*") if path.is_file()]
    written = []
    for path in sorted(files, key=lambda path: (path.suffix != ".md", path)):
        written.append(results / path.relative_to(made))
        make_folder(written[-1].parent)
        write_atomically(written[-1], path.read_bytes())
    return written


@contextmanager
def _folder_of(page: Page, records: Path) -> Iterator[Path]:
    """Make a folder of runs with the records of a page, if one of its commands reads a folder."""
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made, "runs")
        if any("RUNS" in (item.command or "") for item in page.show):
            import_runs(records, folder, say)
        yield folder


def _show(item: Item, records: Path, folder: Path, stem: Path) -> str:
    """Return what an item adds to the text of a page, and write its other files."""
    if item.text:
        return item.text
    if item.search:
        return _found(records.with_name(item.search))
    its = stem if item.name is None else stem.with_name(f"{stem.name}-{item.name}")
    if item.span:
        return _spans(records, records.with_name(item.span), its)
    words = [word.replace("RECORDS", str(records)).replace("RUNS", str(folder)) for word in item.words]
    if item.is_figure:
        _printed([*words, "--out", str(its)])
        return f"![{item.caption or its.name}]({its.name}.svg)"
    write_atomically(its.with_name(f"{its.name}.csv"), _printed([*words, "--format", "csv"]))
    caption = f"\n\n{item.caption}" if item.caption else ""
    return _printed([*words, "--format", "md"]).strip() + caption


def _spans(records: Path, span_json: Path, stem: Path) -> str:
    """Return the tables and the figures of measured spans; write the numbers and the figures."""
    from seqbench.span.cost import Costs  # torch, which takes seconds to import
    from seqbench.span.records import from_span_json

    runs = [run.result for run in read_places([records], say)]
    told, costs = json.loads(_read(span_json)), Costs(span_json.with_suffix(".flops.json"))
    measured = from_span_json(told, runs, costs)
    found = texts(measured)
    write_page(stem, {"csv": found["csv"]}, draw_spans(measured))
    # the numbers in it were those of the code that measured the spans
    write_atomically(stem.with_name(span_json.name), to_json(measured, told["command"], told["made_with"]))
    forest = stem.with_name(f"{stem.name}-forest")
    write_page(forest, {}, draw_forest(measured))
    _, _, tables = found["md"].partition("\n")  # its first line is a title
    return (
        f"![The span at 50 % of each entrant]({forest.name}.svg)\n\n{tables.strip()}\n\n"
        f"![Runs solved against the span]({stem.name}.svg)"
    )


def _found(path: Path) -> str:
    """Return the table of what a search has found, from its `search.json`."""
    text = _read(path)
    for model, its in json.loads(text)["models"].items():
        for trial in its["trials"]:
            for run in trial["runs"]:
                check_commit(run["commit"], f"trial {trial['number']} of {model}")
    return f"{table_of(text)}\n\n{SEARCH_LEGEND}"


def _read(path: Path) -> str:
    """Return the content of a file beside the records.

    Raises:
        StoreError: it cannot be read.
    """
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise StoreError(
            f"{path} cannot be read: {error.strerror}; the page takes it from its runs by `keep`."
        ) from error


def _printed(words: list[str]) -> str:
    """Return what a command of seqbench prints.

    Raises:
        SeqbenchError: it cannot be run.
    """
    if words[1] not in COMMANDS:
        raise ConfigError(f"`{shlex.join(words)}` trains; a page shows what is made from records.")
    with redirect_stdout(io.StringIO()) as printed:
        import_module(COMMANDS[words[1]]).main(words[2:])
    return printed.getvalue()

"""What a page is: its declaration in results/pages/NAME.yaml.

    title: Which model learns temporal order over how long a span?
    protocol: >-                  # what was decided before the first run
      Seven models, five seeds …
    run:                          # the commands that make its runs; runs_dir and logger are added
      - seqbench -m experiment=quickstart
    keep: {search.json: .searches/latch-50/search.json}   # files of the runs' folder that lie beside the page
    show:                         # what the page shows, in this order
      - command: seqbench report RECORDS
      - command: seqbench compare RECORDS --models gru,lstm
        name: compare             # its numbers go to results/NAME-compare.csv; without a name to NAME.csv
      - text: What it means.
    changes:                      # what was changed since the first run, and why
      - {date: 2026-11-26, commit: 0123abcd, what: the spans, why: all solved the first ones}

RECORDS stands for the records of the runs, results/NAME.jsonl, and RUNS for the folder of the runs: in `run`
the one that they are trained in, in `show` one that the records are put into, for commands that read no file.
A command of `seqbench plot` makes a figure, all others make a table. What `seqbench search` and `seqbench
span` have found is shown by `search: search.json` and `span: span.json`.
"""

from __future__ import annotations

import datetime
import shlex
from pathlib import Path
from typing import Annotated

import yaml
from pydantic import BaseModel, ConfigDict, Field, StringConstraints, ValidationError, model_validator

from seqbench.errors import ConfigError, nearest
from seqbench.results.published import UniqueKeys

RESULTS = Path(__file__).parents[2] / "results"
#: Where the declarations lie, in a folder of results.
FOLDER = "pages"

Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class Part(BaseModel):
    """What a declaration is made of; a key that it does not know is refused."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Item(Part):
    """What a page shows: a text, what a command makes of the records, or what a search or a span has found.

    Attributes:
        text: Markdown.
        command: of seqbench.
        search: the `search.json` of a search, beside the page.
        span: the `span.json` of a measured span, beside the page, which names its entrants and their runs;
            the numbers come from the records, and are put into it too. With `….flops.json` for `….json`
            beside it operations are not counted anew.
        name: where its numbers go, `NAME-name.csv`; None for `NAME.csv`.
        caption: of a figure, and a line under a table.
    """

    text: Text | None = None
    command: Text | None = None
    search: Text | None = None
    span: Text | None = None
    name: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+$")] | None = None
    caption: Text | None = None

    @model_validator(mode="after")
    def _is_one_thing(self) -> Item:
        given = [key for key in ("text", "command", "search", "span") if getattr(self, key)]
        if len(given) != 1:
            raise ValueError("an item is one of text, command, search and span")
        if self.command and self.words[0] != "seqbench":
            raise ValueError("a command is one of seqbench")
        return self

    @property
    def words(self) -> list[str]:
        """The words of the command; none where it has none."""
        return shlex.split(self.command or "")

    @property
    def is_figure(self) -> bool:
        """Whether the command makes a figure."""
        return self.words[1:2] == ["plot"]


class Change(Part):
    """What was changed since the first run.

    Attributes:
        date: of the change.
        what: was changed.
        why: it was.
        commit: its beginning, where runs since then are of another commit than the first.
    """

    date: datetime.date
    what: Text
    why: Text
    commit: Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{7,40}$")] | None = None


class Page(Part):
    """A declared page, see above.

    Attributes:
        curves: whether the records hold what was measured in training too.
        keep: file beside the page to the file in the folder of the runs that it is a copy of.
    """

    name: str
    title: Text
    protocol: Text
    run: Annotated[list[Text], Field(min_length=1)]
    show: Annotated[list[Item], Field(min_length=1)]
    changes: list[Change] = []
    curves: bool = False
    keep: dict[str, str] = {}

    @model_validator(mode="after")
    def _names_are_different(self) -> Page:
        names = [item.name for item in self.show if item.command or item.span]
        if len({*names}) < len(names):
            raise ValueError("two items write to one file; give each a name of its own")
        return self


def names(results: Path = RESULTS) -> list[str]:
    """Return the names of all pages."""
    folder = results / FOLDER
    return sorted(str(path.relative_to(folder).with_suffix("")) for path in folder.rglob("*.yaml"))


def declaration(name: str, results: Path = RESULTS) -> Path:
    """Return where the declaration of a page lies."""
    return results / FOLDER / f"{name}.yaml"


def load(name: str, results: Path = RESULTS) -> Page:
    """Return a page by its name.

    Raises:
        ConfigError: there is no such page, or its declaration cannot be used.
    """
    path = declaration(name, results)
    if name not in names(results):
        known = names(results)
        raise ConfigError(f"there is no page {name}; there are {', '.join(known)}.{nearest(name, known)}")
    try:
        told = yaml.load(path.read_text(encoding="utf-8"), UniqueKeys)
        if not isinstance(told, dict):
            raise TypeError("it is no mapping")
        if "name" in told:
            raise TypeError("its file gives its name, which is not to be said again")
        return Page.model_validate({"name": name, **told})
    except (yaml.YAMLError, UnicodeDecodeError, TypeError) as error:
        raise ConfigError(f"{path} is no declaration of a page: {' '.join(str(error).split())}.") from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(map(str, first["loc"])) or "the page"
        raise ConfigError(f"{path}: {where}: {first['msg'].removeprefix('Value error, ')}.") from error


def records_of(name: str, results: Path = RESULTS) -> Path:
    """Return where the records of a page lie."""
    return results / f"{name}.jsonl"

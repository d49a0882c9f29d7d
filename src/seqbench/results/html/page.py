"""The page: sections from a comparison and its runs, put into one HTML file that needs no other."""

from __future__ import annotations

import base64
import gzip
import hashlib
import json
import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import pandas as pd
from markupsafe import Markup, escape

from seqbench.errors import printable
from seqbench.results.frame import Comparison
from seqbench.results.html.cost import cost_panels
from seqbench.results.html.every_run import STATES, Unfinished, lacking, lines
from seqbench.results.html.headline import headline
from seqbench.results.html.leaderboard import columns, leaderboard
from seqbench.results.html.learning import learning_panels
from seqbench.results.html.lengths import length_panels
from seqbench.results.html.matrix import matrices
from seqbench.results.html.steps import step_panels
from seqbench.results.html.traces import DARK, Panel
from seqbench.results.pages import make_folder
from seqbench.results.published import CERTAINTY, Reported
from seqbench.results.rendering.blocks import legend
from seqbench.results.report import made_with
from seqbench.results.styles import model_style
from seqbench.results.summaries import Row, Summary
from seqbench.runs.files import write_atomically
from seqbench.runs.places import PlacedRun

#: The markers of `results.styles` as paths about the origin, for the keys of models.
MARKS = {
    "o": "M4 0A4 4 0 1 1-4 0A4 4 0 1 1 4 0Z",
    "s": "M-3.5-3.5H3.5V3.5H-3.5Z",
    "D": "M0-4.8L4.8 0L0 4.8L-4.8 0Z",
    "^": "M0-4.4L4.6 3.6H-4.6Z",
    "v": "M0 4.4L4.6-3.6H-4.6Z",
    "P": "M-1.6-4.5H1.6V-1.6H4.5V1.6H1.6V4.5H-1.6V1.6H-4.5V-1.6H-1.6Z",
    "X": "M-4.2-2L-2-4.2L0-2.2L2-4.2L4.2-2L2.2 0L4.2 2L2 4.2L0 2.2L-2 4.2L-4.2 2L-2.2 0Z",
    "<": "M-4.4 0L3.6-4.6V4.6Z",
    ">": "M4.4 0L-3.6-4.6V4.6Z",
    "*": "M0-5L1.3-1.6L4.8-1.5L2-0.6L3 4.2L0 2L-3 4.2L-2 0.6L-4.8-1.5L-1.3-1.6Z",
    "h": "M0-4.6L4-2.3V2.3L0 4.6L-4 2.3V-2.3Z",
}
#: The lines of `results.styles` as dashes of SVG.
STROKES = {"-": "none", "--": "5 3", "-.": "6 2 1.5 2", ":": "1.5 2.5"}


#: The most rows of a table that are laid out before a reader asks for all: those of 2,000 runs would be most
#: of the time that the page takes to open.
LIMITS = {"board": 40, "every": 60}
#: The longest list of tasks in the title, in letters.
LONGEST_LIST = 60


@dataclass(frozen=True)
class Content:
    """What a page is made of.

    Attributes:
        comparison: of the runs, with the columns of `detail.Detail`.
        runs: those that have ended.
        unfinished: those that have not.
        spans: task and model, to the span at which half of the runs solve the task, with its interval. A task
            whose span is not its length has one name here and a name for each span in the comparison.
        curves: of the runs, of one metric of each task, see `curves.of_metrics`; None where there are none.
        metrics: which metric the curves of each task show, see `curves.shown_metrics`.
        summaries: the statistics that were asked for beside the default ones.
        ranked: whether models are ranked by what solves the task best, and not as the comparison has them.
        notes: sentences that a reader must know of: runs without curves, spans that cannot be fitted.
        commands: those that made the runs, and that which makes the page.
    """

    comparison: Comparison
    runs: Sequence[PlacedRun]
    unfinished: Sequence[Unfinished]
    spans: Mapping[tuple[str, str], str]
    curves: pd.DataFrame | None
    metrics: Mapping[str, Row]
    summaries: Sequence[Summary]
    ranked: bool
    notes: Sequence[str]
    commands: Sequence[str]


def write_page(content: Content, path: Path) -> Path:
    """Write the page; return its path.

    Raises:
        StoreError: it cannot be written.
    """
    make_folder(path.parent)
    write_atomically(path, to_html(content))
    return path


def to_html(content: Content) -> str:
    """Return the page. What comes from files and configurations is text in it, and never an element."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    comparison = content.comparison
    results = [run.result for run in content.runs]
    models = sorted(comparison.frame["model"].unique())
    figures = {
        "lengths": length_panels(comparison),
        "learning": []
        if content.curves is None
        else learning_panels(content.curves, content.metrics, models),
        "steps": step_panels(comparison),
        "cost": cost_panels(comparison),
    }
    board = leaderboard(comparison, content.summaries, content.ranked)
    every = lines(content.runs, content.unfinished)
    script, plotly = _asset("page.js"), _plotly()
    environment = Environment(
        loader=PackageLoader("seqbench.results.html", "."),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"in_words": _in_words, "with_code": _with_code}
    return environment.get_template("page.html").render(
        style=_asset("page.css"),
        script=script,
        # Nothing but these two scripts runs, whatever else the page holds, and nothing is fetched.
        hashes=[_hash(script), plotly.hash],
        plotly=plotly.packed,
        data=_packed(json.dumps(_data(figures, every), separators=(",", ":"), allow_nan=False)),
        title=_title(models, [*comparison.frame["task"].unique()]),
        made_with=printable(made_with(results)),
        tasks=[*comparison.frame["task"].unique()],
        models=models,
        keys={model: _key(model, models) for model in {*models, *(model for _, model in content.spans)}},
        headline=headline(comparison, content.spans, content.ranked),
        limits=LIMITS,
        columns=columns(board, content.summaries),
        leaderboard=board,
        legend=legend(replace(comparison, published={}, notes={})),
        figures=figures,
        matrices=matrices(results),
        published=_published(comparison.published),
        states=Counter(line.state for line in every),
        meanings=STATES,
        lacking=lacking(comparison),
        runs=every,
        notes=[printable(note) for note in content.notes],
        commands=[printable(command) for command in content.commands],
    )


class _Script(NamedTuple):
    """A script: the hash by which the page's policy knows it, and its text, packed."""

    hash: str
    packed: str


@cache
def _plotly() -> _Script:
    """Return plotly.js as its package brings it."""
    from plotly.offline import get_plotlyjs

    text = get_plotlyjs()
    return _Script(_hash(text), _packed(text))


def _asset(name: str) -> str:
    return files("seqbench.results.html").joinpath(name).read_text(encoding="utf-8")


def _hash(script: str) -> str:
    """Return the hash by which a page's policy knows a script."""
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()


def _packed(text: str) -> str:
    """Return a text, compressed, in letters that mean nothing to HTML; `page.js` unpacks it."""
    return base64.b64encode(gzip.compress(text.encode(), mtime=0)).decode()


def _data(figures: Mapping[str, Sequence[Panel]], every: Sequence[Any]) -> dict[str, Any]:
    """Return what the script draws and shows: panels by section, and what is below each run's row."""
    return {
        "panels": {
            name: [{"data": panel.data, "layout": panel.layout} for panel in panels]
            for name, panels in figures.items()
        },
        "runs": [line.more for line in every],
        "dark": DARK,
    }


def _in_words(name: str) -> Markup:
    """Return a name that is broken, where it has to be, after its underscores."""
    return Markup(str(escape(name)).replace("_", "_<wbr>"))


def _with_code(note: str) -> Markup:
    """Return a sentence whose commands, which are between backticks for a terminal, are code."""
    return Markup(re.sub("`([^`]+)`", r"<code>\1</code>", str(escape(note))))


def _title(models: Sequence[str], tasks: Sequence[str]) -> str:
    """Return `7 models on temporal_order`."""
    what = f"{len(models)} models" if len(models) > 1 else models[0]
    listed = ", ".join(tasks)
    return f"{what} on {f'{len(tasks)} tasks' if len(tasks) > 1 and len(listed) > LONGEST_LIST else listed}"


def _key(model: str, models: Sequence[str]) -> dict[str, Any]:
    """Return how the key of a model is drawn."""
    look = model_style(model, models)
    return {
        "colour": look["color"],
        "dark": DARK.get(look["color"], look["color"]),
        "mark": MARKS[look["marker"]],
        "stroke": STROKES[look["linestyle"]],
        "filled": look["fillstyle"],
    }


def _published(published: Mapping[str, Sequence[Reported]]) -> list[dict[str, Any]]:
    """Return a row for each entry of the literature that fits a task."""
    return [
        {
            "task": task,
            "lengths": ", ".join(map(str, reported.lengths)) or "–",
            "metric": reported.entry.metric,
            "told": [printable(text) for text in reported.entry.told],
            "source": printable(f"{reported.entry.source}, {reported.entry.at}"),
            "certainty": CERTAINTY[reported.entry.certainty],
            "protocol": printable(reported.entry.protocol),
        }
        for task, its in published.items()
        for reported in its
    ]

"""A comparison as text: one block for every task, which the formats for readers share.

    adding: loss (squared error; lower is better)
            100                       50→200
    lstm    1.2e-4 [9e-5–3e-4]        0.03 [0.01–0.05]     test metric: median over seeds, its interval
            5/5 [57–100]%                                  runs solved: the 95 % Wilson interval
            2.4k [1.1k–3.5k] steps                         steps to solve: median, its interval

A column 50→200 was trained at length 50 and tested at 200. Whether a run is solved is decided at its training
length, so that such a column has no solved runs. Data sets of a task that have one length each, such as those
of an archive, are the columns of one block.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Container, Iterable, Iterator, Sequence
from dataclasses import dataclass

import pandas as pd

from seqbench.errors import printable
from seqbench.results.frame import Comparison, records
from seqbench.results.labels import NAMES_OF_DATA
from seqbench.results.published import BESIDE
from seqbench.results.summaries import Row


@dataclass(frozen=True)
class Block:
    """The table of one task, or of its data sets.

    Attributes:
        task: the label of the task.
        rows: of the frame.
        heading: the task, its metric, and when a run counts as solved.
        table: text in every cell. Rows are models, then the best predictor that ignores the input, where the
            task knows what it has, and what the literature reports. Columns are lengths, then those of
            `side`; or data sets in their place.
        side: the headings of the columns beside the lengths.
        legend: what the cells of the table hold.
    """

    task: str
    rows: list[Row]
    heading: str
    table: pd.DataFrame
    side: list[str]
    legend: str


def blocks(comparison: Comparison) -> Iterator[Block]:
    """Yield the block of every task of a comparison. Models are in the order of the frame."""
    side = [summary for summary in comparison.summaries if summary.heading]
    cells = [summary for summary in comparison.summaries if not summary.heading]
    for task, its in _tables(records(comparison.frame)):
        of_model: dict[str, list[Row]] = defaultdict(list)
        for row in its:
            of_model[row["model"]].append(row)
        lengths = dict.fromkeys(column_of(row) for row in sorted(its, key=_place))
        table = {
            model: dict.fromkeys(lengths, "")
            | {column_of(row): _lines(each.text(row) for each in cells) for row in rows}
            | {summary.heading: summary.side_text(rows) for summary in side}
            for model, rows in of_model.items()
        }
        baseline = {column_of(row): _lines(each.baseline_text(row) for each in cells) for row in its}
        if any(baseline.values()):
            table[_free("baseline", table)] = baseline
        published = {column_of(row): _lines(_published(comparison, row)) for row in its}
        if any(published.values()):
            table[_free("published", table)] = published
        texts = pd.DataFrame.from_dict(table, orient="index").fillna("")
        headings = [summary.heading for summary in side]
        tasks = dict.fromkeys(row["task"] for row in its)
        yield Block(task, its, _heading(task, its[0]), texts, headings, _legend(comparison, its, *tasks))


def _free(name: str, models: Container[str]) -> str:
    """Return the heading of a row that is no model's, which is none of theirs: one may be called so too."""
    return name if name not in models else _free(f"({name})", models)


#: The label of a task with the name of its data: `ucr (name=FordA)`.
WITH_DATA = re.compile(rf"(.*) \((?:{'|'.join(key.rpartition('.')[2] for key in NAMES_OF_DATA)})=(.*)\)")


def _tables(rows: Sequence[Row]) -> list[tuple[str, list[Row]]]:
    """Return the task of each table, and its rows; those of data sets with one length each share a table."""
    of_task: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        of_task[row["task"]].append(row)
    shared: dict[tuple[str, ...], list[tuple[str, str]]] = defaultdict(list)
    for task, its in of_task.items():
        label = WITH_DATA.fullmatch(task)
        if label and len({_lengths(row) for row in its}) == 1:
            facts = (its[0][name] for name in ("metric", "direction", "unit", "solved_when"))
            shared[label[1], *facts].append((task, label[2]))
    together = []
    for (name, *_), tasks in shared.items():
        if len(tasks) > 1:  # several tables may have this name: of other metrics, or other marks
            its = [row | {"column": data} for task, data in tasks for row in of_task.pop(task)]
            together.append((name, its))
    return sorted([*of_task.items(), *together], key=lambda named: named[0])


def _published(comparison: Comparison, row: Row) -> list[str]:
    """Return what the literature reports on the task and the length of a row, in what its cell shows."""
    if row["train_length"] != row["length"]:
        return []
    entries = [
        each.entry
        for each in comparison.published.get(row["task"], [])
        if row["train_length"] in each.lengths and each.entry.metric in (row["metric"], *BESIDE)
    ]
    return [f"{text}{BESIDE.get(entry.metric, '')}" for entry in entries for text in entry.told]


def _lines(texts: Iterable[str]) -> str:
    return "\n".join(filter(None, texts))


def _lengths(row: Row) -> tuple[int, int]:
    return row["train_length"], row["length"]


def _place(row: Row) -> tuple[str, int, int]:
    return row.get("column", ""), *_lengths(row)


def column_of(row: Row) -> str:
    """Return the heading of the column that a row of the frame is in, or what its block calls it."""
    if "column" in row:
        return str(row["column"])
    trained, length = _lengths(row)
    return f"{length or '–'}" if trained == length else f"{trained}→{length}"


def _heading(task: str, row: Row) -> str:
    unit = "" if row["unit"] == "share" else row["unit"]  # a share is written in per cent
    better = {"max": "higher is better", "min": "lower is better"}.get(row["direction"], "")
    meaning = "; ".join(filter(None, [unit, better]))
    solved = f". Solved: {row['solved_when']}" if row["solved_when"] else ""
    return f"{task}: {row['metric'] or 'no metric'}{f' ({meaning})' if meaning else ''}{solved}"


def legend(comparison: Comparison) -> str:
    """Return the line that explains what the cells of the tables hold."""
    return _legend(comparison, records(comparison.frame), *comparison.frame["task"].unique())


def _legend(comparison: Comparison, rows: Sequence[Row], *tasks: str) -> str:
    """Return the legend of a table with these rows, and the notes on these tasks."""
    summaries = comparison.summaries
    parts = [text for summary in summaries if (text := summary.explain(rows))]
    sentences = [f"Each cell: {'; '.join(parts)}."] if parts else []
    if any(summary.baseline_text(row) for summary in summaries for row in rows):
        sentences.append("Baseline: the best predictor that ignores the input.")
    if any(row["train_length"] != row["length"] for row in rows):
        sentences.append("A column a→b was trained at length a and tested at b.")
    for task in tasks:
        where = f"On {task} " if len(tasks) > 1 else ""
        sentences += [f"{where}{note}" for note in comparison.notes.get(task, [])]
    told = (str(each.entry) for task in tasks for each in comparison.published.get(task, []))
    sentences += dict.fromkeys(map(printable, told))
    return " ".join(sentences)

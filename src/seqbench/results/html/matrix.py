"""The matrix of models against models: the differences that `seqbench compare` finds, and which are sure."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

from seqbench.errors import SeqbenchError, printable
from seqbench.results.comparing.comparison import compare_models
from seqbench.results.comparing.contrasts import LEVEL, Contrast
from seqbench.results.comparing.text import text_rows
from seqbench.results.labels import label_runs
from seqbench.results.numbers import number, signed
from seqbench.runs.result import Result

#: The most models of a task that are compared each with each: of more there would be hundreds of tests.
MOST_MODELS = 16


@dataclass(frozen=True)
class Cell:
    """The model of a row against that of a column.

    Attributes:
        text: the difference, row less column; of losses the ratio, row over column.
        side: 1 where the row is better, -1 where the column is, 0 where neither is.
        sure: whether p is `LEVEL` or less, after Holm's correction for all pairs and lengths of the task.
        told: all of it, in words.
    """

    text: str
    side: int
    sure: bool
    told: str


@dataclass(frozen=True)
class Matrix:
    """The models on a task at one length.

    Attributes:
        length: the training length.
        measure: what is compared, `solved` or the name of a metric.
        models: in the order of rows and columns.
        cells: model of the row and model of the column, to what is known of them.
    """

    length: int
    measure: str
    models: tuple[str, ...]
    cells: dict[tuple[str, str], Cell]


@dataclass(frozen=True)
class Matrices:
    """The matrices of a task.

    Attributes:
        task: its label.
        of_lengths: one for each length; none where they cannot be compared.
        notes: what so many seeds can tell, what is left out, or why there is no matrix.
    """

    task: str
    of_lengths: tuple[Matrix, ...]
    notes: tuple[str, ...]


def matrices(results: Sequence[Result]) -> list[Matrices]:
    """Return the matrices of each task that has two models or more.

    They are those of `compare_models` for all pairs of models of the task: in solve rates where all runs say
    when they count as solved, else in the test metric.
    """
    of_task: dict[str, list[Result]] = defaultdict(list)
    models: dict[str, set[str]] = defaultdict(set)
    for result, (task, model) in zip(results, label_runs(results), strict=True):
        of_task[task].append(result)  # those that failed too: labels are those of all runs
        models[task] |= {model} if result.status != "failed" else set()
    return [_of_task(printable(t), of_task[t], sorted(m)) for t, m in sorted(models.items()) if len(m) > 1]


def _of_task(task: str, results: Sequence[Result], models: Sequence[str]) -> Matrices:
    if len(models) > MOST_MODELS:
        told = (
            f"{len(models)} models are too many to compare each with each; --model and --where choose some, "
            "and `seqbench compare --models` compares those that it names."
        )
        return Matrices(task, (), (told,))
    solvable = all(result.solved_when for result in results if result.status != "failed")
    try:
        found = compare_models(results, models, of=["solved"] if solvable else ["metric"])
    except SeqbenchError as error:
        return Matrices(task, (), (str(error),))
    larger = solvable or any(result.direction == "max" for result in results)
    of_length: dict[int, list[tuple[Contrast, str]]] = defaultdict(list)
    for contrast, row in zip(found.contrasts, text_rows(found), strict=True):
        if contrast.length == contrast.train_length:
            first, second, difference, p, holm = [*row.values()][-5:]
            told = printable(
                f"{contrast.first} {first}, {contrast.second} {second}: difference {difference}, "
                f"p = {p}, after Holm's correction {holm.removesuffix(' *')}"
            )
            of_length[contrast.length].append((contrast, told))
    every = tuple(_matrix(length, its, models, larger) for length, its in sorted(of_length.items()))
    return Matrices(task, every, tuple(filter(None, (found.told, *found.remarks))))


def _matrix(
    length: int, contrasts: Sequence[tuple[Contrast, str]], models: Sequence[str], larger: bool
) -> Matrix:
    cells = {}
    for its, told in contrasts:
        sure = its.p_holm <= LEVEL
        better = _sign(its) if larger else -_sign(its)
        first, second = printable(its.first), printable(its.second)
        cells[first, second] = Cell(_text(its, 1), better, sure, told)
        cells[second, first] = Cell(_text(its, -1), -better, sure, told)
    shown = tuple(model for model in map(printable, models) if any(model in pair for pair in cells))
    return Matrix(length, contrasts[0][0].measure, shown, cells)


def _sign(its: Contrast) -> int:
    """Return 1 where the first model has the larger value, -1 where the second has, else 0."""
    if math.isnan(its.difference):
        return 0
    same = 1 if its.ratio else 0
    return (its.difference > same) - (its.difference < same)


def _text(its: Contrast, sign: int) -> str:
    """Return the difference of a pair, turned round where the sign is -1."""
    if math.isnan(its.difference):
        return "–"
    if its.ratio:
        return f"×{number(its.difference**sign)}"
    if its.unit == "share":
        return signed(100 * sign * its.difference, ".0f").replace("-", "−")
    return signed(sign * its.difference).replace("-", "−")

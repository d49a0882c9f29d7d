"""What the columns of a table mean: which settings name them, and how rows become sequences."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from seqbench.data.tables.file import column
from seqbench.data.tables.values import (
    entries,
    holds_lists,
    identifiers,
    is_text,
    lists,
    numbers,
    seconds,
    words,
)
from seqbench.errors import ConfigError, DataError

if TYPE_CHECKING:
    import pandas as pd

#: A row's number, from 0, to where it stands, in words.
Where = Callable[[int], str]
Unit = Literal["word", "char"]


@dataclass(frozen=True)
class Columns:
    """Which columns a table's sequences are made of.

    Attributes:
        id: names the sequence that a row belongs to. None: each row is a sequence, or, if `time` is given,
            all rows are one.
        time: by which the rows of a sequence are ordered; None keeps their order.
        inputs: what a model reads; None for all columns that nothing else is said of.
        target: what it is to put out; one column, or several of numbers.
        group: of sequences that must stay in one split.
        split: that says train, validation or test.
        ahead: steps from an input to the value of `target` that belongs to it.
        unit: what a text is a sequence of.
        texts: inputs, or the target, whose entries are texts, even where they read as numbers.
    """

    id: str | None
    time: str | None
    inputs: tuple[str, ...] | None
    target: tuple[str, ...]
    group: str | None
    split: str | None
    ahead: int
    unit: Unit
    texts: tuple[str, ...] = ()

    @property
    def row_is_a_step(self) -> bool:
        """Whether a row is a step, and not a sequence."""
        return self.id is not None or self.time is not None

    @property
    def named(self) -> tuple[str, ...]:
        """All columns that are named."""
        others = (self.id, self.time, self.group, self.split)
        return (*self.target, *(self.inputs or ()), *(name for name in others if name is not None))

    def check(self, frame: pd.DataFrame, path: str, split: str | None) -> Columns:
        """Return the columns with `inputs` and `split` named, all of which a table has.

        Args:
            frame: the table.
            path: what it is called.
            split: the column of the splits that its source has; one that is named is taken in its place.

        Raises:
            DataError: one is not there, or none is left for the inputs.
        """
        given = {"id": self.id, "time": self.time, "group": self.group, "split": self.split or split}
        for key, name in given.items():
            if name is not None:
                column(frame, name, key, path)
        for name in self.target:
            column(frame, name, "target", path)
        for name in self.inputs or ():
            column(frame, name, "inputs", path)
        for key, name in given.items():
            if name in self.target and key != "time":
                raise ConfigError(f"task.target names {name!r}, which is task.{key}.")
        used = {*given.values(), split, *(() if self.ahead else self.target)}
        inputs = self.inputs or tuple(name for name in frame.columns if name not in used)
        if self.inputs is None and any(not name.strip() for name in inputs):
            number = next(i for i, name in enumerate(frame.columns, 1) if not name.strip())
            raise DataError(f"{path}: column {number} has no name; name it, or the inputs by task.inputs.")
        if not inputs:
            raise DataError(f"{path} has no column that could be an input, besides {', '.join(self.target)}.")
        if both := [name for name in inputs if name in used]:
            key = next((key for key, name in given.items() if name == both[0]), "target")
            raise ConfigError(f"task.inputs names {both[0]!r}, which is task.{key}.")
        for name in self.texts:
            if name not in (*inputs, *self.target):
                column(frame, name, "texts", path)
                raise ConfigError(f"task.texts names {name!r}, which is neither an input nor the target.")
        return Columns(**{**vars(self), "inputs": inputs, "split": given["split"]})


class Sequences(NamedTuple):
    """The sequences of a table, one after the other: S sequences of N steps in all.

    Attributes:
        ids: of each, S.
        ends: the step after the last of each, S.
        rows: the row of the table that a step stands in, N.
        values: what a model reads, by column: numbers (N,) with NaN for what is missing, or texts (N,).
        places: where the columns of a row are the steps, the column of each, N.
        tokens: whether `values` is one column of tokens.
        times: of the steps, N; None without any.
        targets: by column, as the table has them: one a step, N, or one a sequence, S.
        per_step: whether there is a target at each step.
        groups: of each sequence, S; those without a column for it are a group each.
        splits: of each sequence, S; None without such a column.
    """

    ids: np.ndarray
    ends: np.ndarray
    rows: np.ndarray
    values: dict[str, np.ndarray]
    tokens: bool
    times: np.ndarray | None
    targets: dict[str, np.ndarray]
    per_step: bool
    groups: np.ndarray
    splits: np.ndarray | None
    places: np.ndarray | None = None

    @property
    def starts(self) -> np.ndarray:
        """The first step of each sequence."""
        starts: np.ndarray = self.ends - self.lengths
        return starts

    @property
    def lengths(self) -> np.ndarray:
        """The steps of each sequence."""
        lengths: np.ndarray = np.diff(self.ends, prepend=0)
        return lengths


def of_steps(frame: pd.DataFrame, its: Columns, each: str | None, where: Where) -> Sequences:
    """Return the sequences of a table whose rows are steps.

    Args:
        frame: the table.
        its: what the columns mean.
        each: `step` or `sequence`, what has a target; None: a sequence has, if its rows agree in all of them.
        where: says where a row stands.

    Raises:
        DataError: rows contradict each other, or a value cannot be read.
    """
    _refuse_unit(its)
    count = len(frame)
    if its.id is None:
        names, number = np.array(["all rows"]), np.zeros(count, dtype=np.int64)
    else:
        names, number = _numbered(frame[its.id], its.id, where)
    times = None if its.time is None else seconds(frame[its.time], its.time, where)
    order = np.argsort(number, kind="stable") if times is None else np.lexsort((times, number))
    number = number[order]
    ends = np.searchsorted(number, np.arange(len(names)), side="right")
    if times is not None:
        times = times[order]
        if len(twice := np.flatnonzero((number[1:] == number[:-1]) & (times[1:] == times[:-1]))):
            first, second = sorted(map(int, order[twice[0] : twice[0] + 2]))
            whose = "" if its.id is None else f" of {str(names[number[twice[0]]])!r}"
            raise DataError(
                f"{where(second)}: {its.time}={frame[its.time].iloc[second]}{whose} is there already, in "
                f"{where(first)}."
            )
    assert its.inputs is not None
    values = {name: entries(frame[name], name, where, name in its.texts)[order] for name in its.inputs}
    starts = np.concatenate([[0], ends[:-1]])
    targets = {name: entries(frame[name], name, where, name in its.texts)[order] for name in its.target}
    constant = not its.ahead and all(_constant(target, ends) for target in targets.values())
    per_step = bool(its.ahead) or each == "step" or (each is None and not constant)
    if not per_step:
        for name, target in targets.items():
            if len(wrong := _changes(target, ends)):
                step = int(wrong[0])
                raise DataError(
                    f"{where(int(order[step]))}: {name} is {target[step]} and was {target[step - 1]} before, "
                    "and task.each=sequence asks for one target a sequence."
                )
        targets = {name: target[starts] for name, target in targets.items()}

    def one_each(name: str, key: str) -> np.ndarray:
        """Return a text of each sequence, in which all its rows agree."""
        found = identifiers(frame[name], name, where)[order]
        if len(wrong := _changes(found, ends)):
            step = int(wrong[0])
            raise DataError(
                f"{where(int(order[step]))}: {str(names[number[step]])!r} has {name}={found[step]}, and "
                f"{found[step - 1]} in {where(int(order[step - 1]))}; a sequence has one {key}."
            )
        first: np.ndarray = found[starts]
        return first

    return Sequences(
        ids=names,
        ends=ends,
        rows=order,
        values=values,
        tokens=len(values) == 1 and next(iter(values.values())).dtype == object,
        times=times,
        targets=targets,
        per_step=per_step,
        groups=names if its.group is None else one_each(its.group, "group"),
        splits=None if its.split is None else one_each(its.split, "split"),
    )


def of_rows(frame: pd.DataFrame, its: Columns, each: str | None, where: Where) -> Sequences:
    """Return the sequences of a table whose rows are sequences; the arguments are those of `of_steps`.

    The inputs are numbers, the steps in their order; or columns of lists, with a number or token of each
    step; or one column of texts.

    Raises:
        DataError: a value cannot be read, or the lists of a row have different lengths.
    """
    assert its.inputs is not None
    columns = [frame[name] for name in its.inputs]
    values: dict[str, np.ndarray]
    places = None
    if any(map(holds_lists, columns)):
        cut = {name: lists(frame[name], name, where, name in its.texts) for name in its.inputs}
        lengths = next(iter(cut.values()))[0]
        _refuse_unit(its)
        for name, (theirs, _) in cut.items():
            if len(wrong := np.flatnonzero(theirs != lengths)):
                row = int(wrong[0])
                raise DataError(
                    f"{where(row)}: {name} has {theirs[row]} steps, and {its.inputs[0]} {lengths[row]}."
                )
        values = {name: flat for name, (_, flat) in cut.items()}
    elif len(columns) == 1 and (is_text(columns[0]) or its.inputs[0] in its.texts):
        texts = words(columns[0], its.inputs[0], where)
        split = [list(text) if its.unit == "char" else text.split() for text in texts]
        lengths = np.array([len(text) for text in split])
        values = {its.inputs[0]: np.array([token for text in split for token in text], dtype=object)}
    else:
        _refuse_unit(its)
        table = np.stack([numbers(each_, str(each_.name), where) for each_ in columns], axis=1)
        there = ~np.isnan(table)
        lengths = np.where(there.any(1), table.shape[1] - there[:, ::-1].argmax(1), 0)
        there = np.arange(table.shape[1]) < lengths[:, None]
        values = {"value": table[there]}
        places = np.array(its.inputs, dtype=object)[np.nonzero(there)[1]]
    if len(empty := np.flatnonzero(lengths == 0)):
        raise DataError(f"{where(int(empty[0]))} is a sequence of no steps.")
    per_step = any(holds_lists(frame[name]) for name in its.target)
    if each is not None and per_step != (each == "step"):
        raise DataError(f"task.each={each}: {its.target[0]} has one entry a {'step' if per_step else 'row'}.")
    targets = {}
    for name in its.target:
        if not per_step:
            targets[name] = entries(frame[name], name, where, name in its.texts)
        else:
            theirs, targets[name] = lists(frame[name], name, where, name in its.texts)
            if len(wrong := np.flatnonzero(theirs != lengths)):
                row = int(wrong[0])
                raise DataError(f"{where(row)}: {name} has {theirs[row]} entries for {lengths[row]} steps.")
    names = np.array([str(row) for row in range(len(frame))])
    return Sequences(
        ids=names,
        ends=np.cumsum(lengths),
        rows=np.repeat(np.arange(len(frame)), lengths),
        values=values,
        tokens=len(values) == 1 and next(iter(values.values())).dtype == object,
        times=None,
        targets=targets,
        per_step=per_step,
        groups=names if its.group is None else identifiers(frame[its.group], its.group, where),
        splits=None if its.split is None else identifiers(frame[its.split], its.split, where),
        places=places,
    )


def _refuse_unit(its: Columns) -> None:
    """Raise a ConfigError where a unit of texts is given, and there are none to cut."""
    if its.unit == "char":
        raise ConfigError(
            "task.unit=char is of one column with a text a row, and has no effect on "
            f"{', '.join(its.inputs or ())}; task.texts takes a column of digits for texts."
        )


def _numbered(ids: Any, name: str, where: Where) -> tuple[np.ndarray, np.ndarray]:
    """Return the ids, each once and sorted, and the number of each row's."""
    return np.unique(identifiers(ids, name, where).astype(str), return_inverse=True)


def _constant(column: np.ndarray, ends: np.ndarray) -> bool:
    return not len(_changes(column, ends))


def _changes(column: np.ndarray, ends: np.ndarray) -> np.ndarray:
    """Return the steps whose entry is not that of the step before, in the same sequence."""
    missing = column != column
    differs = (column[1:] != column[:-1]) & ~(missing[1:] & missing[:-1])
    differs[ends[:-1] - 1] = False
    return np.flatnonzero(differs) + 1

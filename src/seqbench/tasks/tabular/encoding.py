"""The inputs of a table as numbers: scales, categories and tokens are those of the training sequences."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from operator import itemgetter
from typing import NamedTuple

import numpy as np

from seqbench.data.tables.sequences import Sequences
from seqbench.errors import ConfigError, DataError

Where = Callable[[int], str]
#: Tokens that no text has: one for the end of shorter sequences, one for what training does not know.
PADDING, UNKNOWN = "<padding>", "<unknown>"
#: The most that a float of 32 bits holds.
LARGEST = float(np.finfo(np.float32).max)
#: Of a smaller deviation the square is no float of 64 bits.
SMALLEST = 1e-150
#: What is said of missing values.
REMEDY = "task.missing=ffill takes the last value before, task.missing=mask tells the model"
#: The most categories of a column of texts beside others.
CATEGORIES = 50


class Scale(NamedTuple):
    """How a column of numbers is standardised."""

    mean: float
    std: float

    def of(self, values: np.ndarray) -> np.ndarray:
        """Return values in standard deviations from the mean."""
        return (values - self.mean) / self.std


class InputCode(NamedTuple):
    """How inputs are written as numbers.

    Attributes:
        scales: of the columns of numbers.
        categories: of the columns of texts, each a number of 0 or 1.
        tokens: all tokens, if the input is one column of them.
        missing: what happens to missing numbers: `refuse`, `ffill` or `mask`.
        delta: how the logarithm of the time since the step before is standardised; None if it is no input.
    """

    scales: Mapping[str, Scale]
    categories: Mapping[str, tuple[str, ...]]
    tokens: tuple[str, ...] | None
    missing: str
    delta: Scale | None

    @property
    def names(self) -> list[str]:
        """What each input is."""
        found = []
        for name in (*self.scales, *self.categories):
            found += [f"{name}={each}" for each in self.categories.get(name, ())] or [name]
        if self.missing == "mask":
            found += [f"{name} is there" for name in (*self.scales, *self.categories)]
        return [*found, *(["time since the step before"] if self.delta is not None else [])]

    def encode(self, its: Sequences, where: Where, remedy: str = REMEDY) -> np.ndarray:
        """Return the inputs of all steps, (N, F) of float32, or tokens (N,) of int64.

        Args:
            its: the sequences.
            where: says where a row stands.
            remedy: what is said of missing values, where they are refused.

        Raises:
            DataError: a value is missing, and missing ones are refused; or is so large that it cannot be
                standardised.
        """
        if self.missing == "refuse":
            _refuse_missing(its, where, remedy)
        if self.tokens is not None:
            ((_, column),) = its.values.items()
            column, _ = self._there(column, its)
            number = {token: i for i, token in enumerate(self.tokens)}
            unknown = number[UNKNOWN]
            return np.array([number.get(token, unknown) for token in column], dtype=np.int64)
        columns: list[np.ndarray] = []
        there: list[np.ndarray] = []
        for name, scale in self.scales.items():
            values, known = self._there(its.values[name], its)
            columns.append(np.nan_to_num(standardised(values, scale, name, its.rows, where), nan=0.0))
            there.append(known)
        for name, categories in self.categories.items():
            values, known = self._there(its.values[name], its)
            columns += [values == category for category in categories]
            there.append(known)
        if self.missing == "mask":
            columns += there
        if self.delta is not None:
            columns.append(self.delta.of(_log_delta(its)))
        return np.stack(columns, axis=1).astype(np.float32)

    def _there(self, values: np.ndarray, its: Sequences) -> tuple[np.ndarray, np.ndarray]:
        """Return a column, filled where that is asked for, and which entries were there, (N,)."""
        missing = _missing(values)
        return _filled(values, missing, its) if self.missing == "ffill" else values, ~missing


def input_code(
    its: Sequences, trained: np.ndarray, missing: str, delta: bool, vocabulary: int | None, where: Where
) -> InputCode:
    """Return how inputs are written, by the steps that train.

    Args:
        its: all sequences.
        trained: (N,), true at the steps of training.
        missing: `refuse`, `ffill` or `mask`.
        delta: whether the time since the step before is an input.
        vocabulary: the most tokens that are known; None for all of training.
        where: says where a row stands.

    Raises:
        DataError: a column has no number in training, or a column of texts has too many different ones.
        ConfigError: there are no tokens for a vocabulary.
    """
    if vocabulary is not None and not its.tokens:
        raise ConfigError(
            f"task.vocabulary={vocabulary} is of a column of tokens, and has no effect on "
            f"{', '.join(its.values)}."
        )
    scales, categories = {}, {}
    for name, values in its.values.items():
        if its.tokens:
            counts = Counter(each for each in values[trained] if each is not None)
            known = sorted(sorted(counts, key=lambda token: (-counts[token], token))[:vocabulary])
            return InputCode({}, {}, (PADDING, UNKNOWN, *known), missing, None)
        if values.dtype == object:
            known = sorted({each for each in values[trained] if each is not None})
            if len(known) > CATEGORIES:
                raise DataError(
                    f"{name} holds {len(known)} different texts, such as {known[0]!r}, and at most "
                    f"{CATEGORIES} can be inputs beside other columns; leave it out of task.inputs."
                )
            if not known:
                raise DataError(f"{name} is missing in all training sequences; leave it out of task.inputs.")
            categories[name] = tuple(known)
        else:
            steps = np.flatnonzero(trained & ~np.isnan(values))
            if not len(steps):
                raise DataError(
                    f"{name} has no number in the training sequences; leave it out of task.inputs."
                )
            scales[name] = scale_of(values[steps], name, its.rows[steps], where)
    since = scale_of(_log_delta(its)[trained], "time", its.rows[trained], where) if delta else None
    return InputCode(scales, categories, None, missing, since)


def standardised(values: np.ndarray, scale: Scale, name: str, rows: np.ndarray, where: Where) -> np.ndarray:
    """Return numbers (N,) in standard deviations from the mean, NaN if missing.

    Raises:
        DataError: one is more than a float of 32 bits holds.
    """
    found = scale.of(values)
    if len(wrong := np.flatnonzero(np.abs(found) > LARGEST)):
        place = int(wrong[0])
        raise DataError(
            f"{where(int(rows[place]))}: {name} is {values[place]:g}, too far from the mean of the training "
            f"sequences, {scale.mean:g}, to be computed with."
        )
    return found


def classes_of(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels, each once, in the order of their numbers or of the alphabet."""
    found = sorted({*labels})
    try:
        numbers = [float(label) for label in found]
    except ValueError:
        return tuple(found)
    return tuple(found) if any(map(math.isnan, numbers)) else tuple(sorted(found, key=float))


def as_labels(column: np.ndarray) -> list[str | None]:
    """Return the labels that the entries of a column are; whole numbers without a point, None if missing."""
    if column.dtype == object:
        return list(column)
    return [
        None if each != each else str(int(each)) if each.is_integer() else str(each)
        for each in column.tolist()
    ]


def are_labels(column: np.ndarray, most: int) -> bool:
    """Return whether a column reads as labels: texts, or whole numbers of which there are few."""
    if column.dtype == object:
        return True
    known = column[~np.isnan(column)]
    return bool((known % 1 == 0).all()) and len(Counter(known.tolist())) <= most


def scale_of(values: np.ndarray, name: str, rows: np.ndarray, where: Where) -> Scale:
    """Return how numbers are standardised, none of which is missing.

    Args:
        values: the numbers.
        name: of their column.
        rows: of each.
        where: says where a row stands.

    Raises:
        DataError: there is none, or they are too large, or their differences too small.
    """
    if not len(values):
        raise DataError(f"{name} has no number in the training sequences.")
    with np.errstate(over="ignore", invalid="ignore"):
        mean, std = float(values.mean()), float(values.std())
    if not math.isfinite(mean) or not math.isfinite(std):
        most = int(np.abs(values).argmax())
        raise DataError(
            f"{where(int(rows[most]))}: {name} is {values[most]:g}, too large to be standardised."
        )
    if values.min() == values.max():  # whose deviation may be that of rounding
        return Scale(float(values[0]), 1.0)
    if std < SMALLEST:
        most = int(np.abs(values).argmax())
        raise DataError(
            f"{where(int(rows[most]))}: {name} is {values[most]:g}, too small to be standardised; give it in "
            "another unit."
        )
    return Scale(mean, std)


def _filled(values: np.ndarray, missing: np.ndarray, its: Sequences) -> np.ndarray:
    """Return a column with the last entry before in place of a missing one, in the same sequence."""
    places = np.where(missing, -1, np.arange(len(values)))
    places = np.maximum.accumulate(places)
    first = np.repeat(its.starts, its.lengths)
    found = values[np.maximum(places, 0)]
    found[places < first] = None if values.dtype == object else np.nan
    return found


def _log_delta(its: Sequences) -> np.ndarray:
    """Return log(1 + time since the step before), 0 at the first step of a sequence."""
    assert its.times is not None
    since = np.diff(its.times, prepend=its.times[:1])
    since[its.starts] = 0.0
    return np.log1p(since)


def _missing(values: np.ndarray) -> np.ndarray:
    """Return which entries of a column are missing, (N,)."""
    return np.array([each is None for each in values]) if values.dtype == object else np.isnan(values)


def _refuse_missing(its: Sequences, where: Where, remedy: str) -> None:
    """Raise a DataError with the first row that lacks an input, if there is one."""
    firsts, count = [], 0
    for name, column in its.values.items():
        if len(steps := np.flatnonzero(_missing(column))):
            step = int(steps[its.rows[steps].argmin()])
            firsts.append((int(its.rows[step]), step, name))
            count += len(steps)
    if firsts:
        row, step, name = min(firsts, key=itemgetter(0, 1))
        shown = name if its.places is None else its.places[step]
        more = f", and {count - 1} more are" if count > 1 else ""
        raise DataError(f"{where(row)}: {shown} is missing{more}; {remedy}.")

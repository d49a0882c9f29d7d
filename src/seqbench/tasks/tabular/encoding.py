"""The inputs of a table as numbers: scales, categories and tokens are those of the training sequences."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import numpy as np

from seqbench.data.tables.sequences import Sequences
from seqbench.errors import ConfigError, DataError

Where = Callable[[int], str]
#: Tokens that no text has: one for the end of shorter sequences, one for what training does not know.
PADDING, UNKNOWN = "<padding>", "<unknown>"
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
            found += [f"{name} is there" for name in self.scales]
        return [*found, *(["time since the step before"] if self.delta is not None else [])]

    def encode(self, its: Sequences, where: Where) -> np.ndarray:
        """Return the inputs of all steps, (N, F) of float32, or tokens (N,) of int64.

        Raises:
            DataError: a value is missing, and missing ones are refused.
        """
        if self.tokens is not None:
            (column,) = its.values.values()
            _refuse_missing(next(iter(its.values)), np.array([each is None for each in column]), its, where)
            number = {token: i for i, token in enumerate(self.tokens)}
            unknown = number[UNKNOWN]
            return np.array([number.get(token, unknown) for token in column], dtype=np.int64)
        columns: list[np.ndarray] = []
        there: list[np.ndarray] = []
        for name, scale in self.scales.items():
            values = its.values[name]
            missing = np.isnan(values)
            if self.missing == "refuse":
                _refuse_missing(name, missing, its, where)
            if self.missing == "ffill":
                values = _filled(values, its)
            columns.append(np.nan_to_num(scale.of(values), nan=0.0))
            there.append(~missing)
        for name, known in self.categories.items():
            column = its.values[name]
            if self.missing == "refuse":
                _refuse_missing(name, np.array([each is None for each in column]), its, where)
            columns += [column == category for category in known]
        if self.missing == "mask":
            columns += there
        if self.delta is not None:
            columns.append(self.delta.of(_log_delta(its)))
        return np.stack(columns, axis=1).astype(np.float32)


def input_code(
    its: Sequences, trained: np.ndarray, missing: str, delta: bool, vocabulary: int | None
) -> InputCode:
    """Return how inputs are written, by the steps that train.

    Args:
        its: all sequences.
        trained: (N,), true at the steps of training.
        missing: `refuse`, `ffill` or `mask`.
        delta: whether the time since the step before is an input.
        vocabulary: the most tokens that are known; None for all of training.

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
            scales[name] = _scale(values[trained & ~np.isnan(values)], name)
    return InputCode(
        scales, categories, None, missing, _scale(_log_delta(its)[trained], "") if delta else None
    )


def classes_of(labels: Sequence[str]) -> tuple[str, ...]:
    """Return the labels, each once, in the order of their numbers or of the alphabet."""
    found = set(labels)
    try:
        return tuple(sorted(found, key=float))
    except ValueError:
        return tuple(sorted(found))


def as_labels(column: np.ndarray) -> list[str | None]:
    """Return the labels that the entries of a column are; whole numbers without a point, None if missing."""
    if column.dtype == object:
        return list(column)
    return [None if np.isnan(each) else f"{each:g}" for each in column.tolist()]


def are_labels(column: np.ndarray, most: int) -> bool:
    """Return whether a column reads as labels: texts, or whole numbers of which there are few."""
    if column.dtype == object:
        return True
    known = column[~np.isnan(column)]
    return bool((known % 1 == 0).all()) and len(Counter(known.tolist())) <= most


def scale_of(values: np.ndarray, name: str) -> Scale:
    """Return how numbers are standardised, none of which is missing."""
    return _scale(values, name)


def _scale(values: np.ndarray, name: str) -> Scale:
    if not len(values):
        raise DataError(f"{name} has no number in the training sequences.")
    std = float(values.std())
    return Scale(float(values.mean()), std if std > 0 else 1.0)


def _filled(values: np.ndarray, its: Sequences) -> np.ndarray:
    """Return numbers with the last one before in place of a missing one, in the same sequence."""
    places = np.where(np.isnan(values), -1, np.arange(len(values)))
    places = np.maximum.accumulate(places)
    first = np.repeat(its.starts, its.lengths)
    return np.where(places >= first, values[np.maximum(places, 0)], np.nan)


def _log_delta(its: Sequences) -> np.ndarray:
    """Return log(1 + time since the step before), 0 at the first step of a sequence."""
    assert its.times is not None
    since = np.diff(its.times, prepend=its.times[:1])
    since[its.starts] = 0.0
    return np.log1p(since)


def _refuse_missing(name: str, missing: np.ndarray, its: Sequences, where: Where) -> None:
    if len(found := np.flatnonzero(missing)):
        more = f", and {len(found) - 1} more are" if len(found) > 1 else ""
        raise DataError(
            f"{where(int(its.rows[found[0]]))}: {name} is missing{more}; task.missing=ffill takes the last "
            "value before, task.missing=mask tells the model."
        )

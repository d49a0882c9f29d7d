"""The targets of a table: labels or numbers, as a spec and as an array."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import torch

from seqbench.data.tables.sequences import Sequences
from seqbench.data.tables.splits import SPLITS, TRAIN
from seqbench.data.tables.values import EXACT
from seqbench.errors import ConfigError, DataError
from seqbench.tasks.tabular.encoding import are_labels, as_labels, classes_of, scale_of, standardised
from seqbench.tasks.tabular.pieces import Pieces, steps_of
from seqbench.tasks.tabular.targets import Labels, Numbers, frequencies, weights_of

Where = Callable[[int], str]
#: Whole numbers with at most so many values are labels, unless the settings say otherwise.
LABELS = 20
#: The class of a step whose label is missing.
NONE = -1


def holds_labels(its: Sequences, classes: bool | None, ahead: int) -> bool:
    """Return whether the target is a label: as the settings say, else by what the column holds.

    Raises:
        DataError: it cannot be seen which labels there are.
    """
    if classes is not None or len(its.targets) > 1:
        return bool(classes)
    ((name, column),) = its.targets.items()
    if not are_labels(column, 0 if ahead else LABELS):
        return False
    if column.dtype != object and len(long := column[np.abs(column) >= EXACT]):
        raise DataError(
            f"{name} holds whole numbers such as {long[0]:.0f}, of more digits than a float of 64 bits tells "
            f"apart; task.texts={name} takes them for labels as they are written, and task.classes=false for "
            "numbers."
        )
    return True


def labels_of(
    its: Sequences, pieces: Pieces, balanced: bool, optional: bool, where: Where
) -> tuple[Labels, np.ndarray]:
    """Return the spec of a target that is a label, and the class of each step or sequence, `NONE` if missing.

    Args:
        its: the sequences.
        pieces: the examples.
        balanced: whether each class counts alike in the loss.
        optional: whether the label of a step may be missing.
        where: says where a row stands.

    Raises:
        DataError: a label is missing or unknown in training, there is only one, or a split has none.
        ConfigError: there is more than one column.
    """
    if len(its.targets) > 1:
        raise ConfigError(f"task.target={list(its.targets)} are several columns; labels are one.")
    ((name, column),) = its.targets.items()
    labels = as_labels(column)
    rows = _rows(its)
    trained, used = _trained(its, pieces), _used(its, pieces)
    _refuse_missing(name, np.array([label is None for label in labels]) & used, rows, its, optional, where)
    _refuse_empty(name, np.array([label is None for label in labels]), its, pieces)
    known = classes_of([label for label, at in zip(labels, trained, strict=True) if at and label is not None])
    if len(known) < 2:
        raise DataError(
            f"{name} has one label in the training sequences, {', '.join(known)}: nothing to learn."
        )
    number = {label: i for i, label in enumerate(known)}
    wanted = np.array([NONE if label is None else number.get(label, len(known)) for label in labels])
    if len(unseen := np.flatnonzero((wanted == len(known)) & used)):
        place = int(unseen[0])
        splits = "" if its.splits is not None else ", or name a column of splits by task.split"
        raise DataError(
            f"{where(int(rows[place]))}: {name} is {labels[place]!r}, which no training sequence has; leave "
            f"such sequences out{splits}."
        )
    weights = None
    if balanced:
        counted = torch.from_numpy(wanted[trained & (wanted != NONE)])
        weights = weights_of(frequencies(counted, len(known)))
    return Labels(len(known), its.per_step, known, weights), wanted


def numbers_of(
    its: Sequences, pieces: Pieces, balanced: bool, optional: bool, where: Where
) -> tuple[Numbers, np.ndarray]:
    """Return the spec of targets that are numbers, and these standardised, NaN if missing; see `labels_of`.

    Raises:
        DataError: a number is missing or too large, all of training are equal, a split has none, or a column
            holds texts.
        ConfigError: there are classes to balance.
    """
    if balanced:
        raise ConfigError(
            f"task.class_weights has no effect on numbers, as {', '.join(its.targets)} holds; task.classes="
            "true makes them labels."
        )
    rows = _rows(its)
    trained, used = _trained(its, pieces), _used(its, pieces)
    scales, found = [], []
    for name, column in its.targets.items():
        if column.dtype == object:
            place, text = next((i, each) for i, each in enumerate(column) if each is not None)
            raise DataError(f"{where(int(rows[place]))}: {name} is {text!r}, and no number.")
        _refuse_missing(name, np.isnan(column) & used, rows, its, optional, where)
        _refuse_empty(name, np.isnan(column), its, pieces)
        places = np.flatnonzero(trained & ~np.isnan(column))
        learnt = column[places]
        if learnt.min() == learnt.max():
            raise DataError(f"{name} is {learnt[0]:g} in all training sequences: nothing to learn.")
        scales.append(scale_of(learnt, name, rows[places], where))
        found.append(standardised(column, scales[-1], name, rows, where))
    means, stds = zip(*scales, strict=True)
    return Numbers(len(scales), its.per_step, tuple(its.targets), means, stds), np.stack(found, axis=1)


def _rows(its: Sequences) -> np.ndarray:
    """Return the row of each target."""
    return its.rows if its.per_step else its.rows[its.starts]


def _trained(its: Sequences, pieces: Pieces) -> np.ndarray:
    """Return which targets are those of training."""
    if its.per_step:
        return steps_of(pieces, len(its.rows), TRAIN, pieces.ahead)
    return np.isin(np.arange(len(its.ids)), pieces.of(TRAIN).sequence)


def _used(its: Sequences, pieces: Pieces) -> np.ndarray:
    """Return which targets are used at all."""
    if its.per_step:
        return steps_of(pieces, len(its.rows), None, pieces.ahead)
    return np.isin(np.arange(len(its.ids)), pieces.sequence)


def _refuse_empty(name: str, missing: np.ndarray, its: Sequences, pieces: Pieces) -> None:
    """Raise a DataError where a split has no target: what is measured on it would be no number."""
    for number, split in enumerate(SPLITS) if its.per_step else ():
        if missing[steps_of(pieces, len(missing), number, pieces.ahead)].all():
            raise DataError(f"{name} is missing in all {split} sequences.")


def _refuse_missing(
    name: str, missing: np.ndarray, rows: np.ndarray, its: Sequences, optional: bool, where: Where
) -> None:
    if len(found := np.flatnonzero(missing)) and not (its.per_step and optional):
        may = "with task.missing=mask such steps do not count" if its.per_step else "leave such sequences out"
        raise DataError(f"{where(int(rows[found[0]]))}: {name} is missing; {may}.")

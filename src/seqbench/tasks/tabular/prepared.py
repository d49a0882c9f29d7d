"""A table as arrays, ready to be batched: made once, cached by content, mapped into memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import astuple, dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from seqbench.data import tables
from seqbench.data.array_cache import Made, Origin, code_of, made_once
from seqbench.data.tables import splits as dividing
from seqbench.data.tables.rows import Rows
from seqbench.data.tables.sequences import Columns, Sequences, Where, of_rows, of_steps
from seqbench.data.tables.source import TableSource
from seqbench.errors import ConfigError
from seqbench.tasks import tabular
from seqbench.tasks.tabular.encoding import InputCode, Scale, as_labels, input_code
from seqbench.tasks.tabular.pieces import Pieces, cut, steps_of
from seqbench.tasks.tabular.targets import Labels, Numbers
from seqbench.tasks.tabular.wanted import holds_labels, labels_of, numbers_of

#: The shares of the sequences that validate and test, where nothing else is said.
SHARES = (0.15, 0.15)
#: What reads files besides the code of seqbench.
READERS = ("numpy", "pandas", "pyarrow")


@dataclass(frozen=True)
class Settings:
    """What shapes the sequences of a table.

    Attributes:
        columns: what the columns mean.
        shares, each, classes, class_weights, window, missing, delta, vocabulary: see `Table`.
        own_splits: whether the table is a data set that has its own splits.

    Raises:
        ConfigError: a setting is out of range, or has no effect.
    """

    columns: Columns
    shares: tuple[float, ...]
    each: str | None
    classes: bool | None
    class_weights: str | None
    window: int | None
    missing: str
    delta: bool
    vocabulary: int | None
    own_splits: bool

    def __post_init__(self) -> None:
        its = self.columns
        for key, value, choices in (
            ("each", self.each, (None, "step", "sequence")),
            ("class_weights", self.class_weights, (None, "balanced")),
            ("missing", self.missing, ("refuse", "ffill", "mask")),
            ("unit", its.unit, ("word", "char")),
        ):
            if value not in choices:
                allowed = ", ".join("null" if choice is None else choice for choice in choices)
                raise ConfigError(f"task.{key}={value} must be one of {allowed}.")
        if its.ahead < 0:
            raise ConfigError(f"task.ahead={its.ahead} must be at least 0; 1 predicts the next step.")
        for key, count in (("window", self.window), ("vocabulary", self.vocabulary)):
            if count is not None and count < 1:
                raise ConfigError(f"task.{key}={count} must be at least 1.")
        if self.delta and its.time is None:
            raise ConfigError("task.delta=true needs the column of the times: task.time=….")
        if its.ahead and self.each is not None:
            raise ConfigError(
                f"task.each={self.each} has no effect with task.ahead={its.ahead}, whose targets are steps'."
            )
        if its.ahead and not its.row_is_a_step:
            raise ConfigError("task.ahead needs rows that are steps: give task.time, or task.id, or both.")
        dividing.check_shares(self.shares)


class Prepared(NamedTuple):
    """The sequences of a table, ready to be batched.

    Attributes:
        sequences: how many there are.
        splits: what the column of the splits says, each once; None without one.
        inputs_of: the columns that are inputs.
        pieces: the examples, each a stretch of a sequence.
        code: how the inputs are written.
        inputs: of all steps: (N, F) of float32, or (N,) of int64.
        target: their spec.
        wanted: the targets of all steps, or sequences, in the form of the spec; a missing one is NaN or −1.
    """

    sequences: int
    splits: tuple[str, ...] | None
    inputs_of: tuple[str, ...]
    pieces: Pieces
    code: InputCode
    inputs: np.ndarray
    target: Labels | Numbers
    wanted: np.ndarray


def prepared_table(source: TableSource, settings: Settings, cache: Path) -> Prepared:
    """Return the sequences of a table, from a folder below `cache` if they are there, see `made_once`.

    Raises:
        ConfigError, DataError: the table is missing, or is not what the settings say.
    """
    origin = Origin(
        kind="table",
        places=[source.place],
        contents=[source.digest(), *map(version, READERS)],
        code=code_of(tables, tabular),
        settings=list(astuple(settings)),
    )
    made = made_once(origin, cache, lambda allocate: _as_made(_make(source.rows(), settings)))
    return _as_prepared(made, settings.columns.ahead)


def _make(rows: Rows, its: Settings) -> Prepared:
    """Read and encode a table."""
    columns, ahead, where = (
        its.columns.check(rows.frame, rows.title, rows.split),
        its.columns.ahead,
        rows.where,
    )
    rows.check(columns.named)
    read = of_steps if columns.row_is_a_step else of_rows
    found = read(rows.frame, columns, its.each, where)
    labelled = holds_labels(found, its.classes, ahead)
    splits = _splits(found, its, labelled, columns.split, where)
    pieces = cut(found, splits, ahead, its.window, rows.title, its.shares, where)
    trained = steps_of(pieces, len(found.rows), dividing.TRAIN)
    code = input_code(found, trained, its.missing, its.delta, its.vocabulary, where)
    inputs = code.encode(found, where)
    make = labels_of if labelled else numbers_of
    balanced, optional = its.class_weights is not None, its.missing != "refuse"
    target, wanted = make(found, pieces, balanced, optional, where)
    named = None if found.splits is None else tuple(dict.fromkeys(map(str, found.splits)))
    return Prepared(len(found.ids), named, columns.inputs or (), pieces, code, inputs, target, wanted)


def _splits(
    found: Sequences, its: Settings, labelled: bool, column: str | None, where: Where
) -> np.ndarray | None:
    """Return the split of each sequence; None where the only one is to be cut."""
    labels = None
    if not found.per_step and labelled:
        labels = [str(label) for label in as_labels(next(iter(found.targets.values())))]
    if found.splits is not None:
        if not its.own_splits and its.shares != SHARES and dividing.names_validation(found.splits):
            raise ConfigError(f"task.shares={list(its.shares)} has no effect, as splits are given.")
        return dividing.by_column(found, str(column), its.shares[0], labels, where)
    if len(found.ids) > 1:
        return dividing.by_hash(found, its.shares, labels)
    if its.columns.group is not None:
        raise ConfigError(f"task.group={its.columns.group} has no effect on one single sequence.")
    return None


def _as_made(its: Prepared) -> Made:
    """Return what is kept of a table."""
    start, stop, sequence, split, _ = its.pieces
    arrays = {"start": start, "stop": stop, "sequence": sequence, "split": split}
    facts = {
        "sequences": its.sequences,
        "splits": its.splits,
        "inputs_of": its.inputs_of,
        "code": its.code._asdict(),
        "labels": isinstance(its.target, Labels),
        "target": vars(its.target),
    }
    return Made(arrays | {"inputs": its.inputs, "wanted": its.wanted}, facts)


def _as_prepared(made: Made, ahead: int) -> Prepared:
    """Return the table of what was kept of it."""
    arrays, facts = made
    code: Mapping[str, Any] = facts["code"]
    target: Mapping[str, Any] = {
        name: tuple(value) if isinstance(value, list) else value for name, value in facts["target"].items()
    }
    return Prepared(
        sequences=facts["sequences"],
        splits=None if facts["splits"] is None else tuple(facts["splits"]),
        inputs_of=tuple(facts["inputs_of"]),
        pieces=Pieces(arrays["start"], arrays["stop"], arrays["sequence"], arrays["split"], ahead),
        code=InputCode(
            scales={name: Scale(*scale) for name, scale in code["scales"].items()},
            categories={name: tuple(known) for name, known in code["categories"].items()},
            tokens=None if code["tokens"] is None else tuple(code["tokens"]),
            missing=code["missing"],
            delta=None if code["delta"] is None else Scale(*code["delta"]),
        ),
        inputs=arrays["inputs"],
        target=Labels(**target) if facts["labels"] else Numbers(**target),
        wanted=arrays["wanted"],
    )

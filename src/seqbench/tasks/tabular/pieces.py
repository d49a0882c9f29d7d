"""The examples of a table: sequences, or stretches of them, each in one split."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from seqbench.data.tables.sequences import Sequences, Where
from seqbench.data.tables.splits import SPLITS, by_time
from seqbench.errors import DataError


class Pieces(NamedTuple):
    """Stretches of sequences: P examples.

    Attributes:
        start: the first step of each, P, among all steps of the table.
        stop: the step after its last.
        sequence: the number of the sequence that it is of.
        split: 0 for training, 1 for validation, 2 for the test.
        ahead: steps from an input to its target.
    """

    start: np.ndarray
    stop: np.ndarray
    sequence: np.ndarray
    split: np.ndarray
    ahead: int

    def of(self, split: int) -> Pieces:
        """Return those of one split."""
        here = self.split == split
        return Pieces(self.start[here], self.stop[here], self.sequence[here], self.split[here], self.ahead)

    @property
    def lengths(self) -> np.ndarray:
        """The steps of each."""
        lengths: np.ndarray = self.stop - self.start
        return lengths


def cut(
    its: Sequences,
    splits: np.ndarray | None,
    ahead: int,
    window: int | None,
    title: str,
    shares: Sequence[float],
    where: Where,
) -> Pieces:
    """Return the examples of sequences.

    The one sequence of a table is first cut into three, in the order of time. The last `ahead` steps of each
    part have no target in it, and are left out: no example reaches into another split.

    Args:
        its: the sequences.
        splits: of each, (S,); None for the only one.
        ahead: steps from an input to its target.
        window: the most steps of an example; None for whole sequences.
        title: of the table, in messages.
        shares: of validation and test, for the only sequence.
        where: says where a row stands.

    Raises:
        DataError: a sequence is too short.
    """
    if splits is None:
        if not its.per_step:
            raise DataError(f"{title} holds one sequence with one target; there is nothing to learn it from.")
        steps = int(its.ends[0])
        first, second = by_time(steps, shares, title)
        starts, stops = np.array([0, first, second]), np.array([first, second, steps])
        numbers, splits = np.zeros(3, dtype=np.int64), np.arange(3)
    else:
        starts, stops, numbers = its.starts, its.ends, np.arange(len(its.ids))
    stops = stops - ahead
    if len(short := np.flatnonzero(stops <= starts)):
        start, stop, number = (int(each[short[0]]) for each in (starts, stops, numbers))
        its_length = f"of {stop + ahead - start} steps is too short for task.ahead={ahead}"
        if len(its.ids) == 1:
            part = SPLITS[int(splits[short[0]])]
            raise DataError(
                f"{title}: the part for {part} {its_length}; give fewer steps, or larger task.shares."
            )
        more = f", and so are {len(short) - 1} others" if len(short) > 1 else ""
        raise DataError(
            f"{where(int(its.rows[start]))}: the sequence {str(its.ids[number])!r} {its_length}{more}."
        )
    if window is None:
        return Pieces(starts, stops, numbers, splits, ahead)
    if not its.per_step:
        raise DataError(f"{title} has one target a sequence, which cannot be cut by task.window={window}.")
    counts = -(-(stops - starts) // window)
    offsets = np.arange(counts.sum()) - np.repeat(np.cumsum(counts) - counts, counts)
    begin = np.repeat(starts, counts) + offsets * window
    end = np.minimum(begin + window, np.repeat(stops, counts))
    return Pieces(begin, end, np.repeat(numbers, counts), np.repeat(splits, counts), ahead)


def steps_of(pieces: Pieces, count: int, split: int | None, later: int = 0) -> np.ndarray:
    """Return (N,), true at the steps of a split's examples, or of all.

    Args:
        pieces: the examples.
        count: steps of the table.
        split: None for all.
        later: steps by which to shift, to those of the targets.
    """
    its = pieces if split is None else pieces.of(split)
    change = np.zeros(count + 1, dtype=np.int64)
    np.add.at(change, its.start + later, 1)
    np.add.at(change, its.stop + later, -1)
    inside: np.ndarray = np.cumsum(change)[:-1] > 0
    return inside


def padded(flat: np.ndarray, starts: np.ndarray, lengths: np.ndarray, longest: int) -> Tensor:
    """Return stretches of an array (N, …) side by side, (P, T, …), with zeros after the shorter ones."""
    found = np.zeros((len(starts), longest, *flat.shape[1:]), dtype=flat.dtype)
    # The row of each step that there is, and its place there: a grid of all would be larger than the result.
    rows = np.repeat(np.arange(len(starts)), lengths)
    steps = np.arange(len(rows)) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    found[rows, steps] = flat[starts[rows] + steps]
    return torch.from_numpy(found)

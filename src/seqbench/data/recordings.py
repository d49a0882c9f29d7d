"""Recordings with labels, from the columns `audio` and `label` of a data set."""

from __future__ import annotations

import io
import wave
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from seqbench.errors import DataError, one_line

if TYPE_CHECKING:
    import datasets

#: Samples a second.
RATE = 16_000


def labels_of(rows: datasets.Dataset, name: str) -> list[str]:
    """Return the label of each row, by its name.

    Raises:
        DataError: there are no labels or no recordings.
    """
    import datasets

    if missing := [column for column in ("audio", "label") if column not in rows.column_names]:
        there = ", ".join(rows.column_names)
        raise DataError(f"The data set {name} has no column {missing[0]!r}, but {there}.")
    labels = rows.data.column("label").to_pylist()
    feature = rows.features["label"]
    return [feature.names[i] for i in labels] if isinstance(feature, datasets.ClassLabel) else labels


def recordings(rows: datasets.Dataset, wanted: NDArray[np.int64], name: str) -> Iterator[NDArray[np.int16]]:
    """Yield the samples of the wanted rows, by their numbers in order.

    Raises:
        DataError: one is no WAV file of one channel, 16 bits and 16,000 samples a second.
    """
    column: Any = rows.data.column("audio")
    for row in wanted.tolist():
        try:
            with wave.open(io.BytesIO(column[row]["bytes"].as_py())) as file:
                form = file.getnchannels(), file.getsampwidth(), file.getframerate()
                samples = file.readframes(file.getnframes())
        except (wave.Error, EOFError, KeyError, TypeError) as error:
            raise DataError(f"{name} row {row} holds no WAV file: {one_line(error)}.") from error
        if form != (1, 2, RATE):
            channels, size, rate = form
            raise DataError(
                f"{name} row {row} is a WAV file of {channels} channels, {8 * size} bits and {rate:,} samples"
                f" a second, and must be one of 1 channel, 16 bits and {RATE:,}."
            )
        yield np.frombuffer(samples, dtype="<i2")

"""Piano rolls: pieces of music as lists of steps, and these as lists of the pitches that sound, in JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from seqbench.errors import DataError, one_line

#: What files call the splits.
SPLITS = {"train": "train", "validation": "valid", "test": "test"}
#: The pitches of a piano's keys, as numbers of MIDI.
LOWEST, HIGHEST = 21, 108
KEYS = HIGHEST - LOWEST + 1

#: A piece: (T, 88) of float32, 1 where the key sounds.
Roll = NDArray[np.float32]


def read_piano_rolls(path: Path, key: str) -> dict[str, list[Roll]]:
    """Return the pieces of each split of a file of JSON.

    Source of the layout: N. Boulanger-Lewandowski, Y. Bengio and P. Vincent (2012), whose pickles hold the
    same: `{"train": [[[60, 64, 67], [62, 65], …], …], "valid": …, "test": …}`. A step without a pitch is a
    rest.

    Args:
        path: of the file.
        key: of the configuration, which names it.

    Raises:
        DataError: it is missing, is not JSON or has another layout.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError as error:
        raise DataError(
            f"There is no file {path}: put the piano rolls there, as JSON, or set {key} to their file."
        ) from error
    except (OSError, ValueError, RecursionError) as error:
        raise DataError(f"{path} cannot be read as JSON: {one_line(error)}.") from error
    found = {}
    for split, name in SPLITS.items():
        pieces = content.get(name) if isinstance(content, dict) else None
        if not isinstance(pieces, list) or not pieces:
            raise DataError(
                f"{path} has no list of pieces under {name!r}; it needs {', '.join(SPLITS.values())}."
            )
        found[split] = [_roll(piece, f"{path}: piece {i} of {name!r}") for i, piece in enumerate(pieces)]
    return found


def _roll(piece: Any, where: str) -> Roll:
    if not isinstance(piece, list) or len(piece) < 2:
        raise DataError(f"{where} is no list of two steps or more.")
    roll = np.zeros((len(piece), KEYS), dtype=np.float32)
    for step, pitches in enumerate(piece):
        if not isinstance(pitches, list):
            raise DataError(f"{where} has {pitches!r} at step {step}, and no list of pitches.")
        for pitch in pitches:
            if type(pitch) is not int or not LOWEST <= pitch <= HIGHEST:
                raise DataError(
                    f"{where} has the pitch {pitch!r} at step {step}, and not a number from {LOWEST} to "
                    f"{HIGHEST}."
                )
            roll[step, pitch - LOWEST] = 1.0
    return roll

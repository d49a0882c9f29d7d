"""JSB Chorales, 382 chorales of Bach as piano rolls: a file of JSON in its folder. The task reads it."""

from __future__ import annotations

from pathlib import Path

from seqbench.data.source import TextSource

#: The file that the task reads, of a step a quarter note.
FILE = "jsb-chorales-quarter.json"


def count(folder: Path) -> dict[str, int]:
    """Return how many chorales each split has."""
    from seqbench.data.piano_rolls import read_piano_rolls  # which imports NumPy

    return {split: len(pieces) for split, pieces in read_piano_rolls(folder / FILE, "task.path").items()}


SOURCE = TextSource(
    title="JSB Chorales, 382 chorales of Bach in the splits of N. Boulanger-Lewandowski et al. (2012)",
    hub_id=None,
    pattern="*.json",
    columns=("a list of chorales for each of train, valid and test: lists of steps, these lists of pitches",),
    count=count,
    rows={"train": 229, "validation": 76, "test": 77},
    licence="none declared. The chorales are in the public domain. `jsb-chorales-quarter.json`, of a step a"
    " quarter note, is in github.com/czhuang/JSB-Chorales-dataset. The pickle of the same is not read: to"
    " open one runs what it says.",
)

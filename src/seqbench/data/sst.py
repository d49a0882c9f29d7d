"""The Stanford Sentiment Treebank, in its own text files. The task reads them."""

from __future__ import annotations

from pathlib import Path

from seqbench.data.source import TextSource
from seqbench.errors import DataError, one_line

FILES = {"train": "train.txt", "validation": "dev.txt", "test": "test.txt"}


def count(folder: Path) -> dict[str, int]:
    """Return how many sentences each split has: those of some copies are in training and in validation."""
    try:
        return {split: len((folder / name).read_bytes().splitlines()) for split, name in FILES.items()}
    except OSError as error:
        raise DataError(f"{folder} has not all of {', '.join(FILES.values())}: {one_line(error)}.") from error


SOURCE = TextSource(
    title="Stanford Sentiment Treebank, parse trees with a label at every phrase",
    hub_id=None,
    pattern="train.txt",
    columns=("tree",),
    count=count,
    rows={"train": 8_544, "validation": 1_101, "test": 2_210},
    licence="none declared. The treebank is by R. Socher, A. Perelygin, J. Wu, J. Chuang, C. Manning,"
    " A. Ng and C. Potts; its trainDevTestTrees_PTB.zip is at https://nlp.stanford.edu/sentiment.",
)

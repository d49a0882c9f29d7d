"""Files with faults: what is wrong, in which line, and what would do; marks that are values or are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seqbench.errors import ConfigError, DataError, SeqbenchError
from seqbench.tasks.tabular.table import Table
from tests.tasks.tabular.test_odd_tables import as_csv, as_json, rows, table
from tests.tasks.tabular.test_prepared import folder

__all__ = ["folder", "table"]

Make = Callable[..., Table]
GOOD = as_csv(rows())


def changed(line: int, new: str) -> str:
    """Return the good file with another line."""
    lines = GOOD.splitlines()
    lines[line - 1] = new
    return "\n".join(lines) + "\n"


FIELDS = {
    "too few": (changed(6, "s2,0,2"), r"csv line 6 has 3 fields, and the header 6\.$"),
    "too few, at the end": (GOOD + "s40,0,1", r"csv line 82 has 3 fields, and the header 6\.$"),
    "too many": (changed(2, "s0,0,0,u,a,train,9"), r"csv line 2 has 7 fields, and the header 6\.$"),
    "a comma more": (changed(2, "s0,0,0,u,a,train,"), r"csv line 2 has 7 fields, and the header 6\.$"),
    "after a field of several lines": (
        changed(4, 's1,0,1,"u\n\nv",b,train').replace("s3,0,3,v", "s3,0,3,v,v"),
        r"csv line 10 has 7 fields, and the header 6\.$",
    ),
    "an open quote": (
        changed(10, 's4,0,4,"u,a,train'),
        r"line 10 has 4 fields, and the header 6\. A quote that begins there is not closed\.",
    ),
}


@pytest.mark.parametrize("missing", ["refuse", "ffill", "mask"])
@pytest.mark.parametrize("fault", FIELDS)
def test_a_row_with_other_fields_than_the_header_is_refused_with_its_line(
    table: Make, fault: str, missing: str
) -> None:
    text, sentence = FIELDS[fault]
    with pytest.raises(DataError, match=sentence):
        table(text, missing=missing).prepare(1)


def test_the_open_quote_of_a_file_of_one_column_is_named(table: Make) -> None:
    text = "word\n" + "".join(f"w{i}\n" for i in range(9)) + '"w9\n'
    with pytest.raises(DataError, match=r"csv line 11: A quote that begins there is not closed\."):
        table(text, id=None, time=None, split=None, target="word").prepare(1)


@pytest.mark.parametrize("mark", ["NA", "None", "null", "N/A"])
def test_a_mark_is_a_missing_number_among_numbers_and_a_text_among_texts(table: Make, mark: str) -> None:
    drugs = as_csv(rows(c=lambda i, t: [mark, "aspirin", "heparin"][(i + t) % 3]))
    same = as_json(rows(c=lambda i, t: [mark, "aspirin", "heparin"][(i + t) % 3]))
    task = table(drugs, inputs=["x", "c"])
    assert task.prepared.code.categories["c"] == tuple(sorted([mark, "aspirin", "heparin"]))
    assert task.fingerprint() == table(same, "data.jsonl", inputs=["x", "c"]).fingerprint()
    numbers = as_csv(rows(x=lambda i, t: mark if i == t == 1 else i))
    with pytest.raises(DataError, match=r"line 5: x is missing; task\.missing=ffill"):
        table(numbers, inputs="x").prepare(1)
    there = table(numbers, inputs="x", missing="mask").read_split("train").inputs[..., 1]
    assert there.sum() == there.numel() - 1
    truths = as_csv(rows(x=lambda i, t: mark if i == t == 1 else bool(i % 2)))
    with pytest.raises(DataError, match=r"line 5: x is missing"):
        table(truths, inputs="x").prepare(1)


def test_words_that_are_marks_are_words(table: Make) -> None:
    words = ["null", "none", "NA", "haus", "maus", "tree", "sea", "see", "None", "house"] * 4
    text = "word,language\n" + "".join(f"{word},{'ab'[i % 2]}\n" for i, word in enumerate(words))
    task = table(text, id=None, time=None, split=None, inputs="word", target="language", unit="char")
    assert {*"nulNA"} <= {*task.token_names()[0]}


@pytest.mark.parametrize(
    ("values", "told"),
    [
        (["1", "True"], "'True', where other rows have a number"),
        (["1", "NAN", "TRUE"], "'NAN', where other rows have a number"),
        (["1", "2", "x"], "'x', where most rows have a number"),
    ],
)
def test_numbers_beside_what_is_none_are_refused(table: Make, values: list[str], told: str) -> None:
    mixed = as_csv(rows(c=lambda i, t: values[i % len(values)]))
    with pytest.raises(DataError, match=f"c is {told}; task.texts=c takes all for texts"):
        table(mixed, inputs="c").prepare(1)
    assert table(mixed, inputs=["x", "c"], texts="c").prepared.code.categories == {"c": tuple(sorted(values))}


def test_codes_are_texts_where_it_is_said(table: Make) -> None:
    codes = as_csv(rows(c=lambda i, t: ["01", "02", "1", "x"][i % 4]))
    with pytest.raises(DataError, match=r"line 8: c is 'x', where most rows have a number; task\.texts=c"):
        table(codes, inputs="c").prepare(1)
    task = table(codes, inputs=["x", "c"], texts="c")
    assert task.prepared.code.categories == {"c": ("01", "02", "1", "x")}
    digits = as_csv(rows(c=lambda i, t: 100 + i))
    settings: dict[str, Any] = {"id": None, "time": None, "split": None, "inputs": "c", "unit": "char"}
    with pytest.raises(ConfigError, match=r"no effect on c; task\.texts takes a column of digits for texts"):
        table(digits, **settings).prepare(1)
    assert {*"0123"} <= {*table(digits, texts="c", **settings).token_names()[0]}
    with pytest.raises(ConfigError, match=r"task\.texts names 'x', which is neither an input nor the target"):
        table(codes, inputs="c", texts=["c", "x"]).prepare(1)


def test_the_first_missing_value_of_the_file_is_named_and_all_are_counted(table: Make) -> None:
    lacking = {(0, 1): "n", (1, 1): "x", (35, 0): "x"}
    text = as_csv(
        rows(
            x=lambda i, t: "" if lacking.get((i, t)) == "x" else i,
            c=lambda i, t: "" if lacking.get((i, t)) == "n" else i / 2,
        )
    )
    with pytest.raises(DataError, match=r"line 3: c is missing, and 2 more are; task\.missing"):
        table(text, inputs=["x", "c"]).prepare(1)


def test_a_missing_value_of_a_row_of_steps_is_named_by_its_column(table: Make) -> None:
    text = "a1,a2,a3,y\n" + "".join(f"{i},{'' if i == 3 else i},{i},{'ab'[i % 2]}\n" for i in range(30))
    with pytest.raises(DataError, match=r"line 5: a2 is missing; task\.missing"):
        table(text, id=None, time=None, split=None).prepare(1)


def test_true_among_numbers_is_no_number(table: Make) -> None:
    text = as_json(rows(x=lambda i, t: True if (i, t) == (3, 1) else i / 7))
    with pytest.raises(
        DataError, match=r"line 8: x is True, and 0.0 in .* line 1; a column is of numbers or"
    ):
        table(text, "data.jsonl", inputs="x").prepare(1)
    truths = as_json(rows(x=lambda i, t: None if i == t == 1 else i % 3 == 0))
    assert table(truths, "data.jsonl", inputs="x", missing="mask").read_split("train").inputs.shape[2] == 2


@pytest.mark.parametrize(
    ("name", "content", "sentence"),
    [
        (
            "data.jsonl",
            b'{"x": 0.3, "x": 5}',
            r"line 1 is no JSON: the key 'x' stands twice; each line is an",
        ),
        ("data.jsonl", b"[\n1\n]", r"line 1 is no JSON: Expecting value; each line is an object"),
        ("data.csv", b"PAR1\n\xff\xfe", r"data\.csv is a Parquet file; let its name end with \.parquet"),
    ],
)
def test_a_file_of_another_kind_is_said_to_be_one(
    table: Make, name: str, content: bytes, sentence: str
) -> None:
    task = table("", name)
    Path(str(task.path)).write_bytes(content)
    with pytest.raises(DataError, match=sentence):
        task.prepare(1)


def test_two_columns_of_a_parquet_file_with_one_name_are_named(table: Make) -> None:
    task = table("", "data.parquet")
    frame = pd.DataFrame(rows())
    import pyarrow as pa
    import pyarrow.parquet as pq

    double = pa.table([frame["x"], frame["x"]], names=["x", "x"])
    pq.write_table(double, task.path)
    with pytest.raises(DataError, match=r"data\.parquet has two columns 'x'; rename one\."):
        task.prepare(1)


def test_a_separator_is_one_character_of_ascii_and_a_tab_may_be_typed(table: Make) -> None:
    tabs = GOOD.replace(",", "\t")
    same = table(GOOD, inputs="x").fingerprint()
    with pytest.raises(DataError, match=r"give \"task\.separator='\\t'\"\.$"):
        table(tabs, inputs="x").prepare(1)
    assert table(tabs, inputs="x", separator=r"\t").fingerprint() == same
    german = GOOD.replace(",", ";").replace("s0;0;0", "s0;0;0,5")
    with pytest.raises(DataError, match=r"give \"task\.separator=';'\"\.$"):
        table(german, inputs="x").prepare(1)
    with pytest.raises(ConfigError, match=r"task\.separator='§' is not one character of ASCII"):
        table(GOOD.replace(",", "§"), separator="§").prepare(1)


def test_what_is_too_few_for_each_label_alike_is_said_of_labels(table: Make) -> None:
    text = as_csv(rows(y=lambda i, t: i // 2))
    with pytest.raises(DataError, match=r"each of 20 labels alike: none .* task\.classes=false takes labels"):
        table(text, split=None, inputs="x").prepare(1)
    assert table(text, split=None, inputs="x", classes=False).read_split("test").inputs.shape[0] == 6


def test_a_target_is_no_id(table: Make) -> None:
    with pytest.raises(ConfigError, match=r"task\.target names 'id', which is task\.id"):
        table(GOOD, target="id").prepare(1)


def test_what_is_constant_in_training_is_said_to_be(table: Make) -> None:
    told = table(as_csv(rows(x=lambda i, t: 3)), inputs=["x"]).about()
    assert told["reads"] == "x (always 3 in training)"


@pytest.mark.parametrize(
    ("path", "sentence"),
    [
        ("", r"task\.path is missing: give a file"),
        ("films/patients", r"films/patients is not cached.* no file or folder .* 'patients\.csv'"),
        ("/nowhere/at/all", r"^There is no file or folder /nowhere/at/all\.$"),
        ("./patients", r"^There is no file or folder \./patients\."),
        ("films/d.csv", r"films/d\.csv is a folder, whose name ends like that of a file"),
    ],
)
def test_a_path_that_leads_nowhere_is_said_to(folder: Callable[..., Table], path: str, sentence: str) -> None:
    folder("films")
    Path("films/d.csv").mkdir()
    Path("films/patients.csv").write_text(GOOD)
    with pytest.raises(SeqbenchError, match=sentence):
        Table(path, inputs=["x", "n"], target="y").prepare(1)


def test_a_folder_of_csv_is_read_as_a_file_is(folder: Callable[..., Table]) -> None:
    folder("films")
    for split in ("train", "test"):
        file = Path(f"films/{split}.csv")
        frame = pd.read_csv(file)
        frame["n"] = [["NA", "None", "v"][i % 3] for i in range(len(frame))]
        frame.to_csv(file, index=False)
    settings: dict[str, Any] = {"id": "id", "time": "t", "inputs": ["x", "n"], "target": "y"}
    task = Table("films", **settings)
    assert task.prepared.code.categories["n"] == ("NA", "None", "v")
    file = Path("films/train.csv")
    lines = file.read_text().splitlines()
    frame = pd.read_csv(file, keep_default_na=False).astype(object)
    frame.loc[1, "x"] = "NA"
    frame.to_csv(file, index=False)
    with pytest.raises(DataError, match=r"films, train row 1: x is missing; task\.missing=ffill"):
        Table("films", **settings).prepare(1)
    file.write_text("\n".join([*lines[:2], lines[2] + ",1", *lines[3:]]))
    with pytest.raises(DataError, match=r"films/train\.csv line 3 has 8 fields, and the header 7\."):
        Table("films", **settings).prepare(1)


def test_settings_of_the_hub_that_a_folder_does_not_have_are_refused(folder: Callable[..., Table]) -> None:
    folder("films")
    with pytest.raises(DataError, match=r"films has no configuration 'small', but default\."):
        Table("films", name="small", inputs="x", target="y").prepare(1)
    with pytest.raises(ConfigError, match=r"task\.revision=main is of a data set of the hub"):
        folder("films", revision="main")


def test_a_split_of_a_folder_that_has_no_rows_is_named(folder: Callable[..., Table]) -> None:
    task = folder("films")
    Path("films/test.csv").write_text("x,n,y\n")
    with pytest.raises(DataError, match=r"The data set films has no rows for test\."):
        task.prepare(1)
    Path("films/test.csv").write_text("")
    with pytest.raises(DataError, match=r"^films/test\.csv is empty\.$"):
        Table("films", inputs=["x", "n"], target="y").prepare(1)
    Path("films/test.csv").rename("films/validation.csv")
    Path("films/validation.csv").write_text(Path("films/train.csv").read_text())
    with pytest.raises(
        DataError, match=r"the data set's split names no sequence for test; add some, or name"
    ):
        Table("films", inputs=["x", "n"], target="y").prepare(1)
    with pytest.raises(DataError, match=r"has no column 'z', but [^']*\.$"):
        Table("films", inputs=["z"], target="y").prepare(1)

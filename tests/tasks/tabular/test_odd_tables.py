"""Tables as they come: odd files, odd values, and settings that would have no effect."""

from __future__ import annotations

import decimal
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch

from seqbench.errors import ConfigError, DataError, SeqbenchError
from seqbench.tasks.tabular.encoding import classes_of
from seqbench.tasks.tabular.table import Table
from seqbench.tasks.tabular.targets import Labels, Numbers
from tests.tasks.tabular.test_table import sequences_of

Make = Callable[..., Table]
#: 40 sequences of two rows: a number, a name, a label and a split of each.
COLUMNS = ("id", "t", "x", "c", "y", "part")
OF_ROWS: dict[str, Any] = {"id": "id", "time": "t", "target": "y", "split": "part"}


def rows(**changed: Callable[[int, int], Any]) -> list[dict[str, Any]]:
    """Return the rows of the table, with some columns as functions of the sequence and of the step."""
    made: dict[str, Callable[[int, int], Any]] = {
        "id": lambda i, t: f"s{i}",
        "t": lambda i, t: t,
        "x": lambda i, t: i,
        "c": lambda i, t: "uv"[i % 2],
        "y": lambda i, t: "ab"[i % 2],
        "part": lambda i, t: ["train", "train", "validation", "test"][i // 10],
    } | changed
    return [{name: make(i, t) for name, make in made.items()} for i in range(40) for t in range(2)]


def as_csv(table: list[dict[str, Any]]) -> str:
    return "\n".join(",".join(map(str, row)) for row in [COLUMNS, *(row.values() for row in table)]) + "\n"


def as_json(table: list[dict[str, Any]]) -> str:
    return "\n".join(map(json.dumps, table))


@pytest.fixture
def table(tmp_path: Path) -> Make:
    """Return a function that writes a file and makes its task."""

    def make(text: str, name: str = "data.csv", **settings: Any) -> Table:
        path = tmp_path / name
        path.write_text(text, encoding="utf-8", newline="")
        return Table(str(path), **OF_ROWS | settings)

    return make


def test_labels_that_are_long_numbers_stay_apart(table: Make) -> None:
    task = table(as_csv(rows(y=lambda i, t: 1000001 + i % 2)))
    assert task.token_names()[1] == ("1000001", "1000002")
    task = table(as_csv(rows(y=lambda i, t: ["0.12345678", "0.12345679"][i % 2])), classes=True)
    assert task.token_names()[1] == ("0.12345678", "0.12345679")


def test_labels_of_more_digits_than_a_float_has_are_never_merged(table: Make) -> None:
    codes = [900000000000207008, 900000000000207009, 900000000000013009]
    text = as_csv(rows(y=lambda i, t: codes[i % 3]))
    with pytest.raises(DataError, match=r"^y holds whole numbers such as 9000000000002\d+, of more digits"):
        table(text).prepare(1)
    for settings in ({"classes": True}, {"texts": "y"}):
        assert table(text, **settings).token_names()[1] == tuple(map(str, sorted(codes)))
    assert isinstance(table(text, classes=False).targets, Numbers)


def test_labels_beyond_all_whole_numbers_are_as_they_are_written(table: Make, tmp_path: Path) -> None:
    text = as_csv(rows(y=lambda i, t: ["1e20", "2e20"][i % 2]))
    assert table(text, texts="y").token_names()[1] == ("1e20", "2e20")
    assert table(text, classes=True).token_names()[1] == ("1e+20", "2e+20")
    parts = pd.DataFrame(rows()).assign(y=pd.array([1.0, 2.0, None] * 27, dtype="Float64")[: len(rows())])
    parts.to_parquet(tmp_path / "parts.parquet")
    gaps = Table(str(tmp_path / "parts.parquet"), **OF_ROWS, classes=True, each="step", missing="mask")
    assert gaps.token_names()[1] == ("1", "2")
    frame = pd.DataFrame(rows(id=lambda i, t: 1e20 * (i + 1), y=lambda i, t: 1e20 * (i % 2 + 1)))
    frame.to_parquet(tmp_path / "data.parquet")
    task = Table(str(tmp_path / "data.parquet"), **OF_ROWS, classes=True)
    assert task.token_names()[1] == ("1e+20", "2e+20") and task.prepared.sequences == 40


def test_labels_may_be_numbers_and_names_where_it_is_said(table: Make) -> None:
    text = as_csv(rows(y=lambda i, t: ["1", "2", "10", "other"][i % 4]))
    with pytest.raises(DataError, match=r"line 8: y is 'other', where most .* task\.texts=y"):
        table(text).prepare(1)
    assert table(text, classes=True).token_names()[1] == ("1", "10", "2", "other")


def test_the_order_of_labels_does_not_depend_on_that_of_a_set() -> None:
    """Of labels that are the same number it did, and so on the seed of the hash of texts."""
    assert classes_of(["10", "1.0", "01", "1", "9"]) == ("01", "1", "1.0", "9", "10")
    assert classes_of(["2", "nan", "10"]) == ("10", "2", "nan")


def test_a_constant_column_is_not_scaled_by_its_rounding(table: Make) -> None:
    task = table(as_csv(rows(x=lambda i, t: 0.1 if i < 30 else 0.2)), inputs="x")
    assert (task.read_split("train").inputs == 0).all()
    torch.testing.assert_close(task.read_split("test").inputs, torch.full((10, 2, 1), 0.1))


@pytest.mark.parametrize("name", ["x", "y"])
def test_numbers_too_large_to_be_computed_with_are_refused(table: Make, name: str) -> None:
    settings = {"inputs": "x", "each": "step", "classes": False}
    number = {"x": lambda i, t: i + t / 2, "y": lambda i, t: i + t / 2}
    huge = as_csv(rows(**number | {name: lambda i, t: 1e300 * (1 + i)}))
    with pytest.raises(DataError, match=rf"line 4\d: {name} is 2e\+301, too large to be standardised"):
        table(huge, **settings).prepare(1)
    one = as_csv(rows(**number | {name: lambda i, t: 1e300 if (i, t) == (35, 1) else i + t / 2}))
    with pytest.raises(DataError, match=rf"line 73: {name} is 1e\+300, too far from the mean"):
        table(one, **settings).prepare(1)


def test_long_labels_beside_a_missing_one_are_never_merged(table: Make) -> None:
    labels = rows(y=lambda i, t: None if (i, t) == (3, 1) else 900000000000207008 + i % 2)
    text = as_csv([row | {"y": "" if row["y"] is None else row["y"]} for row in labels])
    settings = {"each": "step", "missing": "mask"}
    for source, name in ((text, "data.csv"), (as_json(labels), "data.jsonl")):
        with pytest.raises(DataError, match=r"line \d: y has more digits than .* task\.texts=y\.$"):
            table(source, name=name, classes=True, **settings).prepare(1)
        with pytest.raises(DataError, match=r"^y holds whole numbers such as 9000"):
            table(source, name=name, **settings).prepare(1)
    known = ("900000000000207008", "900000000000207009")
    assert table(text, texts="y", **settings).token_names()[1] == known
    quoted = as_json([row | {"y": None if row["y"] is None else str(row["y"])} for row in labels])
    assert table(quoted, name="quoted.jsonl", classes=True, **settings).token_names()[1] == known
    for other in (0.5, "inf"):  # nothing is missing, and the column is one of floats all the same
        long = rows(y=lambda i, t, other=other: other if (i, t) == (3, 1) else 900000000000207008 + i % 2)
        with pytest.raises(DataError, match=r"line 2: y has more digits than"):
            table(as_csv(long), classes=True).prepare(1)
    pointed = as_csv(rows(y=lambda i, t: f"{900000000000207008 + i % 2}.0"))
    with pytest.raises(DataError, match=r"line 2: y has more digits than"):
        table(pointed, classes=True).prepare(1)
    longer = rows(y=lambda i, t: "" if (i, t) == (3, 1) else 2**63 + 1000 + i % 2)
    task = table(as_csv(longer), classes=True, **settings)
    assert task.token_names()[1] == ("9223372036854776808", "9223372036854776809")
    exact = as_csv(rows(y=lambda i, t: 2**53 + i % 2))
    with pytest.raises(DataError, match=r"^y holds whole numbers such as 9007199254740992"):
        table(exact).prepare(1)


@pytest.mark.parametrize("unit", [1e-100, 1e-30, 1.0, 1e30, 1e100])
def test_numbers_of_any_unit_are_alike(table: Make, unit: float) -> None:
    number = {"x": lambda i, t: unit * (i + t / 2), "y": lambda i, t: unit * (i + t / 2)}
    task = table(as_csv(rows(**number)), inputs="x", each="step", classes=False)
    batch, plain = task.read_split("test"), 39.5 - 30
    assert batch.inputs.max().item() == pytest.approx((39.5 - 9.75) / np.arange(0, 20, 0.5).std(), rel=1e-5)
    measures = task.measure(batch.targets + 1, batch)  # off by one standard deviation
    means = {name: float((v * w).sum() / w.sum()) for name, (v, w) in measures.items()}
    off = unit * np.arange(0, 20, 0.5).std()
    assert task.summary(means) == pytest.approx({"loss": 1.0, "rmse": off, "mae": off}, rel=1e-5)
    assert task.chance(2)["mae"] == pytest.approx(unit * (plain / 2 + 30 - 9.75), rel=1e-5)


@pytest.mark.parametrize("name", ["x", "y"])
def test_numbers_whose_differences_are_lost_are_refused(table: Make, name: str) -> None:
    number = {"x": lambda i, t: i + t / 2, "y": lambda i, t: i + t / 2}
    tiny = as_csv(rows(**number | {name: lambda i, t: 1e-200 * (1 + i)}))
    with pytest.raises(DataError, match=rf"line 4\d: {name} is 2e-199, too small to be standardised; give"):
        table(tiny, inputs="x", each="step", classes=False).prepare(1)


def test_missing_names_are_carried_on_or_told_as_missing_numbers_are(table: Make) -> None:
    text = as_csv(rows(c=lambda i, t: "" if t else "uv"[i % 2]))
    carried = table(text, missing="ffill").read_split("train").inputs
    assert carried.shape == (20, 2, 3) and (carried[:, 0, 1:] == carried[:, 1, 1:]).all()
    assert (carried[:, :, 1:].sum(-1) == 1).all()
    told = table(text, missing="mask")
    assert told.token_names()[0] == ["x", "c=u", "c=v", "x is there", "c is there"]
    assert told.read_split("train").inputs[0, :, 1:].tolist() == [[1, 0, 1, 1], [0, 0, 1, 0]]
    tokens = table(text, missing="ffill", inputs="c").read_split("train").inputs
    assert tokens.tolist() == [[2 + i % 2] * 2 for i in range(20)]
    unknown = table(text, missing="mask", inputs="c").read_split("train").inputs
    assert unknown.tolist() == [[2 + i % 2, 1] for i in range(20)]


def test_what_numbers_and_classes_stand_for_makes_it_another_run(table: Make) -> None:
    """Twice the target is the same target once standardised, and another error in its unit."""
    of_numbers = {"inputs": "x", "classes": False}
    once = table(as_csv(rows(y=lambda i, t: i)), **of_numbers)
    once.prepare(1)
    twice = table(as_csv(rows(y=lambda i, t: 2 * i)), **of_numbers)
    assert torch.equal(once.read_split("train").targets, twice.read_split("train").targets)
    assert once.fingerprint() != twice.fingerprint()
    found = {
        table(as_csv(rows(**changed))).fingerprint()
        for changed in (
            {},
            {"y": lambda i, t: "ac"[i % 2]},
            {"c": lambda i, t: "uw"[i % 2]},
            {"x": lambda i, t: 2 * i},
        )
    }
    assert len(found) == 4


def test_a_line_is_counted_where_it_stands(table: Make) -> None:
    table_ = rows(x=lambda i, t: "high" if (i, t) == (1, 1) else i)
    text = as_csv(table_)
    lines = text.splitlines(keepends=True)
    for before, line in (("", 5), ("\n\n", 7), ("   \n", 6), ("\r\n", 6)):
        with pytest.raises(DataError, match=rf"line {line}: x is 'high'"):
            table("".join([*lines[:2], before, *lines[2:]])).prepare(1)
    with pytest.raises(DataError, match="line 6: x is 'high'"):
        table("\n" + text).prepare(1)
    with pytest.raises(DataError, match="line 6: x is 'high'"):
        table(text.replace("s0", '"s\n0"', 1).replace("s0", '"s\n0"', 0)).prepare(1)
    assert (
        table(as_csv(rows(c=lambda i, t: "uv"[i % 2] * 200_000)).partition("\n")[2], header=COLUMNS).length
        == 2
    )


def test_files_of_pandas_and_of_typed_formats_are_read_as_their_rows_are(table: Make, tmp_path: Path) -> None:
    first = table(as_csv(rows())).fingerprint()
    frame = pd.DataFrame(rows())
    path = tmp_path / "typed.parquet"
    typed = {
        "index": frame.set_index("id"),
        "filtered": frame[frame.x >= 0].set_index(frame.index + 7),
        "decimals": frame.assign(x=[decimal.Decimal(x) for x in frame.x], t=frame.t.map(decimal.Decimal)),
        "categories": frame.astype({"id": "category", "c": "category", "y": "category"}),
        "dates": frame.assign(t=pd.Timestamp("2026-01-31", tz="Asia/Tokyo") + pd.to_timedelta(frame.t, "D")),
        "durations": frame.assign(t=pd.to_timedelta(frame.t, "h")),
    }
    for kind, its in typed.items():
        its.to_parquet(path)
        assert Table(str(path), **OF_ROWS).fingerprint() == first, kind
    text = as_json(rows(t=lambda i, t: str(t)))
    assert table(text, name="data.jsonl").fingerprint() == first
    numbered = pd.DataFrame(rows()).rename(columns={"id": "0", "y": "1"})
    numbered.to_csv(tmp_path / "numbered.csv", index=False)
    settings: dict[str, Any] = OF_ROWS | {"id": 0, "target": 1}
    assert Table(str(tmp_path / "numbered.csv"), **settings).fingerprint() == first


def test_durations_are_in_seconds_and_times_in_texts_are_ordered_by_number(
    table: Make, tmp_path: Path
) -> None:
    frame = pd.DataFrame(rows()).assign(t=lambda its: pd.to_timedelta(its.t, "min"))
    frame.to_parquet(tmp_path / "data.parquet")
    task = Table(str(tmp_path / "data.parquet"), **OF_ROWS, delta=True)
    times = sequences_of(task).times
    assert times is not None and times[:2].tolist() == [0, 60]
    ordered = table(as_json(rows(t=lambda i, t: str(10 - t))), name="data.jsonl")
    assert sequences_of(ordered).rows[:2].tolist() == [1, 0]


@pytest.mark.parametrize(
    ("first", "second", "apart"),
    [
        ("1600-01-01", "1600-01-02", 86400),
        ("2026-01-01", "9999-12-31", 251634988800),
        ("2026-01-01T00:00:00.000000001", "2026-01-01T00:00:00.000000003", 2e-9),
        ("2026-01-01T01:00+01:00", "2026-01-01T00:00:30Z", 30),
        (1700000000000000001, 1700000000000000003, 2),
        (2**63 + 1, 2**63 + 3, 2),
        (-(2**63), 2**63 - 1, 2**64),
    ],
)
def test_times_are_told_apart_wherever_a_clock_began(
    table: Make, first: str | int, second: str | int, apart: float
) -> None:
    task = table(as_csv(rows(t=lambda i, t: second if t else first)), delta=True)
    times = sequences_of(task).times
    assert times is not None and times[:2].tolist() == [0, pytest.approx(apart, rel=1e-12)]


@pytest.mark.parametrize("kind", ["int8", "int32", "uint8", "Int16", "Int64", "float32"])
def test_times_may_be_numbers_of_any_type(tmp_path: Path, kind: str) -> None:
    pd.DataFrame(rows()).astype({"t": kind}).to_parquet(tmp_path / "data.parquet")
    times = sequences_of(Table(str(tmp_path / "data.parquet"), **OF_ROWS)).times
    assert times is not None and times[:2].tolist() == [0, 1]


def test_periods_are_times_and_no_inputs(table: Make, tmp_path: Path) -> None:
    frame = pd.DataFrame(rows()).assign(t=lambda its: pd.PeriodIndex.from_ordinals(its.t, freq="D"))
    frame.to_parquet(tmp_path / "data.parquet")
    task = Table(str(tmp_path / "data.parquet"), **OF_ROWS, inputs="x")
    times = sequences_of(task).times
    assert times is not None and times[:2].tolist() == [0, 86400]
    with pytest.raises(DataError, match="t holds dates, which are neither numbers nor names"):
        Table(str(tmp_path / "data.parquet"), **OF_ROWS | {"time": None}, inputs="t").prepare(1)


def test_the_part_of_a_series_that_is_too_short_is_named(table: Make) -> None:
    text = "t,x,y\n" + "".join(f"{t},{t},{t}\n" for t in range(30))
    sentence = r"^data\.csv: the part for validation of \d steps is too short for task\.ahead=5; give fewer "
    with pytest.raises(DataError, match=sentence):
        table(text, id=None, split=None, ahead=5).prepare(1)


SHORT = as_csv(rows())
FAULTS: dict[str, tuple[str, str, dict[str, Any], str]] = {
    "a time among numbers": (
        "csv",
        as_csv(rows(t=lambda i, t: "noon" if (i, t) == (3, 1) else t)),
        {},
        r"line 9: t is missing, or neither",
    ),
    "decimal commas": ("csv", as_csv(rows(x=lambda i, t: f'"{i},5"')), {}, r"line 2: x is '0,5', .*a comma"),
    "no name": (
        "csv",
        "\n".join(f"{i},{line}" if i else f",{line}" for i, line in enumerate(SHORT.splitlines())),
        {},
        r"column 1 has no name; name it",
    ),
    "half a character": (
        "jsonl",
        as_json(rows(c=lambda i, t: "\ud800")),
        {},
        r"line 1 is no JSON: .*surrogates",
    ),
    "deep": ("jsonl", "[" * 100_000, {}, r"line 1 is no JSON: maximum recursion"),
    "a number without end": ("jsonl", as_json(rows(x=lambda i, t: 10**400)), {}, r"line 1: x is infinite"),
    "no targets to measure": (
        "csv",
        as_csv(rows(y=lambda i, t: "" if 20 <= i < 30 else "ab"[t])),
        {"missing": "mask"},
        "y is missing in all validation sequences",
    ),
    "no numbers to measure": (
        "csv",
        as_csv(rows(y=lambda i, t: "" if i >= 30 else i + t / 2)),
        {"missing": "mask"},
        "y is missing in all test sequences",
    ),
    "a constant target": (
        "csv",
        as_csv(rows(y=lambda i, t: 0.1)),
        {},
        r"y is 0\.1 in all training sequences",
    ),
    "a group in two splits": (
        "csv",
        SHORT,
        {"group": "c"},
        r"line 42: the group 'u' has part=validation, and train in .*line 2; a group",
    ),
    "shares of given splits": (
        "csv",
        SHORT,
        {"shares": [0.2, 0.2]},
        r"task\.shares=\[0\.2, 0\.2\] has no effect",
    ),
    "a unit of numbers": ("csv", SHORT, {"unit": "char"}, r"task\.unit=char .* no effect on x, c"),
    "an accuracy of 90": ("csv", SHORT, {"solved_at": 90}, r"task\.solved_at=90 must be at most 1"),
    "a group of one sequence": (
        "csv",
        "t,x,g\n" + "".join(f"{t},{t * t},g\n" for t in range(40)),
        {"id": None, "split": None, "target": "x", "ahead": 1, "group": "g"},
        r"task\.group=g has no effect on one single sequence",
    ),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence(table: Make, fault: str) -> None:
    ending, text, settings, sentence = FAULTS[fault]
    with pytest.raises(SeqbenchError, match=sentence) as said:
        table(text, name=f"data.{ending}", **settings).prepare(1)
    assert "\n" not in str(said.value)


def test_lists_are_found_where_the_first_row_has_none(table: Make) -> None:
    records = [{"y": "ab"[i % 2]} | ({"x": [1, i]} if i else {}) for i in range(30)]
    settings = dict.fromkeys(("id", "time", "split"))
    with pytest.raises(DataError, match=r"line 1: x is nan, where other rows have a list"):
        table(as_json(records), name="data.jsonl", **settings).prepare(1)
    with pytest.raises(ConfigError, match=r"task\.unit=char .* no effect on x"):
        table(as_json(records[1:]), name="data.jsonl", unit="char", **settings).prepare(1)


def test_a_text_target_may_be_forecast(table: Make) -> None:
    task = table(as_csv(rows(y=lambda i, t: "ab"[(i + t) % 2])), ahead=1, inputs="y")
    train = task.read_split("train")
    assert isinstance(task.targets, Labels) and task.token_names()[1] == ("a", "b")
    assert train.targets[:, 0].tolist() == [1 - i % 2 for i in range(20)]
    assert isinstance(table(as_csv(rows(y=lambda i, t: i + t)), ahead=1).targets, Numbers)


def test_new_rows_are_read_as_the_columns_of_the_table_were(table: Make, tmp_path: Path) -> None:
    """Names that look like numbers in the new file alone are the names that they were."""
    task = table(as_csv(rows(c=lambda i, t: ["1", "2", "x", "y"][i % 4])))
    new = tmp_path / "new.csv"
    new.write_text("c,x,t,id\n2,3,1,007\n1,3,0,007\n9,3,0,7\n")
    found = task.read_file(new)
    assert found.names == ["007", "7"] and found.steps == [["0", "1"], ["0"]]
    names = task.token_names()[0]
    assert [names[i] for i in found.given["inputs"][0, :, 1:].argmax(-1) + 1] == ["c=1", "c=2"]
    assert found.given["inputs"][1, 0, 1:].tolist() == [0, 0, 0, 0]  # a name that training does not know
    pd.read_csv(new, dtype={"id": str}).to_parquet(tmp_path / "new.parquet")
    other = task.read_file(tmp_path / "new.parquet")
    assert torch.equal(other.given["inputs"], found.given["inputs"]) and other.names == found.names
    new.write_text("c,x,t,id\n,3,1,a\n")
    with pytest.raises(DataError, match=r"line 2: c is missing"):
        task.read_file(new)
    new.write_text("c,x,t,id\n1,high,1,a\n")
    with pytest.raises(DataError, match=r"line 2: x is 'high', and was a number in training"):
        task.read_file(new)
    tokens = table(as_csv(rows(c=lambda i, t: ["1", "2", "x", "y"][i % 4])), inputs="c")
    new.write_text("c,t,id\n2,1,a\n1,0,a\n")
    assert tokens.read_file(new).given["inputs"].tolist() == [[2, 3]]


def test_splits_of_the_table_itself_are_read_again_as_they_were(table: Make, tmp_path: Path) -> None:
    task = table(as_csv(rows(x=lambda i, t: i + t / 3)))
    frame = pd.DataFrame(rows(x=lambda i, t: i + t / 3))
    frame[frame.part == "test"].iloc[::-1].to_csv(tmp_path / "new.csv", index=False)
    found = task.read_file(tmp_path / "new.csv")
    assert found.names == [f"s{i}" for i in range(39, 29, -1)], "as the file has them"
    assert np.array_equal(found.given["inputs"], task.read_split("test").inputs.flip(0))


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Path]:
    """Return a function that writes columns, of so many rows, as a folder in the hub's layout."""
    import datasets

    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))

    def make(features: dict[str, Any], columns: Callable[[int], dict[str, Any]]) -> Path:
        folder = tmp_path / "hub"
        folder.mkdir()
        for split, n in (("train", 30), ("dev", 6), ("test", 10)):
            rows = datasets.Dataset.from_dict(columns(n))
            for name, feature in features.items():
                rows = rows.cast_column(name, feature)
            rows.to_parquet(str(folder / f"{split}.parquet"))
        return folder

    return make


def test_labels_of_the_hub_have_their_names_alone_and_in_lists(hub: Callable[..., Path]) -> None:
    import datasets

    tags, kinds = datasets.ClassLabel(names=["noun", "verb"]), datasets.ClassLabel(names=["x", "y"])
    folder = hub(
        {"tags": datasets.List(tags), "kind": kinds},
        lambda n: {
            "words": [["a", "b"][: 1 + i % 2] for i in range(n)],
            "tags": [[1, 0][: 1 + i % 2] for i in range(n)],
            "kind": [i % 2 for i in range(n)],
        },
    )
    task = Table(str(folder), inputs="words", target="tags")
    assert task.token_names()[1] == ("noun", "verb") and task.read_split("train").targets[1].tolist() == [
        1,
        0,
    ]
    assert Table(str(folder), inputs="words", target="kind").token_names()[1] == ("x", "y")


def test_sound_is_no_text(hub: Callable[..., Path]) -> None:
    """It was read as the words of what Python prints of it."""
    import datasets

    sound = {"bytes": b"RIFF and so on", "path": "a.wav"}
    folder = hub(
        {"audio": datasets.Audio(decode=False)},
        lambda n: {"audio": [sound] * n, "kind": ["xy"[i % 2] for i in range(n)]},
    )
    with pytest.raises(DataError, match=r"hub, train row 0: audio is \{'bytes'.*, which is no text"):
        Table(str(folder), inputs="audio", target="kind").prepare(1)

"""Tables: what rows become, what is learnt from the training rows alone, and which faults are named where."""

from __future__ import annotations

import json
from collections.abc import Callable
from itertools import islice
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import torch

from seqbench.data.tables.sequences import Sequences, of_steps
from seqbench.data.tables.values import identifiers
from seqbench.errors import ConfigError, DataError, SeqbenchError
from seqbench.tasks.tabular.table import Table
from seqbench.tasks.tabular.targets import Labels, Numbers

#: Two sequences a split: of three steps, and of two. Rows are out of order.
LONG = """\
who,when,hr,bp,ward,part
a,2,74,118,home,train
a,1,72,120,home,train
a,3,76,122,home,train
b,1,90,,icu,train
b,2,92,84,icu,train
c,1,74,118,home,validation
c,2,72,120,home,validation
d,1,90,80,icu,validation
e,1,90,100,icu,test
f,1,80,100,home,test
"""
OF_LONG: dict[str, Any] = {"id": "who", "time": "when", "inputs": ["hr"], "target": "ward", "split": "part"}
Make = Callable[..., Table]


@pytest.fixture
def table(tmp_path: Path) -> Make:
    """Return a function that writes a file and makes its task."""

    def make(text: str | bytes, name: str = "data.csv", **settings: Any) -> Table:
        path = tmp_path / name
        path.write_bytes(text if isinstance(text, bytes) else text.encode())
        return Table(str(path), **settings)

    return make


def sequences_of(task: Table) -> Sequences:
    """Return the sequences of a table whose rows are steps, before they are numbers."""
    rows = task.source.rows()
    return of_steps(rows.frame, task.columns.check(rows.frame, "", rows.split), None, rows.where)


def test_rows_are_steps_in_the_order_of_time_scaled_by_those_that_train(table: Make) -> None:
    task = table(LONG, **OF_LONG)
    train = task.read_split("train")
    hr = torch.tensor([72.0, 74, 76, 90, 92], dtype=torch.float64)
    scaled = (hr - hr.mean()) / hr.std(correction=0)
    assert train.inputs.shape == (2, 3, 1) and train.lengths is not None and train.lengths.tolist() == [3, 2]
    torch.testing.assert_close(train.inputs[0, :, 0].double(), scaled[:3], rtol=0, atol=1e-7)
    assert train.inputs[1, 2, 0] == 0  # after its end
    assert train.targets.tolist() == [0, 1] and task.token_names()[1] == ("home", "icu")
    validation = task.validation()
    torch.testing.assert_close(validation.inputs[0, :2, 0].double(), scaled[:2].flip(0), rtol=0, atol=1e-7)
    assert (task.length, task.steps, task.metric, task.solved_when) == (3, 3, "accuracy", None)


def test_missing_inputs_are_refused_carried_on_or_told(table: Make) -> None:
    settings = OF_LONG | {"inputs": ["hr", "bp"]}
    with pytest.raises(DataError, match=r"data\.csv line 5: bp is missing; task\.missing=ffill"):
        table(LONG, **settings).read_split("train")
    carried = table(LONG, **settings, missing="ffill").read_split("train")
    assert carried.inputs[1, 0, 1] == 0  # nothing is before it: the mean
    told = table(LONG, **settings, missing="mask")
    assert told.inputs.arguments()["input_size"] == 4
    assert told.read_split("train").inputs[1, :2, 1:].tolist() == [
        [0, 1, 0],
        [pytest.approx((84 - 111) / 15.652, abs=1e-3), 1, 1],
    ]
    rows = [f"{who},{t},{'' if t == 1 else t}" for who in "abcdefgh" for t in range(4)]
    text = "\n".join(["who,t,x", *rows])
    steps = table(text, id="who", time="t", target="x", ahead=1, missing="ffill").read_split("train")
    assert (steps.inputs[:, 0] == steps.inputs[:, 1]).all()  # the value of step 0 stands for that of step 1
    assert steps.mask is not None and steps.mask[0].tolist() == [False, True, True]


def test_a_target_may_be_at_each_step_and_missing_there(table: Make) -> None:
    rows = [f"{who},{t},{t},{'' if t == 2 else 'ab'[t % 2]}" for who in "pqrstuvw" for t in range(4)]
    text = "\n".join(["who,t,x,y", *rows])
    with pytest.raises(
        DataError, match=r"line 4: y is missing; with task\.missing=mask such steps do not count"
    ):
        table(text, id="who", time="t", target="y").read_split("train")
    task = table(text, id="who", time="t", target="y", missing="mask")
    train = task.read_split("train")
    assert train.mask is not None and train.mask[0].tolist() == [True, True, False, True]
    assert train.targets[0].tolist() == [0, 1, 0, 1] and task.targets.per_step
    assert task.baseline_loss(4) == pytest.approx(_measured(task), rel=1e-6)


def test_one_series_is_forecast_and_no_example_reaches_into_another_split(table: Make) -> None:
    text = "t,x\n" + "".join(f"{t},{t * t}\n" for t in range(100))
    task = table(text, time="t", target="x", ahead=3, window=8)
    assert task.about()["puts out"] == "x, at each step, 3 steps ahead"
    one = table(text, time="t", target="x", ahead=1, window=8)
    assert one.about()["puts out"] == "x, at each step, 1 step ahead"
    (mean,), (scale,) = task.targets.mean, task.targets.scale  # type: ignore[attr-defined]
    seen: dict[str, set[int]] = {}
    for split in ("train", "validation", "test"):
        batch = task.read_split(split)
        assert (
            batch.mask is not None and batch.lengths is not None and batch.mask.sum() == batch.lengths.sum()
        )
        code = task.prepared.code.scales["x"]
        now = (batch.inputs[..., 0] * code.std + code.mean).clamp(min=0).sqrt().round()[batch.mask]
        then = (batch.targets[..., 0] * scale + mean).clamp(min=0).sqrt().round()[batch.mask]
        assert (then - now == 3).all()
        seen[split] = {*map(int, now.tolist()), *map(int, then.tolist())}
    assert {split: (min(its), max(its)) for split, its in seen.items()} == {
        "train": (0, 69),
        "validation": (70, 84),
        "test": (85, 99),
    }
    assert task.metric == "rmse" and task.length == 8
    assert task.chance(8)["rmse"] == pytest.approx(_error_of_the_mean(task), rel=1e-5)


def test_errors_of_numbers_are_in_their_own_units(table: Make) -> None:
    text = "id,x,kg\n" + "".join(f"{i},{i},{1000 + 10 * i}\n" for i in range(20))
    task = table(text, id="id", inputs="x", target="kg", classes=False)
    spec = task.targets
    assert isinstance(spec, Numbers)
    batch = task.read_split("test")
    outputs = batch.targets + 2 / spec.scale[0]
    metrics = {name: float((v * w).sum() / w.sum()) for name, (v, w) in task.measure(outputs, batch).items()}
    found = task.summary(metrics)
    assert found["rmse"] == pytest.approx(2, rel=1e-4) and found["mae"] == pytest.approx(2, rel=1e-4)
    assert spec.probabilities(batch.targets)[0, 0].item() in range(1000, 1200, 10)


def test_several_numbers_have_an_error_each(table: Make) -> None:
    text = "id,x,u,v\n" + "".join(f"{i},{i},{i / 2},{-3 * i}\n" for i in range(20))
    task = table(text, id="id", inputs="x", target=["u", "v"], classes=False)
    names = [metric.name for metric in task.metrics]
    assert names == ["loss", "rmse_u", "mae_u", "rmse_v", "mae_v"] and task.metric == "loss"
    assert set(task.chance(task.length)) == {"rmse_u", "mae_u", "rmse_v", "mae_v"}


def test_a_row_may_be_a_sequence_of_numbers_of_lists_or_of_words(table: Make) -> None:
    rows = [f"{'xy'[i % 2]},{i},{i + 1},{'' if i % 3 else i + 2}" for i in range(20)]
    wide = table("\n".join(["label,t0,t1,t2", *rows]), target="label")
    lists = table(
        "\n".join(
            json.dumps({"label": "xy"[i % 2], "signal": [i, i + 1] + ([] if i % 3 else [i + 2])})
            for i in range(20)
        ),
        name="data.jsonl",
        target="label",
        inputs="signal",
    )
    assert wide.fingerprint() == lists.fingerprint() and wide.length == 3
    lengths = wide.read_split("train").lengths
    assert lengths is not None and {*lengths.tolist()} == {2, 3}
    text = "label,text\n" + "".join(
        f"{'xy'[i % 2]},{'good' if i % 2 else 'bad'} film {i}\n" for i in range(20)
    )
    words = table(text, target="label", inputs="text")
    assert words.token_names()[0][:2] == ("<padding>", "<unknown>") and words.length == 3
    batch = words.read_split("test")
    assert (batch.inputs[:, 2] == 1).all()  # a number that training does not know
    assert (batch.inputs[:, 1] == words.token_names()[0].index("film")).all()
    assert table(text, target="label", inputs="text", unit="char").length == len("good film 19")
    tags = "\n".join(
        json.dumps({"w": ["the", "cat", "sat"][: 2 + i % 2], "tag": ["D", "N", "V"][: 2 + i % 2]})
        for i in range(20)
    )
    tagged = table(tags, name="tags.jsonl", inputs="w", target="tag")
    assert tagged.targets.per_step and tagged.token_names()[1] == ("D", "N", "V")


def test_the_time_between_steps_may_be_an_input(table: Make) -> None:
    times = ["2026-01-31T12:00", "2026-01-31T12:01", "2026-01-31T14:01"]
    rows = [f"{who},{when},{k},{'ab'[ord(who) % 2]}" for who in "pqrstuvw" for k, when in enumerate(times)]
    task = table(
        "\n".join(["who,when,x,y", *rows]), id="who", time="when", inputs="x", target="y", delta=True
    )
    since = task.read_split("train").inputs[0, :, 1]
    logs = torch.tensor([0.0, 60, 7200]).log1p()
    torch.testing.assert_close(since, (logs - logs.mean()) / logs.std(correction=0), rtol=0, atol=1e-6)


def test_groups_stay_whole_and_each_label_is_divided_alike(table: Make) -> None:
    rows = [f"s{i},{i},{'rare' if i % 10 == 0 else 'usual'},g{i // 4}" for i in range(100)]
    text = "\n".join(["id,x,y,family", *rows])
    alike = table(text, id="id", inputs="x", target="y").prepared.pieces
    assert {split: int((alike.split == split).sum()) for split in range(3)} == {0: 68, 1: 16, 2: 16}
    task = table(text, id="id", inputs="x", target="y", group="family")
    of_family: dict[str, set[int]] = {}
    groups = sequences_of(task).groups
    for sequence, split in zip(task.prepared.pieces.sequence, task.prepared.pieces.split, strict=True):
        of_family.setdefault(str(groups[sequence]), set()).add(int(split))
    assert len(of_family) == 25 and all(len(splits) == 1 for splits in of_family.values())
    shuffled = "\n".join(["id,x,y,family", *reversed(rows)])
    assert (
        table(shuffled, id="id", inputs="x", target="y").fingerprint()
        == table(text, id="id", inputs="x", target="y").fingerprint()
    )


def test_validation_is_taken_from_training_where_a_column_names_none(table: Make) -> None:
    rows = [f"{i},{i},{'ab'[i % 2]},{'test' if i < 20 else 'train'}" for i in range(60)]
    task = table("\n".join(["id,x,y,s", *rows]), id="id", inputs="x", target="y", split="s")
    assert [len(task.read_split(split).inputs) for split in ("train", "validation", "test")] == [34, 6, 20]


def test_classes_may_count_alike(table: Make) -> None:
    rows = [f"{i},{i},{'rare' if i % 5 == 0 else 'usual'}" for i in range(50)]
    text = "\n".join(["id,x,y", *rows])
    task = table(text, id="id", inputs="x", target="y", class_weights="balanced")
    spec = task.targets
    assert isinstance(spec, Labels) and spec.class_weights == pytest.approx((34 / 12, 34 / 56))
    train = task.read_split("train")
    outputs = torch.zeros(len(train.inputs), 2)
    assert spec.losses(outputs, train).mean() == pytest.approx(0.6931, abs=1e-4)
    assert task.baseline_loss(1) == pytest.approx(_measured(task), rel=1e-6)


def test_numbers_are_labels_where_they_are_few_and_whole_or_it_is_said(table: Make) -> None:
    rows = [f"{i},{i},{i % 3},{i}" for i in range(60)]
    text = "\n".join(["id,x,few,many", *rows])
    assert table(text, id="id", inputs="x", target="few").token_names()[1] == ("0", "1", "2")
    assert isinstance(table(text, id="id", inputs="x", target="many").targets, Numbers)
    assert isinstance(table(text, id="id", inputs="x", target="few", classes=False).targets, Numbers)


def test_the_format_and_the_place_of_a_file_change_nothing_and_its_content_does(
    table: Make, tmp_path: Path
) -> None:
    text = "id,x,y\n" + "".join(f"n{i},{i / 7},{'ab'[i % 2]}\n" for i in range(30))
    settings: dict[str, Any] = {"id": "id", "inputs": "x", "target": "y"}
    first = table(text, **settings).fingerprint()
    frame = pd.read_csv(tmp_path / "data.csv")
    frame.to_parquet(tmp_path / "same.parquet")
    frame.to_json(tmp_path / "same.jsonl", orient="records", lines=True, double_precision=15)
    (tmp_path / "same.tsv").write_text(text.replace(",", "\t"))
    for name in ("same.parquet", "same.jsonl", "same.tsv"):
        assert Table(str(tmp_path / name), **settings).fingerprint() == first, name
    assert table(text.replace(f"n3,{3 / 7}", "n3,0.5"), **settings).fingerprint() != first
    assert (
        table(
            text.replace("\n", ";\n").replace(",", ";").replace(";\n", "\n"), separator=";", **settings
        ).fingerprint()
        == first
    )


@pytest.mark.parametrize("point", [".0", "."])
def test_whole_numbers_name_the_same_sequences_with_a_point(table: Make, tmp_path: Path, point: str) -> None:
    """A file of text has them as texts; one with types as numbers."""
    rows = [(i + 1, (i + 1) % 4, i / 7, "ab"[i % 2]) for i in range(30)]
    text = "id,g,x,y\n" + "".join(f"{i}{point},{g}{point},{x},{y}\n" for i, g, x, y in rows)
    settings: dict[str, Any] = {"id": "id", "group": "g", "inputs": "x", "target": "y"}
    ours = table(text, **settings)
    frame = pd.DataFrame(rows, columns=["id", "g", "x", "y"]).astype({"id": float, "g": float})
    frame.to_parquet(tmp_path / "same.parquet")
    frame.to_json(tmp_path / "same.jsonl", orient="records", lines=True, double_precision=15)
    for name in ("same.parquet", "same.jsonl"):
        assert Table(str(tmp_path / name), **settings).fingerprint() == ours.fingerprint(), name


@pytest.mark.parametrize("ids", [("1.0", "1"), ("1.0", "01.0"), ("1.0", "1.5"), ("1.0", "v2")])
def test_names_that_are_no_whole_numbers_are_as_they_are_written(ids: tuple[str, ...]) -> None:
    found = identifiers(pd.Series(ids), "id", str)
    assert tuple(found) == ids


def test_whole_numbers_that_a_float_holds_are_the_same_names_in_every_format() -> None:
    ids = [10**15, 2**53 - 1, 0, -7]
    for column in (pd.Series([f"{i}.0" for i in ids]), pd.Series(ids), pd.Series(map(float, ids))):
        assert identifiers(column, "id", str).tolist() == [str(i) for i in ids]


def test_a_file_without_a_header_is_told_its_columns(table: Make) -> None:
    text = LONG.partition("\n")[2]
    names = LONG.partition("\n")[0].split(",")
    assert table(text, header=names, **OF_LONG).fingerprint() == table(LONG, **OF_LONG).fingerprint()
    with pytest.raises(DataError, match=r"line 5: hr is 'high'"):
        table(text.replace("b,2,92", "b,2,high"), header=names, **OF_LONG).read_split("train")
    with pytest.raises(DataError, match=r"task\.header names 2 columns, and .* has 6"):
        table(text, header=["a", "b"], **OF_LONG).read_split("train")


def test_equal_contents_in_two_splits_are_counted(table: Make) -> None:
    told = table(LONG, **OF_LONG).about()
    assert told["twins"] == "2 examples equal another one, 2 outside of training one in another split"
    assert told["examples"] == "2 train, 2 validation, 2 test" and told["divided by"] == "the column part"
    again = "".join(f"g{row[1:]}\n" for row in LONG.splitlines()[1:4])  # in training, as its twin is
    assert (
        table(LONG + again, **OF_LONG).about()["twins"].startswith("4 examples equal another one, 2 outside")
    )
    assert "twins" not in table(LONG.replace("d,1,90", "d,1,91"), **OF_LONG).about()


def test_a_folder_in_the_layout_of_the_hub_needs_no_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    folder = tmp_path / "films"
    folder.mkdir()
    for split, n in (("train", 30), ("test", 10)):
        pd.DataFrame(
            {
                "text": [f"{'good' if i % 2 else 'bad'} film" for i in range(n)],
                "label": [i % 2 for i in range(n)],
            }
        ).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    task = Table(str(folder), inputs="text", target="label")
    assert [len(task.read_split(split).inputs) for split in ("train", "validation", "test")] == [26, 4, 10]
    with pytest.raises(
        DataError, match=r"/films, test row 3|films, train row 0: .*no column|has no column 'words'"
    ):
        Table(str(folder), inputs="words", target="label").prepared  # noqa: B018


FAULTS: dict[str, tuple[str | bytes, dict[str, Any], str]] = {
    "no such column": (LONG, {"inputs": ["hrr"]}, "task.inputs: .*has no column 'hrr', but who, when.*'hr'?"),
    "no such id": (LONG, {"id": "patient"}, "task.id: .*has no column 'patient'"),
    "a text among numbers": (
        LONG.replace("b,2,92", "b,2,high"),
        {},
        r"line 6: hr is 'high', where most rows",
    ),
    "infinite": (LONG.replace("b,2,92", "b,2,inf"), {}, r"line 6: hr is infinite"),
    "no id": (LONG.replace("b,2,92", ",2,92"), {}, r"line 6: who is missing"),
    "no time": (LONG.replace("b,2,92", "b,,92"), {}, r"line 6: when is missing, or neither"),
    "no end of time": (LONG.replace("b,2,92", "b,inf,92"), {}, r"line 6: when is infinite"),
    "the same time twice": (
        LONG.replace("b,2,92", "b,1,92"),
        {},
        r"line 6: when=1 of 'b' is there already, in .*line 5",
    ),
    "two splits": (
        LONG.replace("84,icu,train", "84,icu,test"),
        {},
        r"line 6: 'b' has part=test, and train in .*line 5",
    ),
    "unknown split": (
        LONG.replace("test", "hold-out"),
        {},
        r"line 10: part is 'hold-out' and must be one of",
    ),
    "unseen label": (
        LONG.replace("100,icu", "100,hospice"),
        {},
        r"line 10: ward is 'hospice', which no training",
    ),
    "no label": (
        LONG.replace("100,icu", "100,"),
        {},
        r"line 10: ward is missing; leave such sequences out\.",
    ),
    "two labels": (
        LONG.replace("84,icu", "84,home"),
        {"each": "sequence"},
        r"line 6: ward is home and was icu before",
    ),
    "not UTF-8": (
        LONG.replace("home", "hôme").encode("latin-1"),
        {},
        r"line 2 is not UTF-8: it has the byte 0xf4",
    ),
    "too many fields": (
        LONG.replace("b,2,92", "b,2,92,93"),
        {},
        r"data\.csv line 6 has 7 fields, and the header 6\.",
    ),
    "one column twice": (LONG.replace("bp", "hr"), {}, "two columns 'hr'"),
    "another separator": (LONG.replace(",", ";"), {}, r"task\.separator=';'"),
    "empty": ("who,when,hr,bp,ward,part\n", {}, "holds no rows"),
    "nothing": ("", {}, "holds no rows|has no column"),
    "too short": (
        LONG,
        {"target": "hr", "ahead": 2},
        r"line 5: the sequence 'b' of 2 steps is too short for task\.ahead=2, and so are 4",
    ),
    "input is id": (LONG, {"inputs": ["who"]}, r"task\.inputs names 'who', which is task\.id"),
    "texts as numbers": (LONG, {"classes": False}, r"line 3: ward is 'home', and no number"),
    "weights of numbers": (
        LONG,
        {"target": "bp", "classes": False, "class_weights": "balanced", "each": "step", "missing": "mask"},
        r"task\.class_weights has no effect on numbers",
    ),
    "a window of one target": (LONG, {"window": 2}, r"cannot be cut by task\.window=2"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_fault_is_one_sentence_with_its_place(table: Make, fault: str) -> None:
    text, settings, sentence = FAULTS[fault]
    with pytest.raises(SeqbenchError, match=sentence) as said:
        table(text, **OF_LONG | settings).read_split("train")
    assert "\n" not in str(said.value)


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"dataset": "mine"}, r"are two places of the data"),
        ({"shares": [0.5, 0.6]}, r"task\.shares=\[0\.5, 0\.6\] must be two numbers"),
        ({"missing": "drop"}, r"task\.missing=drop must be one of refuse, ffill, mask"),
        ({"delta": True, "time": None}, r"task\.delta=true needs"),
        ({"ahead": 1, "id": None, "time": None}, r"task\.ahead needs rows that are steps"),
        ({"ahead": 1, "each": "step"}, r"task\.each=step has no effect"),
        ({"window": 0}, r"task\.window=0"),
        ({"inputs": []}, r"task\.inputs=\[\] leaves nothing"),
        ({"solved_at": 0}, r"task\.solved_at=0"),
        ({"revision": "main"}, r"task\.revision=main is of a data set of the hub"),
    ],
)
def test_settings_that_cannot_be_are_refused_before_the_file_is_read(
    settings: dict[str, Any], sentence: str
) -> None:
    with pytest.raises(ConfigError, match=sentence):
        Table(**({"path": "nowhere.csv"} | OF_LONG | settings))


def test_what_is_missing_is_asked_for_once_the_table_is_read(table: Make) -> None:
    with pytest.raises(DataError, match=r"task\.path is missing: give a file, such as"):
        Table(target="y").prepare(8)
    with pytest.raises(DataError, match=r"task\.target is missing"):
        table(LONG, **OF_LONG | {"target": None}).prepare(8)


def test_a_file_that_is_not_there_or_has_no_format_is_named(tmp_path: Path) -> None:
    (tmp_path / "data.csv").write_text(LONG)
    with pytest.raises(DataError, match=r"There is no file .*dat\.csv\. Did you mean 'data\.csv'"):
        Table(str(tmp_path / "dat.csv"), **OF_LONG).read_split("train")
    (tmp_path / "data.xls").write_text(LONG)
    with pytest.raises(ConfigError, match="the end of its name says no format"):
        Table(str(tmp_path / "data.xls"), **OF_LONG).read_split("train")


def test_batches_hold_sequences_of_like_length(table: Make) -> None:
    rows = [f"{i},{t},{t},{'ab'[i % 2]}" for i in range(40) for t in range(1 + i % 20)]
    task = table("\n".join(["id,t,x,y", *rows]), id="id", time="t", inputs="x", target="y")
    for batch in islice(task.train_batches(0, 4), 7):
        assert batch.lengths is not None and batch.inputs.shape[1] == batch.lengths.max()
        assert batch.lengths.max() - batch.lengths.min() <= 6


def _measured(task: Table) -> float:
    """Return the mean loss on the test set of the best outputs that ignore the input."""
    spec, train, test = task.targets, task.read_split("train"), task.read_split("test")
    assert isinstance(spec, Labels)
    targets = train.targets if train.mask is None else train.targets[train.mask]
    weights = torch.tensor(spec.class_weights or [1.0] * spec.size)
    shares = weights * (torch.bincount(targets, minlength=spec.size) + 1)
    outputs = (shares / shares.sum()).log().expand(*test.targets.shape, -1)
    return float(spec.loss(outputs, test))


def _error_of_the_mean(task: Table) -> float:
    test = task.read_split("test")
    measures = task.measure(torch.zeros_like(test.targets), test)
    return task.summary({name: float((v * w).sum() / w.sum()) for name, (v, w) in measures.items()})["rmse"]


def hub_folder(folder: Path, frame: Callable[[int], dict[str, Any]]) -> Path:
    """Write a folder in the hub's layout, of rows that `frame` makes so many of."""
    folder.mkdir(parents=True)
    for split, n in (("train", 30), ("validation", 6), ("test", 10)):
        pd.DataFrame(frame(n)).to_parquet(folder / f"{split}-00000-of-00001.parquet")
    return folder


HUB: dict[str, tuple[Callable[[int], dict[str, Any]], dict[str, Any], tuple[int, ...], tuple[int, ...]]] = {
    "text": (
        lambda n: {
            "text": [f"{'good' if i % 2 else 'bad'} film" for i in range(n)],
            "label": [i % 2 for i in range(n)],
        },
        {"inputs": "text", "target": "label"},
        (30, 2),
        (30,),
    ),
    "lists": (
        lambda n: {
            "a": [[0.5 * j + i for j in range(1 + i % 3)] for i in range(n)],
            "b": [[j - i for j in range(1 + i % 3)] for i in range(n)],
            "kind": ["xyz"[i % 3] for i in range(n)],
        },
        {"inputs": ["a", "b"], "target": "kind"},
        (30, 3, 2),
        (30,),
    ),
    "a label a step": (
        lambda n: {
            "words": [["the", "cat", "sat"][: 1 + i % 3] for i in range(n)],
            "tags": [["at", "nn", "vbd"][: 1 + i % 3] for i in range(n)],
        },
        {"inputs": "words", "target": "tags"},
        (30, 3),
        (30, 3),
    ),
}


@pytest.mark.parametrize("lacks", ["kind", "b", "other"])
@pytest.mark.parametrize("missing", ["refuse", "mask"])
def test_a_column_that_a_split_lacks_is_not_taken_for_missing_values(
    tmp_path: Path, lacks: str, missing: str
) -> None:
    frame, settings = HUB["lists"][:2]
    folder = hub_folder(tmp_path / "one", lambda n: frame(n) | {"other": [*range(n)]})
    test = folder / "test-00000-of-00001.parquet"
    pd.read_parquet(test).drop(columns=lacks).to_parquet(test)
    task = Table(str(folder), **settings, missing=missing)
    if lacks == "other":  # which nobody reads
        assert task.prepared.sequences == 46
    else:
        with pytest.raises(
            DataError, match=rf"one: its test split has nothing in the column '{lacks}'; leave"
        ):
            task.read_split("train")


@pytest.mark.parametrize("kind", HUB)
def test_columns_of_a_folder_of_the_hub_are_read_without_a_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """Its path changes nothing, and a changed file does."""
    from seqbench.data import hub

    monkeypatch.setattr("datasets.config.HF_HUB_OFFLINE", True)
    monkeypatch.setattr(hub, "answers", lambda name: pytest.fail("the hub was asked"))
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr("datasets.config.HF_DATASETS_CACHE", str(tmp_path / "cache"))
    frame, settings, inputs, targets = HUB[kind]
    task = Table(str(hub_folder(tmp_path / "one", frame)), **settings)
    train = task.read_split("train")
    assert tuple(train.inputs.shape) == inputs and tuple(train.targets.shape) == targets
    assert (train.mask is not None) == (kind == "a label a step")
    moved = Table(str(hub_folder(tmp_path / "two" / "moved", frame)), **settings)
    assert moved.fingerprint() == task.fingerprint()
    changed = hub_folder(tmp_path / "three", frame)
    path = next(changed.glob("test-*"))
    pd.read_parquet(path).iloc[1:].to_parquet(path)
    assert Table(str(changed), **settings).fingerprint() != task.fingerprint()


def test_another_unit_or_vocabulary_is_another_run(table: Make) -> None:
    text = "\n".join(["text,label", *(f"{'ab'[i % 2]}{i % 5} c,{'xy'[i % 2]}" for i in range(60))])
    settings = {"inputs": "text", "target": "label"}
    found = [
        table(text, **settings, **more).fingerprint() for more in ({}, {"unit": "char"}, {"vocabulary": 3})
    ]
    assert len({*found}) == 3
    assert table(text, name="other.csv", **settings).fingerprint() == found[0]
    assert table(text.replace("a0 c", "a0 d", 1), **settings).fingerprint() != found[0]


def test_the_vocabulary_is_of_the_most_frequent_tokens_of_training(table: Make) -> None:
    rows = ["c b a,x,train", "c b,y,train", "c d,x,train", "d d d d,y,validation", "c a b,x,test"]
    text = "\n".join(["text,label,part", *rows])
    settings: dict[str, Any] = {"inputs": "text", "target": "label", "split": "part"}
    task = table(text, **settings, vocabulary=2)
    assert task.token_names()[0] == ("<padding>", "<unknown>", "b", "c")
    assert task.read_split("train").inputs.tolist() == [[3, 2, 1], [3, 2, 0], [3, 1, 0]]
    assert table(text, **settings, vocabulary=9).token_names()[0] == table(text, **settings).token_names()[0]
    with pytest.raises(ConfigError, match=r"task\.vocabulary=0 must be at least 1"):
        table(text, **settings, vocabulary=0)
    with pytest.raises(ConfigError, match=r"task\.vocabulary=5 is of a column of tokens, and .* on hr"):
        table(LONG, **OF_LONG, vocabulary=5).prepare(1)

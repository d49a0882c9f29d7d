"""`seqbench predict`: rows of CSV that are those of the model, by hand, and faults in one sentence."""

from __future__ import annotations

import csv
import io
import shutil
from collections.abc import Callable
from pathlib import Path

import pandas as pd
import pytest
import torch

import seqbench as package
from seqbench.tasks.tabular.targets import Numbers
from tests.cli.conftest import Said

DATA = Path(__file__).parents[2] / "docs" / "example" / "data"
SMALL = ["trainer.max_steps=2", "trainer.eval_every=1", "logger=none", "model.hidden_size=4"]
TABLE = ["task=table", f"task.path={DATA / 'patients.csv'}", "task.id=patient", "task.time=hour"]
Run = Callable[..., Said]


def trained(*typed: str) -> str:
    (run,) = package.train(
        package.compose(["model=gru", *typed, *SMALL, "batch_size=8", "trainer.progress=false"])
    )
    return f"runs/{run.task}/{run.model}-{run.hash}/seed-0"


def rows(said: Said) -> list[dict[str, str]]:
    assert said.code == 0, said.err
    return list(csv.DictReader(io.StringIO(said.out)))


def test_new_rows_of_a_table_have_a_label_and_its_probability(seqbench: Run) -> None:
    folder = trained(*TABLE, "task.target=outcome")
    found = rows(seqbench("predict", folder, str(DATA / "new.csv"), "--probabilities"))
    assert [row["patient"] for row in found] == ["new03", "new04"]
    assert list(found[0]) == ["patient", "prediction", "home", "ward"]
    run = package.load_run(folder)
    scales = run.task.prepared.code.scales
    with (DATA / "new.csv").open() as file:
        first = [row for row in csv.DictReader(file) if row["patient"] == "new03"]
    steps = [
        [
            *((float(row[name]) - scales[name].mean) / scales[name].std for name in ("hr", "bp")),
            row["sex"] == "f",
            row["sex"] == "m",
        ]
        for row in first
    ]
    (expected,) = run.predict([torch.tensor(steps)])
    assert [float(found[0][name]) for name in ("home", "ward")] == pytest.approx(expected.tolist(), abs=1e-5)
    assert found[0]["prediction"] == ("home", "ward")[int(expected.argmax())]


def test_rows_come_as_the_file_has_them_and_no_text_is_a_formula(seqbench: Run) -> None:
    lines = [f"{i},{t},{i % 3},{'=emu' if i % 2 else 'owl'}" for i in range(1, 41) for t in (2, 1)]
    Path("birds.csv").write_text("\n".join(["id,t,x,y", *lines]))
    folder = trained("task=table", "task.path=birds.csv", "task.id=id", "task.time=t", "task.target=y")
    Path("new.csv").write_text("id,t,x\n12,2,1\n4,1,0\n12,1,2\n=7,1,1\n")
    said = seqbench("predict", folder, "new.csv", "--probabilities")
    found = rows(said)
    assert [row["id"] for row in found] == ["12", "4", "'=7"]
    assert list(found[0]) == ["id", "prediction", "'=emu", "owl"]
    assert {row["prediction"] for row in found} <= {"'=emu", "owl"}
    alone = Path("alone.csv")
    for row, its in zip(found, ("12,2,1\n12,1,2", "4,1,0", "=7,1,1"), strict=True):
        alone.write_text(f"id,t,x\n{its}\n")
        assert rows(seqbench("predict", folder, str(alone), "--probabilities")) == [row]


def test_columns_in_another_order_or_format_change_nothing_and_an_unseen_category_is_said(
    seqbench: Run,
) -> None:
    folder = trained(*TABLE, "task.target=outcome")
    frame = pd.read_csv(DATA / "new.csv")
    frame[frame.columns[::-1]].assign(more=1).to_csv("order.csv", index=False)
    frame.to_parquet("same.parquet")
    frame.to_json("same.jsonl", orient="records", lines=True)
    expected = rows(seqbench("predict", folder, str(DATA / "new.csv"), "--probabilities"))
    for name in ("order.csv", "same.parquet", "same.jsonl"):
        assert rows(seqbench("predict", folder, name, "--probabilities")) == expected, name
    frame.assign(sex=["x", *frame.sex[1:]]).to_csv("strange.csv", index=False)
    said = seqbench("predict", folder, "strange.csv")
    assert said.code == 0 and said.err == (
        "seqbench: strange.csv line 2: sex is 'x', which no training sequence has; it counts as none of f, "
        "m, in 1 step.\n"
    )


def test_a_file_without_a_header_may_lack_the_label_and_be_of_another_format(seqbench: Run) -> None:
    words = [f"task.path={DATA / 'words.csv'}", "task.header=[word,language]", "task.inputs=word"]
    folder = trained("task=table", *words, "task.target=language", "task.unit=char")
    Path("both.csv").write_text("haus,german\nnull,english\n")
    Path("one.csv").write_text("haus\nnull\n")
    Path("one.jsonl").write_text('{"word": "haus"}\n{"word": "null"}\n')
    expected = rows(seqbench("predict", folder, "both.csv", "--probabilities"))
    for name in ("one.csv", "one.jsonl"):
        assert rows(seqbench("predict", folder, name, "--probabilities")) == expected, name
    Path("three.csv").write_text("haus,german,1\n")
    said = seqbench("predict", folder, "three.csv")
    assert said.code == 2 and "task.header names 2 columns, and three.csv has 3." in said.err


def test_what_a_run_cannot_be_told_anymore_is_not_advised(seqbench: Run) -> None:
    shutil.copy(DATA / "patients.csv", "patients.csv")
    folder = trained("task=table", "task.path=patients.csv", *TABLE[2:], "task.target=outcome")
    Path("gap.csv").write_text("patient,hour,hr,bp,sex\na,0,70,,m\n")
    said = seqbench("predict", folder, "gap.csv")
    assert said.code == 2 and said.err == (
        "seqbench: gap.csv line 2: bp is missing; the run was trained with task.missing=refuse, and knows "
        "none.\n"
    )
    Path("other.csv").write_text("patient;hour;hr;bp;sex\na;0;70;120;m\n")
    said = seqbench("predict", folder, "other.csv")
    assert said.code == 2 and said.err == (
        "seqbench: other.csv has one column, 'patient;hour;hr;bp;sex'; those of the table that the run was "
        "trained on are separated by ','.\n"
    )
    Path("patients.csv").rename("moved.csv")
    said = seqbench("predict", folder, "gap.csv")
    assert said.code == 2 and said.err.startswith("seqbench: There is no file patients.csv.")
    assert said.err.endswith("where they were: start from the folder in which it was started.\n")


def test_each_step_has_a_row_with_its_time_and_numbers_are_in_their_unit(seqbench: Run) -> None:
    folder = trained(*TABLE, "task.inputs=[hr,bp]", "task.target=hr", "task.ahead=1")
    found = rows(seqbench("predict", folder, str(DATA / "new.csv")))
    with (DATA / "new.csv").open() as file:
        given = list(csv.DictReader(file))
    assert [(row["patient"], row["hour"]) for row in found] == [
        (row["patient"], row["hour"]) for row in given
    ]
    assert all(40 < float(row["prediction"]) < 160 for row in found)
    assert seqbench("predict", folder, str(DATA / "new.csv"), "--out", "out.csv").out == ""
    assert list(csv.DictReader(io.StringIO(Path("out.csv").read_text()))) == found


def test_a_number_has_as_many_digits_as_its_error_is_worth(seqbench: Run) -> None:
    """Of numbers about 1.7e9 that differ by some thousand six digits say nothing, nor floats of 32 bits."""
    lines = [f"{i},{t},{i % 7},{1_700_000_000 + 1000 * (i % 7)}" for i in range(40) for t in range(2)]
    Path("big.csv").write_text("\n".join(["id,t,x,y", *lines]))
    keys = ("task.id=id", "task.time=t", "task.target=y", "task.classes=false")
    folder = trained("task=table", "task.path=big.csv", *keys)
    found = [float(row["prediction"]) for row in rows(seqbench("predict", folder, "big.csv"))]
    run = package.load_run(folder)
    given = run.task.read_file(Path("big.csv")).given
    with torch.no_grad():
        outputs = run.model(**given)[0].double().flatten()
    spec = run.task.targets
    assert isinstance(spec, Numbers)
    wanted = (outputs * spec.scale[0] + spec.mean[0]).tolist()
    assert found == pytest.approx(wanted, abs=1e-2) and len({*found}) == 7
    assert float(run.task.in_words(run.outputs(given)[0])) == found[0]


def test_other_tasks_take_a_sequence_a_line(seqbench: Run) -> None:
    folder = trained("task=latch", "task.length=4", "task.eval_size=8")
    Path("new.jsonl").write_text("[1.0, 0.5, 0.1, 0.2]\n\n[-1.0, 0.5, 0.1]\n")
    found = rows(seqbench("predict", folder, "new.jsonl"))
    assert [row["sequence"] for row in found] == ["0", "1"] and {*found[0]} == {"sequence", "prediction"}


def test_an_answer_that_is_a_sequence_is_one_row(seqbench: Run) -> None:
    folder = trained(
        "task=reverse", "model=seq2seq", "task.length=3", "task.eval_lengths=[3]", "task.eval_size=4"
    )
    Path("new.txt").write_text("3 0 7\n[1, 2]\n")
    found = rows(seqbench("predict", folder, "new.txt"))
    answers = package.load_run(folder).answer(["3 0 7", [1, 2]])
    assert found == [{"sequence": str(i), "prediction": answer} for i, answer in enumerate(answers)]
    said = seqbench("predict", folder, "new.txt", "--probabilities")
    assert said.code == 2 and said.err.startswith("seqbench: --probabilities are of classes, and")


def test_faults_are_one_sentence(seqbench: Run) -> None:
    folder = trained(*TABLE, "task.target=outcome")
    Path("few.csv").write_text("patient,hour,hr,sex\na,0,70,m\n")
    Path("gap.csv").write_text("patient,hour,hr,bp,sex\na,0,70,100,m\na,2,,100,m\n")
    for file, sentence in (
        ("few.csv", "task.inputs: few.csv has no column 'bp', but patient, hour, hr, sex."),
        ("gap.csv", "gap.csv line 3: hr is missing"),
        ("none.csv", "There is no file none.csv."),
    ):
        said = seqbench("predict", folder, file)
        assert said.code == 2 and sentence in said.err and said.err.count("\n") == 1, said.err
    latch = trained("task=latch", "task.length=4", "task.eval_size=8")
    Path("words.txt").write_text("a b c\n")
    Path("deep.txt").write_text("[" * 100_000)
    for file, sentence in (
        ("words.txt", "words.txt line 1 is no list of JSON, such as"),
        ("deep.txt", "deep.txt line 1 is no list of JSON: maximum recursion depth"),
        ("none.txt", "none.txt cannot be read: No such file or directory."),
    ):
        said = seqbench("predict", latch, file)
        assert said.code == 2 and sentence in said.err and said.err.count("\n") == 1, said.err
    assert seqbench("predict", "runs", "words.txt").code == 2

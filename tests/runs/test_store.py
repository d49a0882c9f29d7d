"""The store: results written, read back, and as a table."""

import json
import os
from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from seqbench.errors import StoreError
from seqbench.runs.files import DamagedFileError, checksum
from seqbench.runs.result import SCHEMA, Result
from seqbench.runs.store import (
    MOST_BYTES,
    load_results,
    read_result,
    read_results,
    run_folder,
    run_folders,
    write_result,
)
from seqbench.tasks.metrics import Metric, loss, share


def stored(runs_dir: Path, seed: int = 0, **values: object) -> Path:
    result = Result(
        task="adding", model="lstm", hash="abc", seed=seed, status="finished", config={"seed": seed}
    )
    for name, value in values.items():
        setattr(result, name, value)
    folder = runs_dir / "adding" / "lstm-abc" / f"seed-{seed}"
    folder.mkdir(parents=True)
    write_result(folder, result)
    return folder


def test_one_row_per_run_with_dotted_columns(tmp_path: Path) -> None:
    config = {"task": {"length": 50, "eval_lengths": [50, 100]}, "model": {"cell": {"alpha": 0.9}}}
    test = {"50": {"loss": 0.25}, "100": {"loss": float("inf")}}
    stored(
        tmp_path,
        config=config,
        test=test,
        validation={"loss": 0.5},
        baseline_loss={"50": 1 / 6},
        parameters=7,
        metric="f1",
        metrics={"f1": share("f1"), "loss": loss("nats")},
    )
    stored(tmp_path, seed=10, status="failed", error="out of memory")
    stored(tmp_path, seed=2)
    frame = load_results(tmp_path)
    assert frame["seed"].tolist() == [0, 2, 10]
    first = frame.iloc[0]
    assert (first["metric"], first["direction"]) == ("f1", "max")
    assert (first["task"], first["model"], first["status"]) == ("adding", "lstm", "finished")
    assert (first["config.task.length"], first["config.model.cell.alpha"]) == (50, 0.9)
    assert first["config.task.eval_lengths"] == [50, 100]
    assert (first["test.50.loss"], first["validation.loss"], first["baseline_loss.50"]) == (0.25, 0.5, 1 / 6)
    assert pd.isna(first["test.100.loss"])
    assert first["parameters"] == 7
    assert frame["error"].tolist()[2] == "out of memory"
    assert not [name for name in frame.columns if name.startswith("metrics")]
    assert not {"config", "test", "validation", "baseline_loss"} & set(frame.columns)


def test_metrics_are_stored_by_name_and_read_as_objects(tmp_path: Path) -> None:
    excess = Metric("excess_bits", "min", "bits")
    folder = stored(tmp_path, metric="f1", metrics={"f1": share("f1"), "excess_bits": excess})
    stored_as = json.loads((folder / "result.json").read_text())["metrics"]
    assert stored_as == {
        "f1": {"direction": "max", "unit": "share", "low": 0.0, "high": 1.0},
        "excess_bits": {"direction": "min", "unit": "bits", "low": None, "high": None},
    }
    result = read_result(folder)
    assert result is not None and result.metrics == {"f1": share("f1"), "excess_bits": excess}
    assert (result.headline, result.direction) == (share("f1"), "max")


def test_other_folders_and_unfinished_runs_are_passed_over(tmp_path: Path) -> None:
    finished = stored(tmp_path)
    stored(tmp_path / ".sweeps")
    hidden = tmp_path / ".sweeps" / "lstm-abc" / "seed-0"
    hidden.mkdir(parents=True)
    write_result(hidden, read_result(finished))  # type: ignore[arg-type]
    (tmp_path / "wandb" / "offline-run-1" / "files").mkdir(parents=True)
    (tmp_path / "adding" / "lstm-abc" / "seed-1" / "checkpoints").mkdir(parents=True)
    assert run_folders(tmp_path) == [tmp_path / "adding" / "lstm-abc", tmp_path / "wandb" / "offline-run-1"]
    assert len(load_results(tmp_path)) == 1
    folder = tmp_path / "adding" / "lstm-abc"
    assert len(read_results([folder, folder])) == 1


@pytest.mark.parametrize("name", ["", "missing"])
def test_no_results_says_what_to_run(tmp_path: Path, name: str) -> None:
    with pytest.raises(StoreError, match=r"no results in .*`seqbench task=adding model=lstm`\.$"):
        load_results(tmp_path / name)


def test_nothing_that_was_written_may_change_or_stand_twice(tmp_path: Path) -> None:
    """A parser of JSON takes the later of two entries of one name."""
    stored(tmp_path, seed=1)
    file = stored(tmp_path) / "result.json"
    whole = file.read_text()
    assert whole.endswith('"\n}\n') and load_results(tmp_path)["seed"].tolist() == [0, 1]
    for changed in (
        whole.replace('"\n}\n', '",\n "solved_at_step": 10\n}\n'),
        whole.replace('"\n}\n', '",\n "status": "solved", "solved_at_step": 10}\n'),
        whole.replace("{\n", '{\n "solved_at_step": 10,\n', 1),
    ):
        assert changed != whole
        file.write_text(changed)
        with pytest.warns(UserWarning, match=r"seed-0/result.json is damaged: its checksum is another"):
            assert load_results(tmp_path)["seed"].tolist() == [1]


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "null", '{"schema": "3"}', '{"schema": 3, "task": "adding"}', '{"schema": [3]}',
     "[" * 200_000, "\x00\ud800", '{"schema": 3, "metrics": [1], "checksum": ""}', "NaN"],
)  # fmt: skip
def test_a_damaged_result_is_named_and_left_out(tmp_path: Path, text: str) -> None:
    stored(tmp_path, seed=1)
    file = stored(tmp_path) / "result.json"
    file.write_bytes(text.encode("utf-8", "surrogatepass"))
    with pytest.warns(UserWarning, match=r"seed-0/result.json is damaged: it.* It is left out"):
        frame = load_results(tmp_path)
    assert frame["seed"].tolist() == [1]


@pytest.mark.parametrize(
    "values",
    [
        {"config": {"task": [1]}},
        {"config": {"task": {"length": "a"}}},
        {"config": {"task": {"eval_lengths": 7}}},
        {"config": {"task": {"eval_lengths": ["x"]}}},
        {"config": {"trainer": {"max_steps": "many"}}},
        {"config": {"model": {"_target_": "${oc.env:HOME}"}}},
        {"test": {"x": {"loss": 1.0}}},
        {"test": {"1" * 30: {"loss": 1.0}}},
        {"parameters": 10**40},
    ],
)
def test_what_no_run_writes_is_left_out_though_its_checksum_is_right(tmp_path: Path, values: Any) -> None:
    stored(tmp_path, seed=1)
    stored(tmp_path, **values)
    with pytest.warns(UserWarning, match=r"seed-0/result.json is damaged: it is no result\. It is left out"):
        assert load_results(tmp_path)["seed"].tolist() == [1]


@pytest.mark.parametrize("number", ["Infinity", "NaN", "1e999"])
def test_a_number_that_is_not_finite_is_in_no_result(tmp_path: Path, number: str) -> None:
    """JSON has none, and what reads a result need not doubt one."""
    stored(tmp_path, seed=1)
    file = stored(tmp_path) / "result.json"
    body = file.read_text().rpartition(',\n "checksum": ')[0]
    body = body.replace('"wall_time_s": 0.0', f'"wall_time_s": {number}')
    right = checksum(body + "\n}\n")
    file.write_text(f'{body},\n "checksum": "{right}"\n}}\n')
    with pytest.warns(UserWarning, match=r"seed-0/result.json is damaged: it is no result\. It is left out"):
        assert load_results(tmp_path)["seed"].tolist() == [1]


def test_damage_to_another_file_is_named_and_the_result_kept(tmp_path: Path) -> None:
    folder = stored(tmp_path)
    for name, text in (("config.yaml", "lr: 0.1"), ("metrics.csv", "step,loss")):
        (folder / name).write_text(text)
    result = read_result(folder)
    assert result is not None
    write_result(folder, result)
    assert load_results(tmp_path)["seed"].tolist() == [0]
    (folder / "config.yaml").write_text("lr: 0.2")
    (folder / "metrics.csv").unlink()  # what was removed is no damage
    with pytest.warns(UserWarning) as warned:
        assert load_results(tmp_path)["seed"].tolist() == [0]
    (warning,) = warned
    assert str(warning.message).startswith(f"{folder / 'config.yaml'} is damaged; the numbers are those of")


def test_every_changed_character_is_found(tmp_path: Path) -> None:
    folder = stored(tmp_path, test={"50": {"loss": 0.125}}, parameters=7, error="a")
    path, known = folder / "result.json", read_result(folder)
    text = path.read_text()
    changed = 0
    for place, character in enumerate(text):
        path.write_text(f"{text[:place]}{'1' if character == '0' else '0'}{text[place + 1 :]}")
        try:
            found = read_result(folder)
        except StoreError:
            changed += 1
        else:
            assert found == known and character in " \n", (place, character)
    assert changed > 0.7 * len(text)


def test_a_result_is_a_regular_file(tmp_path: Path) -> None:
    path = stored(tmp_path) / "result.json"
    path.unlink()
    path.mkdir()
    with pytest.raises(DamagedFileError, match=r"result.json is not a file\."):
        read_result(path.parent)
    path.rmdir()
    os.mkfifo(path)  # reading it would wait for a writer
    with pytest.raises(DamagedFileError, match=r"result.json is not a file\."):
        read_result(path.parent)
    path.unlink()
    with path.open("wb") as file:
        file.truncate(MOST_BYTES + 1)
    with pytest.raises(DamagedFileError, match=r"is 67 MB large, which no such file is\."):
        read_result(path.parent)
    (tmp_path / "adding" / "lstm-abc" / "seed-7").touch()
    assert read_result(tmp_path / "adding" / "lstm-abc" / "seed-7") is None


def test_runs_of_another_schema_are_named_in_one_sentence(tmp_path: Path) -> None:
    stored(tmp_path, seed=2)
    for seed in (0, 1):
        path = stored(tmp_path, seed=seed) / "result.json"
        path.write_text(path.read_text().replace(f'"schema": {SCHEMA}', '"schema": 2'))
    with pytest.warns(UserWarning) as warned:
        assert load_results(tmp_path)["seed"].tolist() == [2]
    assert [str(warning.message) for warning in warned] == [
        f"2 runs were stored under another schema than this version's, {SCHEMA}, and left out: "
        "adding/lstm-abc."
    ]


@pytest.mark.parametrize(
    "elsewhere", ["adding/lstm-abc/seed-1", "adding/lstm-abd/seed-0", "copy/lstm-abc/seed-0"]
)
def test_a_result_in_the_folder_of_another_run_is_refused(tmp_path: Path, elsewhere: str) -> None:
    folder = stored(tmp_path)
    (tmp_path / elsewhere).parent.mkdir(parents=True, exist_ok=True)
    folder.rename(tmp_path / elsewhere)
    with pytest.raises(
        StoreError, match=r"is the result of adding/lstm-abc/seed-0 and lies in another folder"
    ):
        read_result(tmp_path / elsewhere)


@pytest.mark.parametrize(
    ("task", "model", "folder"),
    [
        ("adding", "lstm", "adding/lstm-12"),
        ("adding", "my/lstm", "adding/my.lstm-12"),
        (".mine/t", "..", "mine.t/_-12"),
        ("a\0b", "../../x", "a.b/x-12"),
    ],
)
def test_a_run_lies_where_reports_look(tmp_path: Path, task: str, model: str, folder: str) -> None:
    assert run_folder(task, model, "12") == Path(folder)
    result = Result(task=task, model=model, hash="12", seed=0, status="finished", config={})
    (tmp_path / folder / "seed-0").mkdir(parents=True)
    write_result(tmp_path / folder / "seed-0", result)
    assert [found.model for found in read_results(run_folders(tmp_path))] == [model]

"""Runs in a file: whole, in the same bytes, and checked before anything is written."""

from __future__ import annotations

import gzip
import json
import re
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest

from seqbench.errors import StoreError
from seqbench.runs.exchange import export_runs, import_runs
from seqbench.runs.inventory import inventory
from seqbench.runs.locks import lock
from seqbench.runs.result import SCHEMA, Result
from seqbench.runs.store import read_result, to_plain
from tests.runs.handmade import CURVES, begin, place, result, store


def export(path: Path, curves: bool = False) -> Path:
    """Export what lies in `here`."""
    export_runs(inventory(Path("here")), path, curves, pytest.fail)
    return path


def lines(*its: Result | dict[str, Any]) -> Path:
    """Write a file of runs, or of what is in a line."""
    path = Path("runs.jsonl")
    data = [to_plain(each) if isinstance(each, Result) else each for each in its]
    path.write_text("".join(json.dumps(each) + "\n" for each in data))
    return path


def test_what_is_imported_is_what_was_exported() -> None:
    folder = store(Path("here"), result(test={"50": {"loss": 0.1}, "100": {"loss": None}}))
    store(Path("here"), result(seed=1, status="failed", error="out of memory"))
    counts = import_runs(export(Path("runs.jsonl"), curves=True), Path("there"), pytest.fail)
    assert counts == {"imported": 2}
    for seed in (0, 1):
        ours, theirs = (place(Path(at), result(seed=seed)) for at in ("here", "there"))
        assert read_result(ours) == read_result(theirs)
        assert {path.name for path in theirs.iterdir()} == {"result.json", "metrics.csv"}
    assert (place(Path("there"), result()) / "metrics.csv").read_bytes() == CURVES.encode()
    assert read_result(folder) is not None


def test_folders_of_this_machine_do_not_travel() -> None:
    places = {"runs_dir": "/home/me/runs", "data_dir": "data", "seed": 0}
    store(Path("here"), result(config=places | {"task": {"path": "/home/me/x.csv", "name": "a/b"}}))
    config = json.loads(export(Path("runs.jsonl")).read_text())["config"]
    assert config == places | {"runs_dir": "runs", "task": {"path": "x.csv", "name": "a/b"}}


def test_curves_travel_only_where_they_are_wanted() -> None:
    store(Path("here"), result())
    path = export(Path("runs.jsonl"))
    assert "curves" not in json.loads(path.read_text()) and "metrics.csv" not in path.read_text()
    import_runs(path, Path("there"), pytest.fail)
    (run,) = inventory(Path("there"))
    assert [file.name for file in run.folder.iterdir()] == ["result.json"]
    assert export_runs([run], path, True, pytest.fail) == (1, Counter())  # which has none


@pytest.mark.parametrize("name", ["runs.jsonl", "runs.jsonl.gz"])
def test_a_file_has_the_same_bytes_again(name: str) -> None:
    for seed in (2, 0, 1):
        store(Path("here"), result(seed=seed))
    first = export(Path(name), curves=True).read_bytes()
    assert export(Path(name), curves=True).read_bytes() == first
    text = gzip.decompress(first) if name.endswith("gz") else first
    assert [json.loads(line)["seed"] for line in text.splitlines()] == [0, 1, 2]
    assert import_runs(Path(name), Path("there"), pytest.fail) == {"imported": 3}


def test_what_has_not_ended_is_left_out_and_counted() -> None:
    store(Path("here"), result())
    begin(Path("here"), result(seed=1))
    store(Path("here"), result(seed=2, identity="f" * 64))
    running = begin(Path("here"), result(seed=3))
    with ExitStack() as locks:
        lock(running, locks)
        written, left = export_runs(inventory(Path("here")), Path("a"), False, pytest.fail)
    assert (written, left) == (1, {"stopped": 1, "orphan": 1, "running": 1})
    with pytest.raises(StoreError, match=r"none of these runs has ended"):
        export_runs(inventory(running), Path("b"), False, pytest.fail)
    assert not Path("b").exists()


def test_damaged_curves_are_named_and_left_out() -> None:
    folder = store(Path("here"), result())
    (folder / "metrics.csv").write_text("step,loss\n1,0\n")
    said: list[str] = []
    export_runs(inventory(Path("here")), Path("a"), True, said.append)
    assert "curves" not in json.loads(Path("a").read_text())
    (sentence,) = said
    assert sentence.startswith(f"{folder / 'metrics.csv'} is damaged") and sentence.endswith(
        "It is left out."
    )


def test_a_run_that_is_done_is_left_alone_and_a_differing_one_is_named() -> None:
    store(Path("there"), result())
    store(Path("there"), result(seed=1))
    said: list[str] = []
    path = lines(result(wall_time_s=99.0), result(seed=1, test={"50": {"loss": 0.5}}), result(seed=2))
    assert import_runs(path, Path("there"), said.append) == {"there": 1, "differing": 1, "imported": 1}
    folder = place(Path("there"), result(seed=1))
    assert said == [f"{folder} is done there with another test, and is left alone."]
    assert read_result(folder).test == {"50": {"loss": 0.125}}
    assert import_runs(lines(result(seed=3), result(seed=3)), Path("there"), pytest.fail)["there"] == 1


def test_a_run_without_a_result_is_completed() -> None:
    stopped = begin(Path("there"), result())
    failed = store(Path("there"), result(seed=1, status="failed", error="no memory"))
    damaged = store(Path("there"), result(seed=2))
    (damaged / "result.json").write_text("{")
    said: list[str] = []
    path = lines(*(result(seed=seed) for seed in range(3)))
    assert import_runs(path, Path("there"), said.append) == {"imported": 3}
    for folder in (stopped, failed):
        assert [file.name for file in folder.iterdir()] == ["result.json"]
        assert read_result(folder).status == "solved"
    (sentence,) = said
    assert "seed-2/result.json is damaged" in sentence and "is moved to unusable-1-result.json." in sentence


def test_a_failed_run_is_imported_where_nothing_lies() -> None:
    folder = begin(Path("there"), result())
    its = [result(seed=seed, status="failed", error="no memory") for seed in (0, 1)]
    assert import_runs(lines(*its), Path("there"), pytest.fail) == {"there": 1, "imported": 1}
    assert (folder / "checkpoints" / "last.pt").exists() and not (folder / "result.json").exists()


def test_a_run_that_is_being_trained_is_left_alone() -> None:
    folder = begin(Path("there"), result())
    said: list[str] = []
    with ExitStack() as locks:
        lock(folder, locks)
        assert import_runs(lines(result()), Path("there"), said.append) == {"running": 1}
    assert said == [f"{folder} is being trained by another process, and is left alone."]


def plain(**changes: Any) -> dict[str, Any]:
    return to_plain(result(seed=1, **changes))


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (lambda: "", "is damaged: it is no result."),
        (lambda: '{"a": 1', "is damaged: it is no result."),
        (lambda: "[" * 100_000, "is damaged: it is no result."),
        (lambda: json.dumps(plain()).replace("0.125", "0.126"), "is damaged: its checksum is another."),
        (lambda: plain() | {"schema": SCHEMA + 1}, f"was stored under schema {SCHEMA + 1}, and this version"),
        (lambda: plain(steps="many"), "is damaged: it is no result."),
        (lambda: plain(config={"model": {"_target_": "${oc.env:HOME}"}}), "is damaged: it is no result."),
        (lambda: plain(identity="f" * 64), "is the result of another run: its hash and its identity do not"),
        (lambda: plain(identity="../../xx", hash="../../xx"), "is the result of another run"),
        (lambda: plain(hash=""), "is the result of another run"),
        (lambda: plain(task="../out"), "names a place that no run has: task '../out'"),
        (lambda: plain(model="/etc/x"), "names a place that no run has"),
        (lambda: plain(model="a\\..\\b"), "names a place that no run has"),
        (lambda: plain(task=""), "names a place that no run has"),
        (lambda: plain(model="m" * 250), "names a place that no run has"),
        (lambda: plain(task="\ud800"), "names a place that no run has"),
        (lambda: to_plain(result(seed=-1)), "names a place that no run has"),
        (lambda: to_plain(result(), curves="no curves"), "is damaged: its curves are none."),
        (lambda: to_plain(result(), curves="step,loss\n1"), "is damaged: its curves are none."),
        (lambda: to_plain(result(), curves="step,\ud800\n1,2\n"), "is damaged: its curves are none."),
        (lambda: to_plain(result(), curves="step\n=1+1\n"), "is damaged: its curves are none."),
        *(
            (lambda steps=steps: to_plain(result(), curves=steps), "is damaged: its curves are none.")
            for first, second in [
                ("", 1),
                ("nan", 1),
                (1, "inf"),
                (0.5, 1),
                (-1, 1),
                (1, 1e30),
                (1, 1),
                (2, 1),
            ]
            for steps in [f"step,loss\n{first},1\n{second},2\n"]
        ),
        (lambda: to_plain(result(), curves=[1]), "is damaged: its curves are none."),
    ],
)
def test_a_wrong_line_is_named_and_nothing_is_written(line: Callable[[], Any], says: str) -> None:
    path, wrong = lines(result()), line()
    with path.open("a") as file:
        file.write((wrong if isinstance(wrong, str) else json.dumps(wrong)) + "\n")
    with pytest.raises(StoreError, match=f"^{re.escape(f'line 2 of {path} {says}')}"):
        import_runs(path, Path("there"), pytest.fail)
    assert not Path("there").exists() and {found.name for found in Path().iterdir()} == {path.name}


def test_the_place_of_another_run_is_refused_before_anything_is_written() -> None:
    taken = store(Path("there"), result(seed=1, identity=result().hash + "f" * 56))
    with pytest.raises(
        StoreError, match=r"is the result of another configuration with the hash of line 2 of"
    ):
        import_runs(lines(result(), result(seed=1)), Path("there"), pytest.fail)
    assert [run.folder for run in inventory(Path("there"))] == [taken]


def test_a_file_that_is_none_is_one_sentence() -> None:
    for name, content, says in [
        ("empty", b"", "empty holds no runs."),
        ("a.gz", b"no gzip", "a.gz is damaged: it is no whole gzip file."),
        ("b.gz", gzip.compress(b"x" * 1000)[:-9], "b.gz is damaged: it is no whole gzip file."),
    ]:
        Path(name).write_bytes(content)
        with pytest.raises(StoreError, match=re.escape(says)):
            import_runs(Path(name), Path("there"), pytest.fail)
    with pytest.raises(StoreError, match=r"cannot read missing: No such file or directory\."):
        import_runs(Path("missing"), Path("there"), pytest.fail)
    Path("there").touch()
    with pytest.raises(StoreError, match=r"cannot write in there/adding/lstm-.*: "):
        import_runs(lines(result()), Path("there"), pytest.fail)

"""The inventory: how the runs in a folder stand; which are slow; removing them."""

from __future__ import annotations

import os
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from seqbench.errors import StoreError
from seqbench.runs.inventory import StoredRun, inventory, remove
from seqbench.runs.locks import is_locked, lock
from seqbench.runs.result import SCHEMA
from tests.runs.handmade import begin, place, result, store


def only(place: Path) -> StoredRun:
    (run,) = inventory(place)
    return run


def test_a_run_that_has_ended_is_what_its_result_says(tmp_path: Path) -> None:
    folder = store(tmp_path, result())
    run = only(tmp_path)
    assert (run.folder, run.task, run.model, run.seed, run.status) == (folder, "adding", "lstm", 0, "solved")
    assert (run.steps, run.seconds, run.speed, run.why) == (200, 2.5, 100.0, "")
    assert run.bytes == sum(path.stat().st_size for path in folder.iterdir())
    assert run.written == datetime(2026, 1, 1, tzinfo=UTC)
    assert run.config["optim"]["lr"] == 0.01


def test_a_run_that_was_stopped_is_as_far_as_its_last_whole_evaluation(tmp_path: Path) -> None:
    folder = begin(tmp_path, result())
    (folder / ".lock").touch()  # of a killed process: nobody holds it
    for path in (folder, *folder.rglob("*")):
        os.utime(path, (1e9, 1e9))
    run = only(tmp_path)
    assert (run.task, run.model, run.hash) == ("adding", "lstm", result().hash)
    assert (run.status, run.steps, run.seconds) == ("stopped", 100, 1.0)
    assert run.written.timestamp() == 1e9 and run.config == result().config
    (folder / "config.yaml").write_text("a: [")
    (folder / "metrics.csv").write_bytes(b"\xff")
    assert (only(tmp_path).config, only(tmp_path).steps) == ({}, 0)


@pytest.mark.parametrize(
    "text",
    [
        *("task: adding", "- 1", "preset: 3", "model: [1]", "task: {length: {a: 1}}", "task: {length: .nan}"),
        *("trainer: &a {x: *a}", "task: {x: 2020-01-01}", "optim: {x: !!binary aGVsbG8=}", "", "a: ${b}"),
    ],
)
def test_a_file_that_is_no_configuration_is_none(tmp_path: Path, text: str) -> None:
    """What reads the configuration of a run need not doubt it."""
    (begin(tmp_path, result()) / "config.yaml").write_text(text)
    assert only(tmp_path).config == {}


def test_a_run_is_running_as_long_as_its_lock_is_held(tmp_path: Path) -> None:
    folder = begin(tmp_path, result())
    failed = store(tmp_path, result(seed=1, status="failed"))
    with ExitStack() as locks:
        assert lock(folder, locks) and lock(failed, locks)
        assert [run.status for run in inventory(tmp_path)] == ["running", "running"]
        assert is_locked(folder) and not is_locked(folder.parent)
        assert not remove(inventory(tmp_path)[0])
    assert [run.status for run in inventory(tmp_path)] == ["stopped", "failed"]


def test_what_no_configuration_finds_is_an_orphan(tmp_path: Path) -> None:
    def change(folder: Path, old: str, new: str) -> None:
        path = folder / "result.json"
        path.write_text(path.read_text().replace(old, new))

    change(store(tmp_path, result(seed=0)), f'"schema": {SCHEMA}', '"schema": 2')
    change(store(tmp_path, result(seed=1)), "0.125", "0.126")
    store(tmp_path, result(seed=2, identity="f" * 64))
    moved = store(tmp_path, result(seed=3))
    moved.rename(moved.with_name("seed-4"))
    folder = begin(tmp_path, result(seed=5))
    (folder / "result.json").mkdir()
    found = {run.seed: (run.status, run.why) for run in inventory(tmp_path)}
    whys = {0: "schema 2", 1: "damaged", 2: "identity", 4: "misplaced", 5: "damaged"}
    # A run that lies in the folder of another counts by where it lies.
    assert found == {seed: ("orphan", why) for seed, why in whys.items()}


@pytest.mark.parametrize("depth", range(4))
def test_runs_are_found_from_every_folder_down_to_their_own(tmp_path: Path, depth: int) -> None:
    folder = store(tmp_path, result())
    store(tmp_path / ".hidden", result())
    begin(tmp_path, result(task="copy/x", seed=3))
    (tmp_path / "notes" / "my-experiment" / "seed-0").mkdir(parents=True)  # has no hash
    (folder.parent / "seed-x").mkdir()
    at = [folder, *folder.parents][depth]
    assert [run.folder for run in inventory(at)][:1] == [folder]
    assert len(inventory(at)) == (2 if at == tmp_path else 1)


def test_a_run_is_slow_beside_others_of_its_configuration(tmp_path: Path) -> None:
    for seed, seconds in enumerate((2.0, 2.2, 1.8, 5.0)):
        store(tmp_path, result(seed=seed), f"step,seconds\n200,{seconds}\n")
    for seed, seconds in enumerate((2.0, 50.0)):  # of two, either may be
        store(tmp_path, result(seed=seed, model="gru"), f"step,seconds\n200,{seconds}\n")
    slow = [run.folder for run in inventory(tmp_path) if run.slow]
    assert slow == [place(tmp_path, result(seed=3))]


def test_a_run_is_removed_with_the_folders_that_it_leaves_empty(tmp_path: Path) -> None:
    kept = store(tmp_path, result(seed=1))
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "data").touch()
    folder = begin(tmp_path, result())
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    assert remove(inventory(folder)[0])
    assert not folder.exists() and kept.exists() and (tmp_path / "elsewhere" / "data").exists()
    assert remove(inventory(kept)[0])
    assert [path.name for path in tmp_path.iterdir()] == ["elsewhere"]


@pytest.mark.parametrize("level", range(3))
def test_what_lies_behind_a_link_is_not_removed(tmp_path: Path, level: int) -> None:
    folder = store(tmp_path / "other", result())
    behind = [folder, *folder.parents][level]
    link = tmp_path / "runs" / behind.relative_to(tmp_path / "other")
    link.parent.mkdir(parents=True)
    link.symlink_to(behind)
    with pytest.raises(StoreError, match=r" is a link, and what lies behind it is not removed\."):
        remove(only(tmp_path / "runs"))
    assert (folder / "result.json").exists()


def test_what_cannot_be_removed_is_one_sentence(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path, result())

    def denied(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.raises(StoreError, match=r"cannot remove .*seed-0: Permission denied\."):
        remove(only(tmp_path))

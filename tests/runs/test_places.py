"""Runs wherever they lie: folders of every level, and exported files."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from seqbench.errors import StoreError
from seqbench.runs.exchange import export_runs
from seqbench.runs.inventory import inventory
from seqbench.runs.places import read_places
from tests.runs.handmade import CURVES, begin, result, store


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    place = tmp_path / "runs"
    for its in (result(), result(seed=1), result(model="gru"), result(task="latch")):
        store(place, its)
    store(place / ".sweeps", result(seed=9))
    return place


def names(*places: Path, **choice: list[str]) -> list[str]:
    found = read_places(places, pytest.fail, choice.get("filters", []))
    return [f"{run.result.task} {run.result.model} {run.result.seed}" for run in found]


def test_a_place_is_a_folder_of_any_level_or_a_file(runs_dir: Path, tmp_path: Path) -> None:
    every = ["adding gru 0", "adding lstm 0", "adding lstm 1", "latch lstm 0"]
    assert names(runs_dir) == every
    assert names(runs_dir / "adding") == every[:3]
    assert names(next(runs_dir.glob("adding/lstm-*"))) == every[1:3]
    one = next(runs_dir.glob("adding/lstm-*/seed-1"))
    assert names(one) == names(one / "result.json") == every[2:3]
    exported = tmp_path / "all.jsonl.gz"
    export_runs(inventory(runs_dir), exported, curves=True, warn=pytest.fail)
    assert names(exported) == every
    assert names(runs_dir / "latch", exported, runs_dir) == [every[3], *every[:3]]
    assert names(exported, filters=["model=gru"]) == every[:1]


def test_two_presets_that_mean_one_configuration_are_two_models(tmp_path: Path) -> None:
    """`lstm_chrono` is `lstm` with `model.cell.chrono`: their runs have one identity, and none is lost."""
    one = [result(seed=seed) for seed in range(2)]
    other = [replace(its, model="lstm_chrono", finished_at="2026-01-02T00:00:00+00:00") for its in one]
    for its in (*one, *other):
        store(tmp_path, its)
    assert names(tmp_path) == [f"adding {m} {s}" for m in ("lstm", "lstm_chrono") for s in range(2)]
    moved = tmp_path / "exported.jsonl"
    export_runs(inventory(tmp_path), moved, curves=False, warn=pytest.fail)
    assert names(tmp_path, moved) == names(moved) == names(tmp_path)


def test_a_place_where_no_run_has_ended_is_named_and_hides_no_other(runs_dir: Path, tmp_path: Path) -> None:
    begun = tmp_path / "begun"
    begin(begun, result(seed=7))
    said = f"no run in {begun} has ended yet; `seqbench runs {begun}` shows how far each has come."
    with pytest.raises(StoreError) as caught:
        names(begun)
    assert str(caught.value) == said
    told: list[str] = []
    assert len(read_places([begun, runs_dir], told.append)) == 4 and told == [said]
    (tmp_path / "empty").mkdir()
    (begun / "adding").joinpath(next(begun.glob("adding/*")).name, "seed-7", "result.json").write_text("{")
    with pytest.raises(StoreError, match=r"no result in .*begun can be used"):
        read_places([begun], told.append)
    assert "damaged" in told[-1]
    with pytest.raises(StoreError, match=r"no results in .*empty; train something first"):
        names(tmp_path / "empty", runs_dir)


def test_curves_are_those_that_the_run_wrote(runs_dir: Path, tmp_path: Path) -> None:
    exported = tmp_path / "all.jsonl"
    export_runs(inventory(runs_dir / "latch"), exported, curves=True, warn=pytest.fail)
    for place in (exported, runs_dir / "latch"):
        (run,) = read_places([place], pytest.fail)
        text = run.curves()
        assert text is not None and text.splitlines() == CURVES.splitlines()
    (run.place / "metrics.csv").write_text("step,loss\n1,2\n")
    assert run.curves() is None
    (run.place / "metrics.csv").unlink()
    assert run.curves() is None


def test_a_place_without_curves_hides_none(runs_dir: Path, tmp_path: Path) -> None:
    exported = tmp_path / "all.jsonl"
    export_runs(inventory(runs_dir), exported, curves=False, warn=pytest.fail)
    for places in ([exported, runs_dir], [runs_dir, exported], [exported, exported, runs_dir]):
        found = read_places(places, pytest.fail)
        assert len(found) == 4 and all((run.curves() or "").startswith("step,loss") for run in found)
    assert read_places([exported], pytest.fail)[0].curves() is None


def test_what_is_no_place_is_one_sentence(runs_dir: Path, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("{}\n")
    with pytest.raises(StoreError, match=r"line 1 of .*notes\.txt is damaged"):
        names(tmp_path / "notes.txt")
    with pytest.raises(StoreError, match="There is no folder of runs and no exported file"):
        names(runs_dir, tmp_path / "nowhere")
    exports = tmp_path / "exports"
    exports.mkdir()
    export_runs(inventory(runs_dir), exports / "all.jsonl", curves=False, warn=pytest.fail)
    with pytest.raises(StoreError, match=r"but exported files: name them, .*exports/\*\.jsonl\."):
        names(exports)

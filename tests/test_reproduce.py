"""Pages of results are made again from their records alone, and equal the committed files."""

from __future__ import annotations

import datetime
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from scripts.pages import command
from scripts.pages.make import make
from scripts.pages.page import RESULTS, Change, Page, load, names, records_of
from scripts.pages.records import core_hours

from seqbench.errors import SeqbenchError
from seqbench.runs.exchange import export_runs
from seqbench.runs.inventory import inventory
from seqbench.runs.result import Result
from tests.runs.handmade import result, store

ROOT = Path(__file__).parents[1]

COMMIT, OTHER = 40 * "a", 40 * "b"
MADE: dict[str, Any] = {"commit": COMMIT, "device": "A CPU", "versions": {"torch": "2", "compiler": "cc"}}


@pytest.mark.parametrize("name", [name for name in names() if records_of(name).exists()])
def test_a_page_follows_from_its_records(name: str, tmp_path: Path) -> None:
    for made in make(load(name), out=tmp_path):
        committed = RESULTS / made.relative_to(tmp_path)
        if made.suffix == ".md":
            assert made.read_text() == committed.read_text(), f"scripts/reproduce {name} --from-records"
        elif made.suffix == ".csv":
            pd.testing.assert_frame_equal(pd.read_csv(made), pd.read_csv(committed), rtol=1e-6)


def test_the_readme_has_the_table_of_the_quickstart() -> None:
    table = re.search(r"^\|.*?(?=\n\n)", (RESULTS / "quickstart.md").read_text(), re.DOTALL | re.MULTILINE)
    assert table is not None
    assert table[0] in (ROOT / "README.md").read_text(), "README.md wants the table of results/quickstart.md"


def declared(tmp_path: Path, runs: list[Result], **keys: Any) -> Page:
    """Return a page of these runs, declared and with records in a folder of results."""
    for its in runs:
        store(tmp_path / "runs", its)
    declaration = {"title": "T", "protocol": "P", "run": ["seqbench -m task=adding"]}
    declaration |= {"show": [{"command": "seqbench report RECORDS"}], **keys}
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "mine.yaml").write_text(yaml.safe_dump(declaration))
    export_runs(inventory(tmp_path / "runs"), tmp_path / "mine.jsonl", False, print)
    return load("mine", tmp_path)


def test_a_page_says_what_was_run_and_how(tmp_path: Path) -> None:
    runs = [result(seed=seed, wall_time_s=1800, **MADE) for seed in range(3)]
    change = {"date": datetime.date(2026, 1, 2), "what": "More seeds.", "why": "Three tell little."}
    show = [{"text": "First."}, {"command": "seqbench report RUNS", "name": "all", "caption": "Below."}]
    page = declared(tmp_path, runs, show=show, changes=[change])
    written = make(page, tmp_path)
    assert [path.name for path in written] == ["mine.md", "mine-all.csv"]
    text = written[0].read_text()
    assert text.startswith("# T\n\nP\n\nFirst.\n\n**adding") and "3/3" in text and "\n\nBelow.\n" in text
    assert "- Runs: 3, seeds 0, 1, 2, 2026-01-01; [`mine.jsonl`](mine.jsonl)" in text
    assert f"- Code: commit {COMMIT}, nothing uncommitted.\n- Machine: A CPU; torch 2, compiler cc." in text
    assert "- Cost of these runs: 1.5 core-hours." in text and "seqbench -m task=adding" in text
    assert "- 2026-01-02: More seeds. Why: Three tell little." in text


@pytest.mark.parametrize(
    ("commit", "sentence"),
    [
        (f"{COMMIT}+012345", r"adding lstm seed 1 is of a+\+012345, not of a commit"),
        (None, "is of unknown code, not of a commit"),
        (OTHER, "are of 2 commits, and its changes do not name bbbbbbbbb: say there"),
        (f"{COMMIT}, {OTHER}", "are of 2 commits"),  # it was resumed
    ],
)
def test_records_that_cannot_be_checked_are_refused(
    tmp_path: Path, commit: str | None, sentence: str
) -> None:
    later = result(seed=1, **MADE | {"commit": commit}, finished_at="2026-02-01T00:00:00+00:00")
    page = declared(tmp_path, [result(**MADE), later])
    with pytest.raises(SeqbenchError, match=sentence):
        make(page, tmp_path)


def test_a_change_explains_a_commit(tmp_path: Path) -> None:
    later = result(seed=1, **MADE | {"commit": OTHER}, finished_at="2026-02-01T00:00:00+00:00")
    change = Change(date=datetime.date(2026, 1, 1), what="W.", why="Y.", commit=OTHER[:9])
    page = declared(tmp_path, [result(**MADE), later]).model_copy(update={"changes": [change]})
    assert f"commit {COMMIT}, {OTHER}" in make(page, tmp_path)[0].read_text()


@pytest.mark.parametrize(
    ("keys", "sentence"),
    [
        ({"show": [{"comand": "seqbench report"}]}, "show.0.comand: Extra inputs are not permitted"),
        (
            {"show": [{"text": "a", "command": "seqbench report"}]},
            "an item is one of text",
        ),
        ({"show": [{"command": "rm -r runs"}]}, "a command is one of seqbench"),
        ({"show": [{"command": "seqbench report"}] * 2}, "two items write to one file"),
        ({"changes": [{"date": "2026-01-01", "what": "W"}]}, "changes.0.why: Field required"),
        ({"title": ""}, "title: String should have at least 1 character"),
    ],
)
def test_a_declaration_is_checked(tmp_path: Path, keys: dict[str, Any], sentence: str) -> None:
    with pytest.raises(SeqbenchError, match=f"mine.yaml: .*{sentence}"):
        declared(tmp_path, [result(**MADE)], **keys)


def test_a_command_that_trains_makes_no_page(tmp_path: Path) -> None:
    page = declared(tmp_path, [result(**MADE)], show=[{"command": "seqbench task=adding"}])
    with pytest.raises(SeqbenchError, match="trains; a page shows what is made from records"):
        make(page, tmp_path)


def test_a_search_with_uncommitted_code_is_refused(tmp_path: Path) -> None:
    page = declared(tmp_path, [result(**MADE)], show=[{"search": "search.json"}])
    shutil.copy(RESULTS / "search.json", tmp_path)
    assert "| best configuration" in make(page, tmp_path)[0].read_text()
    found = json.loads((tmp_path / "search.json").read_text())
    found["models"]["gru"]["trials"][3]["runs"][0]["commit"] += "+012345"
    (tmp_path / "search.json").write_text(json.dumps(found))
    with pytest.raises(SeqbenchError, match="trial 3 of gru is of"):
        make(page, tmp_path)


def test_threads_and_devices_cost(tmp_path: Path) -> None:
    runs = [result(wall_time_s=900, execution={"threads": 2, "devices": 2}), result(wall_time_s=3600)]
    assert core_hours(runs) == 2


def test_an_unknown_page_and_one_without_records_are_refused(tmp_path: Path) -> None:
    with pytest.raises(SeqbenchError, match=r"there is no page quikstart; .* Did you mean 'quickstart'?"):
        command.main(["quikstart", "--from-records"])
    page = declared(tmp_path, [result(**MADE)])
    (tmp_path / "mine.jsonl").unlink()
    with pytest.raises(SeqbenchError, match="page mine has no records yet; `scripts/reproduce mine` makes"):
        make(page, tmp_path)


def test_uncommitted_code_trains_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqbench.runs.devices.commit", lambda: f"{COMMIT}+012345")
    with pytest.raises(SeqbenchError, match="a page names one: commit first"):
        command.run(declared(tmp_path, [result(**MADE)]), tmp_path / "runs")


def test_runs_are_trained_exported_and_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("seqbench.runs.devices.commit", lambda: COMMIT)
    monkeypatch.setattr(command, "records_of", lambda name: records_of(name, tmp_path))
    page = declared(tmp_path, [result(**MADE)], run=["true RUNS/best.txt"], keep={"mine.txt": "best.txt"})
    (tmp_path / "runs" / "best.txt").write_text("model=lstm\n")
    (tmp_path / "mine.jsonl").unlink()
    command.run(page, tmp_path / "runs")
    assert (tmp_path / "mine.txt").read_text() == "model=lstm\n" and (tmp_path / "mine.jsonl").exists()
    broken = page.model_copy(update={"run": ["false"]})
    with pytest.raises(SeqbenchError, match="`false` ended with exit code 1; scripts/reproduce again"):
        command.run(broken, tmp_path / "runs")

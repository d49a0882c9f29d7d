"""Pages of results are made again from their records alone, and equal the committed files."""

from __future__ import annotations

import contextlib
import datetime
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
import yaml
from scripts.pages import checkout, command, index, published
from scripts.pages.comparison import differing
from scripts.pages.make import make, put
from scripts.pages.page import RESULTS, Change, Page, load, names, records_of
from scripts.pages.records import core_hours

from seqbench.errors import SeqbenchError
from seqbench.runs.exchange import export_runs
from seqbench.runs.inventory import inventory
from seqbench.runs.result import Result
from seqbench.search.entrants import BEST_FILE, ENTRANTS_FILE, files
from seqbench.search.found import SEARCH_FILE
from seqbench.search.plan import plan as plan_search
from seqbench.signals import Stopped, handled
from seqbench.span.plan import plan as plan_span
from tests.cli.conftest import Said, seqbench
from tests.runs.handmade import result, store

__all__ = ["seqbench"]
ROOT = Path(__file__).parents[1]

COMMIT, OTHER = 40 * "a", 40 * "b"
MADE: dict[str, Any] = {"commit": COMMIT, "device": "A CPU", "versions": {"torch": "2", "compiler": "cc"}}


#: What says that a page was trained on a GPU, which a test cannot count on.
ON_A_GPU = ("trainer.accelerator=gpu", "hydra.launcher.gpus_per_job=")


def of_many_runs(name: str) -> bool:
    """Whether a page takes so long to make that it is made in the slow suite."""
    return records_of(name).read_bytes().count(b"\n") > 300


@pytest.mark.parametrize(
    "name",
    [
        pytest.param(name, marks=[pytest.mark.slow] * of_many_runs(name))
        for name in names()
        if records_of(name).exists()
    ],
)
def test_a_page_follows_from_its_records(name: str, tmp_path: Path) -> None:
    for made in make(load(name), out=tmp_path):
        committed = RESULTS / made.relative_to(tmp_path)
        if made.suffix == ".md":
            assert made.read_text() == committed.read_text(), f"scripts/reproduce {name} --from-records"
        elif made.suffix == ".csv":
            pd.testing.assert_frame_equal(pd.read_csv(made), pd.read_csv(committed), rtol=1e-6)
        elif made.suffix == ".json":
            told = [json.loads(path.read_text())["entrants"] for path in (made, committed)]
            pd.testing.assert_frame_equal(*map(pd.json_normalize, told), rtol=1e-6)


#: Made before pages had estimates.
WITHOUT_ESTIMATE = {"quickstart", "search"}


@pytest.mark.parametrize("name", names())
def test_a_page_says_what_was_decided_and_what_it_may_cost_before_its_first_run(name: str) -> None:
    page = load(name)
    assert name in WITHOUT_ESTIMATE or re.search(r"[Ee]stimated?\s+before\s+the\s+first\s+run", page.protocol)
    shown = {item.search or item.span for item in page.show} - {None}
    assert shown <= page.keep.keys(), "what a search or a span has found is kept beside the page"
    for line in page.run:
        assert line.startswith("seqbench ") and "runs_dir" not in line and "logger" not in line


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


def test_a_file_that_is_not_there_is_one_sentence(tmp_path: Path) -> None:
    page = declared(tmp_path, [result(**MADE)], show=[{"search": "search.json"}])
    with pytest.raises(SeqbenchError, match=r"search\.json cannot be read: No such file .*by `keep`"):
        make(page, tmp_path)


def test_a_page_is_made_as_a_whole(tmp_path: Path) -> None:
    show = [{"command": "seqbench report RECORDS"}, {"command": "seqbench compare RECORDS --models a,b"}]
    page = declared(tmp_path, [result(**MADE)], show=[show[0], show[1] | {"name": "pair"}])
    (tmp_path / "mine.csv").write_text("of before\n")
    with pytest.raises(SeqbenchError, match="no runs of a"):
        make(page, tmp_path)
    assert (tmp_path / "mine.csv").read_text() == "of before\n" and not (tmp_path / "mine.md").exists()


@pytest.fixture
def committed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Let the code be that of a commit; return a command that asks for the runs of a pattern."""
    monkeypatch.setattr("seqbench.runs.devices.commit", lambda: COMMIT)
    monkeypatch.setattr(checkout, "uncommitted", lambda places: [])
    ask = tmp_path / "ask"
    ask.write_text('#!/bin/sh\nfor run in $1; do realpath "$run" >> "$SEQBENCH_ASKED"; done\n')
    ask.chmod(0o755)
    return ask


def reproduce(page: Page, results: Path) -> list[Path]:
    with command.reproduced(page, results / "runs") as made:
        return put(made, results)


def test_uncommitted_code_trains_no_page(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    page = declared(tmp_path, [result(**MADE)])
    monkeypatch.setattr("seqbench.runs.devices.commit", lambda: f"{COMMIT}+012345")
    with pytest.raises(SeqbenchError, match="a page names one: commit first"):
        command.train(page, tmp_path / "runs")
    monkeypatch.setattr("seqbench.runs.devices.commit", lambda: COMMIT)
    monkeypatch.setattr(checkout, "uncommitted", lambda places: [str(places[0])])
    with pytest.raises(SeqbenchError, match=r"pages/mine\.yaml is not as committed, .*: commit first"):
        command.train(page, tmp_path / "runs")


def test_runs_are_trained_exported_and_kept(tmp_path: Path, committed: Path) -> None:
    page = declared(
        tmp_path, [result(**MADE)], run=[f"{committed} 'RUNS/*/*/*'"], keep={"mine.txt": "best.txt"}
    )
    with pytest.raises(SeqbenchError, match=r"best\.txt, which the page keeps as mine\.txt, cannot be read"):
        reproduce(page, tmp_path)
    (tmp_path / "runs" / "best.txt").write_text("model=lstm\n")
    (tmp_path / "mine.jsonl").unlink()
    written = reproduce(page, tmp_path)
    assert sorted(path.name for path in written) == ["mine.csv", "mine.jsonl", "mine.md", "mine.txt"]
    assert (tmp_path / "mine.txt").read_text() == "model=lstm\n" and all(path.exists() for path in written)
    broken = page.model_copy(update={"run": ["false"]})
    with pytest.raises(SeqbenchError, match="`false` ended with exit code 1; scripts/reproduce again"):
        command.train(broken, tmp_path / "runs")
    with pytest.raises(SeqbenchError, match="`no-such` cannot be run"):
        command.train(page.model_copy(update={"run": ["no-such"]}), tmp_path / "runs")


def test_runs_that_no_command_asks_for_are_no_records(
    tmp_path: Path, committed: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """What an earlier form of a command has left would be in this page, and in none made elsewhere."""
    runs = [result(**MADE), result(**MADE, lr=0.1)]
    page = declared(tmp_path, runs, run=[f"{committed} 'RUNS/adding/lstm-{runs[1].hash}/*'"])
    reproduce(page, tmp_path)
    (line,) = (tmp_path / "mine.jsonl").read_text().splitlines()
    assert json.loads(line)["hash"] == runs[1].hash
    assert "1 run in" in (said := capsys.readouterr().err) and "no command of the page asks for" in said


def test_records_that_are_refused_take_no_others_place(tmp_path: Path, committed: Path) -> None:
    page = declared(tmp_path, [result(**MADE)], run=[f"{committed} 'RUNS/*/*/*'"])
    make(page, tmp_path)
    before = {path: path.read_bytes() for path in tmp_path.glob("mine.*")}
    later = result(seed=1, **MADE | {"commit": OTHER}, finished_at="2026-02-01T00:00:00+00:00")
    mixed = page.model_copy(update={"run": [*page.run, f"{committed} 'RUNS/*/*/*'"]})

    def trained(words: list[str], environment: dict[str, str]) -> int:
        if not list((tmp_path / "runs").glob("*/*/seed-1")):
            store(tmp_path / "runs", later)
        return subprocess.run(words, env=environment).returncode

    with pytest.MonkeyPatch.context() as patch, pytest.raises(SeqbenchError, match="are of 2 commits"):
        patch.setattr(command, "_run", trained)
        reproduce(mixed, tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.glob("mine.*")} == before


def test_other_code_does_not_go_on_with_runs_unless_the_page_says_so(tmp_path: Path) -> None:
    """Neither a change of the documentation nor one that is declared stands in the way."""
    repository = tmp_path / "repository"

    def commit(file: str) -> str:
        path = repository / file
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(path.read_text() + "more\n" if path.exists() else "")
        for words in (["add", "."], ["-c", "user.name=n", "-c", "user.email=e", "commit", "-qm", "m"]):
            subprocess.run(["git", "-C", repository, *words], check=True)
        head = ["git", "-C", repository, "rev-parse", "HEAD"]
        return subprocess.run(head, check=True, capture_output=True, text=True).stdout.strip()

    subprocess.run(["git", "init", "-q", repository], check=True)
    first, documented = commit("src/seqbench/code.py"), commit("docs/a.md")
    changed, declared_after = commit("src/seqbench/code.py"), commit("results/pages/mine.yaml")
    page = declared(tmp_path, [result(**MADE | {"commit": first})])

    def go_on(page: Page, commit: str) -> None:
        checkout.check_continued(page, tmp_path / "runs", commit, repository)

    go_on(page, first)
    go_on(page, documented)
    with pytest.raises(SeqbenchError, match=f"are of commit {first[:9]}, and the code was changed since"):
        go_on(page, changed)
    with pytest.raises(SeqbenchError, match="the code was changed since"):
        go_on(page, OTHER)  # of another repository
    change = Change(date=datetime.date(2026, 1, 1), what="W.", why="Y.", commit=changed[:9])
    go_on(page.model_copy(update={"changes": [change]}), declared_after)
    (repository / "docs" / "b.md").write_text("")
    (repository / "docs" / "a.md").write_text("other")
    assert checkout.uncommitted(["docs"], repository) == ["docs/a.md", "docs/b.md"]
    assert checkout.uncommitted(["results"], repository) == []


def test_a_signal_stops_the_command_and_waits_for_it(tmp_path: Path) -> None:
    """A sweep that is killed at once would lose what it has not written yet."""
    child = (
        "import pathlib, signal, sys, time\n"
        "def stop(*_):\n    time.sleep(0.4)\n    pathlib.Path('stopped').touch()\n    sys.exit(3)\n"
        "signal.signal(signal.SIGINT, stop)\npathlib.Path('begun').touch()\ntime.sleep(20)"
    )

    def interrupt() -> None:
        while not (tmp_path / "begun").exists():
            time.sleep(0.01)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=interrupt)
    thread.start()
    with contextlib.chdir(tmp_path), handled(), pytest.raises(Stopped):
        command._run([sys.executable, "-c", child], dict(os.environ))
    thread.join()
    assert (tmp_path / "stopped").exists()


def test_a_page_that_was_made_twice_is_compared_to_the_digit(tmp_path: Path) -> None:
    """What may differ is when it was made, with which commit, and how long that took."""
    pages = []
    for name, commit, loss, seconds in (
        ("one", COMMIT, 0.125, 1800),
        ("same", OTHER, 0.125, 3600),
        ("other", COMMIT, 0.1250001, 1800),
    ):
        (tmp_path / name).mkdir()
        date = f"2026-0{len(name)}-01T00:00:00+00:00"
        its = result(
            **MADE | {"commit": commit}, test={"50": {"loss": loss}}, wall_time_s=seconds, finished_at=date
        )
        pages.append(declared(tmp_path / name, [its]))
        make(pages[-1], tmp_path / name)
    assert (tmp_path / "one" / "mine.md").read_text() != (tmp_path / "same" / "mine.md").read_text()
    assert differing(pages[0], tmp_path / "one", tmp_path / "same") == []
    run = f"adding lstm-{its.hash} seed 0"
    found = differing(pages[0], tmp_path / "one", tmp_path / "other")
    assert found == [f"{run}: test", "mine.csv is another"]  # the page itself shows three digits
    (tmp_path / "other" / "mine.jsonl").unlink()
    with pytest.raises(SeqbenchError, match=r"mine\.jsonl is not there"):
        differing(pages[0], tmp_path / "one", tmp_path / "other")


def test_what_was_measured_in_training_is_compared_too(tmp_path: Path) -> None:
    """It may differ though every median of it is the same; times may."""
    made = {}
    for name, second, seconds in (("one", "0.25", 1.5), ("same", "0.25", 2.5), ("other", "0.26", 1.5)):
        runs_dir, made[name] = tmp_path / "runs" / name, tmp_path / name
        curves = f"step,loss,seconds\n100,0.5,1.0\n200,{second},{seconds}\n"
        store(runs_dir, its := result(**MADE), curves)
        made[name].mkdir()
        export_runs(inventory(runs_dir), made[name] / "mine.jsonl", True, print)
    page = Page(name="mine", title="T", protocol="P", run=["seqbench"], show=[{"text": "T"}])
    assert differing(page, made["one"], made["same"]) == []
    run = f"adding lstm-{its.hash} seed 0"
    assert differing(page, made["one"], made["other"]) == [f"{run}: metrics.csv: loss at step 200"]
    export_runs(inventory(runs_dir), made["other"] / "mine.jsonl", False, print)
    assert differing(page, made["one"], made["other"]) == [f"{run}: one of the two has no metrics.csv"]


def test_records_have_each_run_once_and_are_not_cut(tmp_path: Path) -> None:
    """Else each reader of the file may take another of the two; or a page tells of some seeds alone."""
    page = declared(tmp_path, [result(seed=seed, **MADE) for seed in range(3)])
    make(page, tmp_path)
    records = tmp_path / "mine.jsonl"
    whole = records.read_text()
    lines = whole.splitlines(keepends=True)
    records.write_text("".join(lines[:2]))
    with pytest.raises(SeqbenchError, match=r"mine\.jsonl holds 2 runs, and .*mine\.md was made of 3"):
        make(page, tmp_path)
    records.write_text(whole + lines[0])
    twice = r"line 4 of .*mine\.jsonl is the run of line 1 of .* again, adding lstm-\w{8} seed 0: take one"
    for read in (
        lambda: make(page, tmp_path),
        lambda: published.read_all(tmp_path),
        lambda: index.index(tmp_path),
        lambda: differing(page, tmp_path, tmp_path),
    ):
        with pytest.raises(SeqbenchError, match=twice):
            read()


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        (b"name: quickstart\ntitle: T\n", "its file gives its name"),
        (b"title: T\ntitle: U\n", "duplicate key"),
        (b"title: \xff\n", "can't decode|invalid start byte"),
        (b"- title\n", "it is no mapping"),
    ],
)
def test_a_file_that_is_no_declaration_is_one_sentence(tmp_path: Path, text: bytes, sentence: str) -> None:
    (tmp_path / "pages").mkdir()
    (tmp_path / "pages" / "mine.yaml").write_bytes(text)
    with pytest.raises(SeqbenchError, match=f"mine.yaml is no declaration of a page: .*({sentence})"):
        load("mine", tmp_path)


@pytest.mark.slow
def test_a_page_is_the_same_from_scratch_in_another_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "clean_commit", lambda page: COMMIT)  # what is being worked on may be tested
    monkeypatch.setattr("scripts.pages.make.check", lambda page, runs: None)
    sweep = (
        f"{sys.executable} -m seqbench -m task=latch task.length=10,20 model=rnn,gru n_seeds=3 batch_size=8 "
        "model.hidden_size=8 task.eval_size=50 trainer.max_steps=60 trainer.eval_every=20"
    )
    show = [
        {"command": "seqbench report RECORDS"},
        {"command": "seqbench compare RECORDS --models rnn,gru", "name": "pair"},
    ]
    page = Page(name="mine", title="T", protocol="P", run=[sweep], show=show)
    with (
        command.reproduced(page, tmp_path / "here" / "runs") as one,
        contextlib.chdir(tmp_path),
        command.reproduced(page, Path("runs")) as other,
    ):
        assert len((one / "mine.jsonl").read_text().splitlines()) == 12
        assert differing(page, one, other) == []


@pytest.mark.slow
@pytest.mark.parametrize(
    "name",  # those in real/ want their data
    [name for name in names() if not records_of(name).exists() and not name.startswith("real/")],
)
def test_the_commands_of_a_page_that_is_not_run_yet_can_be_run(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, seqbench: Callable[..., Said]
) -> None:
    """Nothing is trained: what a search will have found is its models as their presets are."""
    monkeypatch.chdir(ROOT)
    page = load(name)
    searched: dict[Path, set[str]] = {}  # folder of a search -> its models
    written: set[Path] = set()
    for line in page.run:
        words = [word.replace("RUNS", str(tmp_path)) for word in shlex.split(line)[1:]]
        words = [word for word in words if not word.startswith(ON_A_GPU)]
        words += [f"runs_dir={tmp_path}", "logger=none"]
        if words[0] == "search":
            search = plan_search(words[1:])
            searched[search.folder] = {part.model for part in search.models}
            search.folder.mkdir(parents=True)
            for file, content in files(search, {part.model: [] for part in search.models}).items():
                (search.folder / file).write_text(content)
            written |= {search.folder / file for file in (BEST_FILE, ENTRANTS_FILE, SEARCH_FILE)}
        elif words[0] == "span":
            given = {key: words[words.index(key) + 1] for key in ("--jobs", "--out", "--name")}
            spans = plan_span([word for word in words[1:] if "=" in word], given["--jobs"])
            labels = {part.label.removesuffix(" (tuned)") for part in spans.parts}
            assert labels == searched.get(Path(given["--jobs"]).parent, labels)
            written |= {Path(given["--out"], f"{given['--name']}.json"), tmp_path / ".spans" / "flops.json"}
        else:
            said = seqbench("--dry-run", *words)
            if "seqbench data" in said.err or "There is no file data/" in said.err:
                pytest.skip("its data are not here")
            assert said.code == 0 and " at most about " in said.out, said.err
    assert {tmp_path / source for source in page.keep.values()} <= written

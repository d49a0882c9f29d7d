"""`seqbench search`: what it prints, writes, and refuses; and a search that is killed."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from seqbench.cli import search as module
from tests.search.trials import Launcher, answers, learns

TINY = (
    *("task=latch", "task.length=10", "task.eval_size=40", "model=rnn,gru", "model.hidden_size=6"),
    *("batch_size=8", "trainer.max_steps=80", "trainer.eval_every=20"),
    *("search.n_trials=4", "search.bracket=2", "search.n_seeds=2"),
)


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        ("search.n_trials=0", "search.n_trials=0 must be at least 1."),
        (
            "search.n_trials=3",
            "search.n_trials=3 must be a multiple of search.bracket=2, so that each is whole.",
        ),
        (
            "search.space.optim.lr.low=1",
            "search.space.optim.lr.low=1.0 must be below search.space.optim.lr.high=",
        ),
        (
            "n_trials=3",
            "There is no key 'n_trials' here. Did you mean 'search.n_trials', of `seqbench search …`?",
        ),
        ("search.spice=1", "There is no key search.spice. Did you mean 'search.space'?"),
        ("~search.space.optim.l", "~search.space.optim.l: there is no key search.space.optim.l to remove."),
        ("search=nope", "There is no preset 'nope' in search. There are: antisymmetric_rnn, "),
        ("search.lengths=[20,50]", "task.length=10 has no effect beside search.lengths=[20,50]."),
        ("task.length=20,50", "task.length=20,50: a search is of one task.length; search.lengths=[…] takes "),
        (
            "optim.lr=0.1,0.2",
            "optim.lr=0.1,0.2: a search is of one optim.lr; 'search.space.optim.lr={choices:",
        ),
        ("task=latch,adding", "task=latch,adding: a search is of one task; search again."),
        ("model=glob(*)", "model=glob(*): a search takes values that are listed: one,two,three."),
        ("search.n_trials=2,4", "search.n_trials=[2,4] must be a whole number"),
        ("n_seeds=3", "n_seeds=3: a search has seeds of its own; give search.n_seeds=…."),
        (
            "optim.schedule=linear",
            "optim.schedule=linear goes over the steps of a whole run, so that none can ",
        ),
        (
            "optim.warmup_steps=200",
            "optim.warmup_steps=200 goes over the steps of a whole run, so that none can go on after a rung",
        ),
        (
            "trainer.patience=7",
            "trainer.patience=7 ends no run before the first rung, step ",
        ),
        (
            "hydra/launcher=basic",
            "hydra/launcher=basic does not go with a search, which runs on this machine.",
        ),
        (
            "search.space.task.length={choices:[5,10]}",
            "search.space.task.length={choices:[5,10]} has no effect beside task.length=10.",
        ),
        ("search.space.seed={choices:[1,2]}", "search.space.seed: a search cannot vary seed; it is the same"),
        ("search.space.model={choices:[gru]}", "search.space.model: a search cannot vary model; it is"),
        (
            "search.space.trainer.eval_every={choices:[1]}",
            "search.space.trainer.eval_every={choices:[1]} has",
        ),
        ("hydra.launcher.n_jobs=two", "hydra.launcher.n_jobs=two must be a whole number or null."),
        (
            "model.cell.update_bias=1",
            "There is no key 'model.cell.update_bias' here. model=gru, model=min_gru, model=mut1 would have "
            "it, and model=rnn has not.",
        ),
        ("model=memn2n,nope", "There is no preset 'nope' in model. There are: "),
        ("--foo", "unrecognized arguments: --foo; `seqbench search --help` says more."),
    ],
)
def test_what_cannot_be_searched_is_one_sentence_before_anything_starts(typed, sentence, seqbench):
    said = seqbench("search", *TINY, typed)
    assert (said.code, said.out) == (2, "") and said.err.startswith(f"seqbench: {sentence}"), said.err
    assert said.err.count("\n") == 1 and not Path("runs").exists()


def test_a_model_without_a_space_is_told_how_to_get_one(seqbench):
    folder = Path("presets/model")
    folder.mkdir(parents=True)
    (folder / "mine.yaml").write_text("defaults: [_sequence, _self_]\ncell: {}\n")
    said = seqbench("search", *TINY, "model=mine")
    assert said.code == 2 and "There is no space for model=mine: write presets/search/mine.yaml" in said.err


def test_without_optuna_the_extra_is_named(seqbench, monkeypatch):
    monkeypatch.setattr(module, "find_spec", lambda name: None)
    said = seqbench("search", *TINY)
    assert said.code == 2
    assert (
        said.err == "seqbench: seqbench search needs Optuna, seqbench's extra search: pip install optuna.\n"
    )
    assert importlib.util.find_spec("optuna")


@pytest.mark.slow
def test_what_was_found_is_printed_with_its_cost_and_written(seqbench, monkeypatch):
    monkeypatch.setattr("seqbench.search.tune.run_sweep", Launcher(learns))
    monkeypatch.setattr("seqbench.search.tune.answers", answers)
    rest = [argument for argument in TINY if not argument.startswith("task.length")]
    said = seqbench("search", *rest, "trainer.max_steps=400", "search.lengths=[10,20]")
    assert said.code == 0, said.err
    assert "Budget of each model: 4 trials at 10, 20, seeds of each: 2; of every 2 trials, 2 to " in said.out
    assert "1 to 200, 1 to 400 steps. That is 4,000 steps at most." in said.out
    assert "test" not in said.out.replace("latch", "").split("On fresh seeds")[0]
    folder = Path("runs/.searches/latch-10-20")
    page = (folder / "search.md").read_text()
    assert "| rnn " in page and "Code unknown; device unknown." in page and "4,000 steps at most" in page
    told: dict[str, Any] = json.loads((folder / "search.json").read_text())
    assert told["budget_of_each_model"] == {
        "trials": 4,
        "seeds": [10_000, 10_001],
        "bracket": 2,
        "rungs": {"100": 2, "200": 1, "400": 1},
        "most_steps": 4000,
    }
    how, *lines = (folder / "best.txt").read_text().splitlines()
    assert how == f"# {told['command']}"
    for line, (model, its) in zip(lines, told["models"].items(), strict=True):
        best = its["trials"][its["best"]["trial"]]
        assert best["state"] == "COMPLETE" and best["arguments"] == its["best"]["arguments"]
        assert line.startswith(f"model={model} optim.lr=") and its["best"]["runs"] == 4
        assert its["steps"] == sum(run["steps"] for trial in its["trials"] for run in trial["runs"])
    assert told["command"] in said.out and told["span_command"] in said.out
    assert "task.length=10,20 --jobs runs/.searches/latch-10-20/best.txt" in told["command"]
    assert f"# {told['span_command']}\n" in (folder / "entrants.txt").read_text()


@pytest.mark.slow
def test_a_search_that_lacks_the_result_of_a_run_says_so_and_goes_on_when_asked_again(seqbench, monkeypatch):
    killed = []

    def once(cfg, seed):
        return learns(cfg, seed) if killed else killed.append(seed)

    monkeypatch.setattr("seqbench.search.tune.run_sweep", Launcher(once))
    monkeypatch.setattr("seqbench.search.tune.answers", answers)
    said = seqbench("search", *TINY)
    assert said.code == 1 and not Path("runs/.searches/latch-10/search.json").exists()
    assert said.err == (
        "seqbench: Runs of rnn trial 0 have no result, for the reasons above; the same command goes on with "
        "them.\n"
    )
    assert seqbench("search", *TINY).code == 0 and Path("runs/.searches/latch-10/search.json").exists()


def without_times(told: Any) -> Any:
    if isinstance(told, dict):
        beside = ("seconds", "core_hours", "command", "span_command")
        return {k: without_times(v) for k, v in told.items() if k not in beside}
    return [without_times(each) for each in told] if isinstance(told, list) else told


@pytest.mark.slow
def test_a_search_that_is_killed_finds_what_an_undisturbed_one_finds(seqbench, tmp_path):
    said = seqbench("search", *TINY, f"search.folder={tmp_path}/whole")
    assert said.code == 0, said.err
    killed = ["search", *TINY, f"search.folder={tmp_path}/killed"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for seconds in (8, 12):
        process = subprocess.Popen(
            [sys.executable, "-m", "seqbench", *killed], env=environment, stdout=subprocess.DEVNULL
        )
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert seqbench(*killed).code == 0
    whole, again = (
        json.loads(Path(tmp_path, name, "search.json").read_text()) for name in ("whole", "killed")
    )
    assert without_times(whole) == without_times(again)
    fresh = seqbench(
        *(
            "-m",
            *TINY[:3],
            *TINY[4:8],
            "--jobs",
            f"{tmp_path}/killed/best.txt",
            "seed=0",
            "n_seeds=1",
            "logger=none",
        )
    )
    assert fresh.code == 0 and "rnn" in fresh.out and "gru" in fresh.out


CELL = """
from seqbench.models.cells.rnn import RNN


class Mine(RNN):
    def step(self, inputs, state):
        return super().step(inputs * {factor}, state)
"""


@pytest.mark.slow
def test_a_search_of_a_cell_that_was_edited_is_refused(seqbench, tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "labcell.py"
    few = [*TINY[:3], "model=rnn", *TINY[4:], "search.rungs=1", "search.n_trials=2"]
    mine = [*few, "model.cell._target_=labcell.Mine", "allowed_packages=[labcell]"]
    file.write_text(CELL.format(factor=1.0))
    assert seqbench("search", *mine).code == seqbench("search", *mine).code == 0
    file.write_text(CELL.format(factor=0.0))
    said = seqbench("search", *mine)
    assert said.code == 2 and " holds a search of rnn with the code of model.cell=" in said.err
    assert said.err.endswith("; give it a folder of its own with search.folder=….\n")


@pytest.mark.slow
def test_a_space_of_another_model_is_named_before_anything_starts(seqbench):
    said = seqbench("search", *TINY, "model=lstm", "search=gru")
    assert said.code == 2 and not Path("runs").exists()
    assert said.err.startswith("seqbench: model=lstm optim.lr=0.0003 ") and said.err.count("\n") == 1
    assert "model.cell.update_bias is unknown to seqbench.models.cells.lstm" in said.err


@pytest.mark.slow
def test_a_dry_run_says_how_many_runs_and_how_long(seqbench):
    said = seqbench("search", *TINY, "--dry-run")
    assert said.code == 0, said.err
    assert "rnn: 4 trials, 8 runs, at most about " in said.out and "In all at most about " in said.out
    assert not Path("runs").exists()

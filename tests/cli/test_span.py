"""`seqbench span`: what it prints, writes, and refuses; and one that is killed."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import pytest

from seqbench.runs.asked import FILE
from seqbench.runs.asked import told as told_of
from tests.span.conftest import runner
from tests.span.fake import solves_up_to

__all__ = ["runner"]

TYPED = ("task=latch", "model=rnn,gru", "trainer.max_steps=200", "trainer.eval_every=10", "logger=none")


@pytest.mark.parametrize(
    ("typed", "sentence"),
    [
        (
            "task=stories",
            "task=stories has no span: no key of it sets over how many steps something of a fixed size has "
            "to be kept. Tasks with one: adding, copy_memory, cycle_navigation, "
            "distracted_stories, even_pairs, induction_heads, latch, modular_arithmetic_simple, mqar, "
            "multiplication, needle, noiseless_memory, parity, random_permutation, selective_copy, "
            "temporal_order, time_warp.",
        ),
        ("task=ntm_copy", "task=ntm_copy has no span: "),
        ("task=nope", "There is no preset 'nope' in task."),
        ("model=nope", "There is no preset 'nope' in model."),
        ("n_seeds=1", "n_seeds=1 must be a whole number, at least 3."),
        ("n_seeds=5.5", "n_seeds=5.5 must be a whole number, at least 3."),
        ("n_seeds=1001", "n_seeds=1001 must be a whole number, at most 1000."),
        ("most_seeds=4", "most_seeds=4 is below n_seeds=5."),
        ("max=9", "max=9 is below the least span of latch, task.length=10."),
        ("least=500", "max=400 is below least=500."),
        ("least=3", "least=3 is below the least span of latch, task.length=4."),
        ("task.length=20", "task.length=20: this is the span, which is varied; give least=… and max=…."),
        (
            "task.length=20,40",
            "task.length=20,40: span takes several tasks and models, and one task.length; ",
        ),
        (
            "task.eval_lengths=[10]",
            "task.eval_lengths=[10]: each run is tested at its own span; leave it out.",
        ),
        ("optim.lr=0.1,0.2", "optim.lr=0.1,0.2: span takes several tasks and models, and one optim.lr; "),
        ("n_seeds=5,10", "n_seeds=5,10: span takes several tasks and models, and one n_seeds; "),
        ("model=glob(*)", "model=glob(*): span takes names that are listed: one,two,three."),
        ("seed=3", "seed=3: seeds follow from the span, so that no two share one; n_seeds=… says how many."),
        ("hydra/launcher=slurm", "hydra/launcher=slurm does not go with span, which runs on this machine."),
        ("hydra.launcher.n_jobs=two", "hydra.launcher.n_jobs=two must be a whole number or null."),
        ("task.lenght=3", "There is no key 'task.lenght' here."),
        ("experiment=long_dependency", "experiment=long_dependency is a sweep; type its keys in its place."),
        ("--jobs=missing.txt", "hydra.sweeper.jobs=missing.txt cannot be read: No such file or directory."),
        ("--name=a/b", "--name=a/b must be the name of a file alone; --out names its folder."),
        ("--foo", "unrecognized arguments: --foo; `seqbench span --help` says more."),
    ],
)
def test_what_has_no_span_is_one_sentence_before_anything_starts(
    typed: str, sentence: str, seqbench: Any
) -> None:
    given = [word for word in TYPED if word.partition("=")[0] != typed.partition("=")[0]]
    if typed.startswith("--jobs"):
        given.remove("model=rnn,gru")
    said = seqbench("span", *given, typed)
    assert (said.code, said.out) == (2, "") and said.err.startswith(f"seqbench: {sentence}"), said.err
    assert said.err.count("\n") == 1 and not Path("runs").exists()


def test_the_table_is_printed_and_kept_and_written_where_one_asks(
    seqbench: Any, runner: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runner(solves_up_to(rnn=30, gru=10_000))
    monkeypatch.setenv(FILE, str(tmp_path / "asked"))
    said = seqbench("span", *TYPED, "n_seeds=5", "--out", "pages", "--name", "latch")
    assert said.code == 0, said.err
    lines = [line.split() for line in said.out.splitlines()]
    assert ["gru", "–", "–", ">", "400"] in lines
    (rnn,) = (" ".join(line) for line in lines if line[:1] == ["rnn"])
    low, high = (float(end) for end in rnn.split("[")[1].rstrip("]").split("–"))
    assert 20 < low < high < 57
    assert "latch: spans are task.length, from 10 to at most 400" in said.out
    assert "200 steps of 64 sequences, validated every 10; fresh seeds at each span: 5." in said.out
    names = [Path(line).name for line in said.err.splitlines()]
    texts = [f"latch.{suffix}" for suffix in ("md", "csv", "tex", "json")]
    assert names == [*texts, "latch.svg", "latch.png", "latch-forest.svg", "latch-forest.png"]
    (kept,) = Path("runs/.spans").glob("latch-*")
    assert (kept / "span.json").read_text() == Path("pages/latch.json").read_text()
    told = json.loads(Path("pages/latch.json").read_text())
    assert told["command"].startswith("seqbench span task=latch model=rnn,gru ")
    its = told["entrants"][0]
    assert (its["entrant"], its["task"], its["protocol"]["max_steps"]) == ("rnn", "latch", 200)
    first = its["spans"][0]
    assert first["seeds"] == [1_010_000 + k for k in range(5)] and first["solved_at"] == [20] * 5
    assert first["dependency"] == [7, 9] and first["step_flops"] == 10_000
    assert Path("runs", first["folder"], "seed-1010000", "result.json").exists()
    every = {path.parent.resolve() for path in Path("runs").glob("latch/*/*/result.json")}
    assert told_of(tmp_path / "asked") == every
    assert its["growth"]["sequences"]["exponent"] == pytest.approx(1)
    assert its["growth"]["flops"]["exponent"] == pytest.approx(2)


@pytest.mark.slow
def test_a_run_that_fails_leaves_its_span_incomplete(seqbench: Any, runner: Any) -> None:
    def ends(model: str, span: int, k: int) -> dict[str, Any]:
        if (span, k) == (40, 2):
            return {"status": "failed", "error": "RuntimeError: boom", "solved_at_step": None}
        return solves_up_to(rnn=30, gru=30)(model, span, k)

    runner(ends)
    said = seqbench("span", *TYPED)
    assert said.code == 1
    assert "rnn on latch at 40 lacks 1 run, which failed." in said.out
    assert any(line.split()[0:1] == ["rnn"] and line.rstrip().endswith("*") for line in said.out.splitlines())


@pytest.mark.slow
def test_a_dry_run_says_which_spans_and_how_long_at_most(seqbench: Any) -> None:
    said = seqbench("span", *TYPED, "max=40", "model.hidden_size=4", "batch_size=4", "--dry-run")
    assert said.code == 0, said.err
    assert "rnn on latch: of the spans 10, 14, 20, 28, 40, with 5 to 10 runs each; at most 50 " in said.out
    assert "In all at most about " in said.out.splitlines()[-1]
    assert not Path("runs").exists()


@pytest.mark.slow
def test_a_model_that_cannot_go_at_a_span_is_named_before_anything_starts(seqbench: Any) -> None:
    said = seqbench("span", "task=latch", "model=dilated_rnn,tree_lstm", "least=4")
    assert said.code == 2 and not Path("runs").exists()
    assert "seqbench: dilated_rnn latch at 4: " in said.err and said.err.count("\n") == 2
    assert "The model tree_lstm takes tree tasks" in said.err


def numbers(folder: str) -> Any:
    (file,) = Path(folder, ".spans").glob("*/span.json")
    told = json.loads(file.read_text())
    return [{**each, "spans": each["spans"]} for each in told["entrants"]]


@pytest.mark.slow
def test_one_that_is_killed_goes_on_and_finds_what_an_undisturbed_one_finds(seqbench: Any) -> None:
    tiny = (
        *("span", "task=latch", "model=rnn,gru", "task.eval_size=20", "model.hidden_size=6", "batch_size=8"),
        *("trainer.max_steps=60", "trainer.eval_every=20", "max=40", "n_seeds=3", "logger=none"),
    )
    whole = seqbench(*tiny, "runs_dir=whole")
    assert whole.code == 0 and "latch at 10: " in whole.out, whole.err
    killed = [*tiny, "runs_dir=killed"]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}
    for seconds in (8, 12):
        process = subprocess.Popen(
            [sys.executable, "-m", "seqbench", *killed], env=environment, stdout=subprocess.DEVNULL
        )
        time.sleep(seconds)
        process.send_signal(signal.SIGKILL)
        process.wait()
    assert seqbench(*killed).code == 0
    assert numbers("killed") == numbers("whole")
    results = {path: path.stat().st_mtime_ns for path in Path("killed").glob("*/*/seed-*/result.json")}
    again = seqbench(*killed)
    assert again.code == 0 and "latch at 10: " not in again.out
    assert results == {p: p.stat().st_mtime_ns for p in Path("killed").glob("*/*/seed-*/result.json")}

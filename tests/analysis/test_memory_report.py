"""`seqbench analyse memory`: what it prints and writes, and what it says to bad input."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import torch

import seqbench
from seqbench import build_model, build_task, compose
from seqbench.analysis.memory import observe
from seqbench.cli import main

SHORT = ["trainer.max_steps=4", "trainer.eval_every=2", "batch_size=4", "logger=none", "seed=3"]
COPY = [
    *("task=ntm_copy", "task.length=3", "task.eval_lengths=[3,5]", "task.bits=2", "task.eval_size=6"),
    *("model=ntm", "model.hidden_size=5", "model.cell.memory_size=8", "model.cell.word_size=3"),
]
STORIES = [
    *("task=stories", "task.types=[two_facts]", "task.length=4", "task.eval_lengths=[4,6]"),
    *("task.eval_size=6", "model.hidden_size=5"),
]


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def analyse(monkeypatch, capsys):
    """Run `seqbench analyse memory …` in this process; return its exit code and what it printed."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["seqbench", "analyse", "memory", *map(str, args)])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return Said(int(end.value.code or 0), *capsys.readouterr())

    return run


def train(*overrides):
    """Train a run of four steps; return its folder."""
    seqbench.train(compose([*overrides, *SHORT]))
    (folder,) = Path("runs").glob("*/*/seed-3")
    return folder


def seen_by(folder, length, row, *overrides):
    """Return what is observed with the run's best weights."""
    cfg = compose([*overrides, *SHORT])
    task = build_task(cfg)
    model = build_model(cfg, task)
    model.load_state_dict(torch.load(folder / "checkpoints" / "best.pt"))
    (seen,) = observe(model, task, task.test(length).rows(row, row + 1))
    return seen


def cells(out):
    """Return the words of each line of a table that was printed."""
    return [line.split() for line in out.splitlines()]


def test_heads_are_printed_and_written(analyse):
    run = train(*COPY)
    said = analyse("--run", run, "--out", "out")
    assert said.code == 0, said.err
    seen = seen_by(run, 3, 0, *COPY)
    printed = cells(said.out)
    assert ["step", "write", "head", "read", "head"] in printed
    for t, (write, read) in enumerate(zip(seen.writing[:, 0], seen.reading[:, 0], strict=True), 1):
        both = [part for w in (write, read) for part in (str(int(w.argmax())), f"({float(w.max()):.2f})")]
        assert [str(t), *both] in printed
    assert f"ntm_copy / {run.parent.name}, seed 3: row 0 of the test set at length 3." in said.out
    assert said.err.split() == [f"out/memory.{suffix}" for suffix in ("md", "csv", "svg", "png")]
    frame = pd.read_csv("out/memory.csv")
    assert len(frame) == 7 * 2 * 8
    its = frame[frame["head"] == "read head"]["weight"]
    assert its.to_list() == pytest.approx(seen.reading.flatten().tolist(), rel=1e-3)
    text = Path("out/memory.md").read_text()
    assert "| step" in text and "![What is read and written](memory.png)" in text
    assert text.endswith(f"Command: `seqbench analyse memory --run {run} --out out`\n")
    assert Path("out/memory.png").read_bytes().startswith(b"\x89PNG")
    svg = Path("out/memory.svg").read_bytes()
    analyse("--run", run, "--out", "again")
    assert Path("again/memory.svg").read_bytes() == svg


@pytest.mark.parametrize("preset", ["memn2n", "memory_network"])
def test_stories_are_printed_and_written(analyse, preset):
    run = train(*STORIES, f"model={preset}")
    said = analyse("--run", run, "--length", "6", "--row", "2", "--out", "out")
    assert said.code == 0, said.err
    seen = seen_by(run, 6, 2, *STORIES, f"model={preset}")
    printed = [" ".join(line) for line in cells(said.out)]
    for i, sentence in enumerate(seen.sentences):
        (line,) = [line for line in printed if line.startswith(f"{i} {sentence}")]
        weights = [f"{w:.2f}" for w in seen.attention[:, i].tolist() if w >= 0.005]
        fact = [str(seen.facts.index(i) + 1)] if i in seen.facts else []
        assert line == " ".join([f"{i} {sentence}", *weights, *fact])
    assert "row 2 of the test set at length 6. Asked:" in said.out
    frame = pd.read_csv("out/memory.csv")
    assert frame["weight"].to_list() == pytest.approx(seen.attention.flatten().tolist(), rel=1e-3)
    assert frame[frame["fact"]]["number"].unique().tolist() == sorted(seen.facts)
    assert seen.note in Path("out/memory.md").read_text()


def test_a_length_that_was_not_tested_at(analyse):
    run = train(*COPY)
    said = analyse("--run", run, "--length", "4")
    assert said.code == 0, said.err
    assert [line[0] for line in cells(said.out) if line and line[0].isdigit()] == [*"123456789"]


def test_bad_input_is_one_sentence(analyse):
    run = train(*COPY)

    def refused(sentence, *args):
        said = analyse(*args)
        assert said.code == 2
        assert said.err.startswith(f"seqbench: {sentence}") and len(said.err.strip().splitlines()) == 1

    refused("--row=6 is not in the test set; give 0 to 5.", "--run", run, "--row", "6")
    refused("--row=-1 is not in the test set; give 0 to 5.", "--run", run, "--row=-1")
    refused("--length=0: task.eval_lengths=0 is too short for this task", "--run", run, "--length", "0")
    refused("nowhere is not the folder of a trained run", "--run", "nowhere")
    refused("cannot write in /proc/nowhere", "--run", run, "--out", "/proc/nowhere")
    torch.save({"other": torch.zeros(1)}, run / "checkpoints" / "best.pt")
    refused(f"{run.parent.name}: Error(s) in loading state_dict for SequenceModel", "--run", run)
    (run / "checkpoints" / "best.pt").write_bytes(b"no weights")
    refused(f"{run}/checkpoints/best.pt is not what a run writes.", "--run", run)


def test_a_model_without_a_memory_is_told(analyse):
    run = train("task=latch", "task.length=5", "task.eval_size=4", "model=lstm", "model.hidden_size=3")
    said = analyse("--run", run)
    assert said.code == 2
    assert said.err == "seqbench: LSTM has no memory to look into; take ntm, memn2n or memory_network.\n"


def test_a_story_without_room_is_told(analyse):
    run = train(*STORIES, "model=memn2n")
    said = analyse("--run", run, "--length", "7")
    assert said.code == 2
    wanted = "seqbench: A story has 7 sentences, and the memory has room for 6; take a shorter one.\n"
    assert said.err == wanted


def test_help_names_it(analyse, monkeypatch, capsys):
    assert "--run FOLDER" in analyse("--help").out
    monkeypatch.setattr(sys, "argv", ["seqbench", "analyse"])
    with pytest.raises(SystemExit):
        main()
    assert "  memory         what a trained model reads" in capsys.readouterr().out

"""`seqbench analyse`: what it prints and writes, and what it says to bad input."""

from __future__ import annotations

import math
import sys
from pathlib import Path
from typing import NamedTuple

import pandas as pd
import pytest
import torch
from omegaconf import OmegaConf

from seqbench import build_model, build_task, compose
from seqbench.analysis.command import jobs
from seqbench.analysis.gradient_flow import compare, gradient_norms
from seqbench.analysis.gradient_flow_report import draw, tabulate
from seqbench.cli import main

TINY = ["task=latch", "task.length=30", "model.hidden_size=6", "batch_size=4", "task.eval_size=8"]


class Said(NamedTuple):
    code: int
    out: str
    err: str


@pytest.fixture
def analyse(monkeypatch, capsys):
    """Run `seqbench analyse …` in this process; return its exit code and what it printed."""

    def run(*args):
        monkeypatch.setattr(sys, "argv", ["seqbench", "analyse", *args])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return Said(int(end.value.code or 0), *capsys.readouterr())

    return run


def test_table_and_files(analyse):
    said = analyse("gradient_flow", *TINY, "model=rnn,lstm,leaky_rnn", "n_seeds=2", "--out", "out")
    assert said.code == 0, said.err
    lines = {line.split()[0]: line.split()[1:] for line in said.out.splitlines() if line.strip()}
    frame = pd.read_csv("out/gradient_flow.csv")
    assert list(frame["model"].unique()) == ["rnn", "lstm", "leaky_rnn"] and len(frame) == 90
    for model, its in frame.groupby("model"):
        steps, seeds, *norms, slope, factor = lines[model]
        assert (steps, seeds) == ("30", "2")
        means = its.set_index("distance")["log10_norm_mean"]
        assert [float(norm) for norm in norms] == pytest.approx(
            [10 ** means[d] for d in (0, 1, 10, 14, 29)], rel=6e-3
        )
        assert float(factor[2:-1]) == pytest.approx(10 ** float(slope), abs=2e-3)
    text = Path("out/gradient_flow.md").read_text()
    assert "| leaky_rnn |" in text and "![" in text
    assert "`seqbench analyse gradient_flow task=latch task.length=30" in text and "--out out`" in text
    assert Path("out/gradient_flow.png").read_bytes().startswith(b"\x89PNG")
    svg = Path("out/gradient_flow.svg").read_bytes()
    analyse("gradient_flow", *TINY, "model=rnn,lstm,leaky_rnn", "n_seeds=2", "--out", "again")
    assert Path("again/gradient_flow.svg").read_bytes() == svg
    assert len(said.err.splitlines()) == 4


def test_any_key_makes_a_sweep_and_seeds_are_five_unless_told(analyse):
    said = analyse("gradient_flow", *TINY, "model=rnn", "model.cell.recurrent_init=orthogonal,identity")
    assert said.code == 0, said.err
    rows = [line for line in said.out.splitlines() if line.lstrip().startswith("rnn (recurrent_init=")]
    assert [row.split(")")[0].split("=")[1] for row in rows] == ["orthogonal", "identity"]
    assert all(row.split(")")[1].split()[:2] == ["30", "5"] for row in rows)


def test_jobs_of_a_sweep_have_names_of_their_own():
    found = jobs(["model=rnn,leaky_rnn", "task=latch", "task.length=5,6"])
    assert [name for name, _ in found] == [
        *("rnn (length=5)", "rnn (length=6)", "leaky_rnn (length=5)", "leaky_rnn (length=6)")
    ]
    assert [cfg.task.length for _, cfg in found] == [5, 6, 5, 6]
    ((name, cfg),) = jobs(["model=leaky_rnn", "task=latch", "model.cell.alpha=[0.5,0.9]"])
    assert name == "leaky_rnn" and cfg.model.cell.alpha == [0.5, 0.9]
    found = jobs(["model=rnn", "task=latch,adding", "++seed=1,2"])
    assert [name for name, _ in found] == [
        f"rnn (task={t}, seed={s})" for t in ("latch", "adding") for s in (1, 2)
    ]
    assert [cfg.seed for _, cfg in found] == [1, 2, 1, 2]


def test_the_weights_of_runs(analyse, monkeypatch):
    small = [*TINY, "trainer.max_steps=4", "trainer.eval_every=2", "logger=none", "n_seeds=2"]
    monkeypatch.setattr(sys, "argv", ["seqbench", "model=rnn", *small])
    main()
    one, two = sorted(Path("runs").glob("*/*/seed-*"))
    said = analyse("gradient_flow", "--run", str(one), "--run", str(two), "--out", "out")
    assert said.code == 0, said.err
    frame = pd.read_csv("out/gradient_flow.csv")
    assert set(frame["model"]) == {one.parent.name} and set(frame["seeds"]) == {2}
    cfg = compose(["model=rnn", *small])
    task = build_task(cfg)
    logs = []
    for folder in (one, two):
        model = build_model(cfg, task)
        model.load_state_dict(torch.load(folder / "checkpoints" / "best.pt"))
        logs.append(gradient_norms(model, task.targets, task.validation().rows(0, 4)).log10())
    assert frame["log10_norm_mean"].to_list() == pytest.approx((logs[0] + logs[1]).div(2).tolist(), rel=1e-9)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (
            ["gradient_flwo"],
            "There is no analysis 'gradient_flwo'. Did you mean 'gradient_flow'? There are: gradient_flow",
        ),
        (["gradient_flow", "model=rnnn,lstm"], "There is no preset 'rnnn' in model."),
        (["gradient_flow", "task.lenght=5"], "There is no key 'task.lenght' here."),
        (["gradient_flow", "model"], "An argument cannot be understood; it should read key=value."),
        (["gradient_flow", *TINY, "n_seeds=0"], "n_seeds=0 must be a whole number, at least 1."),
        (["gradient_flow", *TINY, "model=output_rnn"], "output_rnn: feedback=true"),
        (["gradient_flow", "task=latch", "task.length=1"], "task.length=1 is too short"),
        (["gradient_flow", "--run", "nowhere"], "nowhere is not the folder of a trained run"),
        (["gradient_flow", "--run", "nowhere", "model=rnn"], "--run takes its configuration from the run"),
        (["gradient_flow", *TINY, "n_seeds=1", "--out", "/proc/nowhere"], "cannot write in /proc/nowhere"),
    ],
)
def test_bad_input_is_one_sentence(analyse, args, sentence):
    said = analyse(*args)
    assert said.code == 2
    assert said.err.startswith(f"seqbench: {sentence}") and len(said.err.strip().splitlines()) == 1


def test_a_run_that_is_damaged_or_another_is_told(analyse):
    best = Path("rnn-0/seed-0/checkpoints/best.pt")
    best.parent.mkdir(parents=True)
    OmegaConf.save(compose(["model=rnn", *TINY]), "rnn-0/seed-0/config.yaml")
    torch.save({"other": torch.zeros(1)}, best)
    said = analyse("gradient_flow", "--run", "rnn-0/seed-0")
    assert said.code == 2 and said.err.startswith("seqbench: rnn-0: Error(s) in loading state_dict")
    best.write_bytes(b"no weights")
    said = analyse("gradient_flow", "--run", "rnn-0/seed-0")
    assert said.code == 2 and "best.pt is not what a run writes" in said.err


def test_help_lists_the_analyses(analyse):
    assert "gradient_flow" in analyse("--help").out
    assert "--run FOLDER" in analyse("gradient_flow", "--help").out


def test_figure_shows_the_numbers():
    norms = {"a": [torch.tensor([1.0, 0.1]), torch.tensor([1.0, 0.1])], "b": [torch.tensor([1.0, 0.0])]}
    flow = compare(norms)
    figure = draw(flow)
    (panel,) = figure.axes
    lines = {line.get_label(): line for line in panel.get_lines()}
    assert list(lines["a"].get_ydata()) == pytest.approx([1, 0.1]) and list(lines["b"].get_ydata()) == [1, 0]
    assert panel.get_yscale() == "log"
    figure.draw_without_rendering()
    table = tabulate(flow)
    assert list(table.loc["a"]) == ["2", "2", "1", "0.1", "–", "1", "0.1", "-1.000 (×0.100)"]
    assert table.loc["b", "full"] == "0" and math.isnan(float(table.loc["b", "log10 per step"].split()[0]))

"""`seqbench analyse`: what it prints and writes, and its sentences for bad input."""

from __future__ import annotations

from functools import partial
from pathlib import Path

import pandas as pd
import pytest
import torch

import seqbench
from seqbench.analysis.gradient_flow import gradient_norms
from seqbench.analysis.observations import observe
from seqbench.cli.analyse import ANALYSES
from seqbench.cli.analyses.common import jobs, runs_in, seeds_in_words
from seqbench.config.compose import compose
from seqbench.runs.plan import plan
from seqbench.runs.trained import load_run

TINY = ["task=latch", "task.length=30", "model.hidden_size=6", "batch_size=4", "task.eval_size=8"]
SHORT = ["trainer.max_steps=4", "trainer.eval_every=2", "batch_size=4", "logger=none", "seed=3"]
COPY = [
    *("task=ntm_copy", "task.length=3", "task.eval_lengths=[3,5]", "task.bits=2", "task.eval_size=6"),
    *("model=ntm", "model.hidden_size=5", "model.cell.memory_size=8", "model.cell.word_size=3"),
]
STORIES = [
    *("task=stories", "task.types=[two_facts]", "task.length=4", "task.eval_lengths=[4,6]"),
    *("task.eval_size=6", "model.hidden_size=5"),
]


@pytest.fixture
def analyse(seqbench):
    """Run `seqbench analyse …`."""
    return partial(seqbench, "analyse")


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


def test_any_key_makes_a_sweep_and_seeds_are_five_by_default(analyse):
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


@pytest.mark.slow
def test_the_weights_of_runs(analyse):
    seqbench.train(compose([*TINY, *SHORT, "model=rnn", "n_seeds=2"]))
    one, two = sorted(Path("runs").glob("*/*/seed-*"))
    said = analyse("gradient_flow", "--run", str(one), "--run", str(two), "--out", "out")
    assert said.code == 0, said.err
    frame = pd.read_csv("out/gradient_flow.csv")
    assert set(frame["model"]) == {"rnn"} and set(frame["seeds"]) == {2}
    logs = []
    for folder in (one, two):
        _, _, task, model = load_run(folder)
        logs.append(gradient_norms(model, task.targets, task.validation().rows(0, 4)).log10())
    assert frame["log10_norm_mean"].to_list() == pytest.approx((logs[0] + logs[1]).div(2).tolist(), rel=1e-5)


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (
            ["gradient_flwo"],
            "There is no analysis 'gradient_flwo'. Did you mean 'gradient_flow'? There are: gradient_flow",
        ),
        (["gradient_flow", "model=rnnn,lstm"], "There is no preset 'rnnn' in model."),
        (["gradient_flow", "task.lenght=5"], "There is no key 'task.lenght' here."),
        (["gradient_flow", "model"], "'model' cannot be read: an argument reads key=value."),
        (["gradient_flow", *TINY, "n_seeds=0"], "n_seeds=0 must be a whole number, at least 1."),
        (["gradient_flow", *TINY, "model=output_rnn"], "output_rnn: model.feedback=true"),
        (["gradient_flow", "task=latch", "task.length=1"], "task.length=1 is too short"),
        (["gradient_flow", "--run", "nowhere"], "nowhere is not the folder of a trained run"),
        (["gradient_flow", "--run", "nowhere", "model=rnn"], "--run takes its configuration from the run"),
        (["gradient_flow", *TINY, "n_seeds=1", "--out", "/proc/nowhere"], "cannot write /proc/nowhere"),
    ],
)
def test_bad_input_is_one_sentence(analyse, args, sentence):
    said = analyse(*args)
    assert said.code == 2
    assert said.err.startswith(f"seqbench: {sentence}") and len(said.err.strip().splitlines()) == 1


def test_help_lists_the_analyses(analyse):
    for out in (analyse().out, analyse("--help").out):
        assert "  gradient_flow  how gradients fall" in out and "  memory         what a trained model" in out
        assert [line.split()[0] for line in out.splitlines()[2:]] == [*ANALYSES]
    for name in ANALYSES:
        assert "--run FOLDER" in analyse(name, "--help").out


@pytest.mark.slow
def test_weights_are_those_that_the_seeds_training_starts_from(analyse):
    before = torch.get_rng_state()
    analyse("gradient_flow", *TINY, "model=gru", "seed=7", "n_seeds=1", "--out", "out")
    assert torch.equal(torch.get_rng_state(), before)
    job = plan(compose([*TINY, "model=gru"]))
    wanted = gradient_norms(job.model(7), job.task.targets, job.task.validation().rows(0, 4)).log10()
    found = pd.read_csv("out/gradient_flow.csv")["log10_norm_mean"].to_list()
    assert found == pytest.approx(wanted.tolist(), rel=1e-5)


def train(runs_dir, *overrides):
    """Train a run of four steps; return its folder."""
    seqbench.train(compose([*overrides, *SHORT, f"runs_dir={runs_dir}"]))
    (folder,) = Path(runs_dir).glob("*/*/seed-3")
    return folder


@pytest.fixture(scope="module")
def copying(tmp_path_factory):
    """The folder of a run of a Neural Turing Machine."""
    return train(tmp_path_factory.mktemp("runs"), *COPY)


def observed(folder, length, row):
    """Return what is observed with a run's best weights in a row of its test set."""
    _, _, task, model = load_run(folder)
    (seen,) = observe(model, task, task.test(length).rows(row, row + 1))
    return seen


def cells(out):
    """Return the words of each line of a table that was printed."""
    return [line.split() for line in out.splitlines()]


@pytest.mark.slow
def test_heads_are_printed_and_written(analyse, copying):
    run = copying
    said = analyse("memory", "--run", run, "--out", "out")
    assert said.code == 0, said.err
    seen = observed(run, 3, 0)
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
    assert "| step" in text and "![What is written and read](memory.png)" in text
    assert text.endswith(f"Command: `seqbench analyse memory --run {run} --out out`\n")
    assert Path("out/memory.png").read_bytes().startswith(b"\x89PNG")
    assert "</svg>" in Path("out/memory.svg").read_text()


@pytest.mark.parametrize("preset", ["memn2n", "memory_network"])
def test_stories_are_printed_and_written(analyse, preset):
    run = train("runs", *STORIES, f"model={preset}")
    said = analyse("memory", "--run", run, "--length", "6", "--row", "2", "--out", "out")
    assert said.code == 0, said.err
    seen = observed(run, 6, 2)
    printed = [" ".join(line) for line in cells(said.out)]
    for i, sentence in enumerate(seen.sentences):
        (line,) = [line for line in printed if line.startswith(f"{i} {sentence}")]
        weights = [f"{w:.2f}" for w in seen.attention[:, i].tolist() if w >= 0.005]
        fact = [str(seen.facts.index(i) + 1)] if i in seen.facts else []
        assert line == " ".join([f"{i} {sentence}", *weights, *fact])
    assert "row 2 of the test set at length 6. Question:" in said.out
    frame = pd.read_csv("out/memory.csv")
    assert frame["weight"].to_list() == pytest.approx(seen.attention.flatten().tolist(), rel=1e-3)
    assert frame[frame["fact"]]["number"].unique().tolist() == sorted(seen.facts)
    assert seen.note in Path("out/memory.md").read_text()


def test_a_length_that_was_not_tested_at(analyse, copying):
    said = analyse("memory", "--run", copying, "--length", "4")
    assert said.code == 0, said.err
    assert [line[0] for line in cells(said.out) if line and line[0].isdigit()] == [*"123456789"]


def test_bad_input_of_memory_is_one_sentence(analyse, copying):
    run = copying

    def refused(sentence, *args):
        said = analyse("memory", *args)
        assert said.code == 2
        assert said.err.startswith(f"seqbench: {sentence}") and len(said.err.strip().splitlines()) == 1

    refused("--row=6 is not in the test set; give 0 to 5.", "--run", run, "--row", "6")
    refused("--row=-1 is not in the test set; give 0 to 5.", "--run", run, "--row=-1")
    refused("--length=0: task.eval_lengths=0 is too short for this task", "--run", run, "--length", "0")
    refused("--length=1000000000: task.eval_size=6 makes a test set of", "--run", run, "--length", 10**9)
    refused("nowhere is not the folder of a trained run", "--run", "nowhere")
    refused("cannot write /proc/nowhere", "--run", run, "--out", "/proc/nowhere")


def test_a_model_without_a_memory_is_refused(analyse):
    run = train("runs", "task=latch", "task.length=5", "task.eval_size=4", "model=gru", "model.hidden_size=3")
    said = analyse("memory", "--run", run)
    assert said.code == 2
    assert said.err == "seqbench: GRU has no memory or attention to look into.\n"


def test_a_story_without_room_is_refused(analyse):
    run = train("runs", *STORIES, "model=memn2n")
    said = analyse("memory", "--run", run, "--length", "7")
    assert said.code == 2
    wanted = "seqbench: A story has 7 sentences, and the memory has room for 6; take a shorter one.\n"
    assert said.err == wanted


SMALL_COPY = ["task=copy_memory", "task.length=2", "task.symbols=2", "task.eval_size=4", "batch_size=4"]


@pytest.mark.parametrize("name", ["bptt", "influence", "states", "gradient_flow"])
def test_a_figure_alone_where_out_is_a_file(analyse, name):
    said = analyse(name, *SMALL_COPY, "model=rnn", "model.hidden_size=3", "--out", "here/picture.png")
    assert said.code == 0, said.err
    assert said.err == "here/picture.png\n"
    assert [path.name for path in Path("here").iterdir()] == ["picture.png"]
    assert Path("here/picture.png").read_bytes().startswith(b"\x89PNG")


def test_bptt_prints_a_line_for_each_gradient(analyse):
    said = analyse("bptt", *SMALL_COPY, "model.hidden_size=3", "seed=4")
    assert said.code == 0, said.err
    printed = cells(said.out)
    assert ["h", "[14]–[16]", "4×6×3"] in [line[:3] for line in printed]
    differences = [float(line[-1]) for line in printed if line and line[0] in {*"hcbVWU"}]
    assert len(differences) == 6 and max(differences) < 1e-12
    assert "rnn, seed 4. L is the sum of the losses of 4 sequences of 6 steps" in " ".join(said.out.split())


def test_bptt_looks_into_one_model(analyse):
    said = analyse("bptt", *SMALL_COPY, "model.hidden_size=3", "model.cell.recurrent_init=0.5,1.0")
    assert said.code == 2 and not said.out
    assert said.err == (
        "seqbench: bptt looks into one model; choose among rnn (recurrent_init=0.5), rnn "
        "(recurrent_init=1.0).\n"
    )


def test_seeds_are_sorted_by_their_number_and_a_run_counts_once(tmp_path):
    for name in ("b/seed-2", "b/seed-10", "a/seed-3"):
        (tmp_path / name).mkdir(parents=True)
        (tmp_path / name / "result.json").touch()
    found = runs_in([tmp_path, tmp_path / "b", tmp_path / "b" / "seed-10", tmp_path / "b" / ".." / "a"])
    assert [str(path.relative_to(tmp_path)) for path in found] == ["a/seed-3", "b/seed-2", "b/seed-10"]


def test_the_seed_is_said(analyse):
    for name in ("influence", "states"):
        said = analyse(name, *SMALL_COPY, "model=rnn,gru", "model.hidden_size=3", "seed=4", "n_seeds=2")
        assert said.code == 0 and " ".join(said.out.split()).endswith(" Seed: 4."), said.err
    assert seeds_in_words({"rnn": 2, "gru": 3}) == "Seeds: rnn 2, gru 3."


@pytest.mark.slow
def test_influence_and_states_take_the_first_seed_of_each_model(analyse):
    tiny = [*SMALL_COPY, "model.hidden_size=3", "n_seeds=2", "--out", "out"]
    said = analyse("influence", *tiny, "model=rnn", "model.bidirectional=false,true")
    assert said.code == 0, said.err
    frame = pd.read_csv("out/influence.csv")
    later = frame[frame["input_step"] > frame["output_step"]].groupby("model")["norm"]
    assert (later.max() > 0).to_dict() == {
        "rnn (bidirectional=false)": False,
        "rnn (bidirectional=true)": True,
    }
    said = analyse("states", *tiny, "model=rnn,gru", "--row=1")
    assert said.code == 0, said.err
    frame = pd.read_csv("out/states.csv")
    assert frame.groupby("model", sort=False)["quantity"].unique().map(list).to_dict() == {
        "rnn": ["x", "h"],
        "gru": ["x", "r", "u", "h"],
    }


@pytest.mark.slow
def test_a_folder_stands_for_the_runs_in_it(analyse):
    for lr in ("0.01", "0.02"):
        seqbench.train(compose([*TINY, *SHORT, "model=rnn", f"optim.lr={lr}", "n_seeds=2"]))
    said = analyse("gradient_flow", "--run", "runs", "--out", "out")
    assert said.code == 0, said.err
    seeds = pd.read_csv("out/gradient_flow.csv").groupby("model")["seeds"].first()
    assert seeds.to_dict() == {"rnn (lr=0.01)": 2, "rnn (lr=0.02)": 2}
    said = analyse("memory", "--run", "runs")
    assert said.code == 2
    assert said.err.startswith(
        "seqbench: --run=runs holds 4 trained runs; name one of them, such as runs/latch/rnn-"
    )
    seqbench.train(compose([*TINY, *SHORT, "task.length=20", "model=rnn", "optim.lr=0.01"]))
    said = analyse("gradient_flow", "--run", "runs", "--out", "out")
    assert said.code == 0, said.err
    names = pd.read_csv("out/gradient_flow.csv")["model"].unique()
    assert sorted(names) == sorted(path.name for path in Path("runs/latch").iterdir())


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["bptt", "model=lstm"], "lstm: The equations are those of Fig. 10.3: model=rnn"),
        (["bptt", "task=adding"], "rnn: The equations have a class at every step"),
        (["influence", "model=glob(*)"], "model=glob(*) cannot be listed here; name the presets"),
        (["influence", "model=output_rnn", *SMALL_COPY], "output_rnn: Influence is that of a recurrent body"),
        (
            ["states", *SMALL_COPY, "model=rnn", "--row=4"],
            "--row=4 is not in the validation set; give 0 to 3.",
        ),
        (["states", *SMALL_COPY, "model=rnn", "model.bidirectional=true"], "rnn: model.bidirectional=true"),
    ],
)
def test_what_an_analysis_cannot_look_into_is_one_sentence(analyse, args, sentence):
    said = analyse(*args)
    assert said.code == 2
    assert said.err.startswith(f"seqbench: {sentence}") and len(said.err.strip().splitlines()) == 1

"""Learning curves: the tidy frame, their median over seeds, and the figures of training."""

import math
from itertools import pairwise
from pathlib import Path

import pandas as pd
import pytest
from handmade import failed, run
from matplotlib.axes import Axes

import seqbench
from seqbench.cli.plot import main
from seqbench.errors import ConfigError, StoreError
from seqbench.results.curves import of_metrics, over_seeds, shown_metrics
from seqbench.results.frame import compare
from seqbench.results.progress import draw_curves, draw_steps, solved_shares
from seqbench.runs.exchange import export_runs
from seqbench.runs.inventory import inventory
from seqbench.runs.places import read_places
from seqbench.runs.result import Result
from seqbench.runs.store import run_folder, write_result

RECORDS = Path(__file__).parents[2] / "results/quickstart.jsonl"


def store(runs_dir: Path, its: Result, losses: list[float]) -> None:
    """Store a run that was evaluated every 100 steps."""
    folder = runs_dir / run_folder(its.task, its.model, its.hash) / f"seed-{its.seed}"
    folder.mkdir(parents=True)
    rows = "".join(f"{100 * n},{2 * v},0.003,{v},{n}.5\n" for n, v in enumerate(losses, 1))
    (folder / "metrics.csv").write_text(f"step,train_loss,lr,loss,seconds\n{rows}")
    write_result(folder, its)


@pytest.fixture
def runs_dir(tmp_path: Path) -> Path:
    """Three seeds of one model, of which the first solved the task early, and one of another."""
    place = tmp_path / "runs"
    for seed, losses in enumerate([[0.5, 0.1], [0.4, 0.3, 0.2], [0.6, math.inf, math.nan]]):
        store(place, run(seed=seed), losses)
    store(place, run(model="gru", optim__lr=1), [0.7])
    store(place, run(model="gru", optim__lr=2), [0.8])
    return place


def test_one_row_for_each_evaluation_and_quantity(runs_dir: Path) -> None:
    curves = seqbench.load_curves(runs_dir)
    assert list(curves) == [
        *("task", "length", "model", "preset", "hash", "seed", "step", "split", "metric", "value")
    ]
    assert len(curves) == 4 * (2 + 3 + 3 + 1 + 1)
    first = curves[(curves["model"] == "lstm") & (curves["seed"] == 0)]
    named = {(row.step, row.split, row.metric): row.value for row in first.itertuples()}
    assert named[100, "validation", "loss"] == 0.5 and named[200, "train", "loss"] == 0.2
    assert named[200, "train", "lr"] == 0.003 and named[100, "train", "seconds"] == 1.5
    assert set(curves["model"]) == {"lstm", "gru (lr=1)", "gru (lr=2)"} and set(curves["preset"]) == {
        "lstm",
        "gru",
    }
    assert set(curves["length"]) == {50}


def test_curves_of_an_exported_file_are_those_of_the_folder(runs_dir: Path, tmp_path: Path) -> None:
    with_them, without = tmp_path / "with.jsonl.gz", tmp_path / "without.jsonl"
    export_runs(inventory(runs_dir), with_them, curves=True, warn=print)
    export_runs(inventory(runs_dir), without, curves=False, warn=print)
    assert seqbench.load_curves(with_them).equals(seqbench.load_curves(runs_dir))
    with pytest.raises(StoreError, match="no run here has curves; `seqbench runs export --curves`"):
        seqbench.load_curves(without)


def test_a_run_whose_curves_are_damaged_is_left_out(runs_dir: Path) -> None:
    next(runs_dir.glob("adding/lstm-*/seed-1/metrics.csv")).write_text("step,loss\n1,2\n")
    with pytest.warns(UserWarning) as said:
        curves = seqbench.load_curves(runs_dir)
    assert any("1 of 5 runs have no curves" in str(each.message) for each in said)
    assert set(curves[curves["model"] == "lstm"]["seed"]) == {0, 2}


def test_the_median_over_seeds_keeps_the_last_value_of_a_run_and_knows_the_worst(runs_dir: Path) -> None:
    runs = read_places([runs_dir], print)
    metrics = shown_metrics(runs)
    shown = of_metrics(seqbench.load_curves(runs_dir), metrics)
    its = over_seeds(shown, metrics)
    lstm = its[its["model"] == "lstm"]
    assert lstm["step"].tolist() == [100, 200, 300] and lstm["n"].tolist() == [3, 3, 3]
    assert lstm["median"].tolist() == [0.5, 0.3, 0.2]
    assert lstm["low"].tolist() == [0.4, 0.1, 0.1] and lstm["high"].tolist() == [0.6, math.inf, math.inf]
    assert its[its["model"] == "gru (lr=1)"]["median"].isna().all()
    figure = draw_curves(shown, its, metrics)
    (panel,) = figure.axes
    assert panel.get_title() == "adding at 50" and panel.get_yscale() == "log"
    thin = [line for line in panel.get_lines() if line.get_linewidth() < 1]
    assert sorted(line.get_ydata()[0] for line in thin) == [0.4, 0.5, 0.6, 0.7, 0.8]
    assert len(panel.get_lines()) == 5 + 1 and len(panel.collections) == 1


@pytest.mark.parametrize("paper", [False, True])
@pytest.mark.parametrize("last", [300, 45_000, 200_000, 5_000_000])
def test_the_labels_of_steps_do_not_run_into_each_other(runs_dir: Path, last: int, paper: bool) -> None:
    metrics = shown_metrics(read_places([runs_dir], print))
    shown = of_metrics(seqbench.load_curves(runs_dir), metrics)
    shown["step"] *= last // 300
    figure = draw_curves(shown, over_seeds(shown, metrics), metrics, paper=paper)
    figure.draw_without_rendering()
    (panel,) = figure.axes
    labels = [label for label in panel.get_xticklabels() if label.get_text()]
    boxes = [label.get_window_extent() for label in labels]
    assert len(boxes) > 2 and all(left.x1 < right.x0 for left, right in pairwise(boxes))
    assert all("k" in label.get_text() for label in labels[1:]) == (last == 200_000)


def test_curves_without_a_number_that_can_be_drawn(tmp_path: Path) -> None:
    for losses in ([math.nan, math.nan], [math.inf, 1e308], [0.0, -1.0]):
        place = tmp_path / str(losses[0])
        for seed in range(3):
            store(place, run(seed=seed), losses)
        metrics = shown_metrics(read_places([place], print))
        shown = of_metrics(seqbench.load_curves(place), metrics)
        figure = draw_curves(shown, over_seeds(shown, metrics), metrics)
        figure.draw_without_rendering()
        assert figure.axes[0].get_yscale() == "linear"


def test_quantities_of_training_have_names_too(runs_dir: Path) -> None:
    runs = read_places([runs_dir], print)
    curves = seqbench.load_curves(runs_dir)
    losses = of_metrics(curves, shown_metrics(runs, "train_loss"))
    assert losses["split"].unique().tolist() == ["train"] and losses["value"].iloc[0] == 1.4
    with pytest.raises(
        StoreError, match=r"no run measured 'los'; there are loss, lr, .*Did you mean 'loss'\?"
    ):
        of_metrics(curves, shown_metrics(runs, "los"))


def test_steps_are_the_estimate_of_kaplan_and_meier() -> None:
    budget = {"trainer__max_steps": 3000}
    runs = [run(seed=seed, solved_at=at, **budget) for seed, at in enumerate((100, 300, None))]
    runs.append(run(seed=3, solved_at=None, steps=200, **budget))  # its patience ended it
    runs += [run(model="gru", solved_at=None, **budget), failed(model="rnn")]
    frame = compare(runs).frame
    shares = solved_shares(frame)
    assert shares["step"].tolist() == [100, 300] and shares["share"].tolist() == [0.25, 0.5]
    assert ((shares["low"] < shares["share"]) & (shares["share"] < shares["high"])).all()
    panel: Axes = draw_steps(frame).axes[0]
    crosses = [
        tuple(map(float, point))
        for line in panel.get_lines()
        if line.get_marker() == "x"
        for point in line.get_xydata()
    ]
    assert sorted(crosses) == [(3000, 0), (3000, 0.5), (3000, 0.5)]


@pytest.mark.slow
def test_the_command_writes_figures_and_numbers(
    runs_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["curves", "--metric", "train_loss"]) == 0
    assert capsys.readouterr().out.split() == ["curves.csv", "curves.svg", "curves.png"]
    assert len(pd.read_csv("curves.csv")) == 3 + 1 + 1
    assert main(["steps", "runs", "--model", "lstm", "--out", "new/solved.pdf"]) == 0
    assert capsys.readouterr().out == "new/solved.pdf\n"
    assert Path("new/solved.pdf").read_bytes().startswith(b"%PDF")
    assert main([]) == 0 and "learning curves" in capsys.readouterr().out


@pytest.mark.slow
def test_spans_and_comparisons_are_drawn_from_records(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["span", str(RECORDS), "--model", "gru", "--model", "gru_chrono"]) == 0
    solved = pd.read_csv("span.csv").groupby("entrant")["solved"].apply(list)
    assert dict(solved) == {"gru": [5, 4, 0], "gru_chrono": [5, 5, 5]}
    assert main(["forest", str(RECORDS), "--model", "gru", "--model", "gru_chrono"]) == 0
    assert pd.read_csv("forest.csv").equals(pd.read_csv("span.csv"))
    assert main(["compare", str(RECORDS), "--models", "gru,gru_chrono", "--out", "new/pairs"]) == 0
    assert pd.read_csv("new/pairs.csv")["difference"].tolist() == pytest.approx([0, -0.2, -1])
    said = capsys.readouterr()
    assert said.err.count("5/5 against 0/5 is p = 0.002") == 1
    assert "".join(line for line in said.err.splitlines(True) if " against " not in line) == 2 * (
        "seqbench: temporal_order: spans are task.length, from 20 to 100 (what has to be kept lies so far "
        "back, at 20: 16–17 steps, at 100: 80–89 steps); 1,000 steps of 32 sequences, validated every 100; "
        "the same seeds at each span: 5.\n"
        "seqbench: gru on temporal_order: the test set confirms 8 of the 9 runs that solved it; by these "
        "alone the span is 52.4 [31.4–83].\n"
    )
    assert said.out.split() == [
        f"{stem}.{suffix}" for stem in ("span", "forest", "new/pairs") for suffix in ("csv", "svg", "png")
    ]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["compare", "nowhere"], "required: --models"),
        (["curve"], r"There is no plot 'curve'\. Did you mean 'curves'\? There are: curves, steps, span"),
        (["curves", "--metric", "los"], r"no run measured 'los'"),
        (["steps", "--where", "optim.l=1"], r"no such run has the key optim\.l\. Did you mean 'optim\.lr'"),
        (["steps", "--model", "lst"], r"Did you mean 'lstm'"),
        (["steps", "--out", "."], r"--out=\. must name a file, such as --out=steps\."),
        (["steps", "--out", "/"], r"--out=/ must name a file, such as --out=/steps\."),
        (["steps", "--out", "a/.."], r"--out=a/\.\. must name a file"),
        (["steps", "--out", "new/"], r"--out=new must name a file, such as --out=new/steps\."),
        (["steps", "--out", "a.jpg"], r"--out=a\.jpg must end in \.svg, \.png, \.pdf, or have no ending"),
        (["steps", "nowhere"], r"There is no folder of runs and no exported file nowhere"),
        (["steps", "--colour"], r"unrecognized arguments: --colour; `seqbench plot steps --help` says more"),
    ],
)
def test_errors_are_one_sentence(
    runs_dir: Path, monkeypatch: pytest.MonkeyPatch, words: list[str], says: str
) -> None:
    monkeypatch.chdir(runs_dir.parent)
    with pytest.raises((ConfigError, StoreError), match=says):
        main(words)


def test_runs_that_all_failed_have_no_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store(tmp_path / "runs", failed(), [])
    monkeypatch.chdir(tmp_path)
    for plot in ("steps", "curves"):
        with pytest.raises(StoreError, match="no run here"):
            main([plot])


def test_a_run_that_diverged_is_the_worst_from_there_on(tmp_path: Path) -> None:
    """A model whose outputs are no numbers may have the accuracy of the first class."""
    for seed in range(3):
        its = run("copy_memory", seed=seed, status="diverged", solved_at=None)
        folder = tmp_path / run_folder(its.task, its.model, its.hash) / f"seed-{seed}"
        folder.mkdir(parents=True)
        (folder / "metrics.csv").write_text("step,loss,accuracy\n100,0.3,0.1\n200,nan,0.9\n")
        write_result(folder, its)
    curves = seqbench.load_curves(tmp_path)
    metrics = shown_metrics([*read_places([tmp_path], print)])
    medians = over_seeds(of_metrics(curves, metrics), metrics)
    assert medians["median"].tolist() == [0.1, -math.inf]

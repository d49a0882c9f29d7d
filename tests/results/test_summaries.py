"""Summaries: what each computes where it applies, and how a new one is added and shown."""

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import torch
from handmade import failed, mixed, run, write
from rich.console import Console
from scipy.stats import trim_mean

from seqbench.cli.report import main
from seqbench.errors import ConfigError
from seqbench.results.frame import compare, records
from seqbench.results.numbers import count, measured
from seqbench.results.rendering.blocks import blocks, legend
from seqbench.results.rendering.data import to_csv, to_json
from seqbench.results.rendering.latex import to_latex
from seqbench.results.rendering.markdown import to_markdown
from seqbench.results.rendering.terminal import print_comparison
from seqbench.results.summaries import DEFAULT, Cell, Row, Summary, find
from seqbench.results.summaries.longer_lengths import LongerLengths
from seqbench.results.summaries.metric_median import MetricMedian
from seqbench.results.summaries.note import Note
from seqbench.results.summaries.solve_rate import SolveRate
from seqbench.results.summaries.steps_to_solve import StepsToSolve
from seqbench.runs.result import Result
from seqbench.tasks.metrics import loss, share


class InterquartileMean(Summary):
    """The mean of the middle half of the seeds (Agarwal et al., 2021)."""

    columns = ("iqm",)
    legend = "interquartile mean"

    def compute(self, cell: Cell) -> Row:
        return {"iqm": trim_mean(cell.values, 0.25)} if cell.values else {}

    def text(self, row: Row) -> str:
        return "" if pd.isna(row["iqm"]) else f"IQM {measured(row['iqm'], row['unit'])}"


class StateSize(Summary):
    columns = ("state_size",)
    counts = ("state_size",)
    heading = "state"

    def compute(self, cell: Cell) -> Row:
        return {"state_size": cell.runs[0].state_size} if cell.runs else {}

    def side_text(self, rows: list[Row]) -> str:
        return count(rows[0]["state_size"])


def test_a_new_statistic_is_in_every_format() -> None:
    values = [0.01, 0.02, 0.03, 0.04, 0.05, 0.06, 0.07, 5.0]
    results = [run(seed=seed, value=value, state_size=64) for seed, value in enumerate(values)]
    comparison = compare([*results, *mixed()[-5:]], [*DEFAULT, InterquartileMean(), StateSize()])
    # Of eight values the two least and the two greatest are left out.
    assert comparison.frame["iqm"].tolist() == pytest.approx([(0.03 + 0.04 + 0.05 + 0.06) / 4, 0.9])
    assert str(comparison.frame["state_size"].dtype) == "Int64"
    console = Console(file=io.StringIO(), width=110)
    print_comparison(comparison, console)
    texts = [console.file.getvalue(), to_markdown(comparison), to_latex(comparison)]  # type: ignore[attr-defined]
    for text in texts:
        assert "IQM 0.045" in text and "state" in text and "64" in text
        assert "steps to solve: median by Kaplan-Meier; interquartile mean." in " ".join(
            text.split()
        ).replace("--", "-").replace("–", "-")
    assert "IQM 90.0 %" in texts[1] and r"IQM 90.0 \%" in texts[2]
    assert r"\begin{tabular}{lcrr}" in texts[2]
    csv, rows = pd.read_csv(io.StringIO(to_csv(comparison))), json.loads(to_json(comparison))
    assert csv["iqm"].dropna().tolist() == pytest.approx([0.045, 0.9])
    assert [row["iqm"] for row in rows if row["iqm"]] == pytest.approx([0.045, 0.9])


def test_the_command_takes_a_statistic_by_its_class(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "runs", mixed())
    name = f"{__name__}.InterquartileMean"
    assert main([str(tmp_path / "runs"), "--format", "md", "--summary", name]) == 0
    assert (
        "0.003 [0.001–0.005]<br>5/5 [57–100]%<br>100 [100–100] steps<br>IQM 0.003 " in capsys.readouterr().out
    )
    for wrong in ("seqbench.results.summaries.nothing.X", "nothing", "seqbench.errors.ConfigError"):
        with pytest.raises(ConfigError, match=wrong.replace(".", r"\.")):
            find(wrong)


class Faulty(Summary):
    """A summary that options make wrong."""

    columns = ("faulty",)

    def __init__(self, computes=0.5, says="fine", counts=(), columns=("faulty",)) -> None:
        self.computes, self.says, self.counts, self.columns = computes, says, counts, columns

    def compute(self, cell: Cell) -> Row:
        return {"faulty": self.computes[0]} if isinstance(self.computes, tuple) else self.computes

    def text(self, row: Row) -> str:
        return row["absent"] if self.says == "fails" else self.says


RETURNS = rf"^compute of the summary {__name__}.Faulty returns "


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"computes": None}, RETURNS + "NoneType, and a dict is due"),
        ({"computes": {"runs": 1}}, RETURNS + "'runs', which is none of its columns faulty"),
        ({"computes": ({1},)}, RETURNS + "set for faulty, and a number or a text is due"),
        ({"computes": ([1, {}],)}, RETURNS + "dict for faulty, and a number or a text is due"),
        ({"computes": (torch.zeros(2),)}, RETURNS + "Tensor for faulty, and a number or a text is due"),
        ({"computes": ("many",), "counts": ("faulty",)}, RETURNS + "'many' for faulty, and its `counts` say"),
        ({"computes": (0.5,), "counts": ("faulty",)}, RETURNS + "0.5 for faulty, and its `counts` say"),
        ({"computes": ()}, f"^The summary {__name__}.Faulty fails in compute with IndexError: tuple index"),
        ({"says": "fails"}, f"^The summary {__name__}.Faulty fails in text with KeyError: 'absent'."),
        ({"says": 3}, f"^text of the summary {__name__}.Faulty returns int, and a text is due"),
        ({"columns": "faulty"}, f"^The summary {__name__}.Faulty must say in `columns` what its columns are"),
        (
            {"counts": ("other",)},
            f"^The summary {__name__}.Faulty must say in `columns` what its columns are",
        ),
    ],
)
def test_a_fault_of_a_new_statistic_names_it(options, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        to_markdown(compare(mixed(), [*DEFAULT, Faulty(**{"computes": (0.5,)} | options)]))


@pytest.mark.parametrize(
    ("value", "column"),
    [
        (torch.tensor(0.5), 0.5),
        (np.float32(0.5), 0.5),
        (np.array(0.5), 0.5),
        ("half", "half"),
        ([0.5, None], [0.5, None]),
        *((None, None), (math.nan, None), (np.float64("nan"), None), (pd.NA, None)),
    ],
)
def test_a_value_may_be_a_scalar_of_any_kind(value, column) -> None:
    rows = json.loads(to_json(compare(mixed()[-5:], [*DEFAULT, Faulty((value,))])))
    assert rows and all(row["faulty"] == column for row in rows)


def test_whether_a_run_is_solved_is_known_at_its_training_length_only() -> None:
    runs = (run(solved_at=100), run(solved_at=300), run(solved_at=200, status="diverged"), failed())
    at = Cell(runs, train_length=50, length=50, usual_runs=4)
    assert at.solved_at == [100, 300, None]
    assert SolveRate().compute(at)["solved"] == 2
    assert SolveRate().compute(at)["solve_rate"] == pytest.approx(2 / 3)
    steps = StepsToSolve().compute(at)
    assert (steps["median_steps"], steps["solved_at"], steps["censored_at"]) == (300, [100, 300], [3000])
    beyond = Cell(runs, train_length=50, length=100, usual_runs=4)
    assert SolveRate().compute(beyond) == StepsToSolve().compute(beyond) == {}


def shown(summary: Summary, *runs: Result) -> str:
    """Return the text of the summary of some runs."""
    cell = Cell(runs, 50, 50, usual_runs=len(runs))
    row = {"seeds": len(cell.seeds), "unit": "share"} | dict.fromkeys(summary.columns, math.nan)
    return summary.text(row | summary.compute(cell))


@pytest.mark.parametrize(
    ("values", "text"),
    [
        ([], ""),
        ([None], "–"),
        ([0.9], "90.0 %"),
        ([0.9, 0.25], "90.0, 25.0 %"),
        ([0.9, 0.25, 0.3], "30.0 (25.0–90.0) %"),
        ([1.0, 1.0, 0.25, 0.25, 1.0], "100.0 [25.0–100.0] %"),
        ([1.0, 1.0, 0.25, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0, 1.0], "100.0 [100.0–100.0] %"),
    ],
)
def test_a_median_has_the_interval_that_its_seeds_allow(values: list[float | None], text: str) -> None:
    runs = [run(seed=seed, value=value) for seed, value in enumerate(values)]
    assert shown(MetricMedian(), *runs) == text


@pytest.mark.parametrize(
    ("steps", "text"),
    [
        ([], ""),
        ([None] * 5, "none in 3k steps"),
        ([200], "200 steps"),
        ([None, 200], "200, 3k+ steps"),
        ([200, 300, 100], "200 (100–300) steps"),
        ([200, 300, None], "300 (200–3k+) steps\n1 censored at 3k"),
        ([200, 300, 100, 400, 500], "300 [100–500] steps"),
        ([200, 300, 100, None, None], "300 [100–∞] steps\n2 censored at 3k"),
        ([200, None, None, None, None], ">3k [200–∞] steps\n4 censored at 3k"),
    ],
)
def test_unsolved_runs_are_censored(steps: list[int | None], text: str) -> None:
    runs = [run(seed=seed, solved_at=step) for seed, step in enumerate(steps)]
    assert shown(StepsToSolve(), *runs) == text


def test_a_run_that_ended_early_is_censored_at_its_budget() -> None:
    """Where it ended it would say nothing of the two that went on, and the median would be theirs."""
    budget = {"trainer__max_steps": 1000, "trainer__patience": 3}
    solved = [run(seed=seed, steps=500, solved_at=500, **budget) for seed in range(2)]
    impatient = [run(seed=seed, steps=300, solved_at=None, **budget) for seed in (2, 3)]
    lost = run(seed=4, steps=200, solved_at=None, status="diverged", **budget)
    text = ">1k [500–∞] steps\n3 censored at 1k"
    assert shown(StepsToSolve(), *solved, *impatient, lost) == text


def test_a_diverged_run_has_no_value_though_weights_from_before_were_tested() -> None:
    metrics = {"metrics": {"loss": loss("squared error"), "correct": share("correct")}}
    metrics |= {"solved_metric": "correct"}
    runs = [run(seed=s, test={"50": {"loss": 0.1 * s, "correct": 0.5}}, **metrics) for s in (1, 2, 3)]
    runs.append(run(seed=4, test={"50": {"loss": 9.0, "correct": 0.0}}, status="diverged", **metrics))
    row = compare(runs).frame.iloc[0]
    assert row["values"] == pytest.approx([0.1, 0.2, 0.3]) and row["solved_metric_values"] == [0.5] * 3
    assert row["note"] == "1 diverged, 3 of 4 with a value"


def test_a_legend_says_what_the_table_holds_and_no_more() -> None:
    def explained(*seeds: int) -> str:
        runs = [run(length=50 * i, seed=s, value=0.1) for i, n in enumerate(seeds, 1) for s in range(n)]
        return legend(compare(runs))

    assert explained(5) == (
        "Each cell: test metric: median over seeds [interval of 93 % or more]; runs solved [95 % Wilson "
        "interval]; steps to solve: median by Kaplan–Meier. Baseline: the best predictor that ignores the "
        "input."
    )
    assert "median over seeds (range of three or four seeds); runs" in explained(3)
    assert "test metric of each seed; runs" in explained(2) and "steps to solve: each run's." in explained(1)
    assert "a→b" in legend(compare([run(test={"50": {"loss": 0.1}, "100": {"loss": 0.2}})]))
    assert "steps to solve" not in legend(compare([run(solved_at=None)]))
    assert "censored at their budget (+)" in legend(compare([run(solved_at=None), run(seed=1)]))
    many = [run(seed=s, solved_at=None if s else 100) for s in range(5)]
    assert "censored at their budget. " in legend(compare(many)), "no cell of five seeds has a plus"
    assert legend(compare([failed()])) == ""


def test_note_names_what_is_missing_and_how_many_seeds_differ() -> None:
    runs = (run(), run(value=None, status="diverged"), failed())
    note = Note().compute(Cell(runs, train_length=50, length=50, usual_runs=5))
    assert note == {"note": "3 seeds, 1 failed, 1 diverged, 1 of 2 with a value"}
    assert Note().text(note) == "3 seeds\n1 failed\n1 diverged\n1 of 2 with a value"
    assert Note().compute(Cell((run(),), 50, 50, usual_runs=2)) == {"note": "1 seed"}
    assert Note().compute(Cell((run(),), 50, 50, usual_runs=1)) == {"note": ""}


def test_note_says_what_the_runs_of_a_cell_do_not_share() -> None:
    def note(*settings: dict[str, object]) -> str:
        runs = tuple(run(seed=seed, **each) for seed, each in enumerate(settings))
        return str(Note().compute(Cell(runs, 50, 50, usual_runs=len(runs)))["note"])

    assert note({"commit": "a"}, {"commit": "b"}, {"commit": "b"}) == "2 commits"
    assert note({"commit": "a"}, {"commit": None}) == "2 commits"
    assert note({"revisions": {"optim.omega": 2}}, {}, {"revisions": {"optim.omega": 3}}) == "3 revisions"
    assert note({"versions": {"torch": "2.13"}}, {"versions": {"torch": "2.14"}}) == "2 versions of torch"
    assert note({"versions": {"compiler": "gcc 12"}}, {"versions": {"compiler": "clang 15"}}) == "2 compilers"
    assert note({"device": "cpu", "commit": "a"}, {"device": "gpu", "commit": "b"}) == "2 commits, 2 devices"
    assert note({"commit": "a", "device": "x"}, {"commit": "a", "device": "x"}) == ""
    # A run that failed has no number in the cell.
    assert note({"commit": "a"}, {"commit": "b", "status": "failed"}) == "1 failed"


def test_the_metric_that_solved_is_about_is_shown_where_it_is_another() -> None:
    metrics = {
        "metrics": {"loss": loss("squared error"), "correct": share("correct")},
        "solved_metric": "correct",
    }
    chance = {"50": {"correct": 0.125}}
    runs = [
        run(seed=s, test={"50": {"loss": 0.1, "correct": c}}, chance=chance, **metrics)
        for s, c in enumerate([0.5, 1.0, 0.75])
    ]
    comparison = compare(runs)
    (block,) = blocks(comparison)
    assert block.table.loc["lstm", "50"].split("\n")[:2] == ["0.1 (0.1–0.1)", "correct 75.0 (50.0–100.0) %"]
    assert block.table.loc["baseline", "50"] == "0.167\ncorrect 12.5 %"
    assert "by name, the metric that solved is about (correct)" in block.legend
    assert comparison.frame["solved_metric_values"].tolist() == [[0.5, 1.0, 0.75]]
    same = compare([run(solved_metric="loss")])
    assert not isinstance(same.frame["solved_metric"].iloc[0], str) and "by name" not in legend(same)


def test_chance_is_the_baseline_of_a_metric_that_the_task_knows_it_of() -> None:
    known, unknown = ([run("copy_memory", length=20, chance=c)] for c in ({"20": {"accuracy": 0.125}}, {}))
    (block,) = blocks(compare(known))
    assert block.table.loc["baseline", "20"] == "12.5 %" and "Baseline: " in block.legend
    (block,) = blocks(compare(unknown))
    assert "baseline" not in block.table.index and "Baseline: " not in block.legend


def test_what_the_test_set_does_not_confirm_is_shown() -> None:
    def shown(*on_test: bool | None) -> str:
        runs = tuple(run(seed=seed, solved_on_test=each) for seed, each in enumerate(on_test))
        cell = Cell((*runs, run(seed=9, solved_at=None, solved_on_test=False)), 50, 50, usual_runs=4)
        return SolveRate().text(SolveRate().compute(cell) | {"seeds": len(cell.seeds)})

    assert shown(True, True, True) == "3/4 [30–95]%"
    assert shown(True, False, True) == "3/4 [30–95]%\n2 on test"
    assert shown(None, None, None) == "3/4 [30–95]%"


def test_the_mean_over_longer_lengths_is_of_each_seed_and_the_best_of_them() -> None:
    def tested(seed: int, *values: float, **settings: object) -> Result:
        test = {n: {"accuracy": v} for n, v in zip(("40", "100", "200"), values, strict=False)}
        return run("copy_memory", length=40, seed=seed, test=test, **settings)

    runs = [tested(0, 1, 0.5, 0.7), tested(1, 1, 0.6, 1.0), tested(2, 1, 0.5, 0.5)]
    lacking = [tested(3, 1, 1), tested(4, 1, 1, 1, status="diverged")]
    comparison = compare([*runs, *lacking], [*DEFAULT, LongerLengths()])
    for row in comparison.frame.to_dict("records"):
        assert row["longer_values"] == pytest.approx([0.6, 0.8, 0.5]) and row["longer_lengths"] == 2
        assert row["longer_best"] == pytest.approx(0.8)
    (block,) = blocks(comparison)
    assert block.table.loc["lstm", "longer lengths"] == "60.0 (50.0–80.0) %, best 80.0 %"
    (block,) = blocks(compare([tested(0, 1)], [*DEFAULT, LongerLengths()]))
    assert block.table.loc["lstm", "longer lengths"] == "–"
    other = [replace(its, config={**its.config, "task": {"length": 100}}) for its in runs]
    both = compare([*runs, *other], [*DEFAULT, LongerLengths()])
    (block,) = blocks(both)
    assert block.table.loc["lstm", "longer lengths"] == (
        "40→ 60.0 (50.0–80.0) %, best 80.0 %\n100→ 70.0 (50.0–100.0) %, best 100.0 %"
    )
    keys = {row["train_length"]: LongerLengths().sorted_by(row) for row in records(both.frame)}
    assert keys == pytest.approx({40: -0.6, 100: -0.7})  # the best first
    least = [run(seed=s, test={"50": {"loss": 1}, "90": {"loss": s}}) for s in (1.0, 3.0)]
    found = compare(least, [LongerLengths()]).frame
    assert found["longer_best"].tolist() == [1.0, 1.0]

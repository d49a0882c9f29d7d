"""The page of odd runs: what failed or has not ended; names, numbers, settings that nobody expects."""

import re
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pandas as pd
import pytest
from tests.results.handmade import failed, mixed, run, write
from tests.results.html.test_html_page import Page, compared, of
from tests.runs.handmade import begin, result

from seqbench.cli.report import main
from seqbench.results.curves import COLUMNS
from seqbench.results.frame import compare, meaning
from seqbench.results.html.cost import cost_panels
from seqbench.results.html.detail import Detail
from seqbench.results.html.every_run import lacking
from seqbench.results.html.leaderboard import leaderboard
from seqbench.results.html.learning import MOST_LINES, learning_panels
from seqbench.results.html.lengths import length_panels
from seqbench.results.html.matrix import matrices
from seqbench.results.html.steps import step_panels
from seqbench.results.html.traces import log_ticks, model_axis, number
from seqbench.results.styles import apart
from seqbench.results.summaries import DEFAULT, Row, Summary
from seqbench.results.summaries.throughput import Throughput
from seqbench.runs.exchange import export_runs
from seqbench.runs.inventory import inventory
from seqbench.runs.result import Result
from seqbench.tasks.metrics import loss, share

BUDGET: dict[str, Any] = {
    "batch_size": 32,
    "trainer": {"max_steps": 1000, "eval_every": 100, "stop_when_solved": True, "patience": None},
}


def page(place: Path, *words: object) -> Page:
    """Return the page that a command writes of the runs in places."""
    assert main([*map(str, words), "--format", "html", "--out", str(place)]) == 0
    return Page((place / "report.html").read_text())


def captions(its: Page) -> list[str]:
    return re.findall(r'<p class="caption">(.*?)</p>', its.text)


def states(its: Page) -> list[str | None]:
    return [attrs["data-state"] for tag, attrs in its.elements if tag == "tr" and "data-state" in attrs]


def test_a_variant_whose_runs_all_failed_has_its_label_everywhere(tmp_path: Path) -> None:
    results = [run(seed=s, optim__lr=0.01) for s in range(3)]
    results += [failed(seed=s, optim__lr=0.1) for s in range(3)]
    results += [run(model="gru", seed=s, solved_at=None) for s in range(3)]
    (found,) = matrices(results)
    assert found.of_lengths[0].models == ("gru", "lstm (lr=0.01)")
    its = page(tmp_path / "site", write(tmp_path / "runs", results))
    assert states(its).count("failed") == 3 and "lstm (lr=0.1)" in its.text


def test_a_model_has_one_look_on_the_whole_page() -> None:
    rates = (0.01, 0.02, 0.03, 0.04, 0.05)
    results = [run(seed=s, optim__lr=lr, wall_time_s=2.0) for lr in rates for s in range(3)]
    results += [run("latch", seed=s, optim__lr=lr, wall_time_s=2.0) for lr in (0.03, 0.05) for s in range(3)]
    comparison = compared(results)
    models = sorted(comparison.frame["model"].unique())
    curves = pd.DataFrame(
        [("adding", 50, models[4], "lstm", "", s, 100, "validation", "loss", 0.1) for s in range(3)],
        columns=[*COLUMNS],
    )
    panels = [*length_panels(comparison), *step_panels(comparison), *cost_panels(comparison)]
    panels += learning_panels(curves, {"adding": meaning("loss", loss("squared error"))}, models)
    looks: dict[str, set[tuple[str, str, str]]] = {}
    for trace in (trace for panel in panels for trace in panel.data if "symbol" in trace.get("marker", {})):
        look = trace["marker"]
        if look["symbol"] != "x-thin":  # of a run that did not solve its task
            fade = look.get("gradient", {}).get("type", "")
            looks.setdefault(trace["meta"], set()).add((look["symbol"], fade, trace["line"]["dash"]))
    assert {model: len(its) for model, its in looks.items()} == dict.fromkeys(models, 1)
    assert len({look for its in looks.values() for look in its}) == len(models), "and no two models have one"


def test_models_at_one_length_stay_clear_of_the_next() -> None:
    for lengths in ([20, 50, 100], [95, 100], [10, 11, 400]):
        for of_models in (2, 7, 100, 2000):
            at = [[apart(n, place, of_models, lengths) for place in range(of_models)] for n in lengths]
            assert all(max(one) < min(other) for one, other in pairwise(at))
    assert apart(50, 1, 3, [20, 50, 100]) == pytest.approx(50), "that in the middle is where it belongs"


def test_labels_beside_rows_are_whole_and_the_panel_as_high_as_they_are() -> None:
    names = [f"lstm (hidden_size=64, num_layers=2, lr={lr})" for lr in (0.001, 0.003)]
    axis, height = model_axis(names)
    assert [text.replace("<br>", " ") for text in axis["ticktext"]] == names
    assert height > model_axis(["lstm", "gru"])[1]


def test_numbers_at_the_ends_of_the_range_are_on_the_page(tmp_path: Path) -> None:
    largest = 1.7976931348623157e308
    assert number(largest) == largest and number(12345678.9) == 12346000
    assert log_ticks(5e-324, largest, str)["tickvals"][-1] <= 1e308
    values = (largest, -largest, 1e-320, 0.0, None)
    results = [run(model=f"m{k}", seed=s, value=v) for k, v in enumerate(values) for s in range(3)]
    assert page(tmp_path / "site", write(tmp_path / "runs", results)).data["panels"]["lengths"]


def test_crowded_curves_have_a_line_where_a_model_has_no_median() -> None:
    rows = [
        ("adding", 50, model, "lstm", "", seed, step, "validation", "loss", 0.1)
        for model, seeds in (("many", MOST_LINES), ("few", 2))
        for seed in range(seeds)
        for step in (100, 200)
    ]
    curves = pd.DataFrame(rows, columns=[*COLUMNS])
    (panel,) = learning_panels(curves, {"adding": meaning("loss", loss("squared error"))}, ["few", "many"])
    assert len(of(panel, "few")) == 2 and len(of(panel, "many")) == 2, "two lines; a band and its median"


def test_a_run_that_has_not_ended_is_shown_whatever_its_configuration_is(tmp_path: Path) -> None:
    runs = write(tmp_path / "runs", [run()])
    for seed, text in enumerate(("task: adding", "model: {readout: x}\npreset: {task: adding, model: lstm}")):
        (begin(runs, result(seed=seed)) / "config.yaml").write_text(text)
    its = page(tmp_path / "site", runs)
    assert states(its) == ["stopped", "stopped", "solved"]
    assert its.data["runs"][0]["command"] == "unknown, as a preset of this run is not found here"


@pytest.mark.slow
def test_a_run_that_has_not_ended_is_called_as_the_others_of_its_configuration(tmp_path: Path) -> None:
    runs = write(tmp_path / "runs", [run(seed=s, optim__lr=lr) for s in range(2) for lr in (0.01, 0.1)])
    begin(runs, run(seed=2, optim__lr=0.1))
    (row,) = [a for t, a in page(tmp_path / "site", runs).elements if a.get("data-state") == "stopped"]
    assert row["data-model"] == "lstm (lr=0.1)"


def test_runs_that_have_not_ended_are_chosen_as_the_others_are(tmp_path: Path) -> None:
    """A model that is in an exported file alone leaves those in the folder alone."""
    folder, elsewhere = write(tmp_path / "runs", [run()]), write(tmp_path / "others", [run(model="gru")])
    begin(folder, result(seed=7))
    begin(folder, result(model="rnn", seed=7))
    export_runs(inventory(elsewhere), tmp_path / "runs.jsonl", False, print)
    chosen = page(tmp_path / "site", folder, tmp_path / "runs.jsonl", "--model", "lstm", "--model", "gru")
    assert states(chosen) == ["stopped", "solved", "solved"]
    assert "stopped" not in states(page(tmp_path / "site", folder, "--where", "status=solved"))


def test_a_run_has_one_line_however_many_folders_hold_it(tmp_path: Path) -> None:
    one, other = write(tmp_path / "one", [run(), run(seed=1)]), write(tmp_path / "other", [run(seed=1)])
    begin(other, run())  # which has ended in the first
    (tmp_path / "link").symlink_to(one)
    its = page(tmp_path / "site", one, other, tmp_path / "link", f"{one}/")
    assert states(its) == ["solved", "solved"]


def test_two_presets_of_one_configuration_are_two_models(tmp_path: Path) -> None:
    ended, begun = run(), replace(run(), model="mine")  # the same configuration and hash
    runs = write(tmp_path / "runs", [ended])
    begin(runs, begun)
    rows = [a for t, a in page(tmp_path / "site", runs).elements if t == "tr" and "data-state" in a]
    assert [(a["data-model"], a["data-state"]) for a in rows] == [("mine", "stopped"), ("lstm", "solved")]


def test_what_models_lack_is_named_at_each_length() -> None:
    results = [run(model=m, length=n, seed=s) for m in ("lstm", "rnn") for n in (20, 50) for s in range(3)]
    results += [run(model="gru", length=20), failed(model="mgu", length=50)]
    results += [run("latch", seed=s) for s in range(2)]
    assert lacking(compared(results)) == [
        "gru on adding: 1 of 3 runs at 20, none at 50.",
        "mgu on adding: 1 of 3 runs at 50, none at 20.",
    ]
    assert lacking(compared(mixed())) == [
        "leaky_rnn (alpha=0.5) on adding: 3 of 5 runs at 50.",
        "leaky_rnn (alpha=0.9) on adding: 3 of 5 runs at 50.",
    ]


def test_a_run_is_unsolved_only_of_a_task_that_says_when_it_is_solved(tmp_path: Path) -> None:
    results = [run(solved_at=None), run("latch", solved_at=None, solved_when=None)]
    assert states(page(tmp_path / "site", write(tmp_path / "runs", results))) == ["unsolved", "finished"]


def test_what_the_legend_explains_is_in_the_table_and_nothing_is_said_twice(tmp_path: Path) -> None:
    metrics = {"loss": loss("cross-entropy"), "correct": share("correct")}
    results = [
        run(length=n, seed=s, metrics=metrics, solved_metric="correct", model__chrono=n // 2)
        for n in (50, 100)
        for s in range(5)
    ]
    for its in results:
        (at,) = its.test.values()
        at["correct"] = 0.97
    first, *_ = leaderboard(compared(results))
    assert first.entries["metric"].text == "0.001 [0.001–0.001]; correct 97.0 [97.0–97.0] %"
    found = page(tmp_path / "site", write(tmp_path / "runs", results))
    assert found.text.count("lstm has chrono=25 at 50 and chrono=50 at 100.") == 1
    assert any("by name, the metric that solved is about (correct)" in text for text in captions(found))


class Slowest(Summary):
    """The longest time of a run, in a column that the page has of its own too."""

    columns = ("wall_time_s",)

    def compute(self, cell: Any) -> Row:
        """Return the time."""
        return {"wall_time_s": max(run.wall_time_s for run in cell.runs)}

    def text(self, row: Row) -> str:
        """Return the time."""
        return f"{row['wall_time_s']:.0f} s"


def test_a_summary_that_was_asked_for_is_sorted_by_its_number() -> None:
    speeds = {"a": 950.0, "b": 2000.0, "c": 12.0}
    asked = [Throughput(), Slowest()]
    results = [run(model=m, sequences_per_s=v, wall_time_s=v) for m, v in speeds.items()]
    board = leaderboard(compare(results, [*DEFAULT, Detail(), *asked]), asked)
    for name in ("summary 0", "summary 1"):
        assert [line.model for line in sorted(board, key=lambda its: float(its.entries[name].key))] == [
            *"cab"
        ]
    assert board[0].entries["summary 0"].text == "950"


def sweep(task: str, target: str, key: str, model: str, solved: dict[int, int], n: int = 5) -> list[Result]:
    """Return runs at spans, of which so many solve it."""
    found = []
    for span, its in solved.items():
        for seed in range(n):
            one = run(task, model, 100, seed, solved_at=100 if seed < its else None, **{f"task__{key}": span})
            at = one.config["task"]
            one.config |= BUDGET | {"task": at | {"_target_": f"seqbench.tasks.synthetic.{target}"}}
            found.append(one)
    return found


def test_the_headline_has_the_span_of_a_task_whose_span_is_not_its_length(tmp_path: Path) -> None:
    runs = sweep("time_warp", "time_warp.TimeWarp", "warp", "gru", {4: 5, 8: 5, 16: 0})
    runs += sweep("time_warp", "time_warp.TimeWarp", "warp", "lstm", {4: 5, 8: 0, 16: 0})
    its = page(tmp_path / "site", write(tmp_path / "runs", runs))
    table = its.text.partition('aria-label="Headline of time_warp"')[2].partition("</table>")[0]
    spans = [float(text) for text in re.findall(r'class="number span">([\d.]+)', table)]
    gru, lstm = spans
    assert 8 < gru < 16 and 4 < lstm < 8
    assert any("spans are task.warp, from 4 to 16" in text for text in captions(its))


def test_a_model_with_too_few_runs_takes_no_span_from_the_others(tmp_path: Path) -> None:
    runs = sweep("adding", "adding.Adding", "length", "gru", {50: 5, 100: 0})
    runs += sweep("adding", "adding.Adding", "length", "lstm", {50: 1, 100: 0}, n=1)
    text = page(tmp_path / "site", write(tmp_path / "runs", runs))
    assert re.search(r'class="number span">7\d', text.text)
    assert any("lstm on adding at 50 has 1 run; a span is fitted" in its for its in captions(text))


def test_runs_of_one_length_need_no_task_to_be_built(tmp_path: Path) -> None:
    """It may be of a data set or a package that is not here, and has no two spans."""
    results = [run(seed=s, task___target_="mine.Task") for s in range(3)] + [failed(seed=9, length=70)]
    assert not any(
        "half of the runs" in text for text in captions(page(tmp_path, write(tmp_path / "r", results)))
    )


def test_a_long_list_of_tasks_is_counted_in_the_title(tmp_path: Path) -> None:
    results = [run(task__a_long_setting=k, task__one_more_setting=k) for k in range(2)]
    assert "<h1>lstm on 2 tasks</h1>" in page(tmp_path, write(tmp_path / "r", results)).text
    assert (
        "<h1>lstm on adding, latch</h1>" in page(tmp_path, write(tmp_path / "s", [run(), run("latch")])).text
    )


def test_more_models_than_a_matrix_holds_are_told_what_would_do() -> None:
    (found,) = matrices([run(model=f"m{k}") for k in range(17)])
    assert not found.of_lengths and "17 models are too many" in found.notes[0] and "--model" in found.notes[0]


def test_no_more_rows_are_laid_out_than_are_shown_at_first(tmp_path: Path) -> None:
    """Of 2,000 runs the others were most of the time that the page took to open."""
    results = [run(model=f"m{k}", seed=s, solved_when=None) for k in range(45) for s in range(2)]
    its = page(tmp_path / "site", write(tmp_path / "runs", results))
    board, every = (
        its.text.partition(f'id="{name}"')[2].partition("</table>")[0] for name in ("board", "every")
    )
    assert [table.count(" hidden>") for table in (board, every)] == [45 - 40, 90 - 60]
    assert "<noscript><style>tbody tr[hidden]" in its.text, "without scripts all rows are there"

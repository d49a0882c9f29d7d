"""The figure of a metric against a number of the runs."""

import csv
import math
from pathlib import Path

import pandas as pd
import pytest
from handmade import failed, run, write

from seqbench.cli.plot import main
from seqbench.errors import ConfigError, StoreError
from seqbench.results.against import against, draw_against
from seqbench.runs.result import Result


def sizes() -> list[Result]:
    """Return two models of three sizes, three seeds each; a larger state recalls more."""
    return [
        run(
            "copy_memory",
            model,
            20,
            seed,
            0.2 * place + 0.1 * (seed - 1) + 0.4,
            None,
            state_size=state,
            model__hidden_size=state // each,
            chance={"20": {"accuracy": 0.125}},
        )
        for model, each in (("gru", 1), ("lstm", 2))
        for place, state in enumerate((16, 64, 256))
        for seed in range(3)
    ]


def test_a_row_for_each_run_that_was_tested() -> None:
    diverged = run(
        "copy_memory", "gru", 20, 3, 0.9, None, state_size=16, model__hidden_size=16, status="diverged"
    )
    points = against([*sizes(), diverged, failed(task="copy_memory", state_size=None)], "state_size")
    assert len(points) == 18 and {*points["model"]} == {"gru", "lstm"}
    mine = points[(points["model"] == "lstm") & (points["state_size"] == 64)]
    assert list(mine["value"]) == pytest.approx([0.5, 0.6, 0.7]) and {*mine["label"]} == {
        "lstm (hidden_size=32)"
    }
    assert (
        {*points["baseline"]} == {0.125}
        and {*points["length"]} == {20}
        and {*points["metric"]} == {"accuracy"}
    )


def test_of_two_runs_of_a_label_and_seed_the_later_counts() -> None:
    """As after a revision, which gives them other hashes."""
    first, then = (
        [
            run("adding", "gru", 20, seed, value, None, hash=of * 32, finished_at=at, state_size=8)
            for seed in range(3)
        ]
        for of, value, at in (("a", 0.9, "2026-01-01T00:00:00Z"), ("b", 0.1, "2026-01-02T00:00:00Z"))
    )
    for every in (first + then, then + first):
        points = against(every, "state_size")
        assert points["seed"].tolist() == [0, 1, 2] and {*points["value"]} == {0.1}


def test_the_line_of_a_model_goes_through_the_medians_of_its_sizes() -> None:
    (panel, *_) = draw_against(against(sizes(), "state_size"), "state_size").axes
    lines = {
        line.get_marker(): line for line in panel.get_lines() if line.get_linestyle() not in ("None", "--")
    }
    assert len(lines) == 2 and panel.get_xscale() == "log" and panel.get_xlabel() == "state_size"
    for line in lines.values():
        assert list(line.get_xdata()) == [16, 64, 256] and list(line.get_ydata()) == pytest.approx(
            [0.4, 0.6, 0.8]
        )
    (baseline,) = (line for line in panel.get_lines() if line.get_linestyle() == "--")
    assert list(baseline.get_ydata()) == [0.125, 0.125]


def test_lengths_lie_in_one_panel_and_no_line_joins_two_configurations_at_one() -> None:
    runs = [
        run("adding", model, length, seed, 0.1 * rate, None, optim__lr=rate)
        for model, rates in (("gru", (0.1,)), ("lstm", (0.1, 0.2)))
        for rate in rates
        for length in (10, 20)
        for seed in range(3)
    ]
    panel, *others = draw_against(against(runs, "task.length"), "task.length").axes
    assert not others and panel.get_title() == "adding"
    styles = {
        (line.get_linestyle() != "None", tuple(line.get_xdata()))
        for line in panel.get_lines()
        if line.get_marker() not in (".", "None")
    }
    assert styles == {(True, (10, 20)), (False, (10, 10, 20, 20))}


def test_a_configuration_has_one_marker_where_its_seeds_differ_in_the_number() -> None:
    ended = enumerate([(600, 0.1), (600, 0.2), (700, 0.3), (800, 0.4), (900, 0.5)])
    runs = [run(seed=s, value=v, steps=n) for s, (n, v) in ended]
    (panel,) = draw_against(against(runs, "steps"), "steps").axes
    (marker,) = (line for line in panel.get_lines() if line.get_marker() not in (".", "None", None, ""))
    assert marker.get_xydata().tolist() == [[700, 0.3]]


def test_a_key_of_the_configuration_is_a_number_too() -> None:
    points = against(sizes(), "model.hidden_size")
    assert sorted({*points[points["model"] == "lstm"]["model.hidden_size"]}) == [8, 32, 128]


def test_runs_without_the_number_are_named() -> None:
    every = [*sizes(), *(run("copy_memory", "ntm", 20, seed) for seed in range(2))]
    told: list[str] = []
    assert len(against(every, "model.hidden_size", told.append)) == 18
    assert told == ["2 of 20 runs have no model.hidden_size, and are left out: ntm on copy_memory."]


def test_what_is_no_number_or_not_tested_is_refused() -> None:
    with pytest.raises(
        ConfigError, match=r"--x=model\.size: no run here has such a number\. There are state_size, "
    ):
        against(sizes(), "model.size")
    untested = [run(state_size=8, value=math.nan), failed(state_size=8)]
    with pytest.raises(StoreError, match="no run here that has state_size has a test at its training length"):
        against(untested, "state_size")


def test_the_command_writes_the_figure_and_its_numbers(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write(tmp_path / "runs", sizes())
    assert (
        main(["metric", str(tmp_path / "runs"), "--x", "state_size", "--out", str(tmp_path / "recall")]) == 0
    )
    assert sorted(Path(line).name for line in capsys.readouterr().out.split()) == [
        "recall.csv",
        "recall.png",
        "recall.svg",
    ]
    assert len(pd.read_csv(tmp_path / "recall.csv")) == 18
    with (tmp_path / "recall.csv").open() as file:
        assert {"state_size", "value", "baseline"} <= {*next(csv.reader(file))}
    with pytest.raises(ConfigError, match="required: --x"):
        main(["metric", str(tmp_path / "runs")])

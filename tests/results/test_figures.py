"""The figure shows the numbers of the comparison."""

from pathlib import Path

import pytest
from handmade import failed, mixed, run

from seqbench.errors import StoreError
from seqbench.results.figures import draw, save_figures
from seqbench.results.tables import compare


def test_panels_curves_and_baseline() -> None:
    figure = draw(
        compare([*mixed(), *(run(length=100, seed=s, solved_at=None, value=0.1) for s in range(5))])
    )
    adding, copy, loss, accuracy = figure.axes
    assert [adding.get_title(), copy.get_title()] == ["adding", "copy_memory"]
    curves = {line.get_label(): line for line in adding.get_lines()}
    assert list(curves["lstm"].get_ydata()) == [1, 0]
    assert list(curves["gru"].get_ydata()) == [0.25]
    assert adding.get_xscale() == "log"
    assert [tick.get_text() for tick in adding.get_xticklabels()] == ["50", "100"]
    baseline = next(line for line in loss.get_lines() if line.get_label() == "baseline")
    assert list(baseline.get_ydata()) == [1 / 6, 1 / 6]
    assert loss.get_yscale() == "log" and accuracy.get_yscale() == "linear"
    assert len(accuracy.get_lines()) == 1
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["gru", "leaky_rnn (alpha=0.5)", "leaky_rnn (alpha=0.9)", "lstm", "baseline"]


def test_extrapolation_runs_along_the_test_lengths() -> None:
    test = {"50": {"loss": 0.1}, "100": {"loss": 0.2}, "200": {"loss": 0.3}}
    upper, lower = draw(compare([run(test=test)])).axes
    assert list(upper.get_lines()[0].get_ydata()) == [1]
    assert list(lower.get_lines()[0].get_ydata()) == [0.1, 0.2, 0.3]
    assert "trained at 50" in lower.get_xlabel()


def test_files_are_written_the_same_each_time(tmp_path: Path) -> None:
    frame = compare(mixed())
    svg, png = save_figures(frame, tmp_path / "v1.2")
    assert (svg.name, png.name) == ("v1.2.svg", "v1.2.png")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert save_figures(frame, tmp_path / "again")[0].read_bytes() == svg.read_bytes()


def test_nothing_to_draw_is_no_error() -> None:
    figure = draw(compare([failed(), run("latch", value=None)]))
    figure.draw_without_rendering()
    lost = failed()
    del lost.config["task"]["length"]
    draw(compare([lost])).draw_without_rendering()
    assert [len(panel.get_lines()) for panel in figure.axes] == [0, 1, 0, 1]


def test_folder_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write"):
        save_figures(compare([run()]), tmp_path / "none" / "x")

"""The figure shows the numbers of the comparison."""

from pathlib import Path

import pytest
from handmade import failed, mixed, run
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqbench.errors import StoreError
from seqbench.results.figures import draw, literal, save
from seqbench.results.frame import compare
from seqbench.tasks.metrics import Metric, share


def test_panels_curves_and_baseline() -> None:
    longer = [run(length=100, seed=s, solved_at=None, value=0.1) for s in range(5)]
    figure = draw(compare([*mixed(), *longer]).frame)
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
    upper, lower = draw(compare([run(test=test)]).frame).axes
    assert list(upper.get_lines()[0].get_ydata()) == [1]
    assert list(lower.get_lines()[0].get_ydata()) == [0.1, 0.2, 0.3]
    assert "trained at 50" in lower.get_xlabel()


def test_files_are_written_the_same_each_time(tmp_path: Path) -> None:
    frame = compare(mixed()).frame
    svg, png = save(draw(frame), tmp_path / "v1.2")
    assert (svg.name, png.name) == ("v1.2.svg", "v1.2.png")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert save(draw(frame), tmp_path / "again")[0].read_bytes() == svg.read_bytes()


def test_missing_values_are_not_drawn() -> None:
    figure = draw(compare([failed(), run("latch", value=None)]).frame)
    figure.draw_without_rendering()
    lost = failed()
    del lost.config["task"]["length"]
    draw(compare([lost]).frame).draw_without_rendering()
    assert [len(panel.get_lines()) for panel in figure.axes] == [0, 1, 0, 1]


def test_missing_folder_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="cannot write"):
        save(draw(compare([run()]).frame), tmp_path / "none" / "x")


def test_axis_of_a_metric_has_its_unit_and_bounds() -> None:
    def axis(metric: Metric, value: float) -> Axes:
        test = {"50": {metric.name: value}}
        figure = draw(compare([run(metric=metric.name, metrics={metric.name: metric}, test=test)]).frame)
        figure.draw_without_rendering()
        panel: Axes = figure.axes[1]
        return panel

    ticks = ["0 %", "25 %", "50 %", "75 %", "100 %"]
    f1 = axis(share("f1"), 0.3)
    assert [text.get_text() for text in f1.get_yticklabels()] == ticks
    assert f1.get_ylim() == pytest.approx((-0.04, 1.04))
    assert axis(Metric("failed", "min", "types", 0, 20), 3).get_ylim() == pytest.approx((-0.8, 20.8))
    bits = axis(Metric("bits", "min", "bits", 0), 3)
    assert bits.get_ylim()[1] < 4 and not any("%" in text.get_text() for text in bits.get_yticklabels())


def test_a_label_is_no_formula(tmp_path: Path) -> None:
    assert literal("$x$\x1b[2J") == r"\$x\$\x1b[2J"
    figure = Figure()
    figure.text(0, 0, literal(r"$\frac{$"))
    assert len(save(figure, tmp_path / "figure")) == 2

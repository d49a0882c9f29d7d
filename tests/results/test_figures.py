"""The figure shows the numbers of the comparison."""

import warnings
from pathlib import Path

import pytest
from handmade import failed, mixed, run
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from seqbench.errors import StoreError
from seqbench.results.figures import draw, literal, save, save_as
from seqbench.results.frame import compare
from seqbench.results.progress import draw_steps
from seqbench.tasks.metrics import Metric, share


def lines(panel: Axes) -> dict[str, list[float]]:
    """Return the heights of the labelled lines of a panel."""
    return {
        str(line.get_label()): list(line.get_ydata())
        for line in panel.get_lines()
        if not str(line.get_label()).startswith("_")
    }


def dots(panel: Axes) -> list[tuple[float, float]]:
    """Return the places of the seeds in a panel."""
    found = [line for line in panel.get_lines() if line.get_marker() == "."]
    return [(float(x), float(y)) for line in found for x, y in line.get_xydata()]


def test_panels_curves_and_baseline() -> None:
    longer = [run(length=100, seed=s, solved_at=None, value=0.1) for s in range(5)]
    figure = draw(compare([*mixed(), *longer]).frame)
    adding, loss, copy, accuracy = (figure.axes[k] for k in (0, 2, 1, 3))
    assert [adding.get_title(), copy.get_title()] == ["adding", "copy_memory"]
    assert lines(adding)["lstm"] == [1, 0] and lines(adding)["gru"] == [0.25]
    assert adding.get_xscale() == "log"
    assert [tick.get_text() for tick in adding.get_xticklabels()] == ["50", "100"]
    assert lines(loss)["baseline"] == [1 / 6, 1 / 6]
    assert loss.get_yscale() == "log" and accuracy.get_yscale() == "linear"
    assert set(lines(accuracy)) == {"lstm"}
    labels = [text.get_text() for text in figure.legends[0].get_texts()]
    assert labels == ["gru", "leaky_rnn (alpha=0.5)", "leaky_rnn (alpha=0.9)", "lstm", "baseline"]


def test_every_seed_is_a_dot_at_the_length_itself() -> None:
    values = {50: [0.001, 0.002, 0.004], 100: [0.1, 0.2, 0.4]}
    runs = [run(length=n, seed=s, value=v) for n, each in values.items() for s, v in enumerate(each)]
    upper, lower = draw(compare([*runs, *(run("adding", "gru", n, value=0.3) for n in values)]).frame).axes
    assert lines(lower)["lstm"] == [0.002, 0.2]
    assert sorted(dots(lower)) == sorted([(n, v) for n in values for v in [*values[n], 0.3]])
    assert {float(x) for line in upper.get_lines() for x in line.get_xdata()} == {50, 100}
    assert lower.get_ylim() == pytest.approx((1e-4, 1))


def test_a_single_length_has_the_models_side_by_side() -> None:
    upper, lower = draw(
        compare([run(m, "lstm") for m in ("adding",)] + [run(model="gru", seed=1)]).frame
    ).axes
    for panel in (upper, lower):
        assert [tick.get_text() for tick in panel.get_xticklabels()] == ["gru", "lstm"]
        assert {
            line.get_linestyle() for line in panel.get_lines() if line.get_label() in ("gru", "lstm")
        } == {"None"}
    assert sorted(dots(lower)) == [(0, 1e-3), (1, 1e-3)]


def test_many_tasks_go_below_one_another() -> None:
    figure = draw(compare([run(f"task_{k}") for k in range(6)]).frame)
    assert len(figure.axes) == 12
    assert figure.get_figwidth() < 14


def test_extrapolation_runs_along_the_test_lengths() -> None:
    test = {"50": {"loss": 0.1}, "100": {"loss": 0.2}, "200": {"loss": 0.3}}
    upper, lower = draw(compare([run(test=test)]).frame).axes
    assert lines(upper)["lstm"] == [1]
    assert lines(lower)["lstm"] == [0.1, 0.2, 0.3]
    assert "trained at 50" in lower.get_xlabel()


@pytest.mark.slow
def test_files_are_written_the_same_each_time(tmp_path: Path) -> None:
    frame = compare(mixed()).frame
    svg, png = save(draw(frame), tmp_path / "v1.2")
    assert (svg.name, png.name) == ("v1.2.svg", "v1.2.png")
    assert png.read_bytes().startswith(b"\x89PNG")
    assert save_as(draw(frame), tmp_path / "again.svg").read_bytes() == svg.read_bytes()


@pytest.mark.parametrize("status", ["diverged", "failed"])
def test_a_baseline_stays_in_its_panel_where_no_run_of_a_length_has_a_value(status: str) -> None:
    lost = run(length=100, value=None, solved_at=None, status=status, baseline_loss={"100": 0.2})
    upper, lower = draw(compare([run(baseline_loss={"50": 0.1}), lost]).frame).axes
    assert lines(lower)["baseline"] == [0.1, 0.2]
    for panel in (upper, lower):
        assert [tick.get_text() for tick in panel.get_xticklabels()] == ["50", "100"]
        low, high = panel.get_xlim()
        assert all(low < x < high for line in panel.get_lines() for x in line.get_xdata())


def test_missing_values_are_not_drawn() -> None:
    figure = draw(compare([failed(), run("latch", value=None)]).frame)
    figure.draw_without_rendering()
    lost = failed()
    del lost.config["task"]["length"]
    draw(compare([lost]).frame).draw_without_rendering()
    assert [set(lines(panel)) for panel in figure.axes] == [set(), {"lstm"}, set(), {"baseline"}]


@pytest.mark.slow
def test_a_figure_is_written_whole_or_not_at_all(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")
    with pytest.raises(StoreError, match=r"cannot write .*file/x\.svg: "):
        save(draw(compare([run()]).frame), tmp_path / "file" / "x")
    (tmp_path / "x.png").mkdir()
    with pytest.raises(StoreError, match=r"cannot write .*x\.png: Is a directory\."):
        save_as(draw(compare([run()]).frame), tmp_path / "x.png")
    with pytest.raises(StoreError, match="File name too long"):
        save_as(draw(compare([run()]).frame), tmp_path / f"{'x' * 300}.png")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file", "x.png"]


@pytest.mark.filterwarnings("ignore:overflow encountered")
def test_values_at_the_ends_of_the_range_are_drawn(tmp_path: Path) -> None:
    for value in (1.79e308, 1e-320):
        figure = draw(compare([run(value=value), run(model="gru")]).frame)
        assert save_as(figure, tmp_path / "x.png").stat().st_size > 0


def test_a_character_that_the_font_lacks_is_said_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], recwarn: pytest.WarningsRecorder
) -> None:
    save(draw(compare([run(model="net\u65e5")]).frame), tmp_path / "x")
    assert capsys.readouterr().err == (
        "seqbench: the font of the figures lacks \u65e5, which is drawn as a box.\n"
    )
    assert not recwarn.list


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
    assert bits.get_yscale() == "log" and not any("%" in text.get_text() for text in bits.get_yticklabels())


def test_a_label_is_no_formula(tmp_path: Path) -> None:
    assert literal("$x$\x1b[2J") == r"\$x\$\x1b[2J"
    figure = Figure()
    figure.text(0, 0, literal(r"$\frac{$"))
    assert len(save(figure, tmp_path / "figure")) == 2


@pytest.mark.slow
def test_many_models_and_long_names_have_room() -> None:
    names = [f"m{k}" for k in range(20)] + [
        f"lstm (a_long_setting={'0' * 90}, another={k})" for k in range(2)
    ]
    results = [run(model=name, length=n, seed=s) for name in names for n in (20, 50) for s in range(3)]
    frame = compare(results).frame
    for figure in (draw(frame, paper=True), draw_steps(frame, paper=True), draw(frame)):
        with warnings.catch_warnings():
            warnings.simplefilter("error")  # such as of a layout that was given up
            figure.draw_without_rendering()
        (legend,) = figure.legends
        whole, part = figure.bbox, legend.get_window_extent()
        assert whole.x0 <= part.x0 and part.x1 <= whole.x1 and part.y1 <= whole.y1
        assert all(panel.get_window_extent().y1 < part.y0 for panel in figure.axes)
    task = ", ".join(f"a_long_setting_{k}=1" for k in range(12))
    figure = draw(compare([run(task=task, model=name) for name in ("gru", "lstm")]).frame, paper=True)
    figure.draw_without_rendering()
    upper, _ = figure.axes
    title = upper.title.get_window_extent()
    assert (
        title.x0 >= 0 and title.x1 <= figure.bbox.x1 and upper.get_window_extent().height > title.height / 2
    )
    few = compare([run(model=name, length=n) for name in ("gru", "lstm") for n in (20, 50)]).frame
    assert draw(few).get_figheight() == 5.2


def test_axes_have_units() -> None:
    upper, lower = draw(compare([run(length=n) for n in (20, 50)]).frame).axes
    assert upper.get_xlabel() == "training length (steps)"
    assert lower.get_ylabel() == "test loss (squared error)"


def test_a_baseline_of_zero_is_no_place_on_a_logarithmic_axis() -> None:
    """The best constant has no loss where all targets are one."""
    runs = [run(seed=s, value=v, baseline_loss={"50": 0.0}) for s, v in enumerate([0.001, 0.002, 0.004])]
    _, lower = draw(compare(runs).frame).axes
    assert lower.get_yscale() == "log" and lower.get_ylim() == pytest.approx((1e-4, 1e-2))

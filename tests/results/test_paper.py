"""Figures for a paper: one for each task and quantity, as wide as a column."""

import re
from pathlib import Path

import pytest
from matplotlib.figure import Figure
from PIL import Image
from tests.results.handmade import run, write

from seqbench.cli.report import main
from seqbench.results import paper
from seqbench.results.frame import compare
from seqbench.results.paper import write_figures
from seqbench.results.progress import draw_steps
from seqbench.results.styles import COLUMN, PAPER
from seqbench.runs.places import PlacedRun


def placed(**settings: object) -> PlacedRun:
    return PlacedRun(run(**settings), Path("runs"))  # type: ignore[arg-type]


@pytest.mark.slow
def test_each_task_has_figures_as_wide_as_a_column(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    said: list[str] = []
    written = write_figures([placed(seed=s) for s in range(3)], tmp_path / "figures", said.append)
    assert [path.name for path in written] == [
        f"adding-{name}.{kind}" for name in ("lengths", "steps") for kind in ("pdf", "png")
    ]
    assert said == [
        "There is no figure of learning curves: no run here has curves; "
        "`seqbench runs export --curves` takes them along."
    ]
    for path in written[::2]:
        box = re.search(rb"/MediaBox *\[ *0 0 ([\d.]+)", path.read_bytes())
        assert box is not None and float(box[1]) == pytest.approx(72 * COLUMN)
        assert b"/Subtype /Image" not in path.read_bytes()  # lines and letters
    assert Image.open(written[1]).width == round(400 * COLUMN)


def test_letters_are_those_of_a_paper() -> None:
    figure = draw_steps(
        compare([run(length=n, seed=s) for n in (20, 50, 100) for s in range(3)]).frame, paper=True
    )
    assert figure.get_figwidth() == COLUMN
    assert {panel.xaxis.label.get_fontsize() for panel in figure.axes} == {PAPER["font.size"]}
    assert len({round(panel.get_position().x0, 2) for panel in figure.axes}) == 2  # two beside one another


@pytest.mark.slow
def test_the_command_writes_them_beside_the_table(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    runs = write(tmp_path / "runs", [run(solved_at=None)])
    assert main([str(runs), "--figures", str(tmp_path / "out"), "--format", "csv"]) == 0
    said = capsys.readouterr()
    assert said.out.startswith("task,") and str(tmp_path / "out" / "adding-lengths.pdf") in said.err


def test_a_model_has_one_look_in_the_figures_of_all_tasks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    drawn: list[Figure] = []
    monkeypatch.setattr(paper, "save_as", lambda figure, path, dpi: drawn.append(figure) or path)
    runs = [placed(seed=s, optim__lr=lr) for lr in (0.01, 0.02, 0.03) for s in range(3)]
    runs += [placed(task="latch", seed=s, optim__lr=lr) for lr in (0.02, 0.03) for s in range(3)]
    write_figures(runs, tmp_path, print)
    looks: dict[str, set[str]] = {}
    for legend in (figure.legends[0] for figure in drawn):
        for text, line in zip(legend.get_texts(), legend.get_lines(), strict=True):
            looks.setdefault(text.get_text(), set()).add(str(line.get_fillstyle()))
    assert {len(its) for its in looks.values()} == {1} and len(looks) == 4  # and the baseline

"""Figures for a paper: as wide as a column, as PDF, which keeps lines and letters, and as PNG."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from seqbench.errors import StoreError
from seqbench.results.curves import curves_of, of_metrics, over_seeds, shown_metrics
from seqbench.results.figures import draw, save_as
from seqbench.results.frame import compare
from seqbench.results.pages import make_folder
from seqbench.results.progress import counted_rows, draw_curves, draw_steps
from seqbench.results.rendering.latex import label_stem
from seqbench.runs.places import PlacedRun

#: Dots an inch of the PNG.
DPI = 400


def write_figures(
    runs: Sequence[PlacedRun], folder: Path, warn: Callable[[str], object], metric: str | None = None
) -> list[Path]:
    r"""Write the figures of each task, PDF and PNG; return their paths.

        \includegraphics{adding-lengths.pdf}  % 3.3 inches wide

    `<task>-lengths` has the solve rates and the metric against the length, `<task>-steps` the steps to solve,
    `<task>-curves` the learning curves, where runs have some.

    Args:
        runs: those that have ended, in the metric that is shown.
        folder: where the files go.
        warn: called with a sentence about figures and runs that are left out.
        metric: the metric of the curves; that of the task if it is None.

    Raises:
        StoreError: a file cannot be written.
    """
    make_folder(folder)
    frame = compare([run.result for run in runs]).frame
    metrics = shown_metrics(runs, metric)
    try:
        curves = of_metrics(curves_of(runs, warn), metrics)
    except StoreError as error:
        warn(f"There is no figure of learning curves: {error}")
        curves = None
    models = sorted(frame["model"].unique())
    written: list[Path] = []
    stems: set[str] = set()
    for task, its in frame.groupby("task", sort=False):
        stem = label_stem(str(task), stems)
        stems.add(stem)
        figures = {"lengths": draw(its, paper=True, among=models)}
        if counted_rows(its):
            figures["steps"] = draw_steps(its, paper=True, among=models)
        if curves is not None and (mine := curves[curves["task"] == task]).size:
            medians = over_seeds(mine, metrics)
            figures["curves"] = draw_curves(mine, medians, metrics, paper=True, among=models)
        for name, figure in figures.items():
            written += [save_as(figure, folder / f"{stem}-{name}.{kind}", DPI) for kind in ("pdf", "png")]
    return written

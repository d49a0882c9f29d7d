"""The headline figure: how surely, and how well, each model solves each task as the length grows."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from seqbench.errors import StoreError
from seqbench.results.tables import is_share

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Told apart by readers with any colour vision (Okabe & Ito, 2008); markers tell models apart in print.
COLOURS = ("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000")
MARKERS = "osD^vPX"
STYLE: Any = {
    "font.size": 9,
    "axes.titlesize": 10,
    "axes.titleweight": "bold",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "#e6e6e6",
    "grid.linewidth": 0.6,
    "axes.edgecolor": "#666666",
    "axes.linewidth": 0.8,
    "xtick.color": "#444444",
    "ytick.color": "#444444",
    "lines.linewidth": 1.6,
    "lines.markersize": 5,
    "legend.frameon": False,
    "svg.hashsalt": "seqbench",
}


def draw(frame: pd.DataFrame) -> Figure:
    """Return the figure of a comparison (see `tables.compare`), one column of panels per task.

    Above, the share of solved runs against the training length, with 95 % Wilson intervals. Below, the test
    metric with 95 % t-intervals, against the length tested at (where all runs of the task were trained at
    one length, so that lengths beyond it show extrapolation; against the training length otherwise). The
    dashed line is the loss of the best predictor that ignores the input.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    models = sorted(frame["model"].unique())
    tasks = list(frame["task"].unique())
    with rc_context(STYLE):
        figure = Figure(figsize=(max(3.1 * len(tasks), 4.6) + 0.4, 5.2), layout="constrained")
        panels = figure.subplots(2, len(tasks), squeeze=False)
        for column, task in enumerate(tasks):
            block = frame[frame["task"] == task]
            home = block[block["length"] == block["train_length"]]
            upper, lower = panels[:, column]
            upper.set_title(task)
            _curves(upper, home, models, "solve_rate", "solve_low", "solve_high", band=True)
            _share_axis(upper)
            upper.set_xlabel("training length")
            _metric(lower, block if block["train_length"].nunique() == 1 else home, models)
        panels[0, 0].set_ylabel("runs solved")
        handles = {
            label: handle
            for panel in panels.flat
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
        }
        labels = [name for name in (*models, "baseline") if name in handles]
        # A letter of this size is some 0.07 inches wide, a line and its spaces half an inch.
        entry = 0.5 + 0.07 * max((len(str(label)) for label in labels), default=1)
        figure.legend(
            [handles[name] for name in labels],
            labels,
            loc="outside upper center",
            ncols=max(1, min(len(labels), 1 + 2 * len(tasks), int(figure.get_figwidth() / entry))),
        )
    return figure


def save_figures(frame: pd.DataFrame, stem: Path) -> list[Path]:
    """Draw the comparison and save it, see `save`."""
    return save(draw(frame), stem)


def save(figure: Figure, stem: Path) -> list[Path]:
    """Save a figure as `<stem>.svg` and `<stem>.png`; return the two paths.

    Raises:
        StoreError: a file cannot be written.
    """
    from matplotlib import rc_context

    paths = [stem.with_name(f"{stem.name}.{suffix}") for suffix in ("svg", "png")]
    for path in paths:
        try:
            with rc_context(STYLE):
                figure.savefig(path, dpi=200, metadata={"Date": None} if path.suffix == ".svg" else None)
        except OSError as error:
            raise StoreError(f"cannot write {path}: {error.strerror}.") from error
    return paths


def _metric(panel: Axes, block: pd.DataFrame, models: list[str]) -> None:
    """Draw the test metric; a loss on a logarithmic axis, with its baseline."""
    metric = block["metric"].iloc[0]
    panel.set_ylabel(f"test {metric}" if metric else "")
    beyond = (block["length"] != block["train_length"]).any()
    trained = block["train_length"].iloc[0]
    panel.set_xlabel(f"test length (trained at {trained})" if beyond else "training and test length")
    _curves(panel, block, models, "mean", "low", "high")
    if metric == "loss":
        baseline = block.dropna(subset="baseline_loss").drop_duplicates("length").sort_values("length")
        x, y = baseline["length"].to_numpy(float), baseline["baseline_loss"].to_numpy(float)
        if len(x) == 1:
            panel.axhline(y[0], color="#888888", linestyle="--", linewidth=1.2, label="baseline", zorder=1)
        elif len(x):
            panel.plot(x, y, color="#888888", linestyle="--", linewidth=1.2, label="baseline", zorder=1)
        shown = [*block["mean"].dropna(), *block["baseline_loss"].dropna()]
        if shown and min(shown) > 0:
            # Whole decades about the means: a t-interval may reach below zero, where there is no logarithm.
            panel.set_yscale("log", nonpositive="clip")
            top = max([*shown, *block["high"].dropna()])
            panel.set_ylim(10 ** math.floor(math.log10(min(shown) / 1.5)), 10 ** math.ceil(math.log10(top)))
    elif is_share(metric):
        _share_axis(panel)


def _share_axis(panel: Axes) -> None:
    """Show shares from 0 to 100 %; an interval that reaches beyond is cut."""
    panel.set(ylim=(-0.04, 1.04), yticks=[0, 0.25, 0.5, 0.75, 1])
    panel.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")


def _curves(
    panel: Axes, block: pd.DataFrame, models: list[str], y: str, low: str, high: str, band: bool = False
) -> None:
    """Draw `y` with its interval against the length, one curve per model; `band` shades the intervals."""
    lengths = [float(length) for length in sorted(block["length"].unique())]
    block = block.dropna(subset=y)
    present = [model for model in models if model in set(block["model"])]
    if not present:  # the length itself may be unknown
        panel.set_xticks([])
        return
    for place, model in enumerate(present):
        rows, index = block[block["model"] == model].sort_values("length"), models.index(model)
        colour = COLOURS[index % len(COLOURS)]
        # Equal curves would hide one another: each model stands a little to the side.
        x = rows["length"].to_numpy(float) * 2 ** (0.08 * (place - (len(present) - 1) / 2))
        mean, bottom, top = (rows[name].to_numpy(float) for name in (y, low, high))
        if band:
            panel.fill_between(x, bottom, top, color=colour, alpha=0.06, linewidth=0)
        panel.vlines(x, bottom, top, color=colour, linewidth=1.0, alpha=0.8)
        panel.plot(
            x,
            mean,
            color=colour,
            marker=MARKERS[index % len(MARKERS)],
            linestyle="-" if index < len(COLOURS) else ":",
            markeredgecolor="white",
            markeredgewidth=0.6,
            label=model,
        )
    panel.set_xscale("log", base=2)
    panel.set_xticks(lengths, [f"{length:.0f}" for length in lengths])
    panel.set_xlim(min(lengths) / 1.3, max(lengths) * 1.3)
    panel.minorticks_off()

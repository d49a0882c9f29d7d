"""The figure of a comparison: solve rate and test metric of each model against the length, for each task."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pandas as pd

from seqbench.errors import StoreError, printable

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Distinct for readers with any colour vision (Okabe & Ito, 2008). Markers serve black and white.
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


def literal(text: str) -> str:
    """Return a text that is no formula to Matplotlib, for what comes from a file or a configuration."""
    return printable(text).replace("$", r"\$")


def line_style(index: int) -> dict[str, Any]:
    """Return colour, marker and line of the model with this index, as keywords of `Axes.plot`."""
    return {
        "color": COLOURS[index % len(COLOURS)],
        "marker": MARKERS[index % len(MARKERS)],
        "linestyle": "-" if index < len(COLOURS) else ":",
        "markeredgecolor": "white",
        "markeredgewidth": 0.6,
    }


def draw(frame: pd.DataFrame) -> Figure:
    """Return the figure of a comparison's frame (see `frame.compare`), one column of panels per task.

    The upper panel shows the proportion of solved runs against the training length, with 95 % Wilson
    intervals. The lower panel shows the median of the test metric. Its axis is the test length if all
    runs of the task were trained at one length, so that greater lengths show extrapolation; otherwise it is
    the training length. The dashed line is the loss of the best predictor that ignores the input.

    Args:
        frame: with the columns of the summaries `MetricMedian` and `SolveRate`.
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
            at_train_length = block[block["length"] == block["train_length"]]
            upper, lower = panels[:, column]
            upper.set_title(literal(task))
            _curves(upper, at_train_length, models, "solve_rate", "solve_low", "solve_high", band=True)
            _unit_axis(upper, "share", 0, 1)
            upper.set_xlabel("training length")
            _metric(lower, block if block["train_length"].nunique() == 1 else at_train_length, models)
        panels[0, 0].set_ylabel("runs solved")
        handles = {
            label: handle
            for panel in panels.flat
            for handle, label in zip(*panel.get_legend_handles_labels(), strict=True)
        }
        labels = [name for name in (*map(literal, models), "baseline") if name in handles]
        # A letter of this size is about 0.07 inches wide, a line with its spaces half an inch.
        entry = 0.5 + 0.07 * max((len(str(label)) for label in labels), default=1)
        figure.legend(
            [handles[name] for name in labels],
            labels,
            loc="outside upper center",
            ncols=max(1, min(len(labels), 1 + 2 * len(tasks), int(figure.get_figwidth() / entry))),
        )
    return figure


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
    """Draw the test metric. A loss has a logarithmic axis and its baseline."""
    metric, unit, least, greatest = block[["metric", "unit", "metric_low", "metric_high"]].iloc[0]
    panel.set_ylabel(f"test {literal(metric)}" if metric else "")
    beyond = (block["length"] != block["train_length"]).any()
    trained = block["train_length"].iloc[0]
    panel.set_xlabel(f"test length (trained at {trained})" if beyond else "training and test length")
    _curves(panel, block, models, "median", "low", "high")
    if metric == "loss":
        baseline = block.dropna(subset="baseline_loss").drop_duplicates("length").sort_values("length")
        x, y = baseline["length"].to_numpy(float), baseline["baseline_loss"].to_numpy(float)
        if len(x) == 1:
            panel.axhline(y[0], color="#888888", linestyle="--", linewidth=1.2, label="baseline", zorder=1)
        elif len(x):
            panel.plot(x, y, color="#888888", linestyle="--", linewidth=1.2, label="baseline", zorder=1)
        shown = [*block["median"].dropna(), *block["baseline_loss"].dropna()]
        if shown and min(shown) > 0:
            # Whole decades around the means. A t-interval may reach below zero, which has no logarithm.
            panel.set_yscale("log", nonpositive="clip")
            top = max([*shown, *block["high"].dropna()])
            panel.set_ylim(10 ** math.floor(math.log10(min(shown) / 1.5)), 10 ** math.ceil(math.log10(top)))
    else:
        _unit_axis(panel, unit, least, greatest)


def _unit_axis(panel: Axes, unit: str, low: float, high: float) -> None:
    """Show a share in per cent, and a bounded quantity over its range. Intervals are cut at its ends."""
    if math.isfinite(low) and math.isfinite(high):
        margin = 0.04 * (high - low)
        panel.set(ylim=(low - margin, high + margin), yticks=[low + k * (high - low) / 4 for k in range(5)])
    if unit == "share":
        panel.yaxis.set_major_formatter(lambda share, _: f"{100 * share:.0f} %")


def _curves(
    panel: Axes, block: pd.DataFrame, models: list[str], y: str, low: str, high: str, band: bool = False
) -> None:
    """Draw `y` with its interval against the length, one curve per model. `band` shades the intervals."""
    lengths = [float(length) for length in sorted(block["length"].unique())]
    block = block.dropna(subset=y)
    present = [model for model in models if model in set(block["model"])]
    if not present:  # the length may be unknown too
        panel.set_xticks([])
        return
    for place, model in enumerate(present):
        rows, index = block[block["model"] == model].sort_values("length"), models.index(model)
        # Equal curves would hide one another, so that each model is moved a little to the side.
        x = rows["length"].to_numpy(float) * 2 ** (0.08 * (place - (len(present) - 1) / 2))
        mean, bottom, top = (rows[name].to_numpy(float) for name in (y, low, high))
        if band:
            panel.fill_between(x, bottom, top, color=line_style(index)["color"], alpha=0.06, linewidth=0)
        panel.vlines(x, bottom, top, color=line_style(index)["color"], linewidth=1.0, alpha=0.8)
        panel.plot(x, mean, label=literal(model), **line_style(index))
    panel.set_xscale("log", base=2)
    panel.set_xticks(lengths, [f"{length:.0f}" for length in lengths])
    panel.set_xlim(min(lengths) / 1.3, max(lengths) * 1.3)
    panel.minorticks_off()

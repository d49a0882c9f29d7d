"""The figure of a comparison of models: differences of solve rates, and a critical-difference diagram."""

from __future__ import annotations

from typing import TYPE_CHECKING

from seqbench.errors import StoreError
from seqbench.results.comparing.comparison import ModelComparison
from seqbench.results.comparing.contrasts import LEVEL
from seqbench.results.figures import literal
from seqbench.results.numbers import signed
from seqbench.results.statistics.over_tasks import Ranks
from seqbench.results.styles import BLUE, STYLE

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

#: Heights in inches: of a line of the first panel, and of a line of the diagram.
LINE, RANK_LINE = 0.22, 0.2


def draw(comparison: ModelComparison) -> Figure:
    """Return the figure of a comparison.

    The first panel has a line for every pair of models on every problem: the difference of their solve rates
    with its 95 % interval, filled where Holm's p is 0.05 or less. Below it, where models are ranked, lies the
    critical-difference diagram (Demšar, 2006). It is drawn here, in fifteen lines: scikit-posthocs, which has
    one, brings statsmodels, seaborn, patsy and formulaic with it.

    Raises:
        StoreError: no run has a condition by which it is solved, so that there is nothing to draw.
    """
    from matplotlib import rc_context
    from matplotlib.figure import Figure

    solved = [c for c in comparison.contrasts if c.measure == "solved"]
    ranks = comparison.overall.ranks if comparison.overall else None
    if not solved and ranks is None:
        raise StoreError("none of these runs can solve its task, so that there is no solve rate to draw.")
    heights = [0.8 + LINE * len(solved)] if solved else []
    heights += [0.6 + RANK_LINE * (len(ranks.models) + len(ranks.groups))] if ranks else []
    with rc_context(STYLE):
        figure = Figure(figsize=(6.4, sum(heights)), layout="constrained")
        panels = figure.subplots(len(heights), 1, squeeze=False, height_ratios=heights)[:, 0]
        if solved:
            _differences(panels[0], comparison)
        if ranks:
            _ranks(panels[-1], ranks)
    return figure


def _differences(panel: Axes, comparison: ModelComparison) -> None:
    solved = [c for c in comparison.contrasts if c.measure == "solved"]
    for line, c in enumerate(solved):
        told = c.p_holm <= LEVEL
        panel.plot([c.low, c.high], [line, line], color=BLUE, linewidth=1.2)
        panel.plot(c.difference, line, "o", color=BLUE, markerfacecolor=BLUE if told else "white")
    panel.axvline(0, color="#888888", linewidth=0.8, zorder=1)
    panel.set_yticks(
        range(len(solved)), [literal(f"{c.task} {c.length}: {c.first} − {c.second}") for c in solved]
    )
    panel.set(
        xlim=(-1.05, 1.05),
        ylim=(len(solved) - 0.5, -0.5),
        xticks=[-1, -0.5, 0, 0.5, 1],
        xlabel=f"difference of solve rates, 95 % interval\nfilled: p ≤ {LEVEL} by Holm's correction",
    )
    panel.xaxis.set_major_formatter(lambda share, _: f"{signed(100 * share, '.0f')} %")


def _ranks(panel: Axes, ranks: Ranks) -> None:
    """Draw average ranks on a line, the best on the left; a bar joins models that are not told apart."""
    count, bars = len(ranks.models), len(ranks.groups)
    place = dict(zip(ranks.models, ranks.ranks, strict=True))
    for line, group in enumerate(ranks.groups, 1):
        panel.plot(
            [place[group[0]] - 0.05, place[group[-1]] + 0.05], [line, line], color="black", linewidth=3
        )
    for line, (model, rank) in enumerate(place.items(), bars + 1):
        panel.plot([rank, rank], [0, line], color="#888888", linewidth=0.8)
        panel.annotate(
            literal(model), (rank, line), xytext=(4, 0), textcoords="offset points", va="center", fontsize=9
        )
    panel.set(xlim=(0.8, count + 0.8), ylim=(bars + count + 0.8, 0), xticks=range(1, count + 1), yticks=[])
    panel.xaxis.tick_top()
    panel.grid(visible=False)
    panel.spines[["left", "bottom"]].set_visible(False)
    panel.spines["top"].set_visible(True)
    panel.set_title(f"average rank; critical difference {ranks.critical_difference:.2g}", loc="left")

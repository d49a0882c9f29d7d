"""Panels of numbers over steps, which the figures of analyses share."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from matplotlib.ticker import MaxNLocator
from torch import Tensor

#: Colours of signed numbers: blue below zero, white at zero, red above.
SIGNED = "RdBu_r"
#: Colours of numbers from 0 to 1: white to dark blue.
SHARE = "Blues"


def show_numbers(panel: Axes, title: str, values: Tensor, signed: bool = True) -> AxesImage:
    """Show numbers (rows, steps) as colours, steps to the right from 1.

    Args:
        panel: where.
        title: above it.
        values: the numbers.
        signed: whether the colours are symmetric about zero, or go from 0 to 1.
    """
    rows, steps = values.shape
    top = float(values.abs().max()) or 1.0
    low, colours = (-top, SIGNED) if signed else (0.0, SHARE)
    panel.grid(False)
    panel.set_title(title, loc="left", fontsize=9, fontweight="normal")
    panel.set_yticks([])
    panel.xaxis.set_major_locator(MaxNLocator(integer=True))
    return panel.imshow(
        values.numpy(),
        colours,
        aspect="auto",
        interpolation="nearest",
        vmin=low,
        vmax=top if signed else 1.0,
        extent=(0.5, steps + 0.5, rows - 0.5, -0.5),
    )

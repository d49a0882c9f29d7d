"""Panels of numbers over steps, which the figures of analyses share."""

from __future__ import annotations

from typing import Any

from matplotlib.axes import Axes
from matplotlib.image import AxesImage
from torch import Tensor

#: Colours of signed numbers: blue below zero, white at zero, red above.
SIGNED = "RdBu_r"
#: Colours of numbers from 0 to 1: white to dark blue.
SHARE = "Blues"


def show_numbers(panel: Axes, title: str, values: Tensor, signed: bool = True, **options: Any) -> AxesImage:
    """Show numbers (rows, steps) as colours, steps to the right from 1.

    Args:
        panel: where.
        title: above it.
        values: the numbers.
        signed: whether the colours are symmetric about zero, or go from 0 to 1.
        options: of `Axes.imshow`, in place of these.
    """
    rows, steps = values.shape
    top = float(values.abs().max()) or 1.0
    colours = {"cmap": SIGNED, "vmin": -top, "vmax": top} if signed else {"cmap": SHARE, "vmin": 0, "vmax": 1}
    panel.grid(False)
    panel.set_title(title, loc="left", fontsize=9, fontweight="normal")
    panel.set_yticks([])
    extent = (0.5, steps + 0.5, rows - 0.5, -0.5)
    options = colours | {"aspect": "auto", "interpolation": "nearest", "extent": extent} | options
    return panel.imshow(values.numpy(), **options)

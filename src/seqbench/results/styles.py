"""How figures look: one colour, marker and line a model, by its name, the same in every figure."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Sequence
from itertools import pairwise, product
from typing import Any

from seqbench.results.labels import preset_of

#: Distinct for readers with any colour vision (Okabe & Ito, 2008, Color Universal Design), without its
#: yellow, which is too light for lines on white. Markers and lines serve black and white.
BLUE, VERMILION, GREEN, PURPLE, ORANGE, SKY, BLACK = COLOURS = (
    *("#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9", "#000000"),
)
MARKERS = ("o", "s", "D", "^", "v", "P", "X", "<", ">", "*", "h")
LINES = ("-", "--", "-.", ":")

#: Preset of a model -> its colour, marker and line. Models that are alike share a colour, and models of one
#: colour have other markers.
MODELS = {
    "rnn": (BLACK, "o", "-"),
    "irnn": (BLACK, "s", "--"),
    "deep_transition_rnn": (BLACK, "^", "-."),
    "output_rnn": (BLACK, "X", ":"),
    "leaky_rnn": (BLUE, "s", "-"),
    "leaky_rnn_single": (BLUE, "v", "--"),
    "leaky_rnn_learnt": (BLUE, "D", "-."),
    "leaky_rnn_short": (BLUE, "o", "--"),
    "echo_state": (BLUE, "P", "-."),
    "gru": (GREEN, "^", "-"),
    "gru_chrono": (GREEN, "o", "--"),
    "gru_as_printed": (GREEN, "s", "-."),
    "mgu": (GREEN, "P", ":"),
    "lstm": (VERMILION, "D", "-"),
    "lstm_chrono": (VERMILION, "o", "--"),
    "peephole_lstm": (VERMILION, "X", "-."),
    "coupled_lstm": (VERMILION, "^", ":"),
    "skip_rnn": (PURPLE, "v", "-"),
    "dilated_rnn": (PURPLE, "s", "--"),
    "mut1": (PURPLE, "X", "-."),
    "clockwork_rnn": (SKY, "P", "-"),
    "lru": (SKY, "o", "--"),
    "min_gru": (SKY, "D", "-."),
    "s5": (SKY, "s", "-"),
    "s4d": (SKY, "^", "--"),
    "mamba": (SKY, "v", "-."),
    "mamba2": (SKY, "X", "-"),
    "ntm": (ORANGE, "X", "-"),
    "memory_network": (ORANGE, "s", "--"),
    "memn2n": (ORANGE, "^", "-."),
    "transformer": (ORANGE, "o", "-"),
    "gla": (PURPLE, "^", "-."),
    "delta_net": (PURPLE, "D", "--"),
    "gated_delta_net": (PURPLE, "o", "-"),
    "rwkv7": (PURPLE, "P", ":"),
    "xlstm": (VERMILION, "v", "-"),
    "slstm": (VERMILION, "s", "-."),
    "seq2seq": (BLUE, "<", ":"),
    "seq2seq_attention": (ORANGE, ">", ":"),
    "recursive_net": (PURPLE, "h", ":"),
    "tree_lstm": (SKY, "*", ":"),
    "indrnn": (BLACK, "D", "-"),
    "orthogonal_rnn": (BLACK, "v", "--"),
    "antisymmetric_rnn": (BLACK, "P", ":"),
    "lem": (GREEN, "D", "-"),
    "cornn": (PURPLE, ">", "-"),
    "unicornn": (PURPLE, "<", "--"),
    "min_lstm": (SKY, "h", "--"),
    "stack_rnn": (ORANGE, "v", "--"),
    "tape_rnn": (ORANGE, "D", ":"),
    "dnc": (ORANGE, "P", "-."),
    "tcn": (PURPLE, "*", "-"),
}
#: What is left for models of others.
OTHERS = [style for style in product(COLOURS, MARKERS, LINES) if style not in MODELS.values()]
#: How the markers of the variants of a model are filled; further ones have another line.
FILLS = ("full", "none", "left", "bottom")

#: How far apart intervals of two models at one length are drawn where one can point at them, as a share of
#: the axis; and the most of the way to the next length that those of all take.
APART, MOST_APART = 0.016, 0.6

#: Parameters of Matplotlib for every figure.
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
    "pdf.fonttype": 42,  # whole fonts, which text can be copied from
}
#: The width of a column of a paper, in inches, and what changes in a figure that is as wide.
COLUMN = 3.3
PAPER: Any = STYLE | {
    "font.size": 7,
    "axes.titlesize": 7.5,
    "axes.linewidth": 0.6,
    "grid.linewidth": 0.4,
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "lines.linewidth": 1.0,
    "lines.markersize": 3.2,
}


def model_style(label: str, among: Iterable[str] = ()) -> dict[str, Any]:
    """Return colour, marker and line of a model, as keywords of `Axes.plot`.

        panel.plot(x, y, label=label, **model_style(label, labels))

    The preset decides them, so that a model looks the same in every figure. One that does not come with
    seqbench has a style that its name alone decides, of those that are left. Variants of a model, whose
    labels differ in settings alone, share its colour and marker; the marker is filled otherwise, and from the
    fifth variant on the line is another too.

    Args:
        label: the model, `lstm` or `lstm (lr=0.01)`.
        among: the labels in the figure.
    """
    preset = preset_of(label)
    number = int.from_bytes(hashlib.sha256(preset.encode()).digest()[:8], "big")
    colour, marker, line = MODELS.get(preset) or OTHERS[number % len(OTHERS)]
    variants = sorted({label, *(other for other in among if preset_of(other) == preset)})
    place = variants.index(label)
    return {
        "color": colour,
        "marker": marker,
        "linestyle": LINES[(LINES.index(line) + place // len(FILLS)) % len(LINES)],
        "fillstyle": FILLS[place % len(FILLS)],
        "markerfacecoloralt": "white",
        "markeredgecolor": colour,
        "markeredgewidth": 0.9,
    }


def apart(length: float, place: int, of: int, lengths: Sequence[int]) -> float:
    """Return a length, moved a little so that the intervals of models at it do not coincide.

    Args:
        length: one of the lengths.
        place: that of the model among those with a value, from 0.
        of: how many these are.
        lengths: all of the axis, two or more, ascending. However many models there are, those at one stay
            clear of those at the next.
    """
    by_factor = by_factors(lengths)
    places = [math.log(each) if by_factor else each for each in lengths]
    step = APART * (places[-1] - places[0])
    step = min(step, MOST_APART * min(b - a for a, b in pairwise(places)) / of)
    moved = (math.log(length) if by_factor else length) + step * (place - (of - 1) / 2)
    return math.exp(moved) if by_factor else moved


def by_factors(lengths: Sequence[int]) -> bool:
    """Return whether lengths are shown on a logarithmic axis: the largest is twice the least or more."""
    return min(lengths) > 0 and max(lengths) >= 2 * min(lengths)

"""One example of a task as text: tokens by their names, numbers as small plots, images as images."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.analysis.overview.plots import bars, image
from seqbench.results.numbers import number
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch

#: Columns of the label before each line.
LABEL = 9
#: A step whose target does not count.
NOTHING = "·"
#: Channels of a series that have a plot each; more are drawn as an image, a row for each.
MOST_PLOTS = 4
#: Lines of tokens, of which a longer sequence shows the first and the last.
MOST_LINES = 12


def example(task: Task, row: Batch, width: int) -> list[str]:
    """Return a sequence of a task and its target, as lines of at most `width` columns.

    Args:
        task: the task.
        row: a batch of one sequence.
        width: columns.
    """
    steps = row.inputs.shape[1] if row.lengths is None else int(row.lengths[0])
    inputs, targets, room = row.inputs[0, :steps], row.targets[0], width - LABEL
    names, target_names = task.token_names()
    words = _words(inputs, names)
    if words is not None:
        given = _tokens("input", words, room)
    elif (picture := task.picture(inputs)) is not None:
        given = _labelled("input", image(picture.tolist(), room))
    else:
        given = _vectors("input", inputs, room)
    if not task.targets.per_step:
        answer = targets.reshape(-1).tolist()
        told = (number(value) if targets.is_floating_point() else target_names[value] for value in answer)
        return [*given, *_labelled("target", [", ".join(told)])]
    counts = torch.ones(len(targets), dtype=torch.bool) if row.mask is None else row.mask[0]
    aligned = len(targets) == row.inputs.shape[1]  # else the answer is a sequence of another length
    last = steps if aligned else int(counts.nonzero().max()) + 1
    targets, counts = targets[:last], counts[:last]
    answers = _words(targets, target_names)
    if answers is None:
        values = targets.reshape(last, -1).masked_fill(~counts[:, None], math.nan)
        return [*given, *_vectors("target", values, room)]
    answers = [answer if here else NOTHING for answer, here in zip(answers, counts, strict=True)]
    if aligned and words is not None:
        return _side_by_side(words, answers, room)
    return [*given, *_tokens("target", answers, room)]


def _words(values: Tensor, names: Sequence[str]) -> list[str] | None:
    """Return tokens, or the bits of a single channel, as words; None for other numbers."""
    if not values.is_floating_point():
        return [names[i] for i in values]
    if values.numel() == len(values) and {*values.flatten().tolist()} == {0.0, 1.0}:
        return [f"{value:.0f}" for value in values.flatten()]
    return None


def _tokens(label: str, words: Sequence[str], width: int) -> list[str]:
    lines = textwrap.wrap(" ".join(words), width, break_long_words=False, break_on_hyphens=False)
    return _labelled(label, _shortened(lines))


def _side_by_side(inputs: Sequence[str], targets: Sequence[str], width: int) -> list[str]:
    """Return the tokens of inputs above the targets of the same steps."""
    wide = max(map(len, [*inputs, *targets]))
    size = max(width // (wide + 1), 1)
    pairs = []
    for start in range(0, len(inputs), size):
        both = inputs[start : start + size], targets[start : start + size]
        above, below = (" ".join(f"{word:>{wide}}" for word in words) for words in both)
        pairs.append("\n".join(_labelled("input", [above]) + _labelled("target", [below])))
    return "\n\n".join(_shortened(pairs, MOST_LINES // 2)).split("\n")


def _vectors(label: str, values: Float[Tensor, "T F"], width: int) -> list[str]:
    """Return a plot of each channel, or an image of all."""
    channels = values.T.tolist()
    if len(channels) > MOST_PLOTS:
        return _labelled(label, image(channels, width))
    several = len(channels) > 1
    plots = [
        _labelled(f"{label} {i}" if several else label, bars(its, width)) for i, its in enumerate(channels, 1)
    ]
    return [line for plot in plots for line in plot]


def _labelled(label: str, lines: Sequence[str]) -> list[str]:
    return [f"{'' if i else label:<{LABEL}}{line}".rstrip() for i, line in enumerate(lines)]


def _shortened(lines: list[str], most: int = MOST_LINES) -> list[str]:
    """Return the first lines and the last, where there are more than `most`."""
    return lines if len(lines) <= most else [*lines[: most - 2], "⋮", lines[-1]]

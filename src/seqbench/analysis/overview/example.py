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
from seqbench.tasks.specs import Tokens

#: Columns of the label before each line.
LABEL = 9
#: A step whose target does not count.
NOTHING = "·"
#: Channels of a series that have a plot each; more are drawn as an image, a row for each.
MOST_PLOTS = 4
#: Lines of tokens, of which a longer sequence shows the first and the last.
MOST_LINES = 8


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
    if not task.targets.per_step:
        answer = targets.reshape(-1).tolist()
        told = (number(value) if targets.is_floating_point() else target_names[value] for value in answer)
        return [*_inputs(task, inputs, names, room), *_labelled("target", [", ".join(told)])]
    counts = torch.ones(len(targets), dtype=torch.bool) if row.mask is None else row.mask[0]
    aligned = len(targets) == row.inputs.shape[1]  # else the answer is a sequence of another length
    last = steps if aligned else int(counts.nonzero().max()) + 1
    targets, counts = targets[:last], counts[:last]
    if targets.is_floating_point():
        values = targets.reshape(last, -1).masked_fill(~counts[:, None], math.nan)
        return [*_inputs(task, inputs, names, room), *_vectors("target", values, room)]
    words = [target_names[i] if here else NOTHING for i, here in zip(targets, counts, strict=True)]
    if aligned and isinstance(task.inputs, Tokens):
        return _side_by_side([names[i] for i in inputs], words, room)
    return [*_inputs(task, inputs, names, room), *_tokens("target", words, room)]


def _inputs(task: Task, inputs: Tensor, names: Sequence[str], width: int) -> list[str]:
    if isinstance(task.inputs, Tokens):
        return _tokens("input", [names[i] for i in inputs], width)
    if (picture := task.picture(inputs)) is not None:
        return _labelled("input", image(picture.tolist(), width))
    return _vectors("input", inputs, width)


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

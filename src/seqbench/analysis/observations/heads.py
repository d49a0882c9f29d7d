"""What the heads of a memory wrote and read at each step."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pandas as pd
import torch
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor

from seqbench.analysis.observations.base import plain, present, show_greys, valid_steps
from seqbench.analysis.presentation import Presentation
from seqbench.models.observations import Heads
from seqbench.results.styles import STYLE
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch

#: The colour of the line between locations that are not neighbours.
LINE = "#0072B2"


@dataclass(frozen=True)
class HeadsPresentation(Presentation):
    """What the heads did in one sequence of T steps; the attributes are those of `Heads`, without B.

    Attributes:
        inputs: what the memory's layer read.
        outputs: of the model, as probabilities or numbers; nan at steps whose target does not count.
        written: the change of the memory, summed over its words.
        read: the words that the read heads read.
        writing: the weightings of the write heads.
        reading: the weightings of the read heads.
        layers: of the model, the first of which has this memory.
    """

    title = "What is written and read"

    inputs: Float[Tensor, "T F"]
    outputs: Float[Tensor, "T O"]
    written: Float[Tensor, "T M"]
    read: Float[Tensor, "T R M"]
    writing: Float[Tensor, "T W N"]
    reading: Float[Tensor, "T R N"]
    layers: int = 1

    @property
    def heads(self) -> dict[str, Tensor]:
        """The weightings (T, N) of each head, by name."""
        return {
            f"{kind} head{f' {i}' if part.shape[1] > 1 else ''}": weighting
            for kind, part in [("write", self.writing), ("read", self.reading)]
            for i, weighting in enumerate(part.unbind(1), 1)
        }

    @property
    def note(self) -> str:
        layers = f" The memory is that of the first of {self.layers} layers." if self.layers > 1 else ""
        return (
            "Table: the location with the largest weight of each head, and that weight. Figure: 'written' is "
            "the change of the memory, summed over its locations; locations that no head used are left out; "
            f"blue marks steps without a target that counts.{layers}"
        )

    def table(self) -> pd.DataFrame:
        cells = {"step": [str(t) for t in range(1, len(self.inputs) + 1)]}
        for name, weighting in self.heads.items():
            weights, locations = weighting.max(1)
            both = zip(locations.tolist(), weights.tolist(), strict=True)
            cells[name] = [f"{location} ({weight:.2f})" for location, weight in both]
        return pd.DataFrame(cells)

    def numbers(self) -> pd.DataFrame:
        steps, size = self.writing.shape[0], self.writing.shape[2]
        index = [range(1, steps + 1), list(self.heads), range(size)]
        rows = pd.MultiIndex.from_product(index, names=["step", "head", "location"]).to_frame(index=False)
        return rows.assign(weight=torch.stack(list(self.heads.values()), dim=1).flatten().tolist())

    def draw(self) -> Figure:
        """Return the figure, arranged as Fig. 6 of Graves, Wayne & Danihelka (2014).

            input                      output
            written                    read
            weightings of write heads  weightings of read heads

        Steps go to the right. The bar beside a row is the scale of both its panels; an input with another
        scale says so in its title. For signed numbers 0 is the middle grey.
        """
        used = used_locations(torch.cat([self.writing, self.reading], dim=1))
        left = {name: w for name, w in self.heads.items() if name.startswith("write")}
        right = {name: w for name, w in self.heads.items() if name.startswith("read")}
        heads = max(len(left), len(right))
        height = max(min(0.09 * len(used), 4.0 / heads), 1.2)
        heights = [0.9, 1.1, *[height] * heads]
        with rc_context(STYLE):
            figure = Figure(figsize=(7.6, sum(heights) + 0.35 * len(heights)), dpi=150, layout="constrained")
            panels = figure.subplots(2 + heads, 2, sharex=True, height_ratios=heights)
            read = self.read.flatten(1)
            of_input, of_output = _scale(self.inputs, least=1.0), _scale(self.outputs, least=1.0)
            of_memory = _scale(self.written, read)
            own = "" if of_input == of_output else f" (white is {of_input[0]:.2g}, black {of_input[1]:.2g})"
            _show_steps(panels[0, 0], f"input{own}", self.inputs, *of_input)
            _show_steps(panels[1, 0], "written", self.written, *of_memory)
            images = [
                _show_steps(panels[0, 1], "output", self.outputs, *of_output),
                _show_steps(panels[1, 1], "read", read, *of_memory),
            ]
            for row, image in zip(panels, images, strict=False):
                for panel in row:
                    panel.set_yticks([])
                figure.colorbar(image, ax=list(row), fraction=0.02, pad=0.01)
            for column, weightings in enumerate((left, right)):
                for panel in panels[2 + len(weightings) :, column]:
                    panel.axis("off")
                for panel, (name, weighting) in zip(panels[2:, column], weightings.items(), strict=False):
                    image = _show_steps(panel, name, weighting[:, used], 0.0, 1.0)
                    _name_locations(panel, used, weighting.shape[1])
                panels[1 + len(weightings), column].tick_params(labelbottom=True)
            figure.colorbar(image, ax=list(panels[2:].flat), fraction=0.02, pad=0.01)
            figure.supxlabel("step", fontsize=9)
        return figure


@present.register
def present_heads(observation: Heads, task: Task, batch: Batch) -> list[Presentation]:
    """Return what the heads did in each row, up to its end."""
    outputs = _at_targets(observation.outputs, task, batch)
    return [
        HeadsPresentation(
            inputs=plain(observation.inputs[row, :steps]),
            outputs=plain(outputs[row, :steps]),
            written=plain(observation.written[row, :steps]),
            read=plain(observation.read[row, :steps]),
            writing=plain(observation.writing[row, :steps]),
            reading=plain(observation.reading[row, :steps]),
            layers=observation.layers,
        )
        for row, steps in enumerate(valid_steps(batch))
    ]


def _at_targets(outputs: Tensor, task: Task, batch: Batch) -> Float[Tensor, "B T O"]:
    """Return probabilities or numbers at the steps whose target counts, and nan at all others."""
    outputs = task.targets.probabilities(outputs)
    rows, steps = batch.inputs.shape[:2]
    if task.targets.per_step:
        counts = torch.ones(rows, steps, dtype=torch.bool) if batch.mask is None else batch.mask
    else:
        counts = torch.arange(steps) == torch.tensor(valid_steps(batch))[:, None] - 1
        outputs = outputs[:, None].expand(-1, steps, -1)
    return outputs.masked_fill(~counts.to(outputs.device)[..., None], torch.nan)


def used_locations(weightings: Float[Tensor, "T heads N"]) -> list[int]:
    """Return the locations that heads used, in the order of the ring, beginning after the widest gap.

    A location is used where its weights, over all steps and heads, sum to half of the weight that one head
    has in one step, or to half of an even share where that is less.
    """
    total = weightings.sum((0, 1))
    least = min(1.0, float(total.mean())) / 2
    used: list[int] = (total >= least).nonzero()[:, 0].tolist()
    gaps = [(here - before) % len(total) for before, here in zip([used[-1], *used], used, strict=False)]
    start = gaps.index(max(gaps))
    return used[start:] + used[:start]


def _scale(*parts: Tensor, least: float = 0.0) -> tuple[float, float]:
    """Return the numbers shown white and black: 0 (with negative numbers −x), and x, at least `least`."""
    values = torch.cat([part.flatten() for part in parts]).nan_to_num(0.0)
    top = max(float(values.abs().max()), least) or 1.0
    return (-top if bool((values < 0).any()) else 0.0), top


def _show_steps(
    panel: Axes, name: str, values: Float[Tensor, "T rows"], low: float, high: float
) -> AxesImage:
    """Show the numbers of each step as a column of greys."""
    panel.set_title(name, loc="left", fontsize=9, fontweight="normal")
    image = show_greys(panel, values.t(), low, high)
    steps, rows = values.shape
    image.set_extent((0.5, steps + 0.5, rows - 0.5, -0.5))
    return image


def _name_locations(panel: Axes, used: list[int], size: int) -> None:
    """Name the locations shown, and draw a line where locations between two of them are left out."""
    every = -(-len(used) // 10)
    panel.set_yticks(range(0, len(used), every), [str(location) for location in used[::every]])
    panel.set_ylabel("location")
    for i, (here, following) in enumerate(pairwise(used)):
        if (following - here) % size != 1:
            panel.axhline(i + 0.5, color=LINE, linewidth=0.8, linestyle=":")

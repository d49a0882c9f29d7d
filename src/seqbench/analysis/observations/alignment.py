"""Which tokens of the input a decoder attended to at each step of its output."""

from __future__ import annotations

from dataclasses import dataclass

import pandas as pd
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor

from seqbench.analysis.observations.base import plain, present, show_weights, valid_steps, weight_text
from seqbench.analysis.presentation import Presentation
from seqbench.models.observations import Alignment
from seqbench.results.figures import literal
from seqbench.results.styles import STYLE
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch


@dataclass(frozen=True)
class AlignmentPresentation(Presentation):
    """The weights of the S tokens of one input at each of the T steps of the output.

    Attributes:
        source: the tokens of the input.
        output: the tokens that the model put out, up to the end.
        target: the correct ones.
        attention: the weights of the input's tokens at each step.
    """

    title = "Which tokens are attended to"

    source: list[str]
    output: list[str]
    target: list[str]
    attention: Float[Tensor, "T S"]

    @property
    def note(self) -> str:
        correct = "correct" if self.output == self.target else f"correct: {' '.join(self.target)}"
        return f"Output: {' '.join(self.output)} ({correct})."

    def table(self) -> pd.DataFrame:
        columns = {
            f"{i} {token}": [weight_text(weight) for weight in self.attention[:, i - 1].tolist()]
            for i, token in enumerate(self.source, 1)
        }
        return pd.DataFrame({"output": self.output, **columns})

    def numbers(self) -> pd.DataFrame:
        rows = [
            (step, output, place, token, weight)
            for step, (output, weights) in enumerate(
                zip(self.output, self.attention.tolist(), strict=True), 1
            )
            for place, (token, weight) in enumerate(zip(self.source, weights, strict=True), 1)
        ]
        return pd.DataFrame(rows, columns=["step", "output", "place", "token", "weight"])

    def draw(self) -> Figure:
        """Return the figure: the tokens of the output downwards, those of the input to the right."""
        steps, size = self.attention.shape
        # A letter of this size is some 0.065 inches wide.
        width = max(0.32 * size + 1.2, 0.065 * len(self.note))
        with rc_context(STYLE):
            figure = Figure(figsize=(width, 0.26 * steps + 0.9), dpi=150, layout="constrained")
            show_weights(figure.subplots(), self.attention, self.source, self.output)
            figure.suptitle(literal(self.note), x=0.01, ha="left", fontsize=9)
        return figure


@present.register
def present_alignment(observation: Alignment, task: Task, batch: Batch) -> list[Presentation]:
    """Return what was attended to in each row of a batch, up to the end that the model put out."""
    sources, targets = task.token_names()
    outputs, wanted = (
        _up_to_end(part.tolist(), observation.end) for part in (observation.outputs.argmax(-1), batch.targets)
    )
    return [
        AlignmentPresentation(
            source=[sources[token] for token in batch.inputs[row, :steps].tolist()],
            output=[targets[token] for token in outputs[row]],
            target=[targets[token] for token in wanted[row]],
            attention=plain(observation.attention[row, : len(outputs[row]), :steps]),
        )
        for row, steps in enumerate(valid_steps(batch))
    ]


def _up_to_end(rows: list[list[int]], end: int) -> list[list[int]]:
    return [row[: row.index(end) + 1] if end in row else row for row in rows]

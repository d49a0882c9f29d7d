"""Influence: how an output depends on the input of each step."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass

import pandas as pd
import torch
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator
from torch import Tensor, nn

from seqbench.analysis.presentation import Presentation
from seqbench.analysis.states import check_followed, first_state
from seqbench.models import SequenceModel
from seqbench.results.figures import literal
from seqbench.results.numbers import MISSING, number
from seqbench.results.styles import STYLE
from seqbench.tasks.batch import Batch

#: Distances in steps, of which the table has the influence: before the output, and after it.
DISTANCES = (-10, -1, 0, 1, 10)
#: Decades that the figure shows below the largest influence.
DECADES = 6


def influence(model: nn.Module, batch: Batch) -> Float[Tensor, "outputs T"]:
    """Return ‖∂o(t)/∂x(k)‖ for the output of each step t and the input of each step k, mean over rows.

        x(1) … x(k) … x(T) ──▶ o(t)         0 where no path leads from x(k) to o(t)

    Tokens count as one-hot vectors, also where the model embeds them. The norm is Frobenius'. A model with
    one output for the sequence has one row of outputs. The model is in evaluation mode. The time taken grows
    with the square of T.

    Args:
        model: a recurrent body with a readout, without feedback.
        batch: sequences without padding.

    Raises:
        ValueError: the model or the batch is another.
    """
    if not isinstance(model, SequenceModel) or model.feedback.beside:
        raise ValueError("Influence is that of a recurrent body with a readout, and feedback=false.")
    if batch.lengths is not None:
        raise ValueError("Influence needs sequences of one length, and this task has several.")
    model = deepcopy(model).double().eval()
    for cell in model.body.cells:
        first_state(cell, 1)
    inputs = batch.inputs.double() if batch.inputs.is_floating_point() else batch.inputs
    x = nn.functional.one_hot(inputs, model.input_size).double() if model.tokens else inputs.clone()
    x.requires_grad_()
    generator = torch.get_rng_state()
    h, _ = model.body(x if model.embedding is None else x @ model.embedding.weight, last=not model.per_step)
    outputs = model.readout(h)
    check_followed(model, outputs, generator, inputs)
    if not model.per_step:
        outputs = outputs[:, None]
    squares = [
        sum(torch.autograd.grad(o, x, retain_graph=True)[0].square().sum(-1) for o in outputs[:, t].sum(0))
        for t in range(outputs.shape[1])
    ]
    return torch.stack([torch.as_tensor(square).sqrt().mean(0) for square in squares])


@dataclass(frozen=True)
class Influences(Presentation):
    """The influence in several models.

    Attributes:
        influences: for each model (outputs, T), see `influence`.
        weights: which weights the models have, as a sentence.
    """

    title = "Which inputs an output depends on"

    influences: dict[str, Tensor]
    weights: str

    @property
    def note(self) -> str:
        return (
            "‖∂o(t)/∂x(k)‖: how the output of step t depends on the input of step k, mean over sequences. "
            "Columns: k − t, below 0 for inputs before the output; mean over the steps t that have both. "
            f"{self.weights}"
        )

    def table(self) -> pd.DataFrame:
        rows = []
        for model, values in self.influences.items():
            outputs, steps = values.shape
            offset = steps - outputs  # the one output of a sequence is that of its last step
            along = {d: values.diagonal(offset + d) for d in DISTANCES if abs(d) < steps}
            shown = {
                f"{d:+d}" if d else "0": number(float(along[d].mean()))
                if d in along and len(along[d])
                else MISSING
                for d in DISTANCES
            }
            rows.append({"": model} | shown)
        return pd.DataFrame(rows)

    def numbers(self) -> pd.DataFrame:
        rows = [
            (model, t, k, value)
            for model, values in self.influences.items()
            for t, row in enumerate(values.tolist(), values.shape[1] - values.shape[0] + 1)
            for k, value in enumerate(row, 1)
        ]
        return pd.DataFrame(rows, columns=["model", "output_step", "input_step", "norm"])

    def draw(self) -> Figure:
        """Return the figure: a panel for each model, its outputs downwards, its inputs to the right."""
        finite = [values[values.isfinite()] for values in self.influences.values()]
        top = max((float(values.max()) for values in finite if len(values)), default=0) or 1.0
        scale = LogNorm(top * 10.0**-DECADES, top, clip=True)
        across = len(self.influences)
        per_step = any(len(values) > 1 for values in self.influences.values())
        with rc_context(STYLE):
            size = max(2.5 * across + 1.0, 3.6), 2.9 if per_step else 1.6
            figure = Figure(figsize=size, layout="constrained")
            panels = figure.subplots(1, across, squeeze=False)[0]
            for panel, (model, values) in zip(panels, self.influences.items(), strict=True):
                outputs, steps = values.shape
                image = panel.imshow(
                    values.where(values > 0, torch.nan).numpy(),
                    "viridis_r",
                    norm=scale,
                    aspect="auto",
                    interpolation="nearest",
                    extent=(0.5, steps + 0.5, steps + 0.5, steps - outputs + 0.5),
                )
                panel.grid(False)
                panel.xaxis.set_major_locator(MaxNLocator(integer=True))
                panel.yaxis.set_major_locator(MaxNLocator(integer=True))
                panel.set_title(literal(model), fontsize=9)
                panel.set_xlabel("input x(k), step k")
                if outputs == 1:
                    panel.set_yticks([])
            panels[0].set_ylabel("output o(t), step t" if per_step else "output o")
            figure.colorbar(image, ax=list(panels), pad=0.01, label="‖∂o(t)/∂x(k)‖")
        return figure

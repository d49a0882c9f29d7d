"""Back-propagation through time by the chapter's equations, beside automatic differentiation."""

from __future__ import annotations

from copy import deepcopy
from dataclasses import dataclass
from typing import Any

import pandas as pd
import torch
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.nn import functional as F

from seqbench.analysis.bptt import bptt
from seqbench.analysis.panels import show_numbers
from seqbench.analysis.presentation import Presentation
from seqbench.analysis.states import gradients, trace
from seqbench.models import SequenceModel
from seqbench.models.cells.rnn import RNN
from seqbench.models.readouts import LinearReadout
from seqbench.results.numbers import number
from seqbench.results.styles import STYLE, model_style
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Target

#: Each gradient of `bptt`, with its equations.
EQUATIONS = {"h": "[14]–[16]", "c": "[17]", "b": "[18]", "V": "[19]", "W": "[20], [21]", "U": "[22], [23]"}


@dataclass(frozen=True)
class ByHand(Presentation):
    """The gradients of the RNN of Fig. 10.3, by hand and by autograd, and how those of one row come about.

    Attributes:
        by_hand, autograd: the gradients of each letter; of h (B, T, H).
        losses: L(t) of the first row.
        errors: ŷ(t) − 1 at y(t) of the first row, [13].
        h: the states of the first row.
    """

    title = "Back-propagation through time, by hand"

    by_hand: dict[str, Tensor]
    autograd: dict[str, Tensor]
    losses: Float[Tensor, " T"]
    errors: Float[Tensor, "T O"]
    h: Float[Tensor, "T H"]

    @property
    def note(self) -> str:
        rows, steps, _ = self.by_hand["h"].shape
        return (
            f"L is the sum of the losses of {rows} sequences of {steps} steps, [9] to [11], in double "
            "precision. Difference: the largest between an entry by the chapter's equations and by autograd. "
            "Figure: the first sequence."
        )

    def table(self) -> pd.DataFrame:
        rows = []
        for letter, equations in EQUATIONS.items():
            hand, auto = self.by_hand[letter], self.autograd[letter]
            rows.append(
                {
                    "gradient of": letter,
                    "equations": equations,
                    "shape": "×".join(map(str, hand.shape)),
                    "norm": number(float(torch.linalg.vector_norm(hand))),
                    "difference": number(float((hand - auto).abs().max()), digits=1),
                }
            )
        return pd.DataFrame(rows)

    def numbers(self) -> pd.DataFrame:
        shown = {"L": self.losses[:, None], "o": self.errors, "h": self.h, "grad_h": self.by_hand["h"][0]}
        rows = [
            (name, step, place, value)
            for name, values in shown.items()
            for step, at in enumerate(values.tolist(), 1)
            for place, value in enumerate(at, 1)
        ]
        return pd.DataFrame(rows, columns=["quantity", "step", "entry", "value"])

    def draw(self) -> Figure:
        """Return the figure: forward from left to right, then backward from right to left."""
        steps = range(1, len(self.losses) + 1)
        norms = torch.linalg.vector_norm(self.by_hand["h"][0], dim=1)
        with rc_context(STYLE):
            figure = Figure(figsize=(6.4, 6.6), layout="constrained")
            panels = figure.subplots(5, 1, sharex=True, height_ratios=[2, 1, 1, 2, 1])
            # Forward, then backward.
            images = {0: show_numbers(panels[0], "h(t), forward: [5], [6]", self.h.t())}
            panels[1].bar(steps, self.losses.numpy(), color="#888888")
            panels[1].set_title("L(t): [7] to [11]", loc="left", fontsize=9, fontweight="normal")
            images[2] = show_numbers(panels[2], "∂L/∂o(t) = ŷ(t) − 1 at y(t): [13]", self.errors.t())
            images[3] = show_numbers(panels[3], "∂L/∂h(t), backward: [14] to [16]", self.by_hand["h"][0].t())
            panels[4].plot(steps, norms, **model_style("rnn"))
            panels[4].set_title("‖∂L/∂h(t)‖", loc="left", fontsize=9, fontweight="normal")
            panels[4].set_xlabel("step t")
            for place, image in images.items():
                figure.colorbar(image, ax=panels[place], pad=0.01)
        return figure


def compare(model: nn.Module, targets: Target, batch: Batch) -> ByHand:
    """Compute the gradients of a batch's loss both ways, in double precision.

    Args:
        model: an RNN of one layer with tanh units and a linear readout, Fig. 10.3.
        targets: classes at every step.
        batch: sequences in which every step's target counts.

    Raises:
        ValueError: the model or the targets are others.
    """
    if not (
        type(model) is SequenceModel
        and model.obstacle_to_stepping() is None
        and len(model.layers) == 1
        and type(cell := model.layers[0]) is RNN
        and cell.activation == "tanh"
        and type(model.readout) is LinearReadout
    ):
        raise ValueError(
            "The equations are those of Fig. 10.3: model=rnn, one layer, with its linear readout."
        )
    if not (type(targets) is Classes and targets.per_step and batch.mask is None and batch.lengths is None):
        raise ValueError("The equations have a class at every step: give task=copy_memory or task=time_warp.")
    model = deepcopy(model).double().eval()
    batch = batch.map(lambda part: part.double() if part.is_floating_point() else part)
    cell, readout = model.layers[0], model.readout
    letters: dict[str, Any] = {"U": cell.U, "W": cell.W, "V": readout.weight, "b": cell.b, "c": readout.bias}
    by_hand = bptt(**letters, inputs=model.encode(batch.inputs), targets=batch.targets)
    run = trace(model, batch.inputs)
    losses = targets.losses(run.outputs, batch)
    ((h,),) = gradients(losses.sum(), run)
    autograd = dict(zip(letters, torch.autograd.grad(losses.sum(), [*letters.values()]), strict=True))
    errors = torch.softmax(run.outputs[0], -1) - F.one_hot(batch.targets[0], targets.size)
    (states,) = run.states[0]
    first = (part.detach() for part in (losses[0], errors, states[:, 0]))
    return ByHand(by_hand, autograd | {"h": h.transpose(0, 1)}, *first)

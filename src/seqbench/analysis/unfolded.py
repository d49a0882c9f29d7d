"""States and gates of a model, step by step over one sequence."""

from __future__ import annotations

from collections import defaultdict
from copy import deepcopy
from dataclasses import dataclass
from typing import Any, cast

import pandas as pd
import torch
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from seqbench.analysis.panels import show_numbers
from seqbench.analysis.presentation import Presentation
from seqbench.analysis.states import check_followed, check_stack, first_state
from seqbench.models import Cell, State
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.lstm_variants import LSTMVariant
from seqbench.results.figures import literal
from seqbench.results.numbers import number
from seqbench.results.styles import STYLE
from seqbench.tasks.batch import Batch

#: What is between 0 and 1: the gates of LSTM and GRU.
GATES = {"f", "g", "q", "r", "u"}


def inside(cell: Cell, projected: Any, state: State) -> tuple[dict[str, Float[Tensor, "B H"]], State]:
    """Take a step; return what it computes, by the letters of the cell's docstring, and the next state.

    Of `LSTM` and its variants without peepholes these are the gates [25], [27] and [29] that they have, s and
    h; of `GRU` the gates [32] and [33], and h; of other cells the step's output h, which mostly is the state.
    """
    output, after = cell.step(projected, state)
    if isinstance(cell, LSTM) and type(cell) in (LSTM, LSTMVariant):  # not a class with other gates
        sums = torch.addmm(projected, state[0], cell.W.t()).chunk(len(cell.blocks), dim=-1)
        blocks = dict(zip(cell.blocks, sums, strict=True))
        seen = getattr(cell, "p", None) is None  # with peepholes the gates are other functions
        gates = {name: torch.sigmoid(blocks[name]) for name in ("f", "g", "q") if seen and name in blocks}
        return gates | {"s": after[1], "h": output}, after
    if type(cell) is GRU and cell.form == "after":
        r, u, _ = torch.sigmoid(projected + nn.functional.linear(state[0], cell.W)).chunk(3, dim=-1)
        return {"r": r, "u": u, "h": output}, after
    return {"h": output}, after


@torch.no_grad()
def unfolded(model: nn.Module, batch: Batch) -> dict[str, Float[Tensor, "T units"]]:
    """Return the input of each step of a sequence, and what each layer computes at it, by name.

        x: (T, F), tokens one-hot or embedded;  h, or of several layers "h, layer 2": (T, H);  f, g, q, …

    Args:
        model: a stack of cells, see `states.check_stack`.
        batch: one sequence; steps after its end are left out.

    Raises:
        ValueError: the model is no such stack.
    """
    check_stack(model)
    stack = cast(Any, deepcopy(model).double().eval())  # has what `Model.obstacle_to_stepping` says
    steps = batch.inputs.shape[1] if batch.lengths is None else int(batch.lengths[0])
    inputs = batch.inputs[:1, :steps]
    inputs = inputs.double() if inputs.is_floating_point() else inputs
    x = stack.encode(inputs).transpose(0, 1)
    found, generator = {"x": x[:, 0]}, torch.get_rng_state()
    for layer, cell in enumerate(stack.body.cells, 1):
        state, projected = first_state(cell, 1), cell.project(x)
        kept: dict[str, list[Tensor]] = defaultdict(list)
        for t in range(steps):
            at = tree_map(lambda part, t=t: part[t], projected)
            computed, state = inside(cell, at, state)
            for name, part in computed.items():
                kept[name].append(part)
        x = torch.stack(kept["h"])
        where = f", layer {layer}" if len(stack.body.cells) > 1 else ""
        found |= {f"{name}{where}": torch.stack(parts)[:, 0] for name, parts in kept.items()}
    h = x.transpose(0, 1)
    check_followed(stack, stack.readout(h if stack.per_step else h[:, -1]), generator, inputs)
    return {name: part.float() for name, part in found.items()}


@dataclass(frozen=True)
class Unfolded(Presentation):
    """What several models compute at each step of the same sequence.

    Attributes:
        models: for each model what `unfolded` returns.
        sequence: which sequence that is, and which weights the models have, as sentences.
    """

    title = "States over one sequence"

    models: dict[str, dict[str, Tensor]]
    sequence: str

    @property
    def note(self) -> str:
        return (
            "x: the input, tokens one-hot or embedded; f, g, q: gates of an LSTM, s its state; r, u: gates "
            "of a GRU; h: a step's output. Mean, least and largest over units and steps; change: the mean of "
            "|v(t) − v(t−1)|. "
            f"{self.sequence}"
        )

    def table(self) -> pd.DataFrame:
        return pd.DataFrame(
            {
                "": model,
                "quantity": name,
                "units": str(values.shape[1]),
                "mean": number(float(values.mean())),
                "least": number(float(values.min())),
                "largest": number(float(values.max())),
                "change": number(float(values.diff(dim=0).abs().mean())),
            }
            for model, quantities in self.models.items()
            for name, values in quantities.items()
        )

    def numbers(self) -> pd.DataFrame:
        rows = [
            (model, name, step, unit, value)
            for model, quantities in self.models.items()
            for name, values in quantities.items()
            for step, at in enumerate(values.tolist(), 1)
            for unit, value in enumerate(at, 1)
        ]
        return pd.DataFrame(rows, columns=["model", "quantity", "step", "unit", "value"])

    def draw(self) -> Figure:
        """Return the figure: a column for each model, a panel for each quantity, units downwards."""
        across, down = len(self.models), max(map(len, self.models.values()))
        with rc_context(STYLE):
            figure = Figure(figsize=(max(3.2 * across, 5.2), 1.05 * down + 0.7), layout="constrained")
            panels = figure.subplots(down, across, squeeze=False)
            for column, (model, quantities) in zip(panels.T, self.models.items(), strict=True):
                for panel, (name, values) in zip(column, quantities.items(), strict=False):
                    signed = name.partition(",")[0] not in GATES
                    image = show_numbers(panel, name, values.t(), signed)
                    panel.tick_params(labelbottom=False)
                    figure.colorbar(image, ax=panel, pad=0.01)
                column[0].set_title(literal(model), fontsize=10, fontweight="bold")
                column[0].set_title("x", loc="left", fontsize=9, fontweight="normal")
                column[len(quantities) - 1].tick_params(labelbottom=True)
                column[len(quantities) - 1].set_xlabel("step t")
                for panel in column[len(quantities) :]:
                    panel.remove()
        return figure

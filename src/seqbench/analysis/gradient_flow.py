"""Gradient flow: the norm of a loss's gradient with respect to the states before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from matplotlib import rc_context
from matplotlib.figure import Figure
from torch import Tensor, nn

from seqbench.analysis.presentation import Presentation
from seqbench.analysis.states import check_followed, gradients, row_norms, trace
from seqbench.models.unfold import reverse_valid
from seqbench.results.figures import literal
from seqbench.results.numbers import MISSING, number, signed
from seqbench.results.statistics.metrics import t_interval
from seqbench.results.styles import STYLE, model_style
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Target

LEGEND = (
    "‖∂L/∂s(τ−d)‖: the norm of the gradient of the loss at step τ, the last with a target that counts, with "
    "respect to the whole state d steps earlier; mean over sequences, geometric mean over seeds. It is 0 at "
    "d = 0 where the output is computed beside the state, not from it. Columns: distances d, half the "
    "largest distance, and the largest, τ−1; then the slope of a line fitted to log10 of the norm over all "
    "distances where it is not 0, and the factor per step that it means. Band: 95 % t-interval of the mean "
    "over seeds of log10 of the norm."
)


def gradient_norms(model: nn.Module, targets: Target, batch: Batch) -> Float[Tensor, " T"]:
    """Return the mean over rows of ‖∂L/∂s(τ − d)‖, for each distance d = 0 … T−1 from the loss.

        s(1) ──▶ … ──▶ s(τ−2) ──▶ s(τ−1) ──▶ s(τ) ──▶ L
                          d = 2      d = 1      d = 0

    L is the loss of one target of the row: that of the sequence, or where there is one at every step the
    last one up to its end that counts, so that each state has one distance; τ is its step. The norm is over
    the whole state of all layers (for an LSTM h and s); its parts are independent arguments of what follows.
    A row counts at the distances that it has. The model is in evaluation mode. Sums are in double
    precision, which long spans need.

    Args:
        model: a stack of cells, see `states.check_stack`.
        targets: the task's target spec.
        batch: sequences with their targets.

    Raises:
        ValueError: the model is no such stack, or a row has no target that counts.
    """
    batch = batch.map(lambda part: part.double() if part.is_floating_point() else part)
    model = deepcopy(model).double().eval()
    tau = _last_target(targets, batch)
    generator = torch.get_rng_state()
    run = trace(model, batch.inputs, batch.lengths)
    check_followed(model, run.outputs, generator, batch.inputs, batch.lengths)
    losses = targets.losses(run.outputs, batch)
    loss = (losses[torch.arange(len(tau)), tau - 1] if targets.per_step else losses).sum()
    per_layer = [row_norms(state) for state in gradients(loss, run)]
    norms = row_norms(tuple(norm[..., None] for norm in per_layer))
    norms = reverse_valid(norms.t()[..., None], tau)[..., 0]
    counts = torch.arange(norms.shape[1]) < tau[:, None]
    return (norms * counts).sum(0)[: int(tau.max())] / counts.sum(0)[: int(tau.max())]


def _last_target(targets: Target, batch: Batch) -> Tensor:
    """Return τ of each row: the number of steps up to its last target that counts."""
    size, steps = batch.inputs.shape[:2]
    ends = torch.full((size,), steps) if batch.lengths is None else batch.lengths
    if not targets.per_step or batch.mask is None:
        return ends
    counts = batch.mask & (torch.arange(steps) < ends[:, None])
    if not counts.any(1).all():
        raise ValueError("A row without a target has no loss, and so no gradient.")
    return steps - counts.flip(1).int().argmax(1)


def compare(norms: Mapping[str, Iterable[Tensor]]) -> pd.DataFrame:
    """Return the mean over seeds of the logarithms of gradient norms.

    Columns: model, seeds, distance, and of log10 of the norm: mean, with the bounds of the 95 % t-interval,
    low and high. A norm of zero has a logarithm of −∞; that of a seed which overflows is not a number.

    Args:
        norms: for each model, those of each seed, see `gradient_norms`.
    """
    rows = []
    for model, per_seed in norms.items():
        logs = torch.stack(list(per_seed)).log10()
        for distance, values in enumerate(logs.t().tolist()):
            mean, low, high = np.nan, np.nan, np.nan
            if np.isfinite(values).all():
                mean, low, high = t_interval(values)
            elif not np.isnan(values).any() and np.inf not in values:
                mean = -np.inf
            rows.append((model, len(values), distance, mean, low, high))
    return pd.DataFrame(rows, columns=["model", "seeds", "distance", "mean", "low", "high"])


def decay(flow: pd.DataFrame) -> float:
    """Return by how much log10 of the norm changes with each step of distance.

    It is the slope of the least-squares line through one model's rows of `compare`; nan with fewer than two
    finite points.
    """
    flow = flow[np.isfinite(flow["mean"])]
    return float(np.polyfit(flow["distance"], flow["mean"], 1)[0]) if len(flow) > 1 else float("nan")


@dataclass(frozen=True)
class GradientFlow(Presentation):
    """The gradient flow of several models.

    Attributes:
        flow: see `compare`.
        weights: which weights the models have, as a sentence.
    """

    title = "Gradient norm against distance"
    digits = 6

    flow: pd.DataFrame
    weights: str

    @property
    def note(self) -> str:
        overflows = " –: with a seed at least this is no finite number, in double precision."
        return f"{LEGEND}{overflows if self.flow['mean'].isna().any() else ''} {self.weights}"

    def table(self) -> pd.DataFrame:
        rows = []
        for model, points in self.flow.groupby("model", sort=False):
            norms = 10 ** points.set_index("distance")["mean"]
            last, slope = len(norms) - 1, decay(points)
            shown = {"0": 0, "1": 1, "10": 10, "half": last // 2, "full": last}
            rows.append(
                {"": model, "steps": str(last + 1), "seeds": str(points["seeds"].iloc[0])}
                | {head: number(norms[d]) if d <= last else MISSING for head, d in shown.items()}
                | {
                    "log10 per step": MISSING
                    if np.isnan(slope)
                    else f"{signed(slope, '.3f')} (×{10**slope:.3f})"
                }
            )
        return pd.DataFrame(rows)

    def numbers(self) -> pd.DataFrame:
        return self.flow.rename(columns={name: f"log10_norm_{name}" for name in ("mean", "low", "high")})

    def draw(self) -> Figure:
        """Return the figure: the norm, on a logarithmic axis, against the distance."""
        with rc_context(STYLE):
            figure = Figure(figsize=(5.6, 3.6), layout="constrained")
            panel = figure.subplots()
            models = list(map(str, self.flow["model"].unique()))
            for model, points in self.flow.groupby("model", sort=False):
                style, x = model_style(str(model), models), points["distance"].to_numpy(float)
                mean, low, high = (10 ** points[name].to_numpy(float) for name in ("mean", "low", "high"))
                panel.fill_between(x, low, high, color=style["color"], alpha=0.15, linewidth=0)
                panel.plot(
                    x,
                    mean,
                    markevery=max(1, len(x) // 8),
                    label=literal(str(model)),
                    **style,
                )
            panel.set_yscale("log")
            panel.set_xlabel("distance d from the loss, in steps")
            panel.set_ylabel("‖∂L/∂s(τ−d)‖")
            panel.legend()
        return figure

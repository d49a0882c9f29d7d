"""Gradient flow: how long the gradient of a loss still is, so many steps before it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from typing import cast

import numpy as np
import pandas as pd
import torch
from jaxtyping import Float
from omegaconf import DictConfig
from torch import Tensor, nn

from seqbench.analysis.states import gradients, row_norms, trace
from seqbench.config.build import build_model
from seqbench.models import SequenceModel
from seqbench.models.unfold import last_valid, reverse_valid
from seqbench.results.statistics import t_interval
from seqbench.tasks.base import Task, generator
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Target


def gradient_norms(model: nn.Module, targets: Target, batch: Batch) -> Float[Tensor, " T"]:
    """Return the mean over rows of ‖∂L/∂s(τ − d)‖, for each distance d = 0 … T−1 from the loss.

        s(1) ──▶ … ──▶ s(τ−2) ──▶ s(τ−1) ──▶ s(τ) ──▶ L
                          d = 2      d = 1      d = 0

    L is the loss of one target of the row: that of the sequence, or where there is one at every step the
    last one that counts, so that a distance has a meaning; τ is its step. The norm is over the whole state
    of all layers, for an LSTM h and s, as independent arguments of what follows. A row counts at the
    distances that it has. Sums are in double precision, or long spans would underflow.

    Args:
        model: a stack of cells, see `states.check_stack`.
        targets: the task's target spec.
        batch: sequences with their targets.

    Raises:
        ValueError: the model is no such stack, or no target counts in a row.
    """
    batch = batch.map(lambda part: part.double() if part.is_floating_point() else part)
    tau = _last_target(targets, batch)
    run = trace(cast(SequenceModel, deepcopy(model).double()), batch.inputs, tau)
    outputs, wanted = run.outputs, batch.targets
    if targets.per_step:
        rows = torch.arange(len(tau))
        outputs, wanted = last_valid(outputs, tau)[:, None], wanted[rows, tau - 1][:, None]
    loss = targets.losses(outputs, Batch(batch.inputs, wanted)).sum()
    per_layer = [row_norms(state) for state in gradients(loss, run)]
    norms = row_norms(tuple(norm[..., None] for norm in per_layer))
    norms = reverse_valid(norms.t()[..., None], tau)[..., 0]
    counts = torch.arange(norms.shape[1]) < tau[:, None]
    return (norms * counts).sum(0)[: int(tau.max())] / counts.sum(0)[: int(tau.max())]


def _last_target(targets: Target, batch: Batch) -> Tensor:
    """Return τ of each row: how many steps there are up to its last target that counts."""
    size, steps = batch.inputs.shape[:2]
    ends = torch.full((size,), steps) if batch.lengths is None else batch.lengths
    if not targets.per_step or batch.mask is None:
        return ends
    if not batch.mask.any(1).all():
        raise ValueError("A row without a target has no loss that a gradient could flow from.")
    return steps - batch.mask.flip(1).int().argmax(1)


def at_initialisation(cfg: DictConfig, task: Task, seeds: Iterable[int]) -> list[Tensor]:
    """Return the gradient norms of a model with the weights that each seed's training starts from.

    The sequences are those of a batch of the validation set: the same for every model and seed.
    """
    norms = []
    with torch.random.fork_rng():
        for seed in seeds:
            torch.manual_seed(generator("weights", seed).initial_seed())
            norms.append(gradient_norms(build_model(cfg, task), task.targets, _sequences(cfg, task)))
    return norms


def of_weights(cfg: DictConfig, task: Task, weights: Mapping[str, Tensor]) -> Tensor:
    """Return the gradient norms of a model with given weights, on the same sequences."""
    with torch.random.fork_rng():
        model = build_model(cfg, task)
    model.load_state_dict(dict(weights))
    return gradient_norms(model, task.targets, _sequences(cfg, task))


def _sequences(cfg: DictConfig, task: Task) -> Batch:
    return task.validation().rows(0, cfg.batch_size)


def compare(norms: Mapping[str, Iterable[Tensor]]) -> pd.DataFrame:
    """Return the mean over seeds of the logarithms of gradient norms.

    Columns: model, seeds, distance, and of log10 of the norm: mean, with the bounds of the 95 % t-interval,
    low and high. A norm of zero has a logarithm of −∞.

    Args:
        norms: for each model, those of each seed, see `gradient_norms`.
    """
    rows = []
    for model, per_seed in norms.items():
        logs = torch.stack(list(per_seed)).log10()
        for distance, values in enumerate(logs.t().tolist()):
            mean, low, high = t_interval(values) if np.isfinite(values).all() else (-np.inf, np.nan, np.nan)
            rows.append((model, len(values), distance, mean, low, high))
    return pd.DataFrame(rows, columns=["model", "seeds", "distance", "mean", "low", "high"])


def decay(flow: pd.DataFrame) -> float:
    """Return how much log10 of the norm grows with each step of distance: the slope of a line through all.

    The line is that of least squares through one model's rows of `compare`; nan where there are no two
    points.
    """
    flow = flow[np.isfinite(flow["mean"])]
    return float(np.polyfit(flow["distance"], flow["mean"], 1)[0]) if len(flow) > 1 else float("nan")

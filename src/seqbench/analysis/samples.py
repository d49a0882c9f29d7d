"""Samples: a few sequences, what a model should make of them, and what it makes of them."""

from __future__ import annotations

from collections.abc import Sequence
from inspect import signature
from typing import Any, cast

import pandas as pd
import torch
from torch import Tensor, nn

from seqbench.analysis.observations.base import evaluation_mode, valid_steps
from seqbench.models.model import Model
from seqbench.tasks.base import Task
from seqbench.tasks.batch import TEACHER_MASK, Batch
from seqbench.tasks.specs import Classes, Tokens

#: The most characters of a cell; of a longer sequence the middle is left out.
LONGEST = 160


def samples(model: nn.Module, task: Task, batch: Batch) -> pd.DataFrame | None:
    """Return a row of text for each sequence of a batch: input, target, output.

    Of targets at every step those that count are shown. A model that feeds back its outputs gets no truth.

    Args:
        model: of the task; it runs in evaluation mode.
        task: names tokens and classes.
        batch: a few rows.

    Returns:
        None where inputs or targets are of a shape that is no sequence of tokens or vectors.
    """
    if batch.inputs.ndim != (2 if isinstance(task.inputs, Tokens) else 3):
        return None
    like = next(model.parameters())
    moved = batch.map(lambda part: part.to(like.device, like.dtype if part.is_floating_point() else None))
    if cast(Model, model).feeds_back:
        nowhere = torch.zeros(batch.targets.shape[:2], dtype=torch.bool, device=like.device)
        moved = moved.with_extras(**{TEACHER_MASK: nowhere})
    with torch.no_grad(), evaluation_mode(model):
        outputs, _ = model(**moved.arguments(signature(type(model).forward).parameters))
    names, classes = task.token_names()
    found: Any = (
        outputs.argmax(-1) if isinstance(task.targets, Classes) else task.targets.probabilities(outputs)
    )
    if found.shape != batch.targets.shape:
        return None
    rows = []
    for row, steps in enumerate(valid_steps(batch)):
        counts = None if batch.mask is None or not task.targets.per_step else batch.mask[row].cpu()
        its = [part[row].cpu() for part in (batch.targets, found)]
        rows.append(
            [
                _text(batch.inputs[row, :steps].cpu(), names),
                *(_text(part if counts is None else part[counts], classes) for part in its),
            ]
        )
    return pd.DataFrame(rows, columns=["input", "target", "output"])


def _text(part: Tensor, names: Sequence[str]) -> str:
    """Return tokens by their names, and numbers with three digits; components of a vector with commas."""
    if not part.is_floating_point():
        words = [names[token] for token in part.reshape(-1).tolist()]
    else:
        words = [
            ",".join(f"{value:.3g}" for value in vector) for vector in part.reshape(-1, _size(part)).tolist()
        ]
    text = " ".join(words)
    return text if len(text) <= LONGEST else f"{text[: LONGEST // 2]} … {text[-LONGEST // 2 :]}"


def _size(part: Tensor) -> int:
    """Return the components of each vector of a part, (F,) or (T, F)."""
    return part.shape[-1] if part.ndim else 1

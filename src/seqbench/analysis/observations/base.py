"""From a model to a presentation of what it did in each sequence of a batch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import singledispatch
from inspect import signature
from typing import cast

import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.image import AxesImage
from torch import Tensor, nn

from seqbench.analysis.presentation import Presentation
from seqbench.errors import ConfigError
from seqbench.models.model import Model
from seqbench.models.observations import Observation
from seqbench.results.figures import literal
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch

#: The smallest weight that is printed in tables and figures.
MIN_WEIGHT = 0.005
#: The background of a panel: it shows where there is no number, and differs from every grey.
BACKGROUND = "#dceaf5"


@singledispatch
def present(observation: Observation, task: Task, batch: Batch) -> list[Presentation]:
    """Return the presentations of a batch, one for each row; the type of the record decides which kind.

    Args:
        observation: what the model recorded of the batch.
        task: the task that the batch is from; it names tokens and gives outputs their meaning.
        batch: the batch.

    Raises:
        ConfigError: the record has a type for which no presentation is registered.
    """
    name = type(observation).__name__
    raise ConfigError(f"No presentation is registered for records of the type {name}.")


def observe(model: nn.Module, task: Task, batch: Batch) -> list[Presentation]:
    """Observe a model, in evaluation mode, on a batch; return a presentation for each row.

    Args:
        model: a model that can be observed.
        task: the task that the batch is from.
        batch: a few rows; the states of all their steps are kept at once. They may be on another device or
            of another floating-point type than the model.

    Raises:
        ConfigError: the model cannot be observed, or not on this batch.
    """
    if (reason := _unobservable(model)) is not None:
        raise ConfigError(reason)
    like = next(model.parameters())
    batch = batch.map(lambda part: part.to(like.device, like.dtype if part.is_floating_point() else None))
    with torch.no_grad(), evaluation_mode(model):
        try:
            make = cast(Model, model).observe
            observation = make(**batch.arguments(signature(make).parameters))
        except ValueError as error:
            raise ConfigError(str(error)) from error
        return present(observation, task, batch)


def picture(model: nn.Module, task: Task, batch: Batch) -> Figure | None:
    """Return the figure of the first row of a batch; None for a model that cannot be observed."""
    if _unobservable(model) is not None:
        return None
    return observe(model, task, batch.rows(0, 1))[0].draw()


def _unobservable(model: nn.Module) -> str | None:
    """Return why a model cannot be observed; None if it can."""
    if isinstance(model, Model):
        return model.unobservable()
    return f"{type(model).__name__} has no memory or attention to look into."


@contextmanager
def evaluation_mode(model: nn.Module) -> Iterator[None]:
    """Put a model into evaluation mode, and afterwards every module back into its own mode."""
    training = [module for module in model.modules() if module.training]
    model.eval()
    try:
        yield
    finally:
        for module in training:
            module.training = True


def valid_steps(batch: Batch) -> list[int]:
    """Return the number of valid steps of each row."""
    rows, steps = batch.inputs.shape[:2]
    return [steps] * rows if batch.lengths is None else batch.lengths.tolist()


def plain(part: Tensor) -> Tensor:
    """Return a tensor in single precision on the CPU."""
    return part.float().cpu()


def weight_text(value: float) -> str:
    """Return a weight as it is printed: 0.25, or nothing where it is close to zero."""
    return f"{value:.2f}" if value >= MIN_WEIGHT else ""


def show_greys(panel: Axes, values: Tensor, low: float, high: float) -> AxesImage:
    """Show numbers as greys, `low` white and `high` black; nan shows the background."""
    panel.grid(False)
    panel.set_facecolor(BACKGROUND)
    return panel.imshow(values.numpy(), "Greys", aspect="auto", interpolation="nearest", vmin=low, vmax=high)


def show_weights(panel: Axes, weights: Tensor, columns: list[str], rows: list[str]) -> None:
    """Show weights between 0 and 1 as a table of greys, its columns named above and its rows on the left."""
    show_greys(panel, weights, 0.0, 1.0)
    panel.xaxis.tick_top()
    panel.set_xticks(range(len(columns)), [literal(text) for text in columns])
    panel.set_yticks(range(len(rows)), [literal(text) for text in rows])
    panel.tick_params(which="both", length=0)
    for spine in panel.spines.values():
        spine.set_visible(False)

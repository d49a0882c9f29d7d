"""A trial of a user's own code before anything trains: a step of each cell, a pass of the model."""

from __future__ import annotations

import copy
import inspect
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from seqbench.analysis.states import check_followed, trace
from seqbench.errors import ConfigError, one_line
from seqbench.models.unfold import Cell
from seqbench.models.unfold.watching import Operations, graph_nodes
from seqbench.runs.generators import generators_kept, position
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch

#: Packages whose own suites test the shapes.
TRUSTED = ("seqbench.", "torch.")
#: Rows of a trial.
ROWS = 2


class NeedsValuesError(Exception):
    """The code reads the values of tensors, and those on the device `meta` have none."""


def try_own_code(
    model: nn.Module, task: Task, make_model: Callable[[], nn.Module], batch_size: int = ROWS
) -> bool:
    """Try a user's cells and model; return whether they draw random numbers in training.

    Models and cells of seqbench itself are not tried. No generator moves.

    Args:
        model: on the device `meta`, where a pass costs next to nothing.
        task: gives the batch.
        make_model: makes a model with memory, for code that reads a tensor's values.
        batch_size: sequences of one optimisation step, of which a trial has two at most.

    Raises:
        ConfigError: something has another shape than is due, or parameters are not where they are trained and
            stored.
    """
    if all(f"{type(module).__module__}.".startswith(TRUSTED) for module in model.modules()):
        return False
    with generators_kept(), torch.enable_grad():
        batch = next(task.train_batches(0, batch_size)).rows(0, ROWS)
        try:
            return _try(model, task, batch.map(lambda part: part.to("meta")))
        except NeedsValuesError:
            try:
                return _try(make_model(), task, batch)
            except NeedsValuesError as error:
                raise ConfigError(str(error)) from error


def try_omega(model: nn.Module, task: Task, batch_size: int, omega: float) -> None:
    """Raise a ConfigError where a user's model is another one when its steps are taken one by one, for Ω."""
    with generators_kept():
        batch = next(task.train_batches(0, batch_size)).rows(0, ROWS)
        batch = batch.map(lambda part: part.double() if part.is_floating_point() else part)
        twin, generator = copy.deepcopy(model).double().eval(), torch.get_rng_state()
        try:
            outputs = trace(twin, batch.inputs, batch.lengths).outputs
            check_followed(twin, outputs, generator, batch.inputs, batch.lengths)
        except (ValueError, RuntimeError) as error:
            raise ConfigError(f"optim.omega={omega}: {one_line(error)}") from error


def _try(model: nn.Module, task: Task, batch: Batch) -> bool:
    """Return whether the model draws random numbers in training; see `try_own_code`."""
    before, training = list(model.state_dict()), model.training
    for cell in model.modules():
        if isinstance(cell, Cell):
            try_cell(cell, batch.inputs.device)
    try_model(model.eval(), task, batch)
    before_pass = position()
    with Operations() as operations:
        try_model(model.train(), task, batch)
    draws = operations.draws or before_pass != position()
    model.train(training)
    if changed := sorted({*model.state_dict()} ^ {*before}):
        raise ConfigError(
            f"A pass through {type(model).__name__} adds or removes {changed[0]}; parameters and buffers "
            "must be there from the start, or no checkpoint can be read."
        )
    return draws


def try_cell(cell: Cell, device: torch.device) -> None:
    """Take a step of a cell.

    Raises:
        ConfigError: the step fails, or what it makes has another shape than is due.
        NeedsValuesError: the step cannot be taken on the device `meta`.
    """
    name = type(cell).__name__
    x = torch.zeros(ROWS, cell.input_size, device=device)
    state = _called(f"{name}.initial_state({ROWS})", lambda: cell.initial_state(ROWS))
    projected = _called(f"{name}.project of an input {_shape(x)}", lambda: cell.project(x))
    made = _called(f"{name}.step from a state {_shape(state)}", lambda: cell.step(projected, state))
    output, after = _pair(f"{name}.step", made)
    due = (ROWS, cell.output_size)
    if isinstance(output, Tensor) and output.shape != due:
        raise ConfigError(f"{name}.step puts out {_shape(output)}, and {due} is due, rows and output_size.")
    if _shape(after) != _shape(state):
        raise ConfigError(
            f"{name}.step makes a state {_shape(after)} of {_shape(state)}, and its shape must not change."
        )


def try_model(model: nn.Module, task: Task, batch: Batch) -> None:
    """Pass a batch through a model.

    Raises:
        ConfigError: the pass fails, or the outputs have another shape than the task's targets ask for.
        NeedsValuesError: the pass cannot be made on the device `meta`.
    """
    name = f"{type(model).__name__}.forward"
    inputs = f"{name} of inputs {_shape(batch.inputs)}"
    arguments = batch.arguments(inspect.signature(type(model).forward).parameters)
    outputs, _ = _pair(name, _called(inputs, lambda: model(**arguments)))
    due = (*batch.targets.shape[: 1 + task.targets.per_step], task.targets.size)
    if _shape(outputs) != due:
        raise ConfigError(f"{inputs} puts out {_shape(outputs)}, and {due} is due.")
    if _parameters_of(outputs) - {id(parameter) for parameter in model.parameters()}:
        raise ConfigError(
            f"The outputs of {type(model).__name__} depend on a parameter that is none of the model's, and "
            "would be neither trained nor stored; hold modules and parameters in attributes, nn.ModuleList "
            "or nn.ParameterList."
        )


def _parameters_of(outputs: Tensor) -> set[int]:
    """Return the identities of the parameters that outputs have a gradient in."""
    leaves = (getattr(node, "variable", None) for node in graph_nodes(outputs))
    return {id(leaf) for leaf in leaves if isinstance(leaf, nn.Parameter)}


def _pair(name: str, made: Any) -> tuple[Any, Any]:
    if not isinstance(made, tuple) or len(made) != 2:
        raise ConfigError(f"{name} must return a pair, outputs and a state, and returned {_shape(made)}.")
    return made


def _called(what: str, call: Callable[[], Any]) -> Any:
    """Return what a call returns; whatever it raises becomes a ConfigError that says what was called."""
    try:
        return call()
    except Exception as error:  # whatever a user's code raises
        told = f"{what} fails with {type(error).__name__}: {one_line(error)}."
        if isinstance(error, NotImplementedError) or "meta" in str(error).lower():
            raise NeedsValuesError(told) from error
        raise ConfigError(told) from error


def _shape(parts: Any) -> Any:
    """Return the shapes of the tensors in a pytree, in its structure; the name of what holds none."""
    if not any(isinstance(part, Tensor) for part in tree_leaves(parts)):
        return type(parts).__name__
    return tree_map(lambda part: tuple(part.shape) if isinstance(part, Tensor) else part, parts)

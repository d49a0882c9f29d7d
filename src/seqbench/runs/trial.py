"""A trial of a user's own code before anything trains: a step of each cell, a pass of the model."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map

from seqbench.errors import ConfigError, one_line
from seqbench.models.unfold import Cell
from seqbench.runs.generators import generators_kept
from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch

#: Packages whose own suites test the shapes.
TRUSTED = ("seqbench.", "torch.")
#: Rows of a trial.
ROWS = 2


class NeedsValuesError(Exception):
    """The code reads the values of tensors, and those on the device `meta` have none."""


def check_shapes(model: nn.Module, task: Task, make_model: Callable[[], nn.Module]) -> bool:
    """Return whether a user's cell or model draws random numbers in training.

    Models and cells of seqbench itself are not tried. No generator moves.

    Args:
        model: on the device `meta`, where a pass costs next to nothing.
        task: gives the batch.
        make_model: makes a model with memory, for code that reads a tensor's values.

    Raises:
        ConfigError: something has another shape than is due, or parameters are not where they are trained and
            stored.
    """
    if all(f"{type(module).__module__}.".startswith(TRUSTED) for module in model.modules()):
        return False
    with generators_kept(), torch.enable_grad():
        batch = next(task.train_batches(0, ROWS))
        try:
            return _try(model, task, batch.map(lambda part: part.to("meta")))
        except NeedsValuesError:
            try:
                return _try(make_model(), task, batch)
            except NeedsValuesError as error:
                raise ConfigError(str(error)) from error


class _Draws(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Watches whether random numbers are drawn, from any of the generators."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.found: bool = False
        self._others = repr((random.getstate(), np.random.get_state(legacy=True)))

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # its import takes a second, and nothing compiles this

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.found = self.found or torch.Tag.nondeterministic_seeded in func.tags
        return func(*args, **(kwargs or {}))

    def any(self) -> bool:
        """Return whether any number was drawn since the start."""
        return bool(self.found) or self._others != repr((random.getstate(), np.random.get_state(legacy=True)))


def _try(model: nn.Module, task: Task, batch: Batch) -> bool:
    """Return whether the model draws random numbers in training; see `check_shapes`."""
    before, training = list(model.state_dict()), model.training
    for cell in model.modules():
        if isinstance(cell, Cell):
            try_cell(cell, batch.inputs.device)
    try_model(model.eval(), task, batch)
    with _Draws() as draws:
        try_model(model.train(), task, batch)
    model.train(training)
    if changed := sorted({*model.state_dict()} ^ {*before}):
        raise ConfigError(
            f"A pass through {type(model).__name__} adds or removes {changed[0]}; parameters and buffers "
            "must be there from the start, or no checkpoint can be read."
        )
    return bool(draws.any())


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
    ahead = [] if outputs.grad_fn is None else [outputs.grad_fn]
    seen, found = set(ahead), set()
    while ahead:
        node = ahead.pop()
        leaf = getattr(node, "variable", None)
        found |= {id(leaf)} if isinstance(leaf, nn.Parameter) else set()
        new = {its for its, _ in node.next_functions if its is not None} - seen
        seen |= new
        ahead += new
    return found


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

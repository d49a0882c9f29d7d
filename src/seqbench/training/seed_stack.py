"""The models of a pass: one, or those of several seeds as one under vmap."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import torch
from jaxtyping import Shaped
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_map

from seqbench.tasks.batch import Batch

#: From a model's outputs, its state after them, its batch and more tensors to tensors.
Function = Callable[..., Any]
#: Optimisers that treat every number of a parameter by itself, so that they can serve stacked parameters.
ELEMENTWISE = (
    *(torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop),
    *(torch.optim.Adagrad, torch.optim.Adadelta, torch.optim.Adamax, torch.optim.RAdam),
)
#: The models of every stack. Shapes, and with them kernels and rounding, then do not depend on how many seeds
#: train together.
WIDTH = 8
#: Where the rows of a stack are summed, each begins in memory at a multiple of so many numbers.
ALIGNED = 32


class OneModel:
    """A model with a pass of its own.

    Attributes:
        lead: dimensions of its batches before the rows: none.
    """

    lead = 0

    def __init__(self, model: nn.Module) -> None:
        self.models = [model]
        self.model = model

    def parameters(self) -> list[nn.Parameter]:
        """Return the parameters to train."""
        return [parameter for parameter in self.model.parameters() if parameter.requires_grad]

    def apply(
        self, function: Function, batch: Batch, state: Any = None, *more: Tensor, shared: bool = False
    ) -> Any:
        """Return `function(outputs, state, batch, *more)` of the model's outputs and its state after them."""
        batch = _counted(self.model, batch)
        return function(*run(self.model, batch, state), batch, *more)


class SeedStack:
    """Up to `WIDTH` models, one for each seed, in one pass under `torch.func.vmap`.

    The overhead of an operation, which is most of the time on a GPU, is paid once. The parameters of the
    models are rows of stacked ones, (W, …). A stack of fewer models is filled up with copies of the last one,
    whose results are dropped.

    Args:
        models: alike but for the values of their parameters and buffers; on their device, and of their type.

    Attributes:
        lead: dimensions of its batches before the rows: that of the models, (W, B, …).
    """

    lead = 1

    def __init__(self, models: Sequence[nn.Module]) -> None:
        self.models = list(models)
        filled = [*models, *[models[-1]] * (WIDTH - len(models))]
        self._stacked: dict[str, nn.Parameter] = {}
        for name, first in models[0].named_parameters():
            rows = [model.get_parameter(name) for model in filled]
            stacked = nn.Parameter(torch.stack([row.detach() for row in rows]), first.requires_grad)
            for k, model in enumerate(models):
                model.get_parameter(name).data = stacked.data[k]
            self._stacked[name] = stacked
        self._buffers: dict[str, Tensor] = {}
        self._buffer_dims: dict[str, int | None] = {}
        for name, buffer in models[0].named_buffers():
            its = [model.get_buffer(name) for model in filled]
            alike = all(each is buffer or torch.equal(each, buffer) for each in its)
            self._buffers[name] = buffer if alike else torch.stack(its)
            self._buffer_dims[name] = None if alike else 0

    def parameters(self) -> list[nn.Parameter]:
        """Return the stacked parameters to train."""
        return [parameter for parameter in self._stacked.values() if parameter.requires_grad]

    def apply(
        self, function: Function, batch: Batch, state: Any = None, *more: Tensor, shared: bool = False
    ) -> Any:
        """Return what `OneModel.apply` does for every model, along a first dimension; () in place of None.

        Args:
            function: from outputs, state, batch and more tensors of one model to tensors.
            batch: one for each model, stacked (W, B, …); or one that all read.
            state: to continue from, (W, …); None to begin.
            more: (W, …), further arguments.
            shared: whether all read the same batch.
        """
        dims = tree_map(lambda part: None if shared or part is None else 0, batch)

        def one(
            parameters: dict[str, Tensor], buffers: dict[str, Tensor], batch: Batch, state: Any, *more: Tensor
        ) -> Any:
            mine = parameters | buffers

            def call(**arguments: Any) -> Any:
                return functional_call(self.models[0], mine, (), arguments)

            batch = _counted(self.models[0], batch)
            found = function(*run(self.models[0], batch, state, call), batch, *more)
            return tree_map(lambda part: () if part is None else part, found)  # vmap has no None

        every = (0, self._buffer_dims, dims, None if state is None else 0, *[0] * len(more))
        return vmap(one, in_dims=every)(dict(self._stacked), self._buffers, batch, state, *more)


def stack_batches(batches: Sequence[Batch]) -> Batch:
    """Stack the batches of several models, which have one shape: (W, B, …), filled up with the last one."""
    filled = [*batches, *[batches[-1]] * (WIDTH - len(batches))]
    stacked: Batch = tree_map(lambda *parts: None if parts[0] is None else torch.stack(parts), *filled)
    return stacked


def aligned(rows: Shaped[Tensor, "*W N"]) -> Shaped[Tensor, "*W M"]:
    """Return rows with zeros after them, M being the next multiple of `ALIGNED`.

    A GPU sums a row of more than 128 numbers in an order that depends on how its first one lies in memory; so
    what is summed of a seed would be rounded by its place in the stack.
    """
    return nn.functional.pad(rows, (0, -rows.shape[-1] % ALIGNED))


def _counted(model: nn.Module, batch: Batch) -> Batch:
    """Return a batch with the steps alone that count, where the model computes outputs at these alone."""
    most = getattr(model, "counted", None)
    return batch if most is None or batch.mask is None else batch.at_counted(most)


@cache
def _parameters(forward: Callable[..., Any]) -> frozenset[str]:
    return frozenset(inspect.signature(forward).parameters)


def run(
    model: nn.Module, batch: Batch, state: Any = None, call: Callable[..., Any] | None = None
) -> tuple[Any, Any]:
    """Return a model's outputs for a batch, and what it returns beside them, such as its last state.

    The parameters of `forward` say what the model takes; the batch has them by name.

    Args:
        model: what is called.
        batch: of one model.
        state: to continue from.
        call: called in the model's place, with the same arguments.
    """
    arguments: dict[str, Any] = batch.arguments(_parameters(type(model).forward))
    if state is not None:
        arguments["state"] = state
    outputs, end = (call or model)(**arguments)
    return outputs, end


def optimizer_of_one(state: dict[str, Any], row: int) -> dict[str, Any]:
    """Return one seed's part of the state of an optimiser of stacked parameters, as if it were alone."""

    def part(value: Any) -> Any:
        return value[row].clone() if isinstance(value, Tensor) and value.ndim else value

    return state | {"state": {i: {k: part(v) for k, v in of.items()} for i, of in state["state"].items()}}


def optimizer_of_stack(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the joint state of several seeds' optimisers, all at the same step, filled up with the last."""
    states = [*states, *[states[-1]] * (WIDTH - len(states))]

    def join(key: str, values: list[Any]) -> Any:
        return torch.stack(values) if isinstance(values[0], Tensor) and key != "step" else values[0]

    first = states[0]
    joined = {
        i: {key: join(key, [state["state"][i][key] for state in states]) for key in of}
        for i, of in first["state"].items()
    }
    return first | {"state": joined}

"""Many seeds in one job: K models of one configuration that take every step together."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_map

from seqbench.models.unfold import Engine
from seqbench.tasks.batch import Batch

#: Optimisers that treat every number of a parameter by itself, so that they can serve stacked parameters.
ELEMENTWISE = (
    *(torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop),
    *(torch.optim.Adagrad, torch.optim.Adadelta, torch.optim.Adamax, torch.optim.RAdam),
)


class SeedStack(nn.Module):
    """K models, one for each seed. The rows of stacked parameters (K, …) are their parameters.

    A pass is either vectorised, all models at once under `torch.func.vmap`, so that the overhead of an
    operation is paid once and not K times; or sequential, one model after another, with the native kernels
    that vmap cannot batch. Both write gradients into the same rows. A seed's numbers are those that it has
    alone, up to rounding.

    Args:
        models: alike but for the values of their parameters and buffers.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        self.vectorized = False
        self._stacked: dict[str, nn.Parameter] = {}
        self._buffers_and_dims: tuple[dict[str, Tensor], dict[str, int | None]] = {}, {}

    def __len__(self) -> int:
        return len(self.models)

    @property
    def is_stacked(self) -> bool:
        """Whether the parameters are rows of stacked ones; a single model keeps its own."""
        return bool(self._stacked)

    def stack_parameters(self) -> None:
        """Make every parameter of the models, and its gradient, a row of one tensor.

        This must be repeated after the models have moved to another device or type.
        """
        self._stacked = {}
        for name, _ in self.models[0].named_parameters():
            rows = [model.get_parameter(name) for model in self.models]
            stacked = nn.Parameter(torch.stack([row.detach() for row in rows]), rows[0].requires_grad)
            stacked.grad = torch.zeros_like(stacked) if stacked.requires_grad else None
            for k, row in enumerate(rows):
                row.data = stacked.data[k]
                row.grad = None if stacked.grad is None else stacked.grad[k]
            self._stacked[name] = stacked
        self._buffers_and_dims = self._stack_buffers()

    def select(self, rows: Sequence[int]) -> None:
        """Continue with these models alone."""
        self.models = nn.ModuleList(self.models[k] for k in rows)
        self.stack_parameters()

    def trainable(self) -> list[nn.Parameter]:
        """Return the parameters for an optimiser: the stacked ones, or a single model's own."""
        parameters = self._stacked.values() or self.models.parameters()
        return [parameter for parameter in parameters if parameter.requires_grad]

    def gradients(self) -> list[Tensor]:
        """Return the gradients (K, …) of all models."""
        if self._stacked:
            return [p.grad for p in self._stacked.values() if p.grad is not None]
        return [p.grad[None] for p in self.models.parameters() if p.grad is not None]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Zero the gradients; stacked ones keep their storage."""
        if self._stacked:
            torch._foreach_zero_(self.gradients())
        else:
            super().zero_grad(set_to_none)

    @property
    def engine(self) -> Engine | None:
        """The engine that unfolds the models, see `seqbench.models.unfold`; None if nothing is unfolded."""
        engines = [module.engine for module in self.models[0].modules() if hasattr(module, "engine")]
        return cast(Engine, engines[0]) if engines else None

    def set_mode(self, vectorized: bool, engine: Engine | None) -> None:
        """Choose how a pass is executed; an engine of None leaves the engines as they are."""
        self.vectorized = vectorized
        for module in self.models.modules():
            if engine is not None and hasattr(module, "engine"):
                cast(Any, module).engine = engine

    def map(self, function: Callable[[Any, Batch], Any], batch: Batch, shared: bool = False) -> Any:
        """Return `function(outputs, batch)` of every model, stacked along a new first dimension.

        Args:
            function: from a model's outputs and its batch to tensors.
            batch: one for each model, stacked (K, B, …); or one that all read.
            shared: whether all read the same.
        """
        if self.vectorized:
            return self.vmap(lambda outputs, _, mine: function(outputs, mine), batch, shared)
        found = []
        for k, model in enumerate(self.models):
            mine = batch if shared else batch.of_seed(k)
            found.append(function(run(model, mine)[0], mine))
        return tree_map(lambda *rows: torch.stack(rows), *found)

    def vmap(
        self,
        function: Callable[..., Any],
        batch: Batch,
        shared: bool = False,
        states: Any = None,
        *more: Tensor,
    ) -> Any:
        """Return `function(outputs, state, batch, *more)` of all models under vmap."""
        buffers, buffer_dims = self._buffers_and_dims
        dims = tree_map(lambda part: None if shared or part is None else 0, batch)
        state_dims = None if states is None else 0

        def one(
            parameters: dict[str, Tensor], buffers: dict[str, Tensor], batch: Batch, state: Any, *more: Tensor
        ) -> Any:
            mine = parameters | buffers

            def call(**arguments: Any) -> Any:
                return functional_call(self.models[0], mine, (), arguments)

            return function(*run(self.models[0], batch, state, call), batch, *more)

        every = (0, buffer_dims, dims, state_dims, *[0] * len(more))
        return vmap(one, in_dims=every)(dict(self._stacked), buffers, batch, states, *more)

    def _stack_buffers(self) -> tuple[dict[str, Tensor], dict[str, int | None]]:
        """Return the buffers, stacked where the models differ in them, and the dimension of the models."""
        buffers: dict[str, Tensor] = {}
        dims: dict[str, int | None] = {}
        for name, first in self.models[0].named_buffers():
            rows = [model.get_buffer(name) for model in self.models]
            alike = all(row is first or torch.equal(row, first) for row in rows)
            buffers[name], dims[name] = (first, None) if alike else (torch.stack(rows), 0)
        return buffers, dims


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


def optimizer_of_all(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Return the joint state of several seeds' optimisers, which are all at the same step."""

    def join(key: str, values: list[Any]) -> Any:
        return torch.stack(values) if isinstance(values[0], Tensor) and key != "step" else values[0]

    first = states[0]
    joined = {
        i: {key: join(key, [state["state"][i][key] for state in states]) for key in of}
        for i, of in first["state"].items()
    }
    return first | {"state": joined}

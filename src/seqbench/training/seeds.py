"""Many seeds in one job: K models of one configuration that take every step side by side."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_map

from seqbench.models.unfold import Engine
from seqbench.tasks.base import Batch

#: Optimisers that treat every number of a parameter by itself, so that those of K seeds go through as one.
ELEMENTWISE = (
    *(torch.optim.SGD, torch.optim.Adam, torch.optim.AdamW, torch.optim.RMSprop),
    *(torch.optim.Adagrad, torch.optim.Adadelta, torch.optim.Adamax, torch.optim.RAdam),
)


class SeedStack(nn.Module):
    """K models, one for each seed, whose parameters are the rows of stacked ones (K, …).

    A pass goes either `together`, all models at once under `torch.func.vmap`, so that what it costs to start
    an operation is paid once and not K times; or in turn, each model by itself, with the native kernels that
    vmap cannot batch. The gradients land in the same rows, and a seed's numbers are, up to rounding, those
    that it gets alone.

    Args:
        models: alike but for the values of their parameters and buffers.
    """

    def __init__(self, models: Sequence[nn.Module]) -> None:
        super().__init__()
        self.models = nn.ModuleList(models)
        self.together = False
        self._stacked: dict[str, nn.Parameter] = {}
        self._buffers_and_dims: tuple[dict[str, Tensor], dict[str, int | None]] = {}, {}

    def __len__(self) -> int:
        return len(self.models)

    @property
    def tied(self) -> bool:
        """Whether the parameters lie in rows, as those of one model need not."""
        return bool(self._stacked)

    def tie(self) -> None:
        """Lay every parameter, and its gradient, of the models in rows of one tensor.

        It must be done again after the models have moved to another device or type.
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

    def keep(self, rows: Sequence[int]) -> None:
        """Go on with these models alone."""
        self.models = nn.ModuleList(self.models[k] for k in rows)
        self.tie()

    def trainable(self) -> list[nn.Parameter]:
        """Return what an optimiser takes: the stacked parameters, or a single model's own."""
        parameters = self._stacked.values() or self.models.parameters()
        return [parameter for parameter in parameters if parameter.requires_grad]

    def gradients(self) -> list[Tensor]:
        """Return the gradients (K, …) of all models."""
        if self._stacked:
            return [p.grad for p in self._stacked.values() if p.grad is not None]
        return [p.grad[None] for p in self.models.parameters() if p.grad is not None]

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Forget the gradients; those in rows stay where they are."""
        if self._stacked:
            torch._foreach_zero_(self.gradients())
        else:
            super().zero_grad(set_to_none)

    @property
    def engine(self) -> Engine | None:
        """How the models unfold, see `seqbench.models.unfold`; None where they do not."""
        engines = [module.engine for module in self.models[0].modules() if hasattr(module, "engine")]
        return cast(Engine, engines[0]) if engines else None

    def run_with(self, together: bool, engine: Engine | None) -> None:
        """Choose how a pass goes; None leaves the engines as they are."""
        self.together = together
        for module in self.models.modules():
            if engine is not None and hasattr(module, "engine"):
                cast(Any, module).engine = engine

    def backward(
        self,
        loss: Callable[[Tensor, Batch], Tensor],
        batch: Batch,
        backward: Callable[[Tensor], object] = torch.autograd.backward,
    ) -> Tensor:
        """Go forth and back; models in turn go each both ways, so that one at a time takes up memory.

        Args:
            loss: from a model's outputs and its batch to a number.
            batch: one for each model, stacked (K, B, …).
            backward: what goes back from a loss.

        Returns:
            The losses (K,), without a graph.
        """
        if self.together:
            losses: Tensor = self._each_together(loss, batch, shared=False)
            backward(losses.sum())
            return losses.detach()
        found = []
        for k, model in enumerate(self.models):
            mine = batch.of_seed(k)
            found.append(loss(model(mine.inputs, mine.lengths)[0], mine))
            backward(found[-1])
            found[-1] = found[-1].detach()
        return torch.stack(found)

    def each(self, function: Callable[[Tensor, Batch], Any], batch: Batch, shared: bool = False) -> Any:
        """Return `function(outputs, batch)` of every model, stacked along a new first dimension.

        Args:
            function: from a model's outputs and its batch to tensors.
            batch: one for each model, stacked (K, B, …); or one that all read.
            shared: whether all read the same.
        """
        if self.together:
            return self._each_together(function, batch, shared)
        found = []
        for k, model in enumerate(self.models):
            mine = batch if shared else batch.of_seed(k)
            found.append(function(model(mine.inputs, mine.lengths)[0], mine))
        return tree_map(lambda *rows: torch.stack(rows), *found)

    def _each_together(self, function: Callable[[Tensor, Batch], Any], batch: Batch, shared: bool) -> Any:
        buffers, buffer_dims = self._buffers_and_dims
        dims = tree_map(lambda part: None if shared or part is None else 0, batch)

        def one(parameters: dict[str, Tensor], buffers: dict[str, Tensor], batch: Batch) -> Any:
            mine = parameters | buffers
            outputs = functional_call(self.models[0], mine, (batch.inputs, batch.lengths))[0]
            return function(outputs, batch)

        return vmap(one, in_dims=(0, buffer_dims, dims))(dict(self._stacked), buffers, batch)

    def _stack_buffers(self) -> tuple[dict[str, Tensor], dict[str, int | None]]:
        """Return the buffers, stacked where the models differ in them, and which dimension is the models'."""
        buffers: dict[str, Tensor] = {}
        dims: dict[str, int | None] = {}
        for name, first in self.models[0].named_buffers():
            rows = [model.get_buffer(name) for model in self.models]
            alike = all(row is first or torch.equal(row, first) for row in rows)
            buffers[name], dims[name] = (first, None) if alike else (torch.stack(rows), 0)
        return buffers, dims


def optimizer_of_one(state: dict[str, Any], row: int) -> dict[str, Any]:
    """Return one seed's part of the state of an optimiser of stacked parameters, as if it were alone."""

    def part(value: Any) -> Any:
        return value[row].clone() if isinstance(value, Tensor) and value.ndim else value

    return state | {"state": {i: {k: part(v) for k, v in of.items()} for i, of in state["state"].items()}}


def optimizer_of_all(states: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """Put the states of several seeds' optimisers, all at the same step, together."""

    def join(key: str, values: list[Any]) -> Any:
        return torch.stack(values) if isinstance(values[0], Tensor) and key != "step" else values[0]

    first = states[0]
    joined = {
        i: {key: join(key, [state["state"][i][key] for state in states]) for key in of}
        for i, of in first["state"].items()
    }
    return first | {"state": joined}

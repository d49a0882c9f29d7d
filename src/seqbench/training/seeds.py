"""Many seeds in one job: K models of one configuration that take every step side by side."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap
from torch.utils._pytree import tree_map

from seqbench.models.unfold import Engine
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Target
from seqbench.training.omega import loss_and_omega

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
        omega: weight of the regulariser Ω beside the loss; models then go in turn.
        truncate: steps that a gradient goes back, at most; None for all.
    """

    def __init__(self, models: Sequence[nn.Module], omega: float = 0.0, truncate: int | None = None) -> None:
        super().__init__()
        self.omega = omega
        self.truncate = truncate
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
        target: Target,
        batch: Batch,
        backward: Callable[[Tensor], object] = torch.autograd.backward,
    ) -> Tensor:
        """Go forth and back; models in turn go each both ways, so that one at a time takes up memory.

        Args:
            target: whose loss it is.
            batch: one for each model, stacked (K, B, …).
            backward: what goes back from a loss.

        Returns:
            The losses (K,), without a graph.
        """
        if self.truncate is not None:
            return self._backward_in_pieces(target, batch, self.truncate, backward)
        if self.together:
            losses: Tensor = self._together(lambda outputs, _, mine: target.loss(outputs, mine), batch)
            backward(losses.sum())
            return losses.detach()
        found = []
        for k, model in enumerate(self.models):
            mine = batch.of_seed(k)
            if self.omega:
                loss_of = partial(target.loss, batch=mine)
                loss, omega = loss_and_omega(cast(Any, model), loss_of, mine.inputs, mine.lengths)
                backward(loss + self.omega * omega)
            else:
                loss = target.loss(run(model, mine)[0], mine)
                backward(loss)
            found.append(loss.detach())
        return torch.stack(found)

    def _backward_in_pieces(
        self, target: Target, batch: Batch, size: int, backward: Callable[[Tensor], object]
    ) -> Tensor:
        """Go forth and back in pieces of `size` steps; states are carried on, gradients are not."""
        steps, lengths = batch.inputs.shape[2], batch.lengths
        # What a target counts for in the loss of its seed, which is the sum over the pieces.
        shares = torch.ones(batch.inputs.shape[: 3 if target.per_step else 2], device=batch.inputs.device)
        if target.per_step and batch.mask is not None:
            shares = batch.mask.to(shares.dtype)
        shares = shares / shares.flatten(1).sum(1).view(-1, *[1] * (shares.ndim - 1))

        def loss(outputs: Tensor, state: Any, mine: Batch, shares: Tensor) -> Any:
            return (target.losses(outputs, mine) * shares).sum(), state

        states: Any = None if self.together else [None] * len(self)
        total: Tensor | None = None
        for start in range(0, steps, size):
            stop = min(start + size, steps)
            piece = batch.time_slice(start, stop, target.per_step, dim=2)
            if target.per_step:
                here = shares[:, :, start:stop]
            elif lengths is None:
                here = shares
            else:  # a sequence counts where it ends
                here = shares * ((start < lengths) & (lengths <= stop))
            learns = target.per_step or lengths is not None or stop == steps
            with torch.set_grad_enabled(learns):
                if self.together:
                    losses, states = self._together(loss, piece, False, states, here)
                    if learns:
                        backward(losses.sum())
                else:
                    found = []
                    for k, model in enumerate(self.models):
                        mine = piece.of_seed(k)
                        one, states[k] = loss(*run(model, mine, states[k]), mine, here[k])
                        if learns:
                            backward(one)
                        found.append(one)
                    losses = torch.stack(found)
            if learns:
                total = losses.detach() if total is None else total + losses.detach()
            states = tree_map(lambda part: None if part is None else part.detach(), states)
        assert total is not None
        return total

    def each(self, function: Callable[[Tensor, Batch], Any], batch: Batch, shared: bool = False) -> Any:
        """Return `function(outputs, batch)` of every model, stacked along a new first dimension.

        Args:
            function: from a model's outputs and its batch to tensors.
            batch: one for each model, stacked (K, B, …); or one that all read.
            shared: whether all read the same.
        """
        if self.together:
            return self._together(lambda outputs, _, mine: function(outputs, mine), batch, shared)
        found = []
        for k, model in enumerate(self.models):
            mine = batch if shared else batch.of_seed(k)
            found.append(function(run(model, mine)[0], mine))
        return tree_map(lambda *rows: torch.stack(rows), *found)

    def _together(
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

            def call(*args: Any, **more: Any) -> Any:
                return functional_call(self.models[0], mine, args, more)

            return function(*run(self.models[0], batch, state, call), batch, *more)

        every = (0, buffer_dims, dims, state_dims, *[0] * len(more))
        return vmap(one, in_dims=every)(dict(self._stacked), buffers, batch, states, *more)

    def _stack_buffers(self) -> tuple[dict[str, Tensor], dict[str, int | None]]:
        """Return the buffers, stacked where the models differ in them, and which dimension is the models'."""
        buffers: dict[str, Tensor] = {}
        dims: dict[str, int | None] = {}
        for name, first in self.models[0].named_buffers():
            rows = [model.get_buffer(name) for model in self.models]
            alike = all(row is first or torch.equal(row, first) for row in rows)
            buffers[name], dims[name] = (first, None) if alike else (torch.stack(rows), 0)
        return buffers, dims


def run(
    model: nn.Module, batch: Batch, state: Any = None, call: Callable[..., Any] | None = None
) -> tuple[Any, Any]:
    """Return a model's outputs for a batch, and what it returns beside them: its last state, for one.

    The batch's parts are passed by name: whatever the parameters of `forward` ask for.

    Args:
        model: what is called.
        batch: of one model.
        state: to go on from.
        call: called in the model's place, with what it would be.
    """
    more: dict[str, Any] = {} if state is None else {"state": state}
    names = inspect.signature(model.forward).parameters
    outputs, end = (call or model)(**batch.arguments(names), **more)
    return outputs, end


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

"""Updates: what one optimisation step does to the models of all seeds.

Gradient descent is one update; solving for a readout by ridge regression is another. The model says which
one it takes: its readout is learnt or solved for.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
from functools import partial
from typing import Any, cast

import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from seqbench.models.model import Model
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Target
from seqbench.training.omega import loss_and_omega
from seqbench.training.optimisation import OptimizerConfig
from seqbench.training.seed_stack import SeedStack, run

#: Runs the backward pass from a loss.
Backward = Callable[[Tensor], object]


class Update(ABC):
    """One optimisation step of all seeds.

    Args:
        stack: the models.
        target: whose loss is taken.
        config: how models are optimised.
    """

    def __init__(self, stack: SeedStack, target: Target, config: OptimizerConfig) -> None:
        self.stack = stack
        self.target = target
        self.config = config

    @abstractmethod
    def step(self, batch: Batch, optimizer: torch.optim.Optimizer, backward: Backward) -> Tensor | None:
        """Take a step on a batch (K, B, …).

        Returns:
            Loss and norm of the gradient (2, K), without a graph; None where there are none.
        """

    def before_evaluation(self) -> None:  # noqa: B027 - most updates leave the models as they are
        """Bring the models into the state that is evaluated."""


class GradientDescent(Update):
    """Losses, their gradients, clipping, and a step of the optimiser."""

    def step(self, batch: Batch, optimizer: torch.optim.Optimizer, backward: Backward) -> Tensor | None:
        self.stack.zero_grad()
        losses = self.losses(batch, backward)
        norms = self.config.clip(self.stack.gradients())
        optimizer.step()
        return torch.stack([losses, norms.detach()])

    def losses(self, batch: Batch, backward: Backward = torch.autograd.backward) -> Tensor:
        """Return the losses (K,), without a graph, after the backward pass of each.

        In sequence each model runs both passes before the next one, so that one at a time takes up memory.
        """
        if self.config.truncate is not None:
            return _truncated(self.stack, self.target, batch, self.config.truncate, backward)
        if self.stack.vectorized:
            losses: Tensor = self.stack.map(self.target.loss, batch)
            backward(losses.sum())
            return losses.detach()
        found = []
        for k, model in enumerate(self.stack.models):
            mine = batch.of_seed(k)
            if self.config.omega:
                loss_of = partial(self.target.loss, batch=mine)
                loss, omega = loss_and_omega(cast(Any, model), loss_of, mine.inputs, mine.lengths)
                backward(loss + self.config.omega * omega)
            else:
                loss = self.target.loss(run(model, mine)[0], mine)
                backward(loss)
            found.append(loss.detach())
        return torch.stack(found)


def _truncated(stack: SeedStack, target: Target, batch: Batch, size: int, backward: Backward) -> Tensor:
    """Return the losses (K,) after backward passes of `size` steps each; the state is carried over."""
    steps, lengths = batch.inputs.shape[2], batch.lengths
    # The weight of a target in the loss of its seed, which is the sum over the slices.
    weights = torch.ones(batch.inputs.shape[: 3 if target.per_step else 2], device=batch.inputs.device)
    if target.per_step and batch.mask is not None:
        weights = batch.mask.to(weights.dtype)
    weights = weights / weights.flatten(1).sum(1).view(-1, *[1] * (weights.ndim - 1))

    def loss(outputs: Tensor, state: Any, mine: Batch, weights: Tensor) -> Any:
        return (target.losses(outputs, mine) * weights).sum(), state

    states: Any = None if stack.vectorized else [None] * len(stack)
    total: Tensor | None = None
    for start in range(0, steps, size):
        stop = min(start + size, steps)
        part = batch.time_slice(start, stop, target.per_step, dim=2)
        if target.per_step:
            here = weights[:, :, start:stop]
        elif lengths is None:
            here = weights
        else:  # a sequence counts in the slice in which it ends
            here = weights * ((start < lengths) & (lengths <= stop))
        learns = target.per_step or lengths is not None or stop == steps
        with torch.set_grad_enabled(learns):
            if stack.vectorized:
                losses, states = stack.vmap(loss, part, False, states, here)
                if learns:
                    backward(losses.sum())
            else:
                found = []
                for k, model in enumerate(stack.models):
                    mine = part.of_seed(k)
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


class SolveReadout(Update):
    """The readout is solved for: a step takes its batch into a regression, an evaluation solves that."""

    def step(self, batch: Batch, optimizer: torch.optim.Optimizer, backward: Backward) -> Tensor | None:
        for k, model in enumerate(self.stack.models):
            accumulate = cast(Model, model).accumulate
            accumulate(**batch.of_seed(k).arguments(inspect.signature(accumulate).parameters))
        return None

    def before_evaluation(self) -> None:
        for model in self.stack.models:
            cast(Model, model).solve()


def update_for(stack: SeedStack, target: Target, config: OptimizerConfig) -> Update:
    """Return the update that the models take."""
    kind = SolveReadout if cast(Model, stack.models[0]).solves_readout else GradientDescent
    return kind(stack, target, config)

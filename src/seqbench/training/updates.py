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
from seqbench.training.omega import Omega
from seqbench.training.optimisation import OptimizerConfig
from seqbench.training.parts import Part, Processes, parts
from seqbench.training.seed_stack import SeedStack, run

#: Runs the backward pass from a loss.
Backward = Callable[[Tensor], object]


class Update(ABC):
    """One optimisation step of all seeds.

    Args:
        stack: the models.
        target: whose loss is taken.
        config: how models are optimised.
        accumulate: the parts in which a batch goes through the models, one after another.

    Attributes:
        processes: those that share each batch, to be set before training where there are several.
    """

    def __init__(
        self, stack: SeedStack, target: Target, config: OptimizerConfig, accumulate: int = 1
    ) -> None:
        self.stack = stack
        self.target = target
        self.config = config
        self.accumulate = accumulate
        self.processes = Processes()

    @abstractmethod
    def step(self, batch: Batch, optimizer: torch.optim.Optimizer, backward: Backward) -> Tensor | None:
        """Take a step on a batch (K, B, …), of which this process takes its share.

        Returns:
            Loss and norm of the gradient (2, K), of the whole batch, without a graph; None where there are
            none.
        """

    def before_evaluation(self) -> None:  # noqa: B027 - most updates leave the models as they are
        """Bring the models into the state that is evaluated."""

    def parts(self, batch: Batch) -> list[Part]:
        """Return what this process takes of a batch, part by part."""
        return parts(batch, self.target.per_step, self.processes, self.accumulate)


class GradientDescent(Update):
    """Losses, their gradients, clipping, and a step of the optimiser."""

    def step(self, batch: Batch, optimizer: torch.optim.Optimizer, backward: Backward) -> Tensor | None:
        self.stack.zero_grad()
        losses = self.losses(batch, backward)
        if self.processes.count > 1:
            losses = self._sum_over_processes(losses)
        norms = self.config.clip(self.stack.gradients())
        optimizer.step()
        return torch.stack([losses, norms.detach()])

    def losses(self, batch: Batch, backward: Backward = torch.autograd.backward) -> Tensor:
        """Return this process's share of the losses (K,), without a graph, after their backward passes.

        The shares, and the gradients, of all processes add up to those of the batch. In sequence each model
        runs both passes before the next one, so that one at a time takes up memory.
        """
        omegas = [Omega(model) for model in self.stack.models] if self.config.omega else []
        losses = []
        for part in self.parts(batch):
            if self.config.truncate is not None:
                losses.append(self._truncated(part, self.config.truncate, backward))
            else:
                losses.append(self._whole(part, omegas, backward))
        if omegas:
            counts = self.processes.sum(torch.stack([omega.counts for omega in omegas]))
            for omega, its in zip(omegas, counts, strict=True):
                omega.add_gradients(self.config.omega, its)
        return torch.stack(losses).sum(0)

    def _whole(self, part: Part, omegas: list[Omega], backward: Backward) -> Tensor:
        """Return a part's share of the losses (K,), after the backward pass of each."""
        if self.stack.vectorized:

            def loss(outputs: Any, state: Any, mine: Batch, total: Tensor) -> Tensor:
                return self._loss(outputs, mine, total)

            losses: Tensor = self.stack.vmap(loss, part.batch, False, None, part.total)
            backward(losses.sum())
            return losses.detach()
        found = []
        for k, model in enumerate(self.stack.models):
            mine = part.batch.of_seed(k)
            loss_of = partial(self._loss, mine=mine, total=part.total[k])
            if omegas:
                one = omegas[k].loss(loss_of, mine.inputs, mine.lengths)
            else:
                one = loss_of(run(model, mine)[0])
            backward(one)
            found.append(one.detach())
        return torch.stack(found)

    def _truncated(self, part: Part, size: int, backward: Backward) -> Tensor:
        """Return a part's share of the losses (K,), after backward passes of `size` steps each.

        The state is carried over from slice to slice.
        """
        steps, lengths, per_step = part.batch.inputs.shape[2], part.batch.lengths, self.target.per_step
        ends = torch.ones(part.batch.inputs.shape[:2], dtype=torch.bool, device=part.batch.inputs.device)
        states: Any = None if self.stack.vectorized else [None] * len(self.stack)
        found = []
        for start in range(0, steps, size):
            stop = min(start + size, steps)
            # A sequence with one target counts in the slice in which it ends.
            here = ends if per_step or lengths is None else (start < lengths) & (lengths <= stop)
            learns = per_step or lengths is not None or stop == steps
            piece = part.batch.time_slice(start, stop, per_step, dim=2)
            with torch.set_grad_enabled(learns):
                losses, states = self._slice(piece, states, here, part.total, backward if learns else None)
            if learns:
                found.append(losses)
            states = tree_map(lambda value: None if value is None else value.detach(), states)
        return torch.stack(found).sum(0)

    def _slice(
        self, piece: Batch, states: Any, here: Tensor, total: Tensor, backward: Backward | None
    ) -> tuple[Tensor, Any]:
        """Return the losses (K,) of one slice of the steps after their backward passes, and the states."""

        def loss(outputs: Tensor, state: Any, mine: Batch, here: Tensor, total: Tensor) -> Any:
            return self._loss(outputs, mine, total, here), state

        if self.stack.vectorized:
            losses, states = self.stack.vmap(loss, piece, False, states, here, total)
            if backward is not None:
                backward(losses.sum())
            return losses.detach(), states
        found = []
        for k, model in enumerate(self.stack.models):
            mine = piece.of_seed(k)
            one, states[k] = loss(*run(model, mine, states[k]), mine, here[k], total[k])
            if backward is not None:
                backward(one)
            found.append(one.detach())
        return torch.stack(found), states

    def _loss(self, outputs: Any, mine: Batch, total: Tensor, here: Tensor | None = None) -> Tensor:
        """Return one model's share of its loss.

        Args:
            outputs: of the model.
            mine: its batch.
            total: how many targets count in the whole batch.
            here: (B,), the sequences whose one target counts; None for all.
        """
        losses = self.target.losses(outputs, mine)
        if self.target.per_step:
            here = mine.mask
        if here is not None:
            losses = losses * here
        return losses.sum() / total

    def _sum_over_processes(self, losses: Tensor) -> Tensor:
        """Add up the losses and, in place, the gradients of all processes; return the losses."""
        parameters = self.stack.trainable()
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        real = [torch.view_as_real(g) if g.is_complex() else g for g in gradients]
        used = losses.new_tensor([p.grad is not None for p in parameters])
        flat = self.processes.sum(torch.cat([losses, used, *(g.flatten() for g in real)]))
        sizes = [len(losses), len(used), *(g.numel() for g in real)]
        losses, used, *found = torch.split(flat, sizes)
        for i, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            real[i].copy_(found[i].view_as(real[i]))
            if parameter.grad is None and used[i] > 0:  # one that no process used stays without a gradient
                parameter.grad = gradient
        return losses


class SolveReadout(Update):
    """The readout is solved for: a step takes its batch into a regression, an evaluation solves that."""

    def step(self, batch: Batch, optimizer: torch.optim.Optimizer, backward: Backward) -> Tensor | None:
        for part in self.parts(batch):
            for k, model in enumerate(self.stack.models):
                accumulate = cast(Model, model).accumulate
                accumulate(**part.batch.of_seed(k).arguments(inspect.signature(accumulate).parameters))
        return None

    def before_evaluation(self) -> None:
        for model in self.stack.models:
            cast(Model, model).solve()


def update_for(stack: SeedStack, target: Target, config: OptimizerConfig, accumulate: int = 1) -> Update:
    """Return the update that the models take; the arguments are those of `Update`."""
    kind = SolveReadout if cast(Model, stack.models[0]).solves_readout else GradientDescent
    return kind(stack, target, config, accumulate)

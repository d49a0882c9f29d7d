"""Updates: what one optimisation step does to the models of a pass.

Gradient descent is one update; solving for a readout by ridge regression is another. The model says which
one it takes: its readout is learnt or solved for.
"""

from __future__ import annotations

import inspect
from abc import ABC, abstractmethod
from collections.abc import Callable
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
from seqbench.training.seed_stack import OneModel, SeedStack, aligned

#: Runs the backward pass from a loss.
Backward = Callable[[Tensor], object]


class Update(ABC):
    """One optimisation step of the models of a pass.

    Shapes are those of one model; those of a stack have one more dimension in front, W.

    Args:
        models: of the pass.
        target: whose loss is taken.
        config: how models are optimised.
        accumulate: the parts in which a batch goes through the models, one after another.

    Attributes:
        processes: those that share each batch, to be set before training where there are several.
        streams: whether the rows of a batch go on where those of the batch before it ended.
        carried: of streams the state after the last step, for each part that this process takes of a batch;
            empty where the next step begins anew.
        every_step: see `Omega`.
    """

    def __init__(
        self, models: OneModel | SeedStack, target: Target, config: OptimizerConfig, accumulate: int = 1
    ) -> None:
        self.models = models
        self.target = target
        self.config = config
        self.accumulate = accumulate
        self.processes = Processes()
        self.streams = False
        self.carried: list[Any] = []
        self.every_step = False

    @abstractmethod
    def step(self, batch: Batch, optimizer: torch.optim.Optimizer, backward: Backward) -> Tensor | None:
        """Take a step on a batch, of which this process takes its share.

        Returns:
            Loss and norm of the gradient, (2,), of the whole batch, without a graph; None where there are
            none.
        """

    def before_evaluation(self) -> None:  # noqa: B027 - most updates leave the models as they are
        """Bring the models into the state that is evaluated."""

    def parts(self, batch: Batch) -> list[Part]:
        """Return what this process takes of a batch, part by part."""
        return parts(batch, self.target.per_step, self.processes, self.accumulate, self.models.lead)


class GradientDescent(Update):
    """Losses, their gradients, clipping, and a step of the optimiser."""

    def step(self, batch: Batch, optimizer: torch.optim.Optimizer, backward: Backward) -> Tensor | None:
        for parameter in self.models.parameters():
            parameter.grad = None
        loss = self.losses(batch, backward)
        if self.processes.count > 1:
            loss = self._sum_over_processes(loss)
        gradients = [p.grad for p in self.models.parameters() if p.grad is not None]
        norm = self.config.clip(gradients, self.models.lead)
        optimizer.step()
        return torch.stack([loss, norm])

    def losses(self, batch: Batch, backward: Backward = torch.autograd.backward) -> Tensor:
        """Return this process's share of the loss, without a graph, after the backward passes.

        The shares, and the gradients, of all processes add up to those of the batch.
        """
        omega = Omega(self.models.models[0], self.every_step) if self.config.omega else None
        found, ends = [], []
        for i, part in enumerate(self.parts(batch)):
            state = self.carried[i] if self.carried else None
            if self.config.truncate is not None:
                loss, state = self._truncated(part, self.config.truncate, backward, state)
            else:
                loss, state = self._whole(part, omega, backward, state)
            found.append(loss)
            ends.append(state)
        if self.streams:
            self.carried = ends
        if omega is not None:
            omega.add_gradients(self.config.omega, self.processes.sum(omega.counts))
        return found[0] if len(found) == 1 else torch.stack(found).sum(0)

    def _whole(self, part: Part, omega: Omega | None, backward: Backward, state: Any) -> tuple[Tensor, Any]:
        """Return a part's share of the loss after its backward pass, and the state after the part."""
        if omega is None:
            loss, state = self.models.apply(self._loss, part.batch, state, part.total)
        else:
            mine = part.batch
            loss = omega.loss(
                lambda outputs: self._loss(outputs, None, mine, part.total)[0], mine.inputs, mine.lengths
            )
        backward(loss.sum() if loss.ndim else loss)
        return cast(Tensor, loss.detach()), detached(state) if self.streams else None

    def _truncated(self, part: Part, size: int, backward: Backward, state: Any) -> tuple[Tensor, Any]:
        """Return a part's share of the loss after backward passes of `size` steps each, and the state.

        The state is carried over from slice to slice.
        """
        lead, per_step, lengths = self.models.lead, self.target.per_step, part.batch.lengths
        steps = part.batch.inputs.shape[lead + 1]
        ends = torch.ones(
            part.batch.inputs.shape[: lead + 1], dtype=torch.bool, device=part.batch.inputs.device
        )
        found = []
        for start in range(0, steps, size):
            stop = min(start + size, steps)
            # A sequence with one target counts in the slice in which it ends.
            here = ends if per_step or lengths is None else (start < lengths) & (lengths <= stop)
            learns = per_step or lengths is not None or stop == steps
            piece = part.batch.time_slice(start, stop, per_step, dim=lead + 1)
            with torch.set_grad_enabled(learns):
                loss, state = self.models.apply(self._loss, piece, state, part.total, here)
                if learns:
                    backward(loss.sum() if loss.ndim else loss)
                    found.append(loss.detach())
            state = detached(state)
        return torch.stack(found).sum(0), state

    def _loss(
        self, outputs: Any, state: Any, mine: Batch, total: Tensor, here: Tensor | None = None
    ) -> tuple[Tensor, Any]:
        """Return a model's share of its loss, and the state.

        Args:
            outputs: of the model.
            state: after them.
            mine: its batch.
            total: see `Part`.
            here: (B,), the sequences whose one target counts; None for all.
        """
        losses = self.target.losses(outputs, mine)
        if self.target.per_step:
            here = mine.mask
        if here is not None:
            losses = losses * here
        if self.models.lead:
            losses = aligned(losses.flatten())
        return losses.sum() / total, state

    def _sum_over_processes(self, loss: Tensor) -> Tensor:
        """Add up the loss and, in place, the gradients of all processes; return the loss."""
        parameters = self.models.parameters()
        gradients = [torch.zeros_like(p) if p.grad is None else p.grad for p in parameters]
        real = [torch.view_as_real(g) if g.is_complex() else g for g in gradients]
        used = loss.new_tensor([p.grad is not None for p in parameters])
        flat = self.processes.sum(torch.cat([loss.view(1), used, *(g.flatten() for g in real)]))
        sizes = [1, len(used), *(g.numel() for g in real)]
        loss, used, *found = torch.split(flat, sizes)
        for i, (parameter, gradient) in enumerate(zip(parameters, gradients, strict=True)):
            real[i].copy_(found[i].view_as(real[i]))
            if parameter.grad is None and used[i] > 0:  # one that no process used stays without a gradient
                parameter.grad = gradient
        return loss.view(())


def detached(state: Any) -> Any:
    """Return a state without its graph."""
    return tree_map(lambda value: None if value is None else value.detach(), state)


class SolveReadout(Update):
    """The readout is solved for: a step takes its batch into a regression, an evaluation solves that."""

    def step(self, batch: Batch, optimizer: torch.optim.Optimizer, backward: Backward) -> Tensor | None:
        accumulate = cast(Model, self.models.models[0]).accumulate
        for part in self.parts(batch):
            accumulate(**part.batch.arguments(inspect.signature(accumulate).parameters))
        return None

    def before_evaluation(self) -> None:
        cast(Model, self.models.models[0]).solve()


def update_for(
    models: OneModel | SeedStack, target: Target, config: OptimizerConfig, accumulate: int = 1
) -> Update:
    """Return the update that the models take; the arguments are those of `Update`."""
    kind = SolveReadout if cast(Model, models.models[0]).solves_readout else GradientDescent
    return kind(models, target, config, accumulate)

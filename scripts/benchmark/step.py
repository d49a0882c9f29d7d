"""One optimisation step in bare PyTorch: forward, backward, clipping, Adam; of one model or of many."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.func import functional_call, vmap

import seqbench
from seqbench.config.build import build_optimizer_config

from .models import Data

#: How seqbench optimises unless told otherwise: Adam, and gradients clipped to norm 1.
OPTIMIZER = build_optimizer_config(seqbench.compose(["task=adding"]))


class Training:
    """Trains K models, each in a pass of its own, and all with one optimiser.

    Args:
        models: alike but for the values of their parameters. Those of several become rows of stacked ones,
            which the optimiser takes at once.
        data: a batch for each model.
    """

    def __init__(self, models: Sequence[nn.Module], data: Sequence[Data]) -> None:
        self.models = models
        self.data = data
        several = len(models) > 1
        self.parameters = stack_parameters(models) if several else dict(models[0].named_parameters())
        self.optimizer = OPTIMIZER.build(self.parameters.values())

    def step(self) -> list[Tensor]:
        """Take a step; return the loss of each model before it."""
        several = len(self.models) > 1
        self.optimizer.zero_grad(set_to_none=not several)  # stacked gradients keep their place
        losses = self.passes()
        gradients = [p.grad for p in self.parameters.values() if p.grad is not None]
        OPTIMIZER.clip(gradients if several else [gradient[None] for gradient in gradients])
        self.optimizer.step()
        return losses

    def passes(self) -> list[Tensor]:
        """Run every model forward and backward; return the losses."""
        losses = []
        for model, data in zip(self.models, self.data, strict=True):
            loss = squared_error(model(**data.arguments)[0], data.targets)
            loss.backward()
            losses.append(loss.detach())
        return losses


class VectorizedTraining(Training):
    """Trains K models in one pass, under `torch.func.vmap`."""

    def __init__(self, models: Sequence[nn.Module], data: Sequence[Data]) -> None:
        super().__init__(models, data)
        self.buffers = {
            name: torch.stack([model.get_buffer(name) for model in models])
            for name, _ in models[0].named_buffers()
        }
        self.arguments = {name: torch.stack([d.arguments[name] for d in data]) for name in data[0].arguments}
        self.targets = torch.stack([d.targets for d in data])

    def passes(self) -> list[Tensor]:
        def loss(weights: dict[str, Tensor], arguments: dict[str, Tensor], targets: Tensor) -> Tensor:
            outputs, _ = functional_call(self.models[0], weights, (), arguments)
            return squared_error(outputs, targets)

        weights = {**self.parameters, **self.buffers}
        losses = vmap(loss)(weights, self.arguments, self.targets)
        losses.sum().backward()
        return list(losses.detach())


def stack_parameters(models: Sequence[nn.Module]) -> dict[str, nn.Parameter]:
    """Return the stacked parameters (K, …), with gradients; the models' own become their rows."""
    stacked = {}
    for name, _ in models[0].named_parameters():
        rows = [model.get_parameter(name) for model in models]
        together = stacked[name] = nn.Parameter(torch.stack([row.detach() for row in rows]))
        together.grad = torch.zeros_like(together)
        for row, value, gradient in zip(rows, together.data, together.grad, strict=True):
            row.data, row.grad = value, gradient
    return stacked


def squared_error(outputs: Tensor, targets: Tensor) -> Tensor:
    """Return the mean squared error."""
    return (outputs - targets).square().mean()

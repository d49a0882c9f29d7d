"""What the trial of a user's cell finds: no kernel stands for what a graph of its step does not say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from seqbench.models import Cell, unfold
from seqbench.models.cells.rnn import RNN
from seqbench.models.unfold.engines import chosen_engine


class Clipped(torch.autograd.Function):
    """Large numbers are clipped, and their gradients are not: the straight-through estimator."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x.clamp(-20, 20)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> Tensor:
        return gradients[0]


class StraightThrough(RNN):
    def step(self, projected: Tensor, state: Any) -> tuple[Tensor, Any]:
        return super().step(Clipped.apply(30 * projected) / 30, state)


class Cooling(RNN):
    """Its project changes a buffer while it is trained."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.register_buffer("temperature", torch.ones(()))

    def project(self, x: Tensor) -> Tensor:
        if self.training:
            self.temperature = self.temperature * 0.9
        return super().project(x) / self.temperature


class Counting(RNN):
    """Its project counts how often it is called."""

    calls = 0

    def project(self, x: Tensor) -> Tensor:
        self.calls += 1
        return super().project(x) * (2.0 if self.calls > 3 else 1.0)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (StraightThrough, "a function with a backward pass of its own, ClippedBackward"),
        (Cooling, "a project that changes a tensor of the cell"),
        (Counting, "a project that changes the cell's calls"),
    ],
)
def test_a_cell_whose_graph_does_not_say_all_takes_the_loop(kind: type[Cell], why: str) -> None:
    cell = kind(3, 8).double().eval()
    x = 3 * torch.randn(4, 12, 3, dtype=torch.float64)
    unfold(cell, x)  # evaluated first, as before training
    cell.train()
    with pytest.raises(ValueError, match=why):
        unfold(cell, x, engine="fused")
    other = kind(3, 8).double()
    other.load_state_dict(cell.state_dict())
    other.__dict__.update({k: v for k, v in cell.__dict__.items() if k == "calls"})
    for _ in range(5):
        found = [unfold(each, x, engine=engine)[0] for each, engine in ((cell, "auto"), (other, "loop"))]
        gradients = [
            torch.autograd.grad(out.square().sum(), [*each.parameters()])
            for out, each in zip(found, (cell, other), strict=True)
        ]
        torch.testing.assert_close(*found, rtol=0, atol=0)
        torch.testing.assert_close(*gradients, rtol=0, atol=0)
    assert chosen_engine(cell) == "loop"

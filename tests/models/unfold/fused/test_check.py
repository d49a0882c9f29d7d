"""What the trial of a user's cell finds: no kernel stands for what a graph of its step does not say."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor

from seqbench.models import Cell, SequenceModel, unfold
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


class Unlearnt(RNN):
    """Large numbers are taken as they are, and have no gradient."""

    def step(self, projected: Tensor, state: Any) -> tuple[Tensor, Any]:
        with torch.no_grad():
            whole = projected.round()
        return super().step(torch.where(projected.abs() > 2, whole, projected), state)


class Detached(RNN):
    def step(self, projected: Tensor, state: Any) -> tuple[Tensor, Any]:
        return super().step(torch.where(projected.abs() > 2, projected.detach(), projected), state)


class Late(RNN):
    """Its project adds, in a sequence, what was there ten steps before."""

    def project(self, x: Tensor) -> Tensor:
        found = super().project(x)
        if x.ndim < 3 or len(x) < 10:
            return found
        return torch.cat([found[:10], found[10:] + found[:-10]])


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Unlearnt, "a step that computes without gradients"),
        (Detached, "detach"),
        (Late, "a project that does not take each step by itself"),
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


class Normalised(RNN):
    """Batch normalisation counts the batches, and keeps a mean of them."""

    def __init__(self, *args: Any) -> None:
        super().__init__(*args)
        self.norm = torch.nn.BatchNorm1d(self.hidden_size)

    def step(self, projected: Tensor, state: Any) -> tuple[Tensor, Any]:
        return super().step(self.norm(projected), state)


@pytest.mark.parametrize(
    ("kind", "why"),
    [
        (Normalised, "a step that changes a tensor of the cell"),
        (Cooling, "a project that changes a tensor of the cell"),
        (Counting, "a project that changes the cell's calls"),
        (Late, "a project that does not take each step by itself"),
    ],
)
def test_steps_that_cannot_be_taken_again_are_not(kind: type[Cell], why: str) -> None:
    with pytest.raises(ValueError, match=f"checkpoint_steps=4 .* {kind.__name__} does not .* has {why}"):
        SequenceModel(kind, 3, 2, hidden_size=8, checkpoint_steps=4)


def test_other_steps_of_a_users_cell_are_taken_again() -> None:
    torch.manual_seed(0)
    cells = [SequenceModel(StraightThrough, 3, 2, hidden_size=8, checkpoint_steps=k) for k in (None, 4)]
    cells[1].load_state_dict(cells[0].state_dict())
    x = torch.randn(4, 12, 3)
    found = [torch.autograd.grad(cell(x)[0].sum(), [*cell.parameters()]) for cell in cells]
    torch.testing.assert_close(*found)

"""The recipe: clipping and learning rates."""

from __future__ import annotations

import math

import pytest
import torch
from torch import nn

from seqbench.errors import ConfigError
from seqbench.training.optim import Recipe


def parameters(*gradients: list[float]) -> list[nn.Parameter]:
    made = []
    for gradient in gradients:
        parameter = nn.Parameter(torch.zeros(len(gradient)))
        parameter.grad = torch.tensor(gradient)
        made.append(parameter)
    return made


def gradients(of: list[nn.Parameter]) -> torch.Tensor:
    return torch.cat([p.grad for p in of if p.grad is not None])


def test_clipping_by_norm_keeps_the_direction() -> None:
    ours = parameters([3.0, 0.0], [4.0])
    before = gradients(ours).clone()
    norm = Recipe(torch.optim.SGD, lr=0.1, clip_norm=1.0).clip(ours)
    assert norm.item() == 5.0
    assert gradients(ours).norm().item() == pytest.approx(1.0, abs=1e-6)
    assert torch.cosine_similarity(gradients(ours), before, dim=0).item() == pytest.approx(1.0)
    short = parameters([0.3, 0.4])
    Recipe(torch.optim.SGD, lr=0.1, clip_norm=1.0).clip(short)
    assert gradients(short).tolist() == pytest.approx([0.3, 0.4])


def test_clipping_by_value_bounds_every_component() -> None:
    ours = parameters([3.0, -0.2], [-4.0])
    norm = Recipe(torch.optim.SGD, lr=0.1, clip_norm=None, clip_value=0.5).clip(ours)
    assert gradients(ours).tolist() == pytest.approx([0.5, -0.2, -0.5])
    assert norm.item() == pytest.approx(math.sqrt(0.54))


def test_without_clipping_the_norm_is_told_and_nothing_changes() -> None:
    ours = parameters([30.0, 40.0])
    assert Recipe(torch.optim.SGD, lr=0.1, clip_norm=None).clip(ours).item() == 50.0
    assert gradients(ours).tolist() == [30.0, 40.0]


def test_learning_rates() -> None:
    recipe = Recipe(torch.optim.SGD, lr=1.0, schedule="cosine", warmup_steps=4)
    assert [recipe.lr_at(step, 104) for step in range(4)] == [0.25, 0.5, 0.75, 1.0]
    assert recipe.lr_at(4, 104) == 1.0
    assert recipe.lr_at(54, 104) == pytest.approx(0.5)
    assert recipe.lr_at(103, 104) == pytest.approx((1 + math.cos(math.pi * 0.99)) / 2)
    linear = Recipe(torch.optim.SGD, lr=2.0, schedule="linear")
    assert [linear.lr_at(step, 4) for step in range(4)] == [2.0, 1.5, 1.0, 0.5]
    assert Recipe(torch.optim.SGD, lr=2.0).lr_at(999, 1000) == 2.0


@pytest.mark.parametrize(
    ("name", "value"), [("lr", 0.0), ("weight_decay", -1.0), ("clip_value", 0.0), ("warmup_steps", -1)]
)
def test_values_out_of_range_are_refused(name: str, value: float) -> None:
    with pytest.raises(ConfigError, match=f"optim.{name}="):
        Recipe(torch.optim.SGD, **{"lr": 0.1, name: value})

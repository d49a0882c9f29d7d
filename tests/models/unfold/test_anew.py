"""A user's class made from a cell of the project: what it defines anew is what is run."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._pytree import tree_map

from seqbench.models import Cell, unfold
from seqbench.models.cells.rnn import RNN
from seqbench.models.cells.s5 import S5
from seqbench.models.cells.transformer import CausalAttention
from seqbench.models.unfold.cell import Engine, State


class Noisy(RNN):
    """Its step is not that of torch's RNN, and draws, so that it has no kernel either."""

    def step(self, projected: Tensor, state: Any) -> tuple[Tensor, Any]:
        return super().step(projected + torch.rand_like(projected), state)


class Mixed:
    def project(self, x: Tensor) -> Tensor:
        return 2 * super().project(x)


class Doubled(Mixed, RNN):
    pass


class Forgetting(S5):
    """Its step is not that of the scan it inherits."""

    def step(self, projected: Any, state: Any) -> tuple[Any, Any]:
        return super().step(projected, tree_map(lambda part: 0.5 * part, state))


class Prompted(CausalAttention):
    """It has seen steps before the first."""

    def initial_state(self, batch_size: int) -> State:
        k, v, seen = super().initial_state(batch_size)
        return k + 0.5, v - 0.5, seen + 2


@pytest.mark.parametrize("kind", [Prompted, Noisy, Doubled, Forgetting])
def test_a_step_defined_anew_is_taken_whatever_its_base_has(kind: type[Cell]) -> None:
    cell = kind(3, 8).double()
    x = torch.randn(4, 12, 3, dtype=torch.float64)
    found = []
    for engine in ("auto", "loop"):
        torch.manual_seed(0)
        found.append(unfold(cell, x, engine=engine)[0])
    torch.testing.assert_close(*found)


@pytest.mark.parametrize(("kind", "engine"), [(Noisy, "native"), (Doubled, "native"), (Forgetting, "scan")])
def test_an_engine_that_goes_by_another_step_cannot_be_asked_for(kind: type[Cell], engine: Engine) -> None:
    cell, x = kind(3, 8), torch.randn(4, 12, 3)
    with pytest.raises(ValueError, match="has no such engine"):
        unfold(cell, x, engine=engine)

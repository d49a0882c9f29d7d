"""In mixed precision every model computes what it computes in single precision, up to rounding."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

import seqbench
from seqbench.models import unfold
from seqbench.models.cells.gla import GLA
from seqbench.models.cells.min_gru import MinGRU
from seqbench.models.cells.min_lstm import MinLSTM
from seqbench.models.cells.rwkv7 import RWKV7
from seqbench.models.unfold import Cell
from tests.models.test_presets import SMALL, every_preset


@every_preset
def test_mixed_precision_is_single_precision_but_for_rounding(preset: str) -> None:
    small = ("task=adding", "task.length=9", f"model={preset}", "model.hidden_size=8", *SMALL.get(preset, ()))
    cfg = seqbench.compose(small)
    model = seqbench.build_model(cfg, seqbench.build_task(cfg))
    x = torch.rand(3, 9, 2)
    expected, _ = model(x)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found, _ = model(x)
        if found.requires_grad:
            found.float().square().sum().backward()
    assert (found.float() - expected).abs().max() < 0.1 * expected.abs().max()


def slow(cell: Cell) -> Cell:
    """Return a cell that keeps its state for thousands of steps."""
    with torch.no_grad():
        if isinstance(cell, MinGRU):
            cell.bias("z").fill_(-8)
        elif isinstance(cell, MinLSTM):
            cell.bias("i").fill_(-8)
        elif isinstance(cell, GLA):
            cell.b_gate.fill_(6)
        elif isinstance(cell, RWKV7):
            cell.b_decay.fill_(-6)
    return cell


@pytest.mark.parametrize("engine", ["scan", "loop"])
@pytest.mark.parametrize("make", [MinGRU, MinLSTM, GLA, RWKV7])
def test_mixed_precision_forgets_as_slowly(make: Callable[[int, int], Cell], engine: str) -> None:
    """What is kept at a step, 0.9997, is 1 in bfloat16: after 500 steps that is 8 % and more."""
    cell, x = slow(make(2, 4)), torch.zeros(1, 500, 2)
    x[:, 0] = 1.0

    def end() -> list[Tensor]:
        state = unfold(cell, x, engine=engine)[1]
        return [part.float() for part in state]

    expected = end()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = end()
    for one, other in zip(found, expected, strict=True):
        assert (one - other).abs().max() <= 0.05 * other.abs().max()

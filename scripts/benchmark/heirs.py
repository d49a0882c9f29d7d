"""The parallel models beside the fastest public forms of theirs that run on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from importlib import metadata
from typing import Any

import torch
from torch import Tensor, nn

from seqbench.models.cells.delta_net import DeltaNet, GatedDeltaNet
from seqbench.models.cells.gla import GLA
from seqbench.models.cells.lru import LRU
from seqbench.models.cells.mamba import Mamba
from seqbench.models.cells.mamba2 import Mamba2
from seqbench.models.cells.min_gru import MinGRU
from seqbench.models.cells.min_lstm import MinLSTM
from seqbench.models.cells.mlstm import MLSTM
from seqbench.models.cells.rwkv7 import RWKV7
from seqbench.models.cells.s4d import S4D
from seqbench.models.cells.s5 import S5
from seqbench.models.cells.tcn import TCNBlock
from seqbench.models.cells.transformer import CausalAttention
from seqbench.models.unfold import Cell, chosen_engine, unfold

from .measure import Point, Settings, seconds, steps_in_turn
from .public_forms import FORMS, Form
from .tables import Row, against

#: By the name of a preset, its cell.
CELLS: dict[str, type[Cell]] = {
    "transformer": CausalAttention,
    "s4d": S4D,
    "s5": S5,
    "lru": LRU,
    "mamba": Mamba,
    "mamba2": Mamba2,
    "gla": GLA,
    "delta_net": DeltaNet,
    "gated_delta_net": GatedDeltaNet,
    "rwkv7": RWKV7,
    "xlstm": MLSTM,
    "tcn": TCNBlock,
    "min_gru": MinGRU,
    "min_lstm": MinLSTM,
}
#: The largest ratio to the fastest public form that will do.
MARK = 1.5
#: A form whose first step takes so many times that of the fastest is measured no further.
HOPELESS = 4.0


class Layer(nn.Module):
    """A cell as a layer, unfolded by the engine that a CPU gets."""

    def __init__(self, cell: Cell) -> None:
        super().__init__()
        self.cell = cell

    def forward(self, x: Tensor) -> Tensor:
        outputs: Tensor = unfold(self.cell, x)[0]
        return outputs


def heirs(settings: Settings) -> list[Row]:
    """A training step of each parallel model, in ms, beside the fastest public form of its layer on a CPU.

    Forward, mean squared error, backward to all weights and to the input, in single precision: batch 8, 1,024
    steps, 64 inputs and units, one layer without a block. All forms in `scripts/benchmark/public_forms` whose
    packages are installed take a step; those near the fastest are measured in turn with seqbench's. By how
    little they differ where both compute the same is in `results/agreement.md`.
    """
    point = Point(2, 64, 8) if settings.quick else Point(8, 1024, 64)
    return [row_of(name, CELLS[name], FORMS[name], point, settings) for name in CELLS]


def row_of(name: str, kind: type[Cell], forms: tuple[Form, ...], point: Point, settings: Settings) -> Row:
    """Measure a model and its public forms."""
    torch.manual_seed(0)
    x, targets = (torch.randn(point.batch, point.length, point.width) for _ in range(2))
    cell = kind(point.width, point.width)
    cell.expect(point.length)
    there = {}
    for form in forms:
        try:
            there[form] = step_of(form.make(point.width), x, targets)
        except ImportError as error:
            print(f"{name}: {form.part} of {form.package} is left out, as it is not installed ({error}).")
    once = {form: seconds(step, "cpu") for form, step in there.items()}
    near: dict[Any, Callable[[], Tensor]] = {
        form: step for form, step in there.items() if once[form] <= HOPELESS * min(once.values())
    }
    ms = steps_in_turn({"seqbench": step_of(Layer(cell), x, targets), **near}, settings)
    fastest = min(near, key=lambda form: ms[form], default=None)
    row: Row = {"model": name, "engine": chosen_engine(cell), "seqbench": ms["seqbench"]}
    row |= {
        "fastest public form": None,
        "version": None,
        "its": None,
        "public forms": f"{len(there)} of {len(forms)}",
    }
    if fastest is not None:
        row |= {"fastest public form": f"{fastest.package}, {fastest.part}", "its": ms[fastest]}
        row["version"] = metadata.version(fastest.package)
    theirs = None if fastest is None else ms[fastest]
    return row | against("the fastest", ms["seqbench"], theirs, MARK)


def step_of(layer: nn.Module, x: Tensor, targets: Tensor) -> Callable[[], Tensor]:
    """Return a training step of a layer, which returns the loss."""
    inputs = x.clone().requires_grad_()

    def step() -> Tensor:
        layer.zero_grad(set_to_none=True)
        inputs.grad = None
        loss = (layer(inputs) - targets).square().mean()
        loss.backward()
        return loss

    return step

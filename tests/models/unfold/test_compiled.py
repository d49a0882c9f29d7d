"""Compiled slices give what the loop gives, alone and under vmap."""

from __future__ import annotations

import shutil

import pytest
import torch
from torch.func import functional_call, stack_module_state, vmap
from torch.utils._pytree import tree_leaves, tree_structure

from seqbench.models import Cell, unfold
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.leaky import LeakyRNN
from seqbench.models.unfold import compiled
from tests.models.test_presets import PRESETS

pytestmark = [
    pytest.mark.skipif(shutil.which("g++") is None, reason="there is no C++ compiler"),
    pytest.mark.usefixtures("unchecked"),
]


class Unfolded(torch.nn.Module):
    def __init__(self, cell: Cell, engine: str, last: bool) -> None:
        super().__init__()
        self.cell, self.engine, self.last = cell, engine, last

    def forward(self, x, lengths):
        return unfold(self.cell, x, lengths=lengths, last=self.last, engine=self.engine)


def close(found, expected):
    for a, b in zip(found, expected, strict=True):
        torch.testing.assert_close(a, b, rtol=0, atol=1e-5 * max(1, b.abs().max().item()))


def gradients(outputs, state, weights):
    loss = outputs.square().sum() + sum((part * part.conj()).real.sum() for part in tree_leaves(state))
    return torch.autograd.grad(
        loss, [weight for weight in weights if weight.requires_grad]
    )  # not a reservoir's


def check_one(cell: Cell, lengths, last: bool) -> None:
    x = torch.randn(3, 2 * compiled.SLICE + 3, cell.input_size, requires_grad=True)
    runs = []
    for engine in ("loop", "compile"):
        outputs, state = Unfolded(cell, engine, last)(x, lengths)
        runs.append([outputs, *tree_leaves(state), *gradients(outputs, state, [x, *cell.parameters()])])
    close(*runs)


def check_stacked(cells: list[Cell], lengths, last: bool) -> None:
    x = torch.randn(len(cells), 3, 2 * compiled.SLICE + 3, cells[0].input_size, requires_grad=True)
    runs = []
    for engine in ("loop", "compile"):
        model = Unfolded(cells[0], engine, last)
        weights, buffers = stack_module_state([Unfolded(cell, engine, last) for cell in cells])
        outputs, state = vmap(lambda w, b, x, m=model: functional_call(m, (w, b), (x, lengths)))(
            weights, buffers, x
        )
        runs.append([outputs, *tree_leaves(state), *gradients(outputs, state, [x, *weights.values()])])
    close(*runs)


def test_a_single_cell_that_gives_its_last_output():
    check_one(GRU(2, 5), None, last=True)


def test_cells_under_vmap_on_ragged_sequences():
    check_stacked([LeakyRNN(2, 5), LeakyRNN(2, 5)], torch.tensor([23, 4, 11]), last=False)


def test_cells_of_a_kind_and_size_share_what_is_compiled():
    def piece(cell: Cell, rows: int):
        given = [None, None, torch.ones(compiled.SLICE, rows, 5), *cell.initial_state(rows)]
        specs = tree_structure(given[2]), tree_structure(cell.initial_state(rows))
        return compiled._compiled(cell, specs, [*given, *cell.parameters(), *cell.buffers()], None)

    first = piece(LeakyRNN(2, 5, alpha=0.3), 4)
    assert piece(LeakyRNN(2, 5, alpha=0.6), 4) is first
    assert piece(LeakyRNN(2, 5), 3) is not first and piece(GRU(2, 5), 4) is not first


def test_without_gradients_nothing_is_compiled():
    before = dict(compiled._SLICES)
    cell = GRU(3, 4)
    with torch.no_grad():
        close(
            unfold(cell, torch.ones(2, 25, 3), engine="compile")[:1],
            unfold(cell, torch.ones(2, 25, 3), engine="loop")[:1],
        )
    assert before == compiled._SLICES


@pytest.mark.slow
@pytest.mark.parametrize("preset", PRESETS)
@pytest.mark.parametrize("ragged", [False, True])
def test_every_preset(make_model, preset, ragged):
    cells = [
        make_model(f"model={preset}", "model.hidden_size=5", "task=adding")[0].layers[0] for _ in range(2)
    ]
    check_stacked(cells, torch.tensor([23, 4, 11]) if ragged else None, last=not ragged)

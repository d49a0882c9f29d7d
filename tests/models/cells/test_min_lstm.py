"""The minimal LSTM is its formula."""

from __future__ import annotations

import torch

from seqbench.models.cells.min_lstm import MinLSTM
from tests.models.cells.formulas import check_against, stepped, zeros


def test_it_is_the_formula_of_the_paper() -> None:
    def other(w, x):
        (Uf, Ui, U), (bf, bi, b) = w["U"].chunk(3), w["b"].chunk(3)

        def step(x, h):
            f, i = (1 / (1 + torch.exp(-(x @ V.T + c))) for V, c in ((Uf, bf), (Ui, bi)))
            return ((f / (f + i)) * h + (i / (f + i)) * (x @ U.T + b),)

        return stepped(step, x, *zeros(x, 4))

    check_against(MinLSTM(3, 4), other, engines=("auto", "scan", "loop"))


def test_forget_bias_is_the_forget_gates() -> None:
    cell = MinLSTM(2, 3, forget_bias=2.0)
    assert cell.b.tolist() == [2.0] * 3 + [0.0] * 6
    kept = torch.sigmoid(torch.tensor(2.0)) / (torch.sigmoid(torch.tensor(2.0)) + 0.5)
    assert cell.time_scales() == f"time constants of {1 / (1 - kept.item()):.3g} steps"


def test_two_gates_that_are_shut_share_the_unit_as_their_sums_say() -> None:
    cell = MinLSTM(1, 1)
    a, b = cell.coefficients(torch.tensor([[-1000.0, -1001.0, 2.0]]))
    kept = torch.sigmoid(torch.tensor(1.0))
    torch.testing.assert_close((a.item(), b.item()), (kept.item(), 2 * (1 - kept.item())))

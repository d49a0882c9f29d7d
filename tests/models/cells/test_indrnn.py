"""The independently recurrent network, against torchrecurrent."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call
from torchrecurrent import IndRNNCell

from seqbench.errors import ConfigError
from seqbench.models.cells.indrnn import IndRNN
from tests.models.cells.formulas import check_against, stepped, zeros


@pytest.mark.parametrize("activation", ["relu", "tanh"])
def test_it_is_torchrecurrents(activation):
    theirs = IndRNNCell(3, 4, nonlinearity=activation, dtype=torch.float64)

    def other(w, x):
        named = {"weight_ih": w["U"], "vector_u": w["u"], "bias_ih": w["b"], "bias_hh": 0 * w["b"]}
        return stepped(lambda x, h: (functional_call(theirs, named, (x, h)),), x, *zeros(x, 4))

    check_against(IndRNN(3, 4, activation=activation), other)


def test_units_start_in_the_range_and_do_not_see_each_other():
    cell = IndRNN(2, 500, recurrent_range=(0.5, 0.9))
    assert 0.5 <= cell.u.min() < 0.51 and 0.89 < cell.u.max() <= 0.9
    (matrix,) = cell.recurrent_matrices().values()
    assert torch.equal(matrix, torch.diag(cell.u))
    assert IndRNN(1, 2, recurrent_range=(0.0, 0.9)).time_scales().startswith("time constants of ")


@pytest.mark.parametrize("pair", ["[0.9,0.5]", "[-0.1,0.5]", "[0.0,2.1]", "[0.5]"])
def test_no_range_is_refused(make_model, pair):
    with pytest.raises(ConfigError, match="must be two numbers, 0 ≤ min < max ≤ 2"):
        make_model("model=indrnn", "task=latch", f"model.cell.recurrent_range={pair}")

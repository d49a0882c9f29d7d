"""The antisymmetric RNN, against torchrecurrent."""

from __future__ import annotations

import pytest
import torch
from torch.func import functional_call
from torchrecurrent import AntisymmetricRNNCell, GatedAntisymmetricRNNCell

from seqbench.errors import ConfigError
from seqbench.models.cells.antisymmetric import AntisymmetricRNN
from tests.models.cells.formulas import check_against, stepped, zeros


@pytest.mark.parametrize("gated", [False, True])
def test_it_is_torchrecurrents_with_a_triangular_matrix(gated):
    options = {"epsilon": 0.3, "gamma": 0.2}
    theirs = (GatedAntisymmetricRNNCell if gated else AntisymmetricRNNCell)(
        3, 4, **options, dtype=torch.float64
    )

    def other(w, x):
        zero = x.new_zeros(4)
        named = {"weight_ih": w["U"], "weight_hh": w["W"].triu(1), "bias_ih": w["b"], "bias_hh": zero}
        return stepped(lambda x, h: (functional_call(theirs, named, (x, h)),), x, *zeros(x, 4))

    check_against(AntisymmetricRNN(3, 4, gated=gated, **options), other)


def test_its_matrix_has_imaginary_eigenvalues_less_the_diffusion():
    (A,) = AntisymmetricRNN(2, 6, gamma=0.25).double().recurrent_matrices().values()
    eigenvalues = torch.linalg.eigvals(A.detach())
    torch.testing.assert_close(eigenvalues.real, torch.full((6,), -0.25).double())
    assert eigenvalues.imag.abs().max() > 0.1


def test_live_parameters_are_those_of_a_triangle(make_model):
    """As in the paper: 128 units on images by pixels have about 10,000."""
    model, _ = make_model("model=antisymmetric_rnn", "task=adding", "model.hidden_size=128")
    assert model.live_parameters() == 128 * 127 // 2 + 128 * (2 + 1) + 128 + 1


def test_time_scales():
    assert AntisymmetricRNN(1, 2, epsilon=0.1, gamma=0.1).time_scales() == "time constants of 100 steps"
    gated = AntisymmetricRNN(1, 2, epsilon=0.1, gamma=0.1, gated=True)
    assert gated.time_scales() == "time constants of 200 steps"


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["model.cell.epsilon=0"], "a step above 0 and at most 1"),
        (["model.cell.gamma=-1"], "overshoots zero"),
        (["model.cell.epsilon=0.5", "model.cell.gamma=3"], r"at most 1/model\.cell\.epsilon=2|1/epsilon=2"),
    ],
)
def test_bad_steps_are_refused(make_model, overrides, message):
    with pytest.raises(ConfigError, match=message):
        make_model("model=antisymmetric_rnn", "task=latch", *overrides)

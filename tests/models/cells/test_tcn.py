"""The temporal convolutional network, against pytorch-tcn."""

from __future__ import annotations

import pytest
import torch
from pytorch_tcn import TCN
from torch.func import functional_call, stack_module_state, vmap
from torch.utils._pytree import tree_map

from seqbench.errors import ConfigError
from seqbench.models import unfold
from seqbench.models.body import Stack
from seqbench.models.cells.tcn import TCNBlock
from seqbench.models.sequence import SequenceModel

SIZES = {"input_size": 3, "hidden_size": 4, "num_layers": 3}


def block(input_size, hidden_size, kernel_size=3):
    return TCNBlock(input_size, hidden_size, kernel_size)


def theirs(weights):
    """Return parameters of a block as those of `pytorch_tcn`, whose last tap is the present step."""
    found = {}
    for i in "12":
        found[f"conv{i}.parametrizations.weight.original0"] = weights[f"g{i}"][:, None, None]
        found[f"conv{i}.parametrizations.weight.original1"] = weights[f"V{i}"].flip(0).permute(1, 2, 0)
        found[f"conv{i}.bias"] = weights[f"b{i}"]
    if "D" in weights:
        found |= {"downsample.weight": weights["D"][..., None], "downsample.bias": weights["c"]}
    return found


@pytest.mark.parametrize("engine", ["fused", "scan", "loop"])
def test_a_stack_with_dilation_is_pytorch_tcns(engine):
    ours = Stack(block, **SIZES, dilation=2, engine=engine).double()
    other = TCN(3, [4, 4, 4], kernel_size=3, dropout=0.0, input_shape="NLC").double()
    for parameter in ours.parameters():
        torch.nn.init.normal_(parameter)
    x = torch.randn(5, 20, 3, dtype=torch.float64, requires_grad=True)
    named = {
        f"network.{i}.{name}": value
        for i, layer in enumerate(ours.layers)
        for name, value in theirs(dict(layer.named_parameters())).items()
    }
    towards = torch.randn(5, 20, 4, dtype=torch.float64)
    wanted = [x, *ours.parameters()]
    results = [
        (outputs, *torch.autograd.grad((outputs * towards).sum(), wanted))
        for outputs in (ours(x)[0], functional_call(other, named, (x,)))
    ]
    assert results[1][0].abs().max() > 0.1
    for found, expected in zip(*results, strict=True):
        torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_its_receptive_field_is_what_an_output_depends_on():
    model = SequenceModel(block, 3, 2, hidden_size=8, num_layers=3, dilation=2).double()
    field = 1 + 2 * 2 * (1 + 2 + 4)
    assert model.time_scales()[1] == f"a receptive field of {field} steps"
    seen = torch.zeros(60, dtype=torch.float64)
    for _ in range(8):  # a unit that is off passes nothing on
        x = torch.randn(8, 60, 3, dtype=torch.float64, requires_grad=True)
        seen += torch.autograd.grad(model(x)[0][:, -1].square().sum(), x)[0].abs().sum((0, 2))
    assert seen[-field:].all() and not seen[:-field].any()


def test_a_scan_under_vmap_is_each_alone():
    blocks = [TCNBlock(3, 4, 3).double() for _ in range(2)]
    x, lengths = torch.randn(2, 5, 9, 3).double(), torch.tensor([9, 0, 1, 4, 8])
    parameters, _ = stack_module_state(blocks)

    def run(weights, x):
        return functional_call(
            Unfolding(blocks[0]), {f"cell.{k}": w for k, w in weights.items()}, (x, lengths)
        )

    found = vmap(run)(parameters, x)
    for i, block in enumerate(blocks):
        expected = unfold(block, x[i], lengths=lengths, engine="loop")
        torch.testing.assert_close(tree_map(lambda part, i=i: part[i], found), expected, rtol=0, atol=1e-12)


class Unfolding(torch.nn.Module):
    def __init__(self, cell):
        super().__init__()
        self.cell = cell

    def forward(self, x, lengths):
        return unfold(self.cell, x, lengths=lengths, engine="scan")


def test_weights_start_as_those_of_a_convolution():
    cell = TCNBlock(3, 200, 5)
    bound = 15**-0.5
    assert 0.99 * bound < cell.V1.abs().max() <= bound
    torch.testing.assert_close(cell.V1.square().sum((0, 2)).sqrt(), cell.g1)


@pytest.mark.parametrize(("taps", "message"), [(1, "sees no step but the present"), (0, "leaves no tap")])
def test_too_few_taps_are_refused(make_model, taps, message):
    with pytest.raises(ConfigError, match=message):
        make_model("model=tcn", "task=latch", f"model.cell.kernel_size={taps}")

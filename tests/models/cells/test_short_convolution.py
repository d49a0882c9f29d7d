"""Short convolutions: their gradients, at once and in parts, of one seed and of many."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.func import functional_call

from seqbench.models.cells import short_convolution
from seqbench.models.cells.short_convolution import ShortConvolution


class Scan(nn.Module):
    """Goes through all steps of a convolution."""

    def __init__(self, layer: ShortConvolution) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, u: torch.Tensor, window: torch.Tensor) -> torch.Tensor:
        return self.layer.scan(u, window, None)[0]


@pytest.mark.parametrize("in_cache", [short_convolution.NUMBERS_IN_CACHE, 13], ids=["at once", "in parts"])
def test_a_short_convolution_has_its_gradients(monkeypatch, in_cache):
    monkeypatch.setattr(short_convolution, "NUMBERS_IN_CACHE", in_cache // torch.get_num_threads())
    layer = ShortConvolution(3, 4, bias=True).double()
    shapes = (5, 2, 3), (2, 3, 3)  # u; window
    u, window = (torch.randn(shape, dtype=torch.double, requires_grad=True) for shape in shapes)

    def scanned(*values):
        weights = dict(zip(("w", "b"), values[2:], strict=True))
        return functional_call(
            Scan(layer), {f"layer.{name}": value for name, value in weights.items()}, values[:2]
        )

    assert torch.autograd.gradcheck(scanned, (u, window, layer.w, layer.b))
    assert torch.autograd.gradgradcheck(scanned, (u, window, layer.w, layer.b))
    several = torch.randn(3, *u.shape).double(), torch.randn(3, *layer.w.shape).double()
    found = torch.vmap(lambda x, w: scanned(x, window, w, layer.b))(*several)
    for x, w, y in zip(*several, found, strict=True):
        torch.testing.assert_close(y, scanned(x, window, w, layer.b))
    biases = torch.randn(3, 3).double()
    found = torch.vmap(lambda b: scanned(u, window, layer.w, b))(biases)
    for b, y in zip(biases, found, strict=True):
        torch.testing.assert_close(y, scanned(u, window, layer.w, b))

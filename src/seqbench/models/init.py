"""How weights start."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

RecurrentInit = Literal["uniform", "orthogonal", "identity"]


def init_uniform(weight: Tensor, hidden_size: int) -> None:
    """Fill with U(−1/√H, 1/√H), where torch's own recurrent modules start."""
    bound = hidden_size**-0.5
    nn.init.uniform_(weight, -bound, bound)


def init_recurrent(weight: Tensor, kind: RecurrentInit) -> None:
    """Fill a stack of square matrices (n·H, H), one matrix for each gate.

    uniform: U(−1/√H, 1/√H), torch's own; the spectral radius is near 1/√3, so that gradients vanish.
    orthogonal: every matrix orthogonal (Saxe et al., 2014): nothing vanishes in the linear regime.
    identity: every matrix the identity (Le et al., 2015).
    """
    hidden_size = weight.shape[1]
    for matrix in weight.chunk(len(weight) // hidden_size):
        if kind == "orthogonal":
            nn.init.orthogonal_(matrix)
        elif kind == "identity":
            nn.init.eye_(matrix)
        elif kind == "uniform":
            init_uniform(matrix, hidden_size)
        else:
            raise ValueError(
                f"recurrent_init={kind!r} is unknown; there are uniform, orthogonal and identity."
            )


def chrono_bias(units: int, longest: int) -> Tensor:
    """Return where the bias of a gate that keeps the state starts, for dependencies of up to `longest` steps.

    log u with u from U(1, longest − 1): a gate σ(b) then keeps for about u steps, so that the units' time
    constants cover the range (Tallec & Ollivier, 2018, "Can recurrent neural networks warp time?").
    """
    if longest < 3:
        raise ValueError(
            f"chrono={longest} leaves no range of time; give the longest dependency, at least 3."
        )
    return torch.empty(units).uniform_(1, longest - 1).log()

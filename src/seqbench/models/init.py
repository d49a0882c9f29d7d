"""How weights start."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

#: A number is a spectral radius.
RecurrentInit = Literal["uniform", "orthogonal", "identity", "smart_tanh"] | float


def init_uniform(weight: Tensor, hidden_size: int) -> None:
    """Fill with U(−1/√H, 1/√H), where torch's own recurrent modules start."""
    bound = hidden_size**-0.5
    nn.init.uniform_(weight, -bound, bound)


def init_recurrent(weight: Tensor, kind: RecurrentInit) -> None:
    """Fill a stack of square matrices (n·H, H), one matrix for each gate.

    uniform: U(−1/√H, 1/√H), torch's own; the spectral radius is near 1/√3, so that gradients vanish.
    orthogonal: every matrix orthogonal (Saxe et al., 2014): nothing vanishes in the linear regime.
    identity: every matrix the identity (Le et al., 2015).
    smart_tanh: 15 nonzeros for each unit, spectral radius 0.95 (Pascanu, Mikolov & Bengio, 2013).
    a number: normal, with that spectral radius.
    """
    hidden_size = weight.shape[1]
    for matrix in weight.chunk(len(weight) // hidden_size):
        if kind == "orthogonal":
            nn.init.orthogonal_(matrix)
        elif kind == "identity":
            nn.init.eye_(matrix)
        elif kind == "uniform":
            init_uniform(matrix, hidden_size)
        elif kind == "smart_tanh":
            nn.init.normal_(matrix)
            keep_some(matrix, 15)
            set_spectral_radius(matrix, 0.95)
        elif isinstance(kind, int | float):
            nn.init.normal_(matrix)
            set_spectral_radius(matrix, kind)
        else:
            raise ValueError(
                f"recurrent_init={kind!r} is unknown; there are uniform, orthogonal, identity, smart_tanh, "
                "and numbers: a spectral radius."
            )


@torch.no_grad()
def keep_some(weight: Tensor, count: int) -> None:
    """Keep `count` numbers in each row of (n, m), at random, and make the others zero."""
    rank = torch.rand_like(weight).argsort(1).argsort(1)
    weight.mul_(rank < count)


@torch.no_grad()
def set_spectral_radius(weight: Tensor, radius: float) -> None:
    """Scale a square matrix so that the largest of its eigenvalues' absolute values is `radius`.

    Raises:
        ValueError: the radius is not above 0, or the matrix is zero.
    """
    if not radius > 0:
        raise ValueError(f"A spectral radius of {radius} leaves no recurrence; give one above 0.")
    now = torch.linalg.eigvals(weight).abs().max()
    if not weight.is_meta and now == 0:
        raise ValueError(
            f"A matrix of zeros cannot be scaled to a spectral radius of {radius}; give it more connections."
        )
    weight.mul_(radius / now)


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

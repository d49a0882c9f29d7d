"""Initial values of weights and biases."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

#: How a recurrent matrix starts, see `init_recurrent`. A number is a spectral radius.
RecurrentInit = Literal["uniform", "orthogonal", "identity", "smart_tanh"] | float


def init_uniform(weight: Tensor, hidden_size: int) -> None:
    """Fill with U(−1/√H, 1/√H), as torch's recurrent modules do."""
    bound = hidden_size**-0.5
    nn.init.uniform_(weight, -bound, bound)


def init_recurrent(weight: Tensor, kind: RecurrentInit) -> None:
    """Fill a stack (n·H, H) of square matrices, each by itself.

    uniform: U(−1/√H, 1/√H), as in torch. The spectral radius is near 1/√3, so that gradients vanish.
    orthogonal: orthogonal matrices (Saxe et al., 2014). In the linear regime nothing vanishes.
    identity: identity matrices (Le et al., 2015).
    smart_tanh: 15 connections out of each unit (nonzeros of a column), spectral radius 0.95, as in the code
        of Pascanu, Mikolov & Bengio (2013). A cell's input weights are then from N(0, 0.01²). The code also
        draws the readout so; here it starts as ever.
    a number: normal, scaled to that spectral radius.

    Raises:
        ValueError: `kind` is none of these, or a spectral radius that is not positive.
    """
    if isinstance(kind, int | float) and not kind > 0:
        raise ValueError(f"recurrent_init={kind} leaves no recurrence; give a spectral radius above 0.")
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
            sparsify(matrix.detach().t(), 15)
            set_spectral_radius(matrix, 0.95)
        elif isinstance(kind, int | float):
            nn.init.normal_(matrix)
            set_spectral_radius(matrix, kind)
        else:
            raise ValueError(
                f"recurrent_init={kind!r} is unknown; give uniform, orthogonal, identity, smart_tanh, or a "
                "number, the spectral radius."
            )


@torch.no_grad()
def sparsify(weight: Tensor, count: int) -> None:
    """Set all but `count` random entries of each row of (n, m) to zero."""
    rank = torch.rand_like(weight).argsort(1).argsort(1)
    weight.mul_(rank < count)


@torch.no_grad()
def set_spectral_radius(weight: Tensor, radius: float) -> None:
    """Scale a square matrix so that the largest absolute value of its eigenvalues is `radius`.

    Raises:
        ValueError: the radius is not positive, or the matrix is zero.
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
    """Draw the initial bias of a gate that keeps the state, for dependencies of up to `longest` steps.

    log u with u from U(1, longest − 1). A gate σ(b) then keeps the state for about u steps, and the units'
    time constants cover the range (Tallec & Ollivier, 2018, "Can recurrent neural networks warp time?").

    Raises:
        ValueError: `longest` is below 3.
    """
    if longest < 3:
        raise ValueError(
            f"chrono={longest} leaves no range of time constants; give the longest dependency, at least 3."
        )
    return torch.empty(units).uniform_(1, longest - 1).log()


def time_constants(kept: Tensor) -> str:
    """Return the time constants of units as a phrase: `time constants of 1 to 100 steps`.

    Args:
        kept: the share of its state that each unit keeps at a step, from 0 to 1. One that keeps a share α
            holds inputs for 1/(1 − α) steps in the mean.
    """
    low, high = (1 / max(1 - float(end), 1e-9) for end in (kept.detach().min(), kept.detach().max()))
    ends = dict.fromkeys(f"{steps:.3g}" if steps < 1e6 else "∞" for steps in (low, high))
    return f"time constants of {' to '.join(ends)} steps"

"""Readouts: from the output of a recurrent body to the output of a model."""

from __future__ import annotations

import math
from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor, nn

#: Outputs from which on those that no loss reads are not computed. Fewer cost little; so their rounding stays
#: what it was.
COUNTED_FROM = 256


class LinearReadout(nn.Linear):
    """The linear readout o = c + V h, [7]; V is `weight`, c is `bias`."""

    def __init__(self, input_size: int, output_size: int) -> None:
        super().__init__(input_size, output_size)


class DeepReadout(nn.Sequential):
    """A readout with a hidden layer of tanh units, as in Fig. 10.13 (b).

    Args:
        input_size: numbers that it reads.
        output_size: numbers that it gives.
        hidden_size: units of the hidden layer; None for as many as it reads.
    """

    def __init__(self, input_size: int, output_size: int, hidden_size: int | None = None) -> None:
        size = input_size if hidden_size is None else hidden_size
        if size < 1:
            raise ValueError(f"hidden_size={size} leaves no unit; give at least 1.")
        super().__init__(nn.Linear(input_size, size), nn.Tanh(), nn.Linear(size, output_size))


@runtime_checkable
class SolvedReadout(Protocol):
    """A readout that is solved for and not learnt by gradient descent."""

    def accumulate(self, h: Float[Tensor, "N H"], y: Float[Tensor, "N O"]) -> None:
        """Add rows to the data of the regression; the readout does not change."""

    def solve(self) -> None:
        """Set the readout to the solution for all data accumulated so far."""


class RidgeReadout(LinearReadout):
    """A linear readout that is solved for by ridge regression, in one pass over the data.

        min over V, c of   Σ_t ‖c + V h(t) − y(t)‖² + λ ‖V‖²

    No gradient is propagated through time: the cells keep the weights that they were drawn with. The
    regression stores the triangular factor R of the QR decomposition of all rows [h 1 y] so far. The size of
    R depends on the sizes of h and y and not on the amount of data, and R, unlike a Gram matrix, does not
    square the condition number. Classes are regressed on as one-hot vectors: the likeliest class is the
    largest output, and the outputs are not log-probabilities.

    Args:
        input_size: H.
        output_size: O.
        ridge: λ.

    Raises:
        ValueError: a ridge below 0.

    Source: Jaeger & Haas (2004), "Harnessing nonlinearity".
    """

    def __init__(self, input_size: int, output_size: int, ridge: float = 1e-8) -> None:
        super().__init__(input_size, output_size)
        if ridge < 0:
            raise ValueError(f"ridge={ridge} must be 0 or more.")
        self.ridge = ridge
        size = input_size + 1 + output_size
        #: R of all rows [h 1 y] so far.
        self.factor: Tensor
        self.register_buffer("factor", torch.zeros(size, size, dtype=torch.float64))

    @torch.no_grad()
    def accumulate(self, h: Float[Tensor, "N H"], y: Float[Tensor, "N O"]) -> None:
        """Add rows to the data of the regression; the readout does not change until `solve`."""
        rows = torch.cat([h, h.new_ones(len(h), 1), y], dim=1)
        self.factor.copy_(torch.linalg.qr(torch.cat([self.factor, rows.double()]), mode="r").R)

    @torch.no_grad()
    def solve(self) -> None:
        """Set the readout to the solution of the regression on all data accumulated so far."""
        R = self.factor.cpu()
        n = self.in_features + 1
        penalty = torch.eye(n, dtype=R.dtype)[:-1] * math.sqrt(self.ridge)  # none on c
        left = torch.cat([R[:, :n], penalty])
        right = torch.cat([R[:, n:], R.new_zeros(n - 1, self.out_features)])
        # With pivoting the data may leave the solution underdetermined, as fewer rows than units do.
        found = torch.linalg.lstsq(left, right, driver="gelsy").solution
        self.weight.copy_(found[:-1].t())
        self.bias.copy_(found[-1])

"""The echo state network: a reservoir, and a readout that is solved for in one pass over the data."""

from __future__ import annotations

import math
from collections.abc import Callable

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqbench.models.sequence import SequenceModel
from seqbench.models.unfold import Cell, Engine


class EchoStateNetwork(SequenceModel):
    """A sequence model of fixed cells whose readout is a ridge regression.

        min over V, c of   Σ_t ‖c + V h(t) − y(t)‖² + λ ‖V‖²

    Nothing is propagated back through time. The regression goes over the data once: of all rows [h 1 y] seen
    so far it keeps the triangular factor R of their QR decomposition, whose size is that of one state, not of
    the data, and which, unlike a Gram matrix, squares no condition number. Classes are regressed on as
    one-hot vectors: the likeliest class is the largest output, and the outputs are no log-probabilities.

    Args:
        ridge: λ.

        The others are those of `SequenceModel`.

    Raises:
        ValueError: a ridge below 0, or a deep output, which no linear regression finds.
    """

    def __init__(
        self,
        cell: Callable[[int, int], Cell],
        input_size: int,
        output_size: int,
        *,
        tokens: bool = False,
        per_step: bool = True,
        classes: bool = False,
        predicts: bool = False,
        hidden_size: int = 500,
        num_layers: int = 1,
        bidirectional: bool = False,
        dilation: int = 1,
        deep_output: bool = False,
        feedback: bool = False,
        engine: Engine = "auto",
        ridge: float = 1e-8,
    ) -> None:
        if deep_output:
            raise ValueError(
                "deep_output=true is not for a readout that is solved for; give deep_output=false."
            )
        if ridge < 0:
            raise ValueError(f"ridge={ridge} must be 0 or more.")
        super().__init__(
            *(cell, input_size, output_size),
            tokens=tokens,
            per_step=per_step,
            classes=classes,
            predicts=predicts,
            hidden_size=hidden_size,
            num_layers=num_layers,
            bidirectional=bidirectional,
            dilation=dilation,
            feedback=feedback,
            engine=engine,
        )
        self.ridge = ridge
        assert isinstance(self.readout, nn.Linear)
        size = self.readout.in_features + 1 + output_size
        #: R of all rows [h 1 y] seen so far.
        self.factor: Tensor
        self.register_buffer("factor", torch.zeros(size, size, dtype=torch.float64))

    @torch.no_grad()
    def absorb(
        self,
        inputs: Int[Tensor, "B T"] | Float[Tensor, "B T F"],
        targets: Tensor,
        mask: Bool[Tensor, "B T"] | None = None,
        lengths: Int[Tensor, " B"] | None = None,
    ) -> None:
        """Take a batch into the regression; the readout stays until `solve`.

        Args:
            inputs: tokens (B, T) or vectors (B, T, F).
            targets: classes or values, for each step or each sequence.
            mask: steps whose target counts; None where all do.
            lengths: valid steps of each row; None where all are.
        """
        x = inputs if self.one_hot is None else nn.functional.embedding(inputs, self.one_hot)
        h, _ = self._open_loop(x, lengths, None, targets if self.per_step else None)
        y = nn.functional.one_hot(targets, self.output_size) if self.classes else targets
        if mask is not None:
            h, y = h[mask], y[mask]
        rows = torch.cat([h.flatten(0, -2), h.new_ones(h.shape[:-1]).view(-1, 1), y.flatten(0, -2)], dim=1)
        self.factor.copy_(torch.linalg.qr(torch.cat([self.factor, rows.double()]), mode="r").R)

    @torch.no_grad()
    def solve(self) -> None:
        """Set the readout to the solution of the regression on all that has been absorbed."""
        assert isinstance(self.readout, nn.Linear)
        R = self.factor.cpu()
        n = self.readout.in_features + 1
        penalty = torch.eye(n, dtype=R.dtype)[:-1] * math.sqrt(self.ridge)  # none on c
        left = torch.cat([R[:, :n], penalty])
        right = torch.cat([R[:, n:], R.new_zeros(n - 1, self.output_size)])
        # Pivoting makes do with data that leave something open, as fewer rows than units do.
        found = torch.linalg.lstsq(left, right, driver="gelsy").solution
        self.readout.weight.copy_(found[:-1].t())
        self.readout.bias.copy_(found[-1])

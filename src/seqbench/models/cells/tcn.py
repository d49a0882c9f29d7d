"""The temporal convolutional network: a control without recurrence."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqbench.models.sizes import MOST_PARTS, at_least_one
from seqbench.models.unfold import Cell, State
from seqbench.models.unfold.tokens import affine, is_tokens


class TCNBlock(Cell):
    """A residual block of two causal convolutions over time, each with K taps.

        v(t) = relu(b¹ + Σₖ W¹ₖ x(t−k d))            k = 0, …, K−1
        u(t) = relu(b² + Σₖ W²ₖ v(t−k d))
        h(t) = relu(u(t) + x(t))                     D x(t) + c in place of x(t) where widths differ

          x(t), x(t−d), … ──W¹──relu──▶ v(t), v(t−d), … ──W²──relu──▶(+)──relu──▶ h(t) ──▶ output
            └──────────────────────────────D──────────────────────────▲

    The dilation d of layer i is `model.dilation`^(i−1), so that L layers see 1 + 2 (K−1) Σ d inputs, their
    receptive field: of what was before, nothing. The state holds no memory but these inputs, as what they add
    to sums to come: it is what a step needs, and all steps are also taken at once (`scan`).

    W is normalised (Salimans & Kingma, 2016): output i of W has the length gᵢ and the direction of V.

    Parameters V1 (K, H, F), g1 (H), b1 (H), V2 (K, H, H), g2 (H), b2 (H), and where F ≠ H, D (H, F), c (H).
    The state is two vectors of (K−1) H numbers: what is known of both sums at the next K−1 steps.

    Args:
        input_size: F.
        hidden_size: H.
        kernel_size: K.

    Raises:
        ValueError: fewer than two taps.

    Source: Bai, Kolter & Koltun (2018), "An empirical evaluation of generic convolutional and recurrent
    networks for sequence modeling", section 3. Here there is no dropout, and weights start as those of
    torch's convolutions do, with biases of zero.
    """

    V1: nn.Parameter
    V2: nn.Parameter
    g1: nn.Parameter
    g2: nn.Parameter
    b1: nn.Parameter
    b2: nn.Parameter
    vectorizable = True
    has_scan = True
    reads_tokens = True

    def __init__(self, input_size: int, hidden_size: int, kernel_size: int = 7) -> None:
        super().__init__(input_size, hidden_size)
        at_least_one(MOST_PARTS, kernel_size=(kernel_size, "tap"))
        if kernel_size == 1:
            raise ValueError("kernel_size=1 sees no step but the present one; give at least 2.")
        self.kernel_size = kernel_size
        for i, width in ((1, input_size), (2, hidden_size)):
            V = torch.empty(kernel_size, hidden_size, width)
            nn.init.uniform_(V, -((kernel_size * width) ** -0.5), (kernel_size * width) ** -0.5)
            self.register_parameter(f"V{i}", nn.Parameter(V))
            self.register_parameter(f"g{i}", nn.Parameter(torch.linalg.vector_norm(V, dim=(0, 2))))
            self.register_parameter(f"b{i}", nn.Parameter(torch.zeros(hidden_size)))
        same = input_size == hidden_size
        self.D = None if same else nn.Parameter(torch.empty(hidden_size, input_size))
        self.c = None if same else nn.Parameter(torch.zeros(hidden_size))
        if self.D is not None:
            nn.init.uniform_(self.D, -(input_size**-0.5), input_size**-0.5)

    @property
    def reach(self) -> int:
        return 2 * (self.kernel_size - 1)

    def project(self, x: Float[Tensor, "*steps F"] | Int[Tensor, "*steps"]) -> Float[Tensor, "*steps G"]:
        """Return what x adds to the sums of this step and the next K−1, and beside the convolutions."""
        sums = affine(x, normalised(self.V1, self.g1))
        if self.D is not None:
            beside = affine(x, self.D, self.c)
        else:
            beside = nn.functional.one_hot(x, self.input_size).to(sums.dtype) if is_tokens(x) else x
        return torch.cat([sums, beside], dim=-1)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        first, second = state
        added, beside = self._split(projected)
        v, first = self._convolve(added, first)
        v = torch.relu(v + self.b1)
        u, second = self._convolve(v @ normalised(self.V2, self.g2).t(), second)
        return torch.relu(torch.relu(u + self.b2) + beside), (first, second)

    def scan(
        self, projected: Float[Tensor, "T B G"], state: State, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        first, second = state
        added, beside = self._split(projected)
        v, first = self._convolve_all(added, first, valid)
        v = torch.relu(v + self.b1)
        u, second = self._convolve_all(v @ normalised(self.V2, self.g2).t(), second, valid)
        outputs = torch.relu(torch.relu(u + self.b2) + beside)
        if valid is not None:
            outputs = torch.where(valid, outputs, torch.zeros_like(outputs))
        return outputs, (first, second)

    def initial_state(self, batch_size: int) -> State:
        return (self.b1.new_zeros(batch_size, (self.kernel_size - 1) * self.hidden_size),) * 2

    def _split(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        added, beside = torch.split(
            projected, [self.kernel_size * self.hidden_size, self.hidden_size], dim=-1
        )
        return added, beside

    def _convolve(self, added: Tensor, known: Tensor) -> tuple[Tensor, Tensor]:
        """Return the sum of this step, and what is known of the next K−1.

        Args:
            added: to this step and the next K−1, (B, K H).
            known: of this step and the next K−2, (B, (K−1) H).
        """
        sums = added + torch.cat([known, torch.zeros_like(known[:, : self.hidden_size])], dim=1)
        now, later = torch.split(sums, [self.hidden_size, known.shape[1]], dim=1)
        return now, later

    def _convolve_all(self, added: Tensor, known: Tensor, valid: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the sums of all steps (T, B, H), and what is known after the last valid one.

        What a step adds goes to K rows of a sequence that is K−1 steps longer.
        """
        if valid is not None:
            added = torch.where(valid, added, torch.zeros_like(added))
        steps, more = len(added), self.kernel_size - 1
        parts = [
            known.view(len(known), more, -1).transpose(0, 1),
            *torch.split(added, self.hidden_size, dim=-1),
        ]
        places = [(0, steps), *((k, more - k) for k in range(self.kernel_size))]
        sums = torch.stack(
            [nn.functional.pad(part, (0, 0, 0, 0, *place)) for part, place in zip(parts, places, strict=True)]
        ).sum(0)
        if valid is None:
            later = sums[steps:]
        else:
            ends = valid.sum(0) + torch.arange(more, device=sums.device)[:, None, None]
            later = sums.gather(0, ends.expand(-1, -1, self.hidden_size))
        return sums[:steps], later.transpose(0, 1).flatten(1)


def normalised(V: Float[Tensor, "K H F"], g: Float[Tensor, " H"]) -> Float[Tensor, "K*H F"]:
    """Return the weights of all taps, with the lengths g over taps and inputs."""
    lengths = V.square().sum(dim=(0, 2)).sqrt()
    return (V * (g / lengths)[:, None]).flatten(0, 1)

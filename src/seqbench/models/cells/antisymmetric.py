"""The antisymmetric RNN: a stable differential equation, in steps."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.cells.affine import MadeMatrixCell
from seqbench.models.init import time_constants
from seqbench.models.unfold import State


class AntisymmetricRNN(MadeMatrixCell):
    """Euler steps of an equation whose Jacobian has eigenvalues near the imaginary axis.

        A    = W − Wᵀ − γ I                                     W strictly upper triangular
        h(t) = h(t−1) + ε z(t) ⊙ tanh(b + U x(t) + A h(t−1))
        z(t) = σ(bᶻ + Uᶻ x(t) + A h(t−1))                       with `gated`; else z(t) = 1

          h(t−1) ──┬─────────────────────────────┐
                   └──A──▶(+)──tanh──▶(⊙ ε z)──▶(+)──▶ h(t) ──▶ output
                           ▲
          x(t) ─────U──────┘

    The eigenvalues of W − Wᵀ are imaginary, so that the equation without γ neither forgets nor explodes.
    Steps of size ε make it grow a little; the diffusion γ holds against that. Gate and candidate share A.

    Parameters U (H, F), W (H, H), b (H); with `gated` U and b stack z, candidate. Of W the diagonal and what
    is below it are not used. The state is h.

    Args:
        input_size: F.
        hidden_size: H.
        epsilon: ε, the size of a step: no unit moves by more at once.
        gamma: γ.
        gated: whether there is z.

    Raises:
        ValueError: ε outside (0, 1], or γ outside [0, 1/ε].

    Source: Chang, Chen, Haber & Chi (2019), "AntisymmetricRNN: a dynamical system view on recurrent neural
    networks", section 3. Its numbers of parameters are those of a triangular W.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        epsilon: float = 0.1,
        gamma: float = 0.01,
        gated: bool = False,
    ) -> None:
        super().__init__(input_size, hidden_size, ("z", "candidate") if gated else ("",), ())
        if not 0 < epsilon <= 1:
            raise ValueError(f"epsilon={epsilon} must be a step above 0 and at most 1.")
        if not 0 <= gamma <= 1 / epsilon:
            raise ValueError(
                f"gamma={gamma} must be 0 or more, and at most 1/epsilon={1 / epsilon:.3g}: beyond that a "
                "step overshoots zero."
            )
        self.epsilon = epsilon
        self.gamma = gamma
        self.gated = gated
        self.init_weights()
        self.W = nn.Parameter(torch.randn(hidden_size, hidden_size) / hidden_size**0.5)

    @property
    def recurrent_matrix(self) -> Float[Tensor, "H H"]:
        upper = torch.triu(self.W, 1)
        damped = self.gamma * torch.eye(len(upper), dtype=upper.dtype, device=upper.device)
        return upper - upper.t() - damped

    def time_scales(self) -> str | None:
        rate = self.epsilon * self.gamma * (torch.sigmoid(self.bias("z")) if self.gated else torch.ones(1))
        return time_constants(1 - rate)

    def step_with(
        self, matrix: Tensor, projected: Tensor, state: State
    ) -> tuple[Float[Tensor, "B H"], State]:
        (h,) = state
        Ah = h @ matrix.t()
        if self.gated:
            z, candidate = projected.chunk(2, dim=-1)
            h = h + self.epsilon * torch.sigmoid(z + Ah) * torch.tanh(candidate + Ah)
        else:
            h = h + self.epsilon * torch.tanh(projected + Ah)
        return h, (h,)

    def dead_entries(self) -> dict[str, Tensor]:
        every = torch.ones(self.W.shape, dtype=torch.bool, device="cpu")
        return {"W": torch.tril(every)}

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return {"A": self.recurrent_matrix}

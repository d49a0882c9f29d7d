"""The orthogonal RNN: a recurrent matrix that only turns the state."""

from __future__ import annotations

import math
from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqbench.models.cells.affine import MadeMatrixCell
from seqbench.models.init import init_uniform
from seqbench.models.unfold import State
from seqbench.models.unfold.tokens import affine


class OrthogonalRNN(MadeMatrixCell):
    """An RNN whose recurrent matrix stays orthogonal while it learns, as a function of a skew-symmetric one.

        S    = A − Aᵀ                                        A strictly upper triangular
        W    = (I + S)⁻¹ (I − S), or W = exp(S)              Cayley transform, or exponential map
        h(t) = modrelu(U x(t) + W h(t−1)),   modrelu(a) = sign(a) relu(|a| + b)

          h(t−1) ──W──▶(+)──modrelu──▶ h(t) ──▶ output
                        ▲
          x(t) ────U────┘

    W keeps the length of a state, and the derivative of modrelu is 0 or 1, so that gradients do not explode,
    and vanish only in units that are off. W is computed once for a sequence. At the start it is made of plane
    rotations of two units each. In mixed precision W is rounded to bfloat16, and keeps lengths to 2⁻⁸ a step.

    Parameters U (H, F), A (H, H), b (H). Of A the diagonal and what is below it are not used. The state is h.

    Args:
        input_size: F.
        hidden_size: H.
        parametrisation: cayley or exponential. Copies with the exponential are not stacked over seeds: torch
            groups matrices by their norms.
        max_angle: angles of the rotations start between 0 and this.

    Raises:
        ValueError: an angle outside (0, π].

    Source: Helfrich, Willmott & Ye (2018), "Orthogonal recurrent neural networks with scaled Cayley
    transform", section 3, without its diagonal matrix of fixed signs; Lezcano-Casado & Martínez-Rubio (2019),
    "Cheap orthogonal constraints in neural networks", section 4, for the exponential map.
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        parametrisation: Literal["cayley", "exponential"] = "cayley",
        max_angle: float = math.pi / 2,
    ) -> None:
        super().__init__(input_size, hidden_size, recurrent_blocks=())
        # At π the Cayley transform would need infinite numbers; no float is drawn there.
        if not 0 < max_angle <= math.pi:
            raise ValueError(f"max_angle={max_angle} must lie above 0, and be at most π.")
        self.parametrisation = parametrisation
        self.vectorizable = parametrisation == "cayley"
        init_uniform(self.U, hidden_size)
        nn.init.uniform_(self.b, -0.01, 0.01)
        angles = max_angle * torch.rand(hidden_size // 2)
        turning = torch.tan(angles / 2) if parametrisation == "cayley" else angles
        start = torch.zeros(hidden_size, hidden_size)
        first = torch.arange(hidden_size // 2) * 2
        start[first, first + 1] = turning
        self.A = nn.Parameter(start)

    reads_tokens = True

    def check_length(self, steps: int) -> None:
        if self.hidden_size == 1:
            raise ValueError(
                "hidden_size=1 has one orthogonal matrix, W = 1, and nothing to learn; give more."
            )

    def project(self, x: Float[Tensor, "*steps F"] | Int[Tensor, "*steps"]) -> Float[Tensor, "*steps H"]:
        return affine(x, self.U)

    @property
    def recurrent_matrix(self) -> Float[Tensor, "H H"]:
        upper = torch.triu(self.A, 1)
        skew = upper - upper.t()
        if skew.dtype in (torch.float16, torch.bfloat16):  # in which there is no solver
            skew = skew.float()
        if self.parametrisation == "exponential":
            W: Tensor = torch.linalg.matrix_exp(skew)
        else:
            one = torch.eye(len(skew), dtype=skew.dtype, device=skew.device)
            W = torch.linalg.solve(one + skew, one - skew)
        return W.to(upper.dtype)

    def step_with(
        self, matrix: Tensor, projected: Tensor, state: State
    ) -> tuple[Float[Tensor, "B H"], State]:
        (h,) = state
        a = torch.addmm(projected, h, matrix.t())
        h = torch.sign(a) * torch.relu(torch.abs(a) + self.b)
        return h, (h,)

    def dead_entries(self) -> dict[str, Tensor]:
        return {"A": torch.tril(torch.ones(self.A.shape, dtype=torch.bool, device="cpu"))}

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return {"W": self.recurrent_matrix}

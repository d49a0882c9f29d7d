"""The gated recurrent unit."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from seqbench.models.cells.affine import AffineCell
from seqbench.models.init import RecurrentInit, chrono_bias, time_constants
from seqbench.models.native import run_native
from seqbench.models.unfold import State


class GRU(AffineCell):
    """The update gate u decides what the state keeps; the reset gate r, which part of it the candidate sees.

        h(t) = u(t) ⊙ h(t−1) + (1 − u(t)) ⊙ tanh(b + U x(t) + r(t) ⊙ (W h(t−1) + d))   [30], [31]
        u(t) = σ(bᵘ + Uᵘ x(t) + Wᵘ h(t−1))                                             [32]  update gate
        r(t) = σ(bʳ + Uʳ x(t) + Wʳ h(t−1))                                             [33]  reset gate

          h(t−1) ──┬─────────────(⊙ u)──────────────┐
                   └──W──▶(⊙ r)──▶(+)──tanh──▶(⊙ 1−u)──▶(+)──▶ h(t) ──▶ output
                                   ▲
          x(t) ───────────U────────┘

    Forms:
        after: as above, and as in torch. The reset gate acts after the product with W and scales the bias d.
        before: the reset gate acts before the product, W (r(t) ⊙ h(t−1)), as in Cho et al. (2014). No d.
        as_printed: [30] to [33] to the letter:

            h(t) = u(t−1) ⊙ h(t−1) + (1 − u(t−1)) ⊙ σ(b + U x(t) + W (r(t−1) ⊙ h(t−1)))

            The gates are one step late, so that they are part of the state, and σ is the activation of the
            candidate. Both look like misprints: the gates of the step before cannot depend on the input
            that they let in, and a state in (0, 1) can only decay.

    Parameters U (3H, F), W (3H, H), b (3H) stack r, u, candidate, in torch's order; d (H). The state is h;
    in the form as_printed h, r and u.

    Args:
        input_size: F.
        hidden_size: H.
        update_bias: initial value of bᵘ. Above 0 the state is at first kept longer.
        recurrent_init: how each block of W starts, see `init_recurrent`.
        form: after, before or as_printed.
        chrono: the longest dependency expected. If given, bᵘ starts so that the units' time constants cover
            that range, and `update_bias` must be 0 (Tallec & Ollivier, 2018).

    Raises:
        ValueError: `chrono` below 3, or with an `update_bias`.

    Source: Cho et al. (2014); Goodfellow, Bengio & Courville (2016), section 10.10.2.
    """

    has_native = True

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        update_bias: float = 0.0,
        recurrent_init: RecurrentInit = "uniform",
        form: Literal["after", "before", "as_printed"] = "after",
        chrono: int | None = None,
    ) -> None:
        super().__init__(input_size, hidden_size, blocks=("r", "u", "candidate"))
        self.form = form
        self.has_native = form == "after"
        self.d = nn.Parameter(torch.zeros(hidden_size)) if form == "after" else None
        self.init_weights(recurrent_init)
        self.bias("u").fill_(update_bias)
        if chrono is not None:
            if update_bias:
                raise ValueError(
                    f"update_bias={update_bias} is replaced by what chrono={chrono} draws; give one of them."
                )
            self.bias("u").copy_(chrono_bias(hidden_size, chrono))

    def time_scales(self) -> str | None:
        return time_constants(torch.sigmoid(self.bias("u")))

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        h = state[0]
        if self.d is not None:
            Wh_r, Wh_u, Wh = nn.functional.linear(h, self.W).chunk(3, dim=-1)
            Ux_r, Ux_u, Ux = projected.chunk(3, dim=-1)
            r = torch.sigmoid(Ux_r + Wh_r)  # [33]
            u = torch.sigmoid(Ux_u + Wh_u)  # [32]
            candidate = torch.tanh(Ux + r * (Wh + self.d))
            # Under autocast u and the candidate have half precision.
            h = torch.lerp(candidate.to(h.dtype), h, u.to(h.dtype))  # [30], [31]
            return h, (h,)
        sizes = [2 * self.hidden_size, self.hidden_size]
        gates, Ux = torch.split(projected, sizes, dim=-1)
        W_gates, W = torch.split(self.W, sizes)
        r, u = torch.sigmoid(torch.addmm(gates, h, W_gates.t())).chunk(2, dim=-1)
        if self.form == "before":
            h = u * h + (1 - u) * torch.tanh(torch.addmm(Ux, r * h, W.t()))
            return h, (h,)
        _, r_before, u_before = state
        h = u_before * h + (1 - u_before) * torch.sigmoid(torch.addmm(Ux, r_before * h, W.t()))
        return h, (h, r, u)

    def initial_state(self, batch_size: int) -> State:
        state = super().initial_state(batch_size)
        if self.form != "as_printed":
            return state
        # The gates for zero input and zero state.
        r, u, _ = torch.sigmoid(self.b).expand(batch_size, -1).chunk(3, dim=-1)
        return *state, r, u

    def native(
        self, x: Tensor | PackedSequence, state: State, projected: bool = False
    ) -> tuple[Tensor | PackedSequence, State]:
        U, b = self.input_weights(projected)
        assert self.d is not None
        recurrent_bias = torch.cat([self.b.new_zeros(2 * self.hidden_size), self.d])
        return run_native(torch.gru, x, state, [U, self.W, b, recurrent_bias])

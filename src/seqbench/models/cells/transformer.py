"""Causal attention, the layer of a transformer: its state is its past."""

from __future__ import annotations

from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqbench.models.cells.matrix_state import check_heads, draw
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import Cell, State
from seqbench.models.unfold.tokens import affine

#: The steps that are seen where neither a configuration nor a task says how many.
CONTEXT = 1024
#: The most numbers of a past that one sequence may have.
MOST_NUMBERS = 10**8
#: The base of the wavelengths of rotary embeddings.
BASE = 10_000.0


class CausalAttention(Cell):
    """Attention from each step to the last L steps, itself included, in A heads of d = H/A numbers.

        q(t), k(t), v(t) = U x(t)                       H numbers each
        w(t, j) = softmax over j of  q(t) · R(t − j)ᵀ k(j) / √d,     t − L < j ≤ t
        h(t) = W Σⱼ w(t, j) v(j)                        for each head; W reads all

    R(a) turns each pair of numbers (2i, 2i + 1) by the angle a · 10000^(−2i/d), so that the score depends on
    how far back j lies (RoPE); of an odd d the last number is not turned. With `positions=none` R = 1: the
    layer sees the order of steps through the causal mask alone.

    Parameters U (3H, F), W (H, H). The state is the keys and values of the last L − 1 steps, 2H (L − 1)
    numbers, and how many of them there were.

    Args:
        input_size: F.
        hidden_size: H.
        heads: A, a divisor of H.
        context: L; None for the steps of the task's longest training sequence. Of a longer sequence the last
            L steps are seen.
        positions: rope or none.

    Raises:
        ValueError: heads that do not divide H, no step of context, or a state that is too large.

    Source: Vaswani et al. (2017), "Attention is all you need", section 3.2; Su et al. (2021), "RoFormer",
    equations 13 to 16.
    """

    has_scan: ClassVar[bool] = True
    vectorizable = True
    reads_tokens = True
    #: 2: on a CPU torch's kernel, whose sums go block by block.
    revisions: ClassVar = {"_target_": 2}

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        heads: int = 1,
        context: int | None = None,
        positions: Literal["rope", "none"] = "rope",
    ) -> None:
        super().__init__(input_size, hidden_size)
        check_heads(heads, hidden_size=hidden_size)
        self.heads = heads
        self.positions = positions
        self.given_context = context
        self.context = CONTEXT
        if context is not None:
            self.expect(context)
        self.U = nn.Parameter(draw(3 * hidden_size, input_size))
        self.W = nn.Parameter(draw(hidden_size, hidden_size))

    def expect(self, steps: int) -> None:
        context = steps if self.given_context is None else self.given_context
        if (numbers := 2 * self.hidden_size * context) > MOST_NUMBERS:
            made = f"makes a state of {numbers} numbers for each sequence"
            most = MOST_NUMBERS // (2 * self.hidden_size)
            if self.given_context is None:
                raise ValueError(
                    f"hidden_size={self.hidden_size} {made} of {steps} steps; give less, or a context of at "
                    f"most {most} of them."
                )
            raise ValueError(f"context={context} {made}; give at most {most}.")
        at_least_one(context=(context, "step"))
        self.context = context

    def check_length(self, steps: int) -> None:
        if self.given_context == 1:
            raise ValueError("context=1 sees no step but the present one; give at least 2.")
        if self.positions == "rope" and self.heads == self.hidden_size:
            raise ValueError(
                f"heads={self.heads} have one number each, and rope turns pairs; give fewer, or "
                "positions=none."
            )

    def time_scales(self) -> str | None:
        return f"attention to the last {self.context} steps"

    def project(self, x: Float[Tensor, "*steps F"] | Int[Tensor, "*steps"]) -> Float[Tensor, "*steps G"]:
        return affine(x, self.U)

    def store_by_token(self) -> None:
        self.U.data = self.U.data.t().contiguous().t()

    def initial_state(self, batch_size: int) -> State:
        past = self.U.new_zeros(batch_size, self.context - 1, self.hidden_size)
        return past, past, self.U.new_zeros(batch_size, 1)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        outputs, state = self.scan(projected[None], state, None)
        return outputs[0], state

    def scan(
        self, projected: Float[Tensor, "T B G"], state: State, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        q, k, v = projected.transpose(0, 1).chunk(3, dim=-1)
        past, steps = self.context - 1, q.shape[1]
        k, v = torch.cat([state[0], k], dim=1), torch.cat([state[1], v], dim=1)
        visible = self._near(steps, past, q.device)
        there = torch.arange(past + steps, device=q.device) >= past - state[2]  # (B, past + T)
        # Only distances count: positions are those in k.
        outputs = self._attend(q, k, v, (visible & there[:, None])[:, None], past)
        return self._ended(outputs, k, v, state[2], valid)

    def scan_from_start(
        self, projected: Float[Tensor, "T B G"], state: State, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        """Run all steps without the places of a past that is not there."""
        q, k, v = projected.transpose(0, 1).chunk(3, dim=-1)
        steps = q.shape[1]
        outputs = self._attend(q, k, v, self._near(steps, 0, q.device) if steps > self.context else None, 0)
        k, v = torch.cat([state[0], k], dim=1), torch.cat([state[1], v], dim=1)
        return self._ended(outputs, k, v, state[2], valid)

    def _near(self, steps: int, past: int, device: torch.device) -> Bool[Tensor, "T steps"]:
        """Return which keys a step may see, from the first of the past on: the last L."""
        position = torch.arange(past + steps, device=device)
        back = position[past:, None] - position
        return (back >= 0) & (back < self.context)

    def _attend(
        self, q: Tensor, k: Tensor, v: Tensor, visible: Tensor | None, first: int
    ) -> Float[Tensor, "B T H"]:
        """Return what W reads; queries begin at position `first`, and without `visible` see all before."""
        q, k, v = self._turned(q, first), self._turned(k, 0), self._by_head(v)
        if visible is None and q.is_cpu:  # elsewhere torch's kernels sum gradients in no fixed order
            outputs = nn.functional.scaled_dot_product_attention(q, k, v, is_causal=True)
        else:
            visible = self._near(q.shape[-2], 0, q.device) if visible is None else visible
            scores = (q @ k.mT) * q.shape[-1] ** -0.5
            outputs = scores.masked_fill(~visible, -torch.inf).softmax(-1) @ v
        return outputs.transpose(1, 2).flatten(2)

    def _ended(
        self, outputs: Tensor, k: Tensor, v: Tensor, seen: Tensor, valid: Tensor | None
    ) -> tuple[Float[Tensor, "T B H"], State]:
        """Return the outputs of all steps and the state after the last valid one."""
        outputs, past = nn.functional.linear(outputs, self.W).transpose(0, 1), self.context - 1
        steps = len(outputs)
        if valid is None:
            return outputs, (k[:, steps:], v[:, steps:], (seen + steps).clamp(max=past))
        taken = valid[..., 0].sum(0)[:, None]
        at = (taken + torch.arange(past, device=k.device))[..., None].expand(-1, -1, self.hidden_size)
        end = k.gather(1, at), v.gather(1, at), (seen + taken).clamp(max=past)
        return torch.where(valid, outputs, torch.zeros_like(outputs)), end

    def _by_head(self, x: Float[Tensor, "B T H"]) -> Float[Tensor, "B A T d"]:
        return torch.unflatten(x, -1, (self.heads, -1)).transpose(1, 2)

    def _turned(self, x: Float[Tensor, "B T H"], first: int) -> Float[Tensor, "B A T d"]:
        """Return R of each step's position, from `first` on, times its queries or keys."""
        x = self._by_head(x)
        size = x.shape[-1] // 2 * 2
        if self.positions == "none" or size == 0:
            return x
        # Half precision has no whole numbers above 256 to tell positions by.
        dtype = torch.promote_types(x.dtype, torch.float32)
        position = first + torch.arange(x.shape[-2], device=x.device, dtype=dtype)
        rates = BASE ** (-torch.arange(0, size, 2, device=x.device, dtype=dtype) / size)
        angle = position[:, None] * rates
        even, odd = x[..., 0:size:2], x[..., 1:size:2]
        cos, sin = torch.cos(angle), torch.sin(angle)
        turned = torch.stack([even * cos - odd * sin, even * sin + odd * cos], dim=-1).flatten(-2)
        return torch.cat([turned.to(x.dtype), x[..., size:]], dim=-1)

    def output_of(self, projected: Any, state: State) -> Tensor | None:
        return None  # the state has lost the oldest step that the output saw

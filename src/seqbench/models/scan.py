"""Linear recurrences, run in parallel over time.

    h(t) = a(t) ⊙ h(t−1) + b(t)

is linear in the state. Two consecutive steps make one step of the same form, with coefficients a₂ a₁ and
a₂ b₁ + b₂. All states therefore follow from combining pairs, with O(T) operations in O(log T) parallel steps
(Blelloch, 1990; Martin & Cundy, 2018).
"""

from __future__ import annotations

from abc import abstractmethod
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.models.unfold import Cell, State


class LinearCell(Cell):
    """A cell whose next state is linear in the state, with coefficients that depend on the input alone."""

    has_scan: ClassVar[bool] = True

    @abstractmethod
    def coefficients(self, projected: Tensor) -> tuple[Tensor, Tensor]:
        """Return a and b (*steps, N) from the projected input (*steps, G)."""

    def read(self, projected: Tensor, h: Tensor) -> Tensor:
        """Return the outputs (*steps, H) from the projected input and the states (*steps, N)."""
        return h

    def output_of(self, projected: Tensor | None, state: State) -> Tensor | None:
        return None if projected is None else self.read(projected, state[0])

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        (h,) = state
        a, b = self.coefficients(projected)
        h = a * h + b
        return self.read(projected, h), (h,)

    def scan(
        self, projected: Float[Tensor, "T B G"], state: State, valid: Tensor | None
    ) -> tuple[Tensor, State]:
        a, b = self.coefficients(projected)
        if valid is not None:  # after a row's last valid step its state does not change
            a, b = torch.where(valid, a, torch.ones_like(a)), torch.where(valid, b, torch.zeros_like(b))
        h = linear_scan(a, b, state[0])
        outputs = self.read(projected, h)
        if valid is not None:
            outputs = torch.where(valid, outputs, torch.zeros_like(outputs))
        return outputs, (h[-1],)


def linear_scan(a: Tensor, b: Tensor, h0: Tensor) -> Tensor:
    """Return every state of h(t) = a(t) h(t−1) + b(t).

    Args:
        a: (T, …), real or complex.
        b: (T, …), of the same shape.
        h0: (…), the state before the first step.

    Returns:
        The states (T, …).
    """
    first = a[:1] * h0 + b[:1]
    states: Tensor = _Scan.apply(a, torch.cat([first, b[1:]]))  # type: ignore[no-untyped-call]
    return states


class _Scan(torch.autograd.Function):
    """The scan from a zero state. Its gradient is a scan from the last step to the first."""

    generate_vmap_rule = True

    @staticmethod
    def forward(a: Tensor, b: Tensor) -> Tensor:
        return b.clone() if len(b) == 1 else _combine(a, b)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor], output: Tensor) -> None:
        ctx.save_for_backward(inputs[0], output)

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor]:
        a, h = ctx.saved_tensors
        # ∂L/∂h(t) is the gradient of output t plus a(t+1) ∂L/∂h(t+1).
        later = torch.cat([a[1:].conj(), torch.zeros_like(a[:1])])
        g: Tensor = _Scan.apply(later.flip(0), gradients[0].flip(0)).flip(0)  # type: ignore[no-untyped-call]
        before = torch.cat([torch.zeros_like(h[:1]), h[:-1]])
        return g * before.conj(), g


def _combine(a: Tensor, b: Tensor) -> Tensor:
    """Combine pairs of steps, scan those, and fill in the states between them."""
    steps = a.shape[0]
    if steps == 1:
        return b
    even = steps - steps % 2
    a1, a2, b1, b2 = a[0:even:2], a[1:even:2], b[0:even:2], b[1:even:2]
    odd = _combine(a2 * a1, _add_product(b2, a2, b1))  # the states at t = 1, 3, 5, …
    between = _add_product(b[2::2], a[2::2], odd[: (steps - 1) // 2])  # and at t = 2, 4, 6, …
    states = torch.stack([torch.cat([b[:1], between])[: even // 2], odd], dim=1).flatten(0, 1)
    return states if even == steps else torch.cat([states, between[-1:]])


def _add_product(b: Tensor, a: Tensor, h: Tensor) -> Tensor:
    """Return b + a h.

    A GPU's `addcmul` of complex numbers rounds one by its place in memory, so a seed by its company.
    """
    return b + a * h if b.is_complex() and b.is_cuda else torch.addcmul(b, a, h)

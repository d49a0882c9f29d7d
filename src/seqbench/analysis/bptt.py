"""Back-propagation through time, written out: equations [12] to [23] of the chapter."""

from __future__ import annotations

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F


@torch.no_grad()
def bptt(
    U: Float[Tensor, "H F"],
    W: Float[Tensor, "H H"],
    V: Float[Tensor, "O H"],
    b: Float[Tensor, " H"],
    c: Float[Tensor, " O"],
    inputs: Int[Tensor, "B T"] | Float[Tensor, "B T F"],
    targets: Int[Tensor, "B T"],
    lengths: Int[Tensor, " B"] | None = None,
    mean: bool = False,
) -> dict[str, Tensor]:
    """Return the gradients of the loss of the RNN of Fig. 10.3, with no automatic differentiation.

        h(0) ──W──▶ h(1) ──W──▶ h(2) ──W──▶ h(3)          a = b + W h(t−1) + U x(t), h = tanh a
                     │V          │V          │V            o = c + V h, ŷ = softmax o
                    o(1)        o(2)        o(3)
                     │           │           │             L(t) = −log ŷ(t) at y(t)
                    L(1)   +    L(2)   +    L(3)   = L     gradients go from right to left

    Time and memory grow linearly with τ, and no step can begin before the one to its right is done.

    The chapter prints [16] without Wᵀ; the book has it, and so has [15].

    Args:
        U: input to hidden.
        W: hidden to hidden.
        V: hidden to output.
        b: bias of the hidden units.
        c: bias of the outputs.
        inputs: tokens, which enter one-hot, or vectors.
        targets: y(t), the class at each step.
        lengths: τ of each row, its valid steps; None if all are.
        mean: whether L is the mean over all valid steps of all rows, or their sum, [9] to [11].

    Returns:
        The gradient of each weight under its letter; under `h` that of every h(t), (B, T, H), zero after τ.

    Source: Goodfellow, Bengio & Courville (2016), section 10.2.2.
    """
    x = F.one_hot(inputs, U.shape[1]).to(U.dtype) if inputs.ndim == 2 else inputs
    rows, steps = targets.shape
    tau = torch.full((rows,), steps, device=x.device) if lengths is None else lengths
    valid = torch.arange(steps, device=x.device) < tau[:, None]

    # Forward; everything stays in memory for the backward pass. h[t] is h(t); h[0] is the initial state.
    h = [x.new_zeros(rows, len(b))]
    for t in range(1, steps + 1):
        a = b + h[t - 1] @ W.T + x[:, t - 1] @ U.T  # [5]
        h.append(torch.tanh(a))  # [6]
    H = torch.stack(h, dim=1)
    y_hat = torch.softmax(c + H[:, 1:] @ V.T, dim=-1)  # [7], [8]

    # Outputs: all steps at once. A step after τ has no loss, so that each row's backward pass begins at its
    # own τ.
    dL_t = valid.to(U.dtype) / (valid.sum() if mean else 1)  # [12]
    grad_o = dL_t[..., None] * (y_hat - F.one_hot(targets, len(c)))  # [13]

    # Hidden states: from right to left.
    grad_h = [grad_o[:, -1] @ V]  # [14]
    for t in range(steps - 1, 0, -1):
        later = (1 - h[t + 1].square()) * grad_h[0]
        grad_h.insert(0, later @ W + grad_o[:, t - 1] @ V)  # [15], [16]
    G = torch.stack(grad_h, dim=1)

    # Parameters: sums over t and over rows.
    grad_a = (1 - H[:, 1:].square()) * G
    return {
        "c": grad_o.sum((0, 1)),  # [17]
        "b": grad_a.sum((0, 1)),  # [18]
        "V": torch.einsum("bto,bth->oh", grad_o, H[:, 1:]),  # [19]
        "W": torch.einsum("bti,btj->ij", grad_a, H[:, :-1]),  # [20], [21]
        "U": torch.einsum("bti,btf->if", grad_a, x),  # [22], [23]
        "h": G,
    }

"""Recurrences of matrices, run in chunks of steps.

Within a chunk of C steps all outputs follow from products of matrices (C, C); from chunk to chunk goes the
state alone. So T steps take T/C products of matrices, where step by step they take T updates of a state.

Shapes: T steps, B rows, A heads; q, k (T, B, A, K), v (T, B, A, V), numbers for a head (T, B, A, 1), states
(B, A, K, V). A step with k = 0, v = 0, β = 0, log α = 0 leaves the state as it is, and fills up the last
chunk.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.scan import linear_scan

#: Added to what divides.
EPSILON = 1e-6
#: How far the logarithms of weights in a chunk may lie apart for weights to be products of two, with e⁵ at
#: most: far within the range of half precision.
NEAR = 10.0


def decayed(
    q: Tensor, k: Tensor, v: Tensor, log_a: Tensor, state: Float[Tensor, "B A K V"], size: int
) -> tuple[Float[Tensor, "T B A V"], Float[Tensor, "B A K V"]]:
    """Return the outputs and the last state of a linear recurrence of matrices.

        S(t) = diag(α(t)) S(t−1) + k(t) v(t)ᵀ,   o(t) = S(t)ᵀ q(t)

    Args:
        q, k, v: of each step; where one α is for all rows, q and k may be one for all heads (T, B, 1, K).
        log_a: log α ≤ 0, one for each of the K rows of the state, or one for all (T, B, A, 1).
        state: before the first step.
        size: C.

    Source: Yang, Wang, Shen, Panda & Kim (2024), "Gated linear attention transformers with hardware-efficient
    training", equations 4 and 5; with one α for all rows Dao & Gu (2024), "Transformers are SSMs", section 6.
    Exponents are differences of sums from a later to an earlier step, and so never above 0.
    """
    steps = len(q)
    q, k, v, log_a = (_chunks(part, size) for part in (q, k, v, log_a))
    total = log_a.cumsum(-2)
    since, until = torch.exp(total), torch.exp(total[..., -1:, :] - total)
    # The factor of a head goes with v as with k, so that heads which share q and k have one product of these.
    one_for_all = total.shape[-1] == 1
    if one_for_all:
        scores, added = (q @ k.mT) * decays(total[..., 0]), k.mT @ (v * until)
    else:
        scores, added = _products(q, k, total, total), (k * until).mT @ v
    states = [state]
    for kept, new in zip(since[..., -1:, :].mT, added, strict=True):
        states.append(torch.addcmul(new, kept, states[-1]))
    before = torch.stack(states[:-1])
    seen = since * (q @ before) if one_for_all else (q * since) @ before
    return _steps(scores @ v + seen, steps), states[-1]


def delta(
    q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_a: Tensor, state: Float[Tensor, "B A K V"], size: int
) -> tuple[Float[Tensor, "T B A V"], Float[Tensor, "B A K V"]]:
    """Return the outputs and the last state of the gated delta rule.

        S(t) = α(t) S(t−1) + β(t) k(t) (v(t) − α(t) S(t−1)ᵀ k(t))ᵀ,   o(t) = S(t)ᵀ q(t)

    The values that are written, one for each step, depend on one another through a triangular matrix; solving
    for them makes the product of the matrices I − β k kᵀ one of low rank (the WY representation).

    Args:
        q, k, v: of each step.
        beta: β, one for each head.
        log_a: log α ≤ 0, one for each head.
        state: before the first step.
        size: C.

    Source: Yang, Kautz & Hatamizadeh (2025), "Gated delta networks", section 3.3; with α = 1 Yang, Wang,
    Zhang, Shen & Kim (2024), "Parallelizing linear transformers with the delta rule", section 3.
    """
    steps = len(q)
    q, k, v, beta, log_a = (_chunks(part, size) for part in (q, k, v, beta, log_a))
    total = log_a.cumsum(-2)
    weights, end = decays(total[..., 0]), total[..., -1:, :]
    depends = (beta * (k @ k.mT) * weights).tril(-1)
    wanted = torch.cat([beta * v, beta * torch.exp(total) * k], dim=-1)
    u, w = torch.split(_solved(depends, wanted), [v.shape[-1], k.shape[-1]], dim=-1)
    scores, seen = (q @ k.mT) * weights, q * torch.exp(total)
    kept, written = torch.exp(end), (k * torch.exp(end - total)).mT
    outputs = []
    for u_n, w_n, seen_n, scores_n, kept_n, written_n in zip(u, w, seen, scores, kept, written, strict=True):
        new = u_n - w_n @ state
        outputs.append(seen_n @ state + scores_n @ new)
        state = kept_n * state + written_n @ new
    return _steps(torch.stack(outputs), steps), state


def low_rank(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    a: Tensor,
    b: Tensor,
    log_w: Tensor,
    state: Float[Tensor, "B A K V"],
    size: int,
    largest_decay: float,
) -> tuple[Float[Tensor, "T B A V"], Float[Tensor, "B A K V"]]:
    """Return the outputs and the last state of a recurrence with matrices that are diagonal plus of rank 1.

        S(t) = (diag(w(t)) + b(t) a(t)ᵀ) S(t−1) + k(t) v(t)ᵀ,   o(t) = S(t)ᵀ q(t)

    The rows u(t) = S(t−1)ᵀ a(t), of which each depends on those before, are solved for as in `delta`.

    Args:
        q, k, v, a, b: of each step; a and b (T, B, A, K).
        log_w: log w ≤ 0, one for each of the K rows of the state.
        state: before the first step.
        size: C.
        largest_decay: what −log w is at most.
    """
    steps = len(q)
    near = size * largest_decay <= NEAR
    q, k, v, a, b, log_w = (_chunks(part, size) for part in (q, k, v, a, b, log_w))
    total = log_w.cumsum(-2)
    before, end = total - log_w, total[..., -1:, :]
    depends = -_products(a, b, before, total, -1, near)
    wanted = torch.cat([_products(a, k, before, total, -1, near) @ v, a * torch.exp(before)], dim=-1)
    own, seen = torch.split(_solved(depends, wanted), [v.shape[-1], a.shape[-1]], dim=-1)
    from_u = _products(q, b, total, total, near=near)
    from_v = _products(q, k, total, total, near=near) @ v
    read, kept = q * torch.exp(total), torch.exp(end).mT
    left, added = (b * torch.exp(end - total)).mT, (k * torch.exp(end - total)).mT @ v
    outputs = []
    for own_n, seen_n, read_n, from_u_n, from_v_n, kept_n, left_n, added_n in zip(
        own, seen, read, from_u, from_v, kept, left, added, strict=True
    ):
        u = own_n + seen_n @ state
        outputs.append(read_n @ state + from_u_n @ u + from_v_n)
        state = kept_n * state + left_n @ u + added_n
    return _steps(torch.stack(outputs), steps), state


def stabilised(
    q: Tensor,
    k: Tensor,
    v: Tensor,
    i: Tensor,
    log_f: Tensor,
    memory: tuple[Tensor, Tensor, Tensor],
    size: int,
) -> tuple[Float[Tensor, "T B A V"], tuple[Tensor, Tensor, Tensor]]:
    """Return the outputs and the last memory of a recurrence with exponential gates, as the mLSTM's.

        m(t) = max(log f(t) + m(t−1), i(t))                                      the largest exponent so far
        C(t) = exp(log f(t) + m(t−1) − m(t)) C(t−1) + exp(i(t) − m(t)) k(t) v(t)ᵀ
        n(t) = exp(log f(t) + m(t−1) − m(t)) n(t−1) + exp(i(t) − m(t)) k(t)
        o(t) = C(t)ᵀ q(t) / (max(|n(t) · q(t)|, exp(−m(t))) + ε)

    Here a step with i = −∞ leaves the memory as it is.

    Args:
        q, k, v: of each step.
        i, log_f: of each step and head (T, B, A, 1).
        memory: C (B, A, K, V), n (B, A, K) and m (B, A) before the first step.
        size: of a chunk.

    Source: Beck et al. (2024), "xLSTM: extended long short-term memory", appendix A.3.
    """
    steps = len(q)
    i = _chunks(i, size, fill=-torch.inf)
    q, k, v, log_f = (_chunks(part, size) for part in (q, k, v, log_f))
    C, n, m = memory[0], memory[1][..., None], memory[2][..., None, None]
    total = log_f.cumsum(-2)
    end = total[..., -1:, :]
    exponents = i + end - total  # with which a step's values are in the memory at the end of its chunk
    largest = [m]
    for last, most in zip(end, exponents.amax(-2, keepdim=True), strict=True):
        largest.append(torch.maximum(last + largest[-1], most))
    before, after = torch.stack(largest[:-1]), torch.stack(largest[1:])
    weighted = (k * torch.exp(exponents - after)).mT
    # n goes along as one more column of C.
    added = torch.cat([weighted @ v, weighted.sum(-1, keepdim=True)], dim=-1)
    start = torch.cat([C, n], dim=-1)
    states = linear_scan(torch.exp(end + before - after).expand_as(added), added, start)
    earlier = torch.cat([start[None], states[:-1]])

    logits = causal(total - total.mT + i.mT)
    m = torch.maximum(logits.amax(-1, keepdim=True), total + before)
    scores = (q @ k.mT) * torch.exp(logits - m)
    seen = torch.exp(total + before - m) * (q @ earlier)
    numerator = scores @ v + seen[..., :-1]
    denominator = (
        torch.maximum((scores.sum(-1, keepdim=True) + seen[..., -1:]).abs(), least_divisor(m)) + EPSILON
    )
    end_state = states[-1]
    return _steps(numerator / denominator, steps), (
        end_state[..., :-1],
        end_state[..., -1],
        after[-1][..., 0, 0],
    )


def least_divisor(m: Tensor) -> Tensor:
    """Return exp(−m), at most exp(80): where all gates are shut it would overflow, and have no gradient."""
    return torch.exp((-m).clamp(max=80.0))


def decays(total: Float[Tensor, "... C"]) -> Float[Tensor, "... C C"]:
    """Return exp(total(i) − total(j)) for j ≤ i, and zero elsewhere."""
    return torch.exp(causal(total[..., :, None] - total[..., None, :]))


def causal(exponents: Float[Tensor, "... C C"], diagonal: int = 0) -> Float[Tensor, "... C C"]:
    """Return exponents with −∞ at j > i + diagonal."""
    steps = exponents.shape[-2:]
    later = torch.ones(steps, dtype=torch.bool, device=exponents.device).triu(1 + diagonal)
    return exponents.masked_fill(later, -torch.inf)


def _products(
    x: Float[Tensor, "... C K"],
    y: Tensor,
    later: Tensor,
    earlier: Tensor,
    diagonal: int = 0,
    near: bool = False,
) -> Float[Tensor, "... C C"]:
    """Return Σ x(i) y(j) exp(later(i) − earlier(j)) over K for j ≤ i + diagonal, and zero elsewhere.

    Where logarithms are near each other it is a product of matrices, each with the weights from or to the
    middle of the chunk. Elsewhere one of the two would overflow.
    """
    if near:
        middle = earlier[..., earlier.shape[-2] // 2, None, :]
        return ((x * torch.exp(later - middle)) @ (y * torch.exp(middle - earlier)).mT).tril(diagonal)
    exponents = later.mT[..., :, None] - earlier.mT[..., None, :]  # (…, K, C, C)
    weights = torch.exp(causal(exponents, diagonal)).movedim(-3, -1)
    return (x[..., :, None, :] * y[..., None, :, :] * weights).sum(-1)


def _solved(depends: Float[Tensor, "... C C"], wanted: Float[Tensor, "... C D"]) -> Tensor:
    """Return x with x + depends x = wanted, `depends` below the diagonal; no solver has half precision."""
    dtype = torch.promote_types(torch.promote_types(depends.dtype, wanted.dtype), torch.float32)
    solved: Tensor = torch.linalg.solve_triangular(
        depends.to(dtype), wanted.to(dtype), upper=False, unitriangular=True
    )
    return solved.to(wanted.dtype)


def _chunks(part: Float[Tensor, "T B A D"], size: int, fill: float = 0.0) -> Float[Tensor, "N B A C D"]:
    """Cut steps into chunks; steps that change nothing fill the last."""
    missing = -len(part) % size
    padded = nn.functional.pad(part, (0, 0) * (part.ndim - 1) + (0, missing), value=fill)
    return torch.unflatten(padded, 0, (-1, size)).movedim(1, 3)


def _steps(part: Float[Tensor, "N B A C D"], steps: int) -> Float[Tensor, "T B A D"]:
    """Put chunks one after another."""
    return part.movedim(3, 1).flatten(0, 1)[:steps]

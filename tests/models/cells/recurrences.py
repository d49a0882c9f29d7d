"""The recurrences of cells with a matrix as their state, step by step in numpy."""

from __future__ import annotations

from typing import Any

import numpy as np

Array = np.ndarray[Any, Any]


def sigmoid(x: Array) -> Array:
    return 1 / (1 + np.exp(-x))


def silu(x: Array) -> Array:
    return x * sigmoid(x)


def softplus(x: Array) -> Array:
    return np.log1p(np.exp(x))


def norm(x: Array, epsilon: float = 1e-6) -> Array:
    return x / np.sqrt((x**2).mean(-1, keepdims=True) + epsilon)


def unit(x: Array, epsilon: float = 1e-6) -> Array:
    return x / np.sqrt((x**2).sum(-1, keepdims=True) + epsilon)


def convolved(u: Array, w: Array, b: Array | float = 0.0) -> Array:
    """The causal convolution over steps of inputs (T, C) with weights (K, C), zeros before the first step."""
    seen = np.concatenate([np.zeros((len(w) - 1, u.shape[1])), u])
    return np.stack([(w * seen[t : t + len(w)]).sum(0) + b for t in range(len(u))])


def decayed(q: Array, k: Array, v: Array, a: Array) -> Array:
    """S(t) = diag(α) S(t−1) + k vᵀ, o = Sᵀ q, of one head: q, k, α (T, K) and v (T, V)."""
    S, outputs = np.zeros((k.shape[1], v.shape[1])), []
    for t in range(len(q)):
        S = a[t][:, None] * S + np.outer(k[t], v[t])
        outputs.append(S.T @ q[t])
    return np.stack(outputs)


def delta(q: Array, k: Array, v: Array, beta: Array, a: Array) -> Array:
    """S(t) = α S(t−1) (I − β k kᵀ) + β v kᵀ with S transposed, o = S q, of one head, as printed."""
    S, outputs = np.zeros((v.shape[1], k.shape[1])), []
    for t in range(len(q)):
        S = S @ (a[t] * (np.eye(k.shape[1]) - beta[t] * np.outer(k[t], k[t]))) + beta[t] * np.outer(
            v[t], k[t]
        )
        outputs.append(S @ q[t])
    return np.stack(outputs)

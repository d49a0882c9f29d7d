"""What one would write in JAX: `jit` of `lax.scan`, alone and under `vmap`.

    a(t) = b + U x(t) + W h(t−1)          the products with U all at once, before the scan
    loss = mean (c + V h(T) − y)²

The gradient by `value_and_grad`, clipping to norm 1 and Adam are one compiled function, to which the weights
and the state of Adam are donated.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import jax
import jax.numpy as jnp
import torch
from jax import lax
from jax.nn import sigmoid
from torch import Tensor, nn

from .models import Data
from .step import OPTIMIZER

Weights = dict[str, jax.Array]
State = tuple[jax.Array, ...]


def rnn(p: Weights, a: jax.Array, state: State) -> State:
    """Return h(t) from b + U x(t) and h(t−1)."""
    (h,) = state
    return (jnp.tanh(a + h @ p["W"].T),)


def leaky_rnn(p: Weights, a: jax.Array, state: State) -> State:
    """Return μ(t) from b + U x(t) and μ(t−1)."""
    (mu,) = state
    return (p["alpha"] * mu + (1 - p["alpha"]) * jnp.tanh(a + mu @ p["W"].T),)


def gru(p: Weights, a: jax.Array, state: State) -> State:
    """Return h(t) from b + U x(t) and h(t−1), in torch's form."""
    (h,) = state
    Ux_r, Ux_u, Ux = jnp.split(a, 3, axis=-1)
    Wh_r, Wh_u, Wh = jnp.split(h @ p["W"].T, 3, axis=-1)
    u = sigmoid(Ux_u + Wh_u)
    return (u * h + (1 - u) * jnp.tanh(Ux + sigmoid(Ux_r + Wh_r) * (Wh + p["d"])),)


def lstm(p: Weights, a: jax.Array, state: State) -> State:
    """Return h(t) and s(t) from b + U x(t), h(t−1) and s(t−1)."""
    h, s = state
    a_g, a_f, a, a_q = jnp.split(a + h @ p["W"].T, 4, axis=-1)
    s = sigmoid(a_f) * s + sigmoid(a_g) * jnp.tanh(a)
    return jnp.tanh(s) * sigmoid(a_q), s


#: By the names of seqbench's presets.
CELLS: dict[str, Callable[[Weights, jax.Array, State], State]] = {
    cell.__name__: cell for cell in (rnn, leaky_rnn, gru, lstm)
}
#: Where a model of seqbench keeps the weights, and what is not trained.
TRAINED = {letter: f"body.layers.0.{letter}" for letter in ("U", "W", "b", "d")}
TRAINED |= {"V": "readout.weight", "c": "readout.bias"}
FIXED = {"alpha": "body.layers.0.fixed_alpha"}


def loss(cell: str, p: Weights, fixed: Weights, x: jax.Array, y: jax.Array) -> jax.Array:
    """Return the loss of one model on inputs (B, T, F) and targets (B, 1)."""
    projected = jnp.swapaxes(x, 0, 1) @ p["U"].T + p["b"]
    zeros = jnp.zeros((len(x), p["W"].shape[1]))
    state = (zeros, zeros) if cell == "lstm" else (zeros,)
    state, _ = lax.scan(lambda state, a: (CELLS[cell](p | fixed, a, state), None), state, projected)
    return jnp.mean((state[0] @ p["V"].T + p["c"] - y) ** 2)


def step(
    cell: str, p: Weights, moments: tuple[Weights, Weights], count: jax.Array, fixed: Weights, x: Any, y: Any
) -> Any:
    """Take a step; return the weights, Adam's moments, the number of steps, and the loss before."""
    before, g = jax.value_and_grad(partial(loss, cell))(p, fixed, x, y)
    norm = jnp.sqrt(sum(jnp.sum(part**2) for part in g.values()))
    scale = jnp.minimum(1, 1 / (norm + 1e-6))
    count = count + 1
    m = {name: 0.9 * old + 0.1 * scale * g[name] for name, old in moments[0].items()}
    v = {name: 0.999 * old + 0.001 * (scale * g[name]) ** 2 for name, old in moments[1].items()}
    m_scale, v_scale = 1 / (1 - 0.9**count), 1 / (1 - 0.999**count)
    p = {
        name: old - OPTIMIZER.lr * m[name] * m_scale / (jnp.sqrt(v[name] * v_scale) + 1e-8)
        for name, old in p.items()
    }
    return p, (m, v), count, before


class JaxTraining:
    """Trains K models in JAX that have the weights of models of seqbench at the start.

    Args:
        cell: the preset of the models.
        models: of seqbench; one, or several for a step under `vmap`.
        data: a batch for each model.
        like: one of the same sizes, whose compiled step is taken; None compiles one.

    Attributes:
        compile_seconds: what tracing and compiling the step took.
    """

    def __init__(
        self, cell: str, models: Sequence[nn.Module], data: Sequence[Data], like: JaxTraining | None = None
    ) -> None:
        several = len(models) > 1

        def array(tensors: list[Tensor]) -> jax.Array:
            values = torch.stack(tensors) if several else tensors[0]
            return jnp.array(values.detach().cpu().numpy(), copy=True)

        def arrays(names: dict[str, str]) -> Weights:
            tensors = [model.state_dict() for model in models]
            return {
                letter: array([one[name] for one in tensors])
                for letter, name in names.items()
                if name in tensors[0]
            }

        self.weights, fixed = arrays(TRAINED), arrays(FIXED)
        self.moments = jax.tree.map(jnp.zeros_like, (self.weights, self.weights))
        self.count = jnp.zeros(len(models) if several else ())
        self.given = fixed, array([d.arguments["inputs"] for d in data]), array([d.targets for d in data])
        function = jax.vmap(partial(step, cell)) if several else partial(step, cell)
        start = time.perf_counter()
        self.compiled = (
            jax.jit(function, donate_argnums=(0, 1, 2)).lower(*self._arguments()).compile()
            if like is None
            else like.compiled
        )
        self.compile_seconds = time.perf_counter() - start

    def _arguments(self) -> tuple[Any, ...]:
        return self.weights, self.moments, self.count, *self.given

    def step(self) -> jax.Array:
        """Take a step; return the loss of each model before it, for which nothing waits."""
        self.weights, self.moments, self.count, losses = self.compiled(*self._arguments())
        return losses

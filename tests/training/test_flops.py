"""Counted operations against those counted by hand."""

from __future__ import annotations

import pytest

from seqbench import build_model, build_task, compose
from seqbench.config.build import build_optimizer_config
from seqbench.training.flops import step_flops

#: Matrices of a cell from input and from state, side by side.
GATES = {"rnn": 1, "leaky_rnn": 1, "lstm": 4, "gru": 3}


def counted(*typed: str, engine: str = "loop") -> int:
    cfg = compose([*typed, f"model.engine={engine}"])
    task = build_task(cfg)
    return step_flops(build_model(cfg, task), task, build_optimizer_config(cfg), cfg.batch_size)


@pytest.mark.parametrize("model", GATES)
@pytest.mark.parametrize("length", [6, 20])
def test_a_cell_by_hand(model: str, length: int) -> None:
    n, batch = 12, 5
    found = counted(
        f"model={model}",
        "task=latch",
        f"task.length={length}",
        f"model.hidden_size={n}",
        f"batch_size={batch}",
    )
    gates = GATES[model]
    state, inputs, readout = length * gates * 2 * n * n, length * gates * 2 * n * 1, 2 * n * 2
    forward = state + inputs + readout
    # Backward each product is one for its weights and one for its input; none goes to the data or to the
    # initial state.
    to_data, to_initial = inputs, gates * 2 * n * n
    assert found == batch * (3 * forward - to_data - to_initial)


def test_it_grows_with_the_batch_as_the_products_do() -> None:
    typed = ("model=lstm", "task=copy_memory", "task.length=5", "model.hidden_size=7")
    assert counted(*typed, "batch_size=32") == 32 * counted(*typed, "batch_size=1")


def test_a_product_of_weights_alone_is_counted_once() -> None:
    """The solver of a Cayley transform has a product H · H · H backward, whatever the batch is."""
    n, typed = 12, ("model=orthogonal_rnn", "task=latch", "task.length=5", "model.hidden_size=12")
    one, two, many = (counted(*typed, f"batch_size={size}") for size in (1, 2, 32))
    assert many - one == 31 * (two - one) and one - (two - one) == 2 * n**3


def test_attention_is_counted_though_its_kernel_is_none_that_torch_counts() -> None:
    layers, batch, n = 2, 3, 8
    typed = ("model=transformer", "task=temporal_order", f"model.hidden_size={n}", f"batch_size={batch}")
    first, second, third = (counted(*typed, f"task.length={t}", engine="scan") for t in (10, 20, 30))
    # What grows with T and what is constant has no second difference. Two products of T · T · n in each layer
    # are computed forward, and two for each of them backward.
    assert first - 2 * second + third == 3 * batch * layers * 2 * 2 * n * (10**2 - 2 * 20**2 + 30**2)


@pytest.mark.parametrize("scale", [0.9, 1e-3])
def test_omega_by_hand_whether_gradients_vanish_or_not(scale: float) -> None:
    """At 1e-3 they are zero, in single precision, from some 15 steps before the end back to the start."""
    n, batch, length = 12, 5, 40
    typed = ("model=rnn", "task=latch", f"task.length={length}", f"model.hidden_size={n}")
    typed += (f"batch_size={batch}", f"model.cell.recurrent_init={scale}")
    more = counted(*typed, "optim=sgd_omega") - counted(*typed, "optim=sgd")
    matrix, inputs, readout = 2 * n * n, 2 * n, 2 * n * 2
    # δ takes one more pass back, through the readout and from each step but the first to the one before.
    delta = (length - 1) * matrix + readout
    # A term takes a step, W h + U x, and δ back through it, Wᵀ δ'. Of the latter the gradient goes to W and
    # to δ', which has the slope of the step in it; of the former to W.
    term = matrix + inputs + matrix + 3 * matrix
    assert more == batch * (delta + (length - 1) * term)

"""The regulariser Ω, which keeps the gradients of a recurrent network as long as they are."""

from __future__ import annotations

from collections.abc import Callable

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqbench.analysis.states import (
    cells,
    check_stack,
    differentiable,
    gradients,
    row_norms,
    stacked,
    trace,
)
from seqbench.models import Cell, SequenceModel, State


def loss_and_omega(
    model: SequenceModel,
    loss_fn: Callable[[Tensor], Tensor],
    inputs: Int[Tensor, "B T"] | Float[Tensor, "B T F"],
    lengths: Int[Tensor, " B"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return the loss E of a batch and Ω, with their graphs: `(loss + weight * omega).backward()` trains.

        Ω = Σ_t ( ‖ δ(t+1) ∂s(t+1)/∂s(t) ‖ / ‖ δ(t+1) ‖ − 1 )²,   δ(t) = ∂E/∂s(t)

        s(1) ──▶ s(2) ──▶ s(3) ──▶ E
             ◀──      ◀──      ◀──         each step back is to leave the gradient as long as it was

    The sum is over the steps t = 1 … τ−1 of a row and over layers; Ω is its mean over rows. Norms are over
    the whole state of a row in a layer. Where δ(t+1) is zero, as it is past a row's end, there is no term.

    What is differentiated is the step from s(t) to s(t+1) alone, the paper's immediate derivative: s(t),
    δ(t+1) and the step's input x(t+1) are constants. All steps go through the cell at once, so that Ω costs
    one more way back, for δ, and one step and its derivative over T·B rows.

    For tanh units it is not the paper's to the letter. Its states are the sums before the squashing,
    a(t+1) = W tanh a(t) + U x(t+1) + b, whose Jacobian W diag(1 − tanh² a(t)) has no parameter but W once
    a(t) is a constant. Here the state is h = tanh a, and in its Jacobian diag(1 − h(t+1)²) W there is
    h(t+1) = tanh(b + W h(t) + U x(t+1)), a function of all parameters: Ω has gradients in U and b too.

    Args:
        model: a stack of cells that `check_omega` lets pass.
        loss_fn: gives E of the model's outputs; its scale does not matter to Ω.
        inputs: tokens (B, T) or vectors (B, T, F).
        lengths: valid steps of each row; None where all are.

    Raises:
        ValueError: the model is no such stack.

    Source: Pascanu, Mikolov & Bengio (2013), "On the difficulty of training recurrent neural networks",
    section 3.3.
    """
    run = trace(model, inputs, lengths)
    loss = loss_fn(run.outputs)
    deltas = gradients(loss, run)
    per_layer = zip(cells(model), run.inputs, run.states, deltas, strict=True)
    terms = [_omega(cell, x, stacked(states), delta) for cell, x, states, delta in per_layer]
    return loss, torch.stack(terms).sum() / len(inputs)


def _omega(cell: Cell, x: Tensor, states: State, delta: State) -> Tensor:
    """Return the sum of a layer's terms, from its inputs, states and their gradients, all (T, B, …)."""
    steps, rows = x.shape[:2]
    length = row_norms(delta)[1:]
    counts = length > 0
    length = torch.where(counts, length, 1)
    start = tuple(differentiable(part[:-1].detach().flatten(0, 1)) for part in states)
    _, end = cell.step(cell.project(x[1:].detach()).flatten(0, 1), start)
    # Of length 1, so that nothing underflows.
    towards = [(part[1:] / _like(length, part)).flatten(0, 1) for part in delta]
    back = [part for part in _back(end, start, towards) if part is not None]
    ratio = row_norms(tuple(part.reshape(steps - 1, rows, *part.shape[1:]) for part in back))
    return torch.where(counts, (ratio - 1).square(), 0).sum()


def _like(length: Tensor, part: Tensor) -> Tensor:
    return length.view(*length.shape, *[1] * (part.ndim - 2))


def _back(end: State, start: State, towards: list[Tensor]) -> tuple[Tensor | None, ...]:
    """Return `towards` times the Jacobian of `end` in each part of `start`; None where there is none."""
    ends = [(part, t) for part, t in zip(end, towards, strict=True) if part.requires_grad]
    return torch.autograd.grad(
        [part for part, _ in ends],
        [part for part in start if part.requires_grad],
        [t for _, t in ends],
        create_graph=True,
        allow_unused=True,
    )


def check_omega(model: nn.Module) -> None:
    """Raise a ValueError where a model has no Ω: it is no stack of cells, or a step no derivative."""
    check_stack(model)
    assert isinstance(model, SequenceModel)
    like = next(model.readout.parameters())
    for cell in cells(model):
        start = tuple(differentiable(part) for part in cell.initial_state(1))
        _, end = cell.step(cell.project(like.new_zeros(1, cell.input_size)), start)
        if all(part is None for part in _back(end, start, [torch.ones_like(part) for part in end])):
            raise ValueError(
                f"A state of {type(cell).__name__} has no derivative in the one before, so there is no Ω."
            )

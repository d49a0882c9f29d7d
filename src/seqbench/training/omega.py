"""The regulariser Ω, which keeps the length of the gradients of a recurrent network from step to step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from seqbench.analysis.states import check_stack, differentiable, gradients, row_norms, trace
from seqbench.models import Cell, State
from seqbench.models.unfold.loop import stacked
from seqbench.models.unfold.valid import like


def loss_and_omega(
    model: nn.Module,
    loss_fn: Callable[[Tensor], Tensor],
    inputs: Int[Tensor, "B T"] | Float[Tensor, "B T F"],
    lengths: Int[Tensor, " B"] | None = None,
) -> tuple[Float[Tensor, ""], Float[Tensor, ""]]:
    """Return the loss E of a batch and Ω, with their graphs: `(loss + weight * omega).backward()` trains.

        Ω = Σ_t ( ‖ δ(t+1) ∂s(t+1)/∂s(t) ‖ / ‖ δ(t+1) ‖ − 1 )²,   δ(t) = ∂E/∂s(t)

        s(1) ──▶ s(2) ──▶ s(3) ──▶ E
             ◀──      ◀──      ◀──         each step back should leave the length of the gradient unchanged

    The sum is over the steps t = 1 … τ−1 of a row and over layers; Ω is its mean over rows. Norms are over
    the whole state of a row in a layer. Where δ(t+1) is zero, as after a row's end, there is no term.

    Only the step from s(t) to s(t+1) is differentiated, the paper's immediate derivative: s(t), δ(t+1) and
    the step's input x(t+1) are constants. All steps go through the cell at once, so that Ω costs one more
    backward pass, for δ, and one step and its derivative over T·B rows.

    For tanh units it differs from the paper in one point. The paper's states are the sums before the tanh,
    a(t+1) = W tanh a(t) + U x(t+1) + b, whose Jacobian W diag(1 − tanh² a(t)) has no parameter but W once
    a(t) is a constant. Here the state is h = tanh a. Its Jacobian diag(1 − h(t+1)²) W contains
    h(t+1) = tanh(b + W h(t) + U x(t+1)), a function of all parameters: Ω has gradients in U and b too.

    Args:
        model: a stack of cells that passes `check_omega`.
        loss_fn: computes E from the model's outputs; Ω does not depend on its scale.
        inputs: tokens (B, T) or vectors (B, T, F).
        lengths: valid steps of each row; None if all are.

    Raises:
        ValueError: the model is not such a stack.

    Source: Pascanu, Mikolov & Bengio (2013), "On the difficulty of training recurrent neural networks",
    section 3.3.
    """
    run = trace(model, inputs, lengths)
    loss = loss_fn(run.outputs)
    deltas = gradients(loss, run)
    per_layer = zip(cast(Any, model).body.cells, run.inputs, run.states, deltas, strict=True)
    terms = [_omega(cell, x, stacked(states), delta) for cell, x, states, delta in per_layer]
    return loss, torch.stack(terms).sum() / len(inputs)


def _omega(cell: Cell, x: Tensor, states: State, delta: State) -> Tensor:
    """Return the sum of a layer's terms, from its inputs, states and their gradients, all (T, B, …)."""
    steps, rows = x.shape[:2]
    length = row_norms(delta)[1:]
    counts = length > 0
    length = torch.where(counts, length, 1)
    start = tree_map(lambda part: differentiable(part[:-1].detach().flatten(0, 1)), states)
    projected = tree_map(lambda part: part.flatten(0, 1), cell.project(x[1:].detach()))
    _, end = cell.step(projected, start)
    # Scaled to length 1, so that nothing underflows.
    towards = [(part[1:] / like(length, part)).flatten(0, 1) for part in tree_leaves(delta)]
    back = [part for part in _back(end, start, towards) if part is not None]
    ratio = row_norms(tuple(part.reshape(steps - 1, rows, *part.shape[1:]) for part in back))
    return torch.where(counts, (ratio - 1).square(), 0).sum()


def _back(end: State, start: State, towards: list[Tensor]) -> tuple[Tensor | None, ...]:
    """Return `towards` times the Jacobian of `end` in each part of `start`; None if there is none."""
    ends = [(part, t) for part, t in zip(tree_leaves(end), towards, strict=True) if part.requires_grad]
    return torch.autograd.grad(
        [part for part, _ in ends],
        [part for part in tree_leaves(start) if part.requires_grad],
        [t for _, t in ends],
        create_graph=True,
        allow_unused=True,
    )


def check_omega(model: nn.Module) -> None:
    """Raise a ValueError if a model has no Ω: it is not a stack of cells, or a step has no derivative."""
    check_stack(model)
    stack: Any = model  # has what `Model.obstacle_to_stepping` says
    like = next(stack.readout.parameters())
    for cell in stack.body.cells:
        start = tree_map(differentiable, cell.initial_state(1))
        _, end = cell.step(cell.project(like.new_zeros(1, cell.input_size)), start)
        if all(
            part is None for part in _back(end, start, [torch.ones_like(part) for part in tree_leaves(end)])
        ):
            raise ValueError(
                f"A state of {type(cell).__name__} has no derivative in the one before, so there is no Ω."
            )

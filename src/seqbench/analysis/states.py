"""A model run step by step with every state kept, so that the gradient at each of them can be computed."""

from __future__ import annotations

from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from seqbench.models import Cell, Model, State
from seqbench.models.unfold import last_valid
from seqbench.models.unfold.loop import per_step, stacked
from seqbench.models.unfold.valid import like


class Trace(NamedTuple):
    """What the layers of a model computed.

    outputs: of the model, those that `model(inputs, lengths)` returns.
    inputs: for each layer its input, (T, B, F); of the first one tokens (T, B), if these are looked up.
    states: for each layer, its state after each of the T steps: the very tensors that the next step, and what
        reads the step's output, take in. After a row's end nothing depends on them.
    """

    outputs: Tensor
    inputs: list[Tensor]
    states: list[list[State]]


def check_stack(model: nn.Module) -> None:
    """Raise a ValueError if a model is not a stack of cells that carry a state from step to step."""
    if not isinstance(model, Model):
        raise ValueError(f"{type(model).__name__} has no recurrent layers to look into.")
    if (obstacle := model.obstacle_to_stepping()) is not None:
        raise ValueError(obstacle)
    for layer in cast(Any, model).body.layers:
        if not isinstance(layer, Cell):
            raise ValueError(
                f"The layer {type(layer).__name__} is not a Cell, whose steps can be taken one by one."
            )
        if not any(_is_real_or_complex(part) for part in tree_leaves(layer.initial_state(1))):
            raise ValueError(f"{type(layer).__name__} carries no state from step to step.")


def trace(
    model: nn.Module,
    inputs: Int[Tensor, "B T"] | Float[Tensor, "B T F"],
    lengths: Int[Tensor, " B"] | None = None,
) -> Trace:
    """Run a model as `model(inputs, lengths)` does, and keep every state.

    Args:
        model: a stack of cells, see `check_stack`.
        inputs: tokens (B, T) or vectors (B, T, F).
        lengths: valid steps of each row; None if all are.

    Raises:
        ValueError: the model is not such a stack.
    """
    check_stack(model)
    stack = cast(Any, model)  # has what `Model.obstacle_to_stepping` says
    x = stack.enter(inputs)
    valid = None if lengths is None else torch.arange(x.shape[1], device=x.device)[:, None] < lengths
    x, fed, states = x.transpose(0, 1), [], []
    for cell in stack.body.cells:
        fed.append(x)
        x, its = _run(cell, x, valid)
        states.append(its)
    h = x.transpose(0, 1)
    return Trace(stack.readout(h if stack.per_step else last_valid(h, lengths)), fed, states)


def _run(cell: Cell, x: Tensor, valid: Tensor | None) -> tuple[Tensor, list[State]]:
    """Return the outputs (T, B, H) of a cell, and its state after each step."""
    state = tree_map(differentiable, cell.initial_state(x.shape[1]))
    outputs: list[Tensor] = []
    states: list[State] = []
    for t, projected in enumerate(per_step(cell.project(x))):
        output, new = cell.step(projected, state)
        # A tensor of its own for every part of every state: one that several states share, or that another
        # part is computed from, would have the gradients of all these uses.
        own = tree_map(lambda part: part.view_as(part), new)
        output = _read(cell, projected, output, new, own)
        states.append(own)
        if valid is None:
            state = own
        else:  # after its end a row's state does not change, and its output is zero
            now = valid[t]
            state = tree_map(lambda n, old, now=now: torch.where(like(now, n), n, old), own, state)
            output = torch.where(like(now, output), output, torch.zeros_like(output))
        outputs.append(output)
    return torch.stack(outputs), states


def differentiable(part: Tensor) -> Tensor:
    """Return a part of a state for which a gradient can be computed, though no parameter made it."""
    if part.requires_grad or not _is_real_or_complex(part):
        return part
    return part.detach().requires_grad_()


def _is_real_or_complex(part: Tensor) -> bool:
    return part.is_floating_point() or part.is_complex()


def _read(cell: Cell, projected: Any, output: Tensor, new: State, own: State) -> Tensor:
    """Return the output of a step as a function of the state's own tensors, if it is one.

    An output that a cell computes beside its state belongs to what comes before the state, not after it.
    """
    if (computed := cell.output_of(projected, own)) is not None:
        return computed
    pairs = zip(tree_leaves(own), tree_leaves(new), strict=True)
    return next((mine for mine, part in pairs if part is output), output)


def gradients(loss: Float[Tensor, ""], run: Trace) -> list[State]:
    """Return, for each layer, the gradient ∂L/∂s(t) of each part of its state: (T, B, …), constants.

    The gradient of a layer includes all that follows from its state: later steps, the layers above, the
    readout. Parts of one state are independent of one another, as the arguments of the next step are. What
    the loss does not depend on has a gradient of zero. The graph of the loss is kept.
    """
    parts, structure = tree_flatten(run.states)
    asked = [part for part in parts if part.requires_grad]
    found = iter(
        torch.autograd.grad(loss, asked, retain_graph=True, allow_unused=True, materialize_grads=True)
    )
    every = [next(found) if part.requires_grad else torch.zeros_like(part) for part in parts]
    return [stacked(states) for states in tree_unflatten(every, structure)]


def row_norms(parts: State) -> Tensor:
    """Return the Euclidean norm (T, B) of all parts (T, B, …) of each row together.

    It is meant for gradients that have vanished: the squares of small numbers do not underflow.
    """
    leaves = tree_leaves(parts)
    real = [torch.view_as_real(part) if part.is_complex() else part for part in leaves]
    joined = torch.cat([part.flatten(2) for part in real if part.is_floating_point()], dim=-1)
    scale = joined.detach().abs().amax(-1)
    scale = torch.where(scale > 0, scale, 1)
    norms: Tensor = scale * torch.linalg.vector_norm(joined / scale[..., None], dim=-1)
    return norms

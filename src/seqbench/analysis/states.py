"""A model run with every state kept, so that the gradient at each of them can be computed."""

from __future__ import annotations

from functools import partial
from typing import Any, NamedTuple, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_leaves, tree_map, tree_unflatten

from seqbench.analysis.followed import differentiable, followed_step, is_real_or_complex
from seqbench.models import Cell, Model, State
from seqbench.models.unfold import Engine, Step, last_valid, unfold
from seqbench.models.unfold.loop import per_step, stacked
from seqbench.models.unfold.valid import like


class Trace(NamedTuple):
    """What the layers of a model computed.

    outputs: of the model, those that `model(inputs, lengths)` returns.
    inputs: for each layer its input, (T, B, F); of the first one tokens (T, B), if these are looked up.
    states: for each layer its state after each step, tensors (T, B, …). After a row's end they mean nothing.
    at: for each layer tensors at which the gradient is that at the states, in pieces of all steps, (T, B, …),
        or of one, (B, …): taps, see `Tapped`, or the very states that the next step, and what reads the
        step's output, take in.
    """

    outputs: Tensor
    inputs: list[Tensor]
    states: list[State]
    at: list[list[State]]


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
        if not any(is_real_or_complex(part) for part in tree_leaves(layer.initial_state(1))):
            raise ValueError(f"{type(layer).__name__} carries no state from step to step.")


def check_followed(
    model: nn.Module, outputs: Tensor, drawn_from: Tensor, inputs: Tensor, lengths: Tensor | None = None
) -> None:
    """Raise a ValueError if outputs that were computed step by step are not those of the model.

    A user's class may have a `forward` of its own, or cells whose steps all together are not the single ones.

    Args:
        model: in evaluation mode, in double precision.
        outputs: computed step by step.
        drawn_from: torch's generator as it was before that.
        inputs, lengths: of the model.
    """
    after = torch.get_rng_state()
    torch.set_rng_state(drawn_from)
    with torch.no_grad():
        wanted, _ = model(inputs, lengths)
    torch.set_rng_state(after)
    outputs = outputs.detach()
    if not torch.allclose(outputs, wanted, rtol=1e-4, atol=1e-6, equal_nan=True):
        raise ValueError(
            f"{type(model).__name__} puts out other numbers than its layers do step by step, by up to "
            f"{float((outputs - wanted).abs().max()):.2g}, so that what is computed from the steps would be "
            "that of another model."
        )


def trace(
    model: nn.Module,
    inputs: Int[Tensor, "B T"] | Float[Tensor, "B T F"],
    lengths: Int[Tensor, " B"] | None = None,
    engine: Engine = "loop",
) -> Trace:
    """Run a model as `model(inputs, lengths)` does, and keep every state.

    Args:
        model: a stack of cells, see `check_stack`.
        inputs: tokens (B, T) or vectors (B, T, F).
        lengths: valid steps of each row; None if all are.
        engine: takes the steps of cells that say how their output follows from their state: `auto`, which is
            faster where these can be compiled, or `loop`. Other cells have the loop.

    Raises:
        ValueError: the model is not such a stack, or a cell's steps are not to be followed.
    """
    check_stack(model)
    stack = cast(Any, model)  # has what `Model.obstacle_to_stepping` says
    x, fed, states, at = stack.enter(inputs), [], [], []
    for cell in stack.body.cells:
        fed.append(x.transpose(0, 1))
        x, its, pieces = _run(cell, fed[-1], lengths, engine)
        states.append(its)
        at.append(pieces)
    return Trace(stack.readout(x if stack.per_step else last_valid(x, lengths)), fed, states, at)


def _run(cell: Cell, x: Tensor, lengths: Tensor | None, engine: Engine) -> tuple[Tensor, State, list[State]]:
    """Return the outputs (B, T, H) of a cell, its states (T, B, …), and where to ask for their gradients."""
    steps, rows = x.shape[:2]
    state, projected = first_state(cell, rows), cell.project(x)
    if _says_output(cell, projected, state):
        taps = tree_map(lambda part: differentiable(part.new_zeros(steps, *part.shape)), state)
        given = tree_map(_swapped, (projected, taps))
        (outputs, states), _ = unfold(Tapped(cell), given, state, lengths=lengths, engine=engine)
        return outputs, tree_map(_swapped, states), [taps]
    valid = None if lengths is None else torch.arange(steps, device=x.device)[:, None] < lengths
    state = tree_map(differentiable, state)
    every, found = [], []
    for t, its in enumerate(per_step(projected)):
        output, own = followed_step(cell, its, state, check=t == 0)
        found.append(own)
        if valid is None:
            state = own
        else:  # after its end a row's state does not change, and its output is zero
            now = valid[t]
            state = tree_map(lambda n, old, now=now: torch.where(like(now, n), n, old), own, state)
            output = torch.where(like(now, output), output, torch.zeros_like(output))
        every.append(output)
    return torch.stack(every, dim=1), stacked(found), found


def _says_output(cell: Cell, projected: Any, state: State) -> bool:
    """Whether a cell says how its output follows from its state, of which any will do to ask it."""
    generator = torch.get_rng_state()
    output = cell.output_after(tree_map(lambda part: part[0], projected), state)
    torch.set_rng_state(generator)
    return output is not None


class Tapped(Cell):
    """A cell that adds a zero, a tap, to each number of its state before its output is computed from that.

    The gradient at a tap is that at the state, and a compiled cell has it as one of its inputs. The input is
    what `project` of the cell returns, with the taps; the output is that of the cell, with the state.

    Raises:
        ValueError: in a step, where it returns a state of another kind than the cell's initial one.
    """

    def __init__(self, cell: Cell) -> None:
        super().__init__(cell.input_size, cell.hidden_size)
        self.cell = cell

    @property
    def owner(self) -> nn.Module:
        return self.cell.owner

    def project(self, x: Any) -> Any:
        return x

    def step(self, projected: Any, state: State) -> tuple[Any, State]:
        return self._step(self.cell.step, projected, state)

    def stepper(self) -> Step:
        return partial(self._step, self.cell.stepper())

    def _step(self, step: Step, given: Any, state: State) -> tuple[Any, State]:
        projected, taps = given
        _, new = step(projected, state)
        try:
            new = tree_map(_tapped, new, taps)
        except ValueError:
            raise ValueError(
                f"{type(self.cell).__name__}.step returns a state of another kind or shape than "
                "initial_state; let both return the same, as a tuple of tensors (B, H)."
            ) from None
        return (self.cell.output_after(projected, new), new), new

    def initial_state(self, batch_size: int) -> State:
        return self.cell.initial_state(batch_size)


def _tapped(part: Tensor, tap: Tensor) -> Tensor:
    if part.shape != tap.shape:
        raise ValueError(f"{tuple(part.shape)} is not {tuple(tap.shape)}")
    return part + (tap if tap.dtype == part.dtype else tap.to(part.dtype))  # half precision under autocast


def _swapped(part: Tensor) -> Tensor:
    return part.transpose(0, 1)


def first_state(cell: Cell, rows: int) -> State:
    """Return the state before the first step of a cell.

    Raises:
        ValueError: its precision does not follow that of the weights.
    """
    state = cell.initial_state(rows)
    floats = [part for part in tree_leaves(state) if part.is_floating_point()]
    for weight in (weight for weight in cell.parameters() if weight.is_floating_point()):
        for part in floats:
            if torch.promote_types(part.dtype, weight.dtype) != part.dtype:
                raise ValueError(
                    f"{type(cell).__name__}.initial_state returns {part.dtype} where weights are "
                    f"{weight.dtype}; make it of a weight, as self.W.new_zeros(…)."
                )
    return state


def gradients(loss: Float[Tensor, ""], run: Trace) -> list[State]:
    """Return, for each layer, the gradient ∂L/∂s(t) of each part of its state: (T, B, …), constants.

    The gradient of a layer includes all that follows from its state: later steps, the layers above, the
    readout. Parts of one state are independent of one another, as the arguments of the next step are. What
    the loss does not depend on has a gradient of zero. The graph of the loss is kept.
    """
    parts, structure = tree_flatten(run.at)
    asked = [part for part in parts if part.requires_grad]
    found = iter(
        torch.autograd.grad(loss, asked, retain_graph=True, allow_unused=True, materialize_grads=True)
    )
    every = [next(found) if part.requires_grad else torch.zeros_like(part) for part in parts]
    return [
        tree_map(_joined, states, *pieces)
        for states, pieces in zip(run.states, tree_unflatten(every, structure), strict=True)
    ]


def _joined(part: Tensor, *pieces: Tensor) -> Tensor:
    """Return the gradient at a part of the states, (T, B, …), from those of all steps or of each step."""
    whole = [piece if piece.ndim == part.ndim else piece[None] for piece in pieces]
    return torch.cat(whole).to(part.dtype)


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

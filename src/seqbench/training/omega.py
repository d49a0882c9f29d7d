"""The regulariser Ω, which keeps the length of the gradients of a recurrent network from step to step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from seqbench.analysis.followed import differentiable
from seqbench.analysis.states import check_stack, gradients, row_norms, trace
from seqbench.models import Cell, State
from seqbench.models.model import recurrent_matrices
from seqbench.models.unfold import Engine
from seqbench.models.unfold.valid import like


class Omega:
    """Ω of a model, with its gradient, summed up over the parts of a batch.

        Ω = mean over t of ( ‖ δ(t+1) ∂s(t+1)/∂s(t) ‖ / ‖ δ(t+1) ‖ − 1 )²,   δ(t) = ∂E/∂s(t)

        s(1) ──▶ s(2) ──▶ s(3) ──▶ E
             ◀──      ◀──      ◀──         each step back should leave the length of the gradient unchanged

    The mean is over all steps t = 1 … τ−1 of all rows of a batch that have a term: where δ(t+1) is zero, as
    after a row's end, there is none. So a weight means the same at every length. With several layers Ω is the
    sum of theirs. Norms are over the whole state of a row in a layer. Ω does not depend on the scale of E.

    What is differentiated is the step from s(t) to s(t+1) alone, in the recurrent matrices alone: the
    parameters that `Cell.recurrent_matrices` is made of. All else is a constant: s(t), δ(t+1), the step's
    input x(t+1), and the other parameters. All steps go through the cell at once, so that Ω costs one more
    backward pass, for δ, and one step and its derivative over T·B rows; the kernel of a compiled cell has δ.

    Differences from the paper, for tanh units:

    - It sums over steps. The authors' code takes the mean over the steps that count, as here; it also squares
      the ratio of the norms, and a step counts in it from ‖δ(t+1)‖² = 1e-20 on.
    - Its states are the sums before the tanh, a(t+1) = W tanh a(t) + U x(t+1) + b, with the Jacobian
      W diag(1 − tanh² a(t)). Here the state is h = tanh a, with the Jacobian diag(1 − h(t+1)²) W. The first
      slope is a constant once a(t) is one; h(t+1) = tanh(b + W h(t) + U x(t+1)) depends on W, and so the
      gradient here has one more term.

    Args:
        model: a stack of cells that passes `check_omega`.
        every_step: the steps without a term are computed too, as a term 1 without a gradient, so that how
            much there is to compute follows from the lengths of the rows alone; to count operations.

    Attributes:
        sums: (L,), for each layer the sum of its terms so far.
        counts: (L,), how many terms these are.

    Source: Pascanu, Mikolov & Bengio (2013), "On the difficulty of training recurrent neural networks",
    section 3.3.
    """

    def __init__(self, model: nn.Module, every_step: bool = False) -> None:
        self.model = model
        self.every_step = every_step
        body = cast(Any, model).body
        self.cells: list[Cell] = body.cells
        # No other engine takes the steps of a cell with taps.
        self._engine: Engine = "auto" if body.engine in ("auto", "fused") else "loop"
        weight = next(model.parameters())
        dtype = torch.promote_types(weight.dtype, torch.float32)  # half precision is too coarse
        self.sums = weight.new_zeros(len(self.cells), dtype=dtype)
        self.counts = weight.new_zeros(len(self.cells), dtype=torch.int64)
        self._parameters = [recurrent_parameters(cell) for cell in self.cells]
        self._gradients = [[torch.zeros_like(p) for p in its] for its in self._parameters]

    def loss(
        self,
        loss_fn: Callable[[Tensor], Tensor],
        inputs: Int[Tensor, "B T"] | Float[Tensor, "B T F"],
        lengths: Int[Tensor, " B"] | None = None,
    ) -> Float[Tensor, ""]:
        """Return the loss E of a part of a batch, with its graph, and take in the part's terms of Ω.

        Args:
            loss_fn: computes E from the model's outputs.
            inputs: tokens (B, T) or vectors (B, T, F).
            lengths: valid steps of each row; None if all are.
        """
        run = trace(self.model, inputs, lengths, self._engine)
        loss = loss_fn(run.outputs)
        deltas = gradients(loss, run)
        for i, cell in enumerate(self.cells):
            norms = row_norms(deltas[i])[1:]
            if self.every_step:
                norms = _none_zero(norms, lengths)
            terms = _terms(cell, run.inputs[i], run.states[i], deltas[i], norms.flatten())
            if terms is None:
                continue
            total = terms.sum()
            self.sums[i] += total.detach()
            self.counts[i] += len(terms)
            found = torch.autograd.grad(total, self._parameters[i], allow_unused=True, materialize_grads=True)
            for gradient, its in zip(self._gradients[i], found, strict=True):
                gradient += its
        return loss

    def value(self) -> Float[Tensor, ""]:
        """Return Ω of what was taken in."""
        return (self.sums / self.counts.clamp_min(1)).sum()

    def add_gradients(self, weight: float, counts: Int[Tensor, " L"]) -> None:
        """Add `weight` times the gradient of Ω to those of the parameters.

        Args:
            weight: of Ω in what is minimised.
            counts: the terms of each layer in the whole batch, of which other processes may have a share.
        """
        for parameters, its, count in zip(self._parameters, self._gradients, counts, strict=True):
            for parameter, gradient in zip(parameters, its, strict=True):
                gradient = weight * gradient / count.clamp_min(1)
                if parameter.grad is None:
                    parameter.grad = gradient
                else:
                    parameter.grad += gradient


def recurrent_parameters(cell: Cell) -> list[nn.Parameter]:
    """Return the trained parameters that a cell's recurrent matrices are made of."""
    parameters = [parameter for parameter in cell.parameters() if parameter.requires_grad]
    matrices = [matrix for matrix in recurrent_matrices(cell).values() if matrix.requires_grad]
    if not matrices:
        return []
    ones = [torch.ones_like(matrix) for matrix in matrices]
    found = torch.autograd.grad(matrices, parameters, ones, allow_unused=True)
    return [parameter for parameter, used in zip(parameters, found, strict=True) if used is not None]


def _none_zero(norms: Tensor, lengths: Tensor | None) -> Tensor:
    """Return the norms of δ(2) … δ(τ), (T − 1, B), with 1 for what is zero before a row's end."""
    steps = torch.arange(1, len(norms) + 1, device=norms.device)[:, None]
    valid = torch.ones_like(norms, dtype=torch.bool) if lengths is None else steps < lengths
    return torch.where(valid & ~(norms > 0), 1, norms)


def _terms(
    cell: Cell, x: Tensor, states: State, delta: State, norms: Float[Tensor, " N"]
) -> Float[Tensor, " M"] | None:
    """Return the terms of a layer, with their graph, from its inputs, states and their gradients, (T, B, …).

    A step without a term, as after a row's end, is left out: a derivative there need not be finite. None if
    there is no term.

    Args:
        norms: ‖δ(t)‖ after the first step, N = (T − 1) · B of them.
    """
    at = (norms > 0).nonzero()[:, 0]
    if not len(at):
        return None

    def before(part: Tensor) -> Tensor:
        return part[:-1].detach().flatten(0, 1)[at]

    def after(part: Tensor) -> Tensor:
        return part[1:].detach().flatten(0, 1)[at]

    start = tree_map(lambda part: differentiable(before(part)), states)
    _, end = cell.step(cell.project(after(x)), start)
    # Scaled to length 1, so that nothing underflows.
    towards = [after(part) / like(norms[at], part[0]) for part in tree_leaves(delta)]
    back = [part[None] for part in _back(end, start, towards) if part is not None]
    ratio: Tensor = row_norms(tuple(back))[0]
    return (ratio - 1).square()


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
    """Raise a ValueError if a model has no Ω: it is no stack of cells with recurrent matrices that train."""
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
        if not recurrent_parameters(cell):
            raise ValueError(
                f"{type(cell).__name__} trains no recurrent matrix, and Ω has a gradient in these alone."
            )

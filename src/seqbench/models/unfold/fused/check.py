"""A user's kernel, held against the loop before it is used."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from functools import partial
from itertools import chain
from typing import Any, ClassVar

import torch
from torch import Tensor
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves, tree_map

from seqbench.models.unfold.cell import Cell, State
from seqbench.models.unfold.fused.function import Kernel
from seqbench.models.unfold.fused.held import generators_kept, held_by
from seqbench.models.unfold.fused.nodes import NotCoveredError
from seqbench.models.unfold.fused.run import run_fused
from seqbench.models.unfold.loop import loop
from seqbench.models.unfold.watching import Operations, graph_nodes

#: Rows and steps that are compared.
ROWS, STEPS = 3, 5
#: Steps of which `project` is called with one, and with all at once.
PROJECTED = 1000
#: Of the losses whose gradients are compared.
SIZES = (1.0, 1e6, 1e-6)


def check_against_loop(cell: Cell, made: Kernel, x: Any, state: State) -> None:
    """Raise a NotCoveredError if a kernel does not do what the cell's loop does, gradients included.

    A trace sees what is computed, and not what a step does about gradients (a function with its own
    backward pass, a part without gradients, a hook), what it counts from step to step, nor what `project`
    does with all steps at once. Some of that is asked for by itself. For the rest a small batch of random
    numbers, with random weights, tells; where these give no finite numbers (as below a root or in a
    logarithm), positive ones. Gradients are those of a large and of a small loss too: some clip them.

    Args:
        cell: which stays as it is; no generator moves.
        made: its kernel.
        x: an input of the cell, for its sizes and types.
        state: likewise.
    """
    draw = torch.Generator().manual_seed(0)

    def random(part: Tensor, *lead: int) -> Tensor:
        size = (*lead, *part.shape[len(lead) :])
        if part.dtype == torch.bool:
            return torch.rand(size, generator=draw) < 0.5
        return torch.randn(size, dtype=part.dtype, generator=draw)

    with torch.inference_mode(False), torch.enable_grad(), torch.random.fork_rng(devices=()):
        for sign in (torch.clone, torch.abs):
            given = tree_map(lambda part, sign=sign: sign(random(part, ROWS, STEPS)), x)
            first = tree_map(lambda part, sign=sign: sign(random(part, ROWS)), state)
            own = copy.deepcopy(cell)
            with torch.no_grad():
                for weight in own.parameters():
                    weight.add_(sign(random(weight)), alpha=0.3)
            ours, theirs = (_pass(own, made, given, first, fused) for fused in (True, False))
            if all(part.isfinite().all() for part in theirs):
                break
        else:
            raise NotCoveredError("numbers or gradients that are not finite in a trial with random weights")
        _takes_steps_by_themselves(own, tree_map(lambda part: random(part, PROJECTED, 1), x))
    precision = 1e-3 if ours[0].dtype == torch.float32 else 1e-9
    for a, b in zip(ours, theirs, strict=True):
        size = precision * (1 + float(b.abs().max()))
        if not torch.allclose(a, b, rtol=precision, atol=size):
            raise NotCoveredError("numbers or gradients that are not those of its steps")


def _pass(cell: Cell, made: Kernel, x: Any, state: State, fused: bool) -> list[Tensor]:
    """Return outputs, last states, and the gradients of all that has one, of losses of several sizes."""
    cell = copy.deepcopy(cell)
    x, state = (tree_map(_leaf, tree) for tree in (x, state))
    if fused:
        outputs, end = run_fused(made, cell, x, state, None, False)
    else:
        turned = tree_map(lambda part: part.transpose(0, 1), x)
        step = partial(_leaving_nothing, cell, "step")
        # That gradients are off the trial would find only if it made a difference for its numbers.
        with Operations() as operations, _Hooks() as hooks:
            outputs, end = loop(step, _leaving_nothing(cell, "project", turned), state, None)
        _has_no_backward_of_its_own((outputs, end))
        if operations.without_gradients:
            raise NotCoveredError("a step that computes without gradients")
        if hooks.called:
            raise NotCoveredError("a step that registers hooks of gradients")
        outputs = tree_map(lambda part: part.transpose(0, 1), outputs)
    found = [part for part in (*tree_leaves(outputs), *tree_leaves(end)) if part.is_floating_point()]
    every = (*tree_leaves(x), *tree_leaves(state), *cell.parameters())
    leaves = [part for part in every if part.requires_grad]
    weights = (torch.linspace(-1, 2, part.numel(), dtype=part.dtype).view(part.shape) for part in found)
    loss = sum(((part * w).sum() for part, w in zip(found, weights, strict=True)), torch.zeros(()))
    if loss.requires_grad:
        for size in SIZES:
            gradients = torch.autograd.grad(
                loss * size, leaves, retain_graph=True, allow_unused=True, materialize_grads=True
            )
            found += [part / size for part in gradients]
    return [part.detach() for part in found]


def what_forbids_pieces(cell: Cell, x: Any, state: State) -> str | None:
    """Return why the steps of a cell cannot be taken twice, or in pieces, in a phrase; None if they can.

    A step or `project` may change the cell, and `project` may do something with all steps at once.

    Args:
        cell: which stays as it is; no generator moves.
        x: an input of one step, tensors (1, B, …).
        state: before it, tensors (B, …).
    """
    return _refused(cell, x, state)[0]


def what_forbids_sharing(cell: Cell, x: Any, state: State) -> str | None:
    """Return why devices cannot share the rows of a batch, in a phrase; None if they can.

    A step or `project` may change the cell, of which each device has its own, or draw random numbers, which
    would be the same ones for the rows of each device. The arguments are those of `what_forbids_pieces`.
    """
    why, draws = _refused(cell, x, state)
    return why or ("a step or a project that draws random numbers" if draws else None)


def _refused(cell: Cell, x: Any, state: State) -> tuple[str | None, bool]:
    """Return what `what_forbids_pieces` does, and whether a step draws random numbers."""
    with torch.random.fork_rng(devices=()), generators_kept(), Operations() as operations:
        try:
            own = copy.deepcopy(cell)
            many = tree_map(lambda part: torch.ones(PROJECTED, *part.shape[1:], dtype=part.dtype), x)
            many = tree_map(lambda part: part.cumsum(0).sin(), many)
            few = tree_map(lambda part: part[:STEPS], many)
            loop(partial(_leaving_nothing, own, "step"), _leaving_nothing(own, "project", few), state, None)
            if not operations.draws:  # else no two calls give the same
                _takes_steps_by_themselves(own, many)
        except NotCoveredError as error:
            return str(error), operations.draws
        except Exception:  # whatever a step raises; it will raise it where a user sees it
            return None, operations.draws
    return None, operations.draws


def _leaving_nothing(cell: Cell, method: str, *args: Any) -> Any:
    """Call `step` or `project` of a cell; one that changes the cell, as to count, no kernel may stand for."""
    before, tensors = held_by(cell), {name: part.clone() for name, part in _tensors(cell)}
    found = getattr(cell, method)(*args)
    after, now = held_by(cell), dict(_tensors(cell))
    if tensors.keys() != now.keys() or not all(
        torch.equal(now[name], part) for name, part in tensors.items()
    ):
        raise NotCoveredError(f"a {method} that changes a tensor of the cell")
    if changed := sorted(name for name in before.keys() | after if before.get(name, cell) != after.get(name)):
        raise NotCoveredError(f"a {method} that changes {changed[0]}")
    return found


def _tensors(cell: Cell) -> Iterator[tuple[str, Tensor]]:
    return chain(cell.named_parameters(), cell.named_buffers())


def _takes_steps_by_themselves(cell: Cell, x: Any) -> None:
    """Raise a NotCoveredError where `project` gives a step other numbers among many steps, (T, B, …)."""
    with torch.no_grad():
        together = tree_leaves(cell.project(x))
        alone = [
            tree_leaves(cell.project(tree_map(lambda part, t=t: part[t : t + 1], x)))
            for t in range(PROJECTED)
        ]
    for i, part in enumerate(together):
        if not torch.allclose(part, torch.cat([parts[i] for parts in alone]), 1e-3, 1e-3, equal_nan=True):
            raise NotCoveredError("a project that does not take each step by itself")


class _Hooks(TorchFunctionMode):
    """Watches whether hooks of gradients are registered: they may act on few numbers alone."""

    #: What registers them.
    METHODS: ClassVar[set[Any]] = {Tensor.register_hook, Tensor.register_post_accumulate_grad_hook}

    def __init__(self) -> None:
        super().__init__()
        self.called = False

    def __torch_function__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        self.called |= func in self.METHODS
        return func(*args, **(kwargs or {}))


def _has_no_backward_of_its_own(values: Any) -> None:
    """Raise a NotCoveredError where a function has a backward pass of its own.

    It may give another gradient for few numbers alone, as where they are clipped, which no trial finds.
    """
    for node in graph_nodes(values):
        if isinstance(node, torch.autograd.function.BackwardCFunction):
            raise NotCoveredError(f"a function with a backward pass of its own, {type(node).__name__}")


def _leaf(part: Tensor) -> Tensor:
    part = part.clone()
    return part.requires_grad_() if part.is_floating_point() else part

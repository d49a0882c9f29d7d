"""The state that a learner carries from one optimisation step to the next, through streams.

It belongs to the run, as the optimiser's state does: each seed has its own, the processes that share a batch
have the rows of their shares, and a checkpoint holds it whole.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor
from torch.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

from seqbench.tasks.base import Task
from seqbench.tasks.batch import Batch
from seqbench.training.parts import Part
from seqbench.training.seed_stack import WIDTH
from seqbench.training.updates import Update, detached

#: The state of one seed: the leaves (B, …) of its pytree, for the whole batch.
Leaves = list[Tensor]


class CarriedState:
    """The carried state of the seeds of a pass.

    Args:
        update: what takes the steps, and keeps the state of this process's parts of a batch.
        task: whose streams these are.
    """

    def __init__(self, update: Update, task: Task) -> None:
        self.update = update
        self.task = task
        update.streams = task.streams
        self._lead = update.models.lead
        self._rows = 0
        self._loaded: Leaves = []

    def before_step(self, batch: Batch, step: int) -> None:
        """Begin anew at an epoch's first step; elsewhere go on, after a stop from what was loaded."""
        self._rows = batch.inputs.shape[self._lead]
        if step % (self.task.epoch_steps(self._rows) or 1) == 0:
            self._loaded, self.update.carried = [], []
        elif self._loaded:
            self.update.carried = [self._of_part(part, at) for part, at in self._parts(batch)]
            self._loaded = []

    def states(self) -> list[Leaves]:
        """Return the state of each seed as if it were alone; empty where the next step begins anew.

        All processes that share the batches must call it together.
        """
        models = len(self.update.models.models)
        if self._loaded:
            whole = self._loaded
        elif self.update.carried:
            whole = self._gathered()
        else:
            return [[] for _ in range(models)]
        if not self._lead:
            return [whole]
        return [[leaf[k].clone() for leaf in whole] for k in range(models)]

    def load(self, states: Sequence[Leaves]) -> None:
        """Go on from the states of all seeds, which `states` returned."""
        if not self._lead:
            self._loaded = [*states[0]]
        else:
            filled = [*states, *[states[-1]] * (WIDTH - len(states))]
            self._loaded = [torch.stack(leaves) for leaves in zip(*filled, strict=True)]

    def _parts(self, batch: Batch) -> list[tuple[Part, int]]:
        """Return the parts that this process takes of a batch, each with its first row."""
        processes, found = self.update.processes, self.update.parts(batch)
        at, placed = self._rows * processes.rank // processes.count, []
        for part in found:
            placed.append((part, at))
            at += part.batch.inputs.shape[self._lead]
        return placed

    def _of_part(self, part: Part, at: int) -> Any:
        """Return the loaded state of a part of the batch, in the structure that a step of the model makes."""
        one = part.batch.time_slice(0, 1, per_step=True, dim=self._lead + 1)
        with torch.no_grad(), torch.random.fork_rng():
            like = self.update.models.apply(lambda outputs, state, mine: state, one)
        leaves, structure = tree_flatten(like)
        size = part.batch.inputs.shape[self._lead]
        mine = [
            whole.narrow(self._lead, at, size).to(leaf.device, leaf.dtype, copy=True)
            for whole, leaf in zip(self._loaded, leaves, strict=True)
        ]
        return detached(tree_unflatten(mine, structure))

    def _gathered(self) -> Leaves:
        """Return the leaves of the state for all rows of the batch, of all processes."""
        parts = [tree_leaves(state) for state in self.update.carried]
        mine = [torch.cat(leaves, dim=self._lead) for leaves in zip(*parts, strict=True)]
        processes = self.update.processes
        if processes.count == 1:
            return [leaf.clone() for leaf in mine]
        at = self._rows * processes.rank // processes.count
        whole = []
        for leaf in mine:
            real = torch.view_as_real(leaf) if leaf.is_complex() else leaf
            full = real.new_zeros(self._rows, *real.shape[1:])
            full[at : at + len(real)] = real
            full = processes.sum(full)
            whole.append(torch.view_as_complex(full) if leaf.is_complex() else full)
        return whole

"""A batch of sequences: what tasks make, training passes on, and models read."""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import NamedTuple

import torch
from jaxtyping import Bool, Int
from torch import Tensor

#: The extra that training adds: (B, T), true where a model with output feedback receives the true previous
#: output, false where it receives its own (teacher forcing, Fig. 10.6). Without it all are true.
TEACHER_MASK = "teacher_mask"
#: The extra that training adds for a model with dropout: (B, T, D), true for what is kept.
DROPOUT_MASK = "dropout_mask"
#: The extra of a batch whose targets are of some steps alone: (B, K), which these are.
COUNTED_STEPS = "counted_steps"


class Batch(NamedTuple):
    """The sequences of one batch, padded on the right to a common length T. A pytree of tensors.

    inputs: tokens (B, T) of int64, or vectors (B, T, F) of float32.
    targets: one per step, (B, T) or (B, T, F), or one per sequence, (B,) or (B, F), as the task's spec says.
    mask: (B, T), true where a step's target counts; None if all count. Only for targets at every step.
    lengths: (B,), the number of valid steps of each row; None if all are valid.
    extras: further tensors (B, …) by name. The task family that defines a name documents it, and a model
        receives it if its `forward` has a parameter of that name.

    The batches of models that share a pass are stacked, with one more dimension: (W, B, …).
    """

    inputs: Tensor
    targets: Tensor
    mask: Bool[Tensor, "B T"] | None = None
    lengths: Int[Tensor, " B"] | None = None
    extras: dict[str, Tensor] = {}  # noqa: RUF012 - a named tuple's default; nothing writes into it

    def arguments(self, names: Collection[str]) -> dict[str, Tensor]:
        """Return the parts of these names, for a function whose parameters they are; None is left out."""
        parts = {"inputs": self.inputs, "targets": self.targets, "mask": self.mask, "lengths": self.lengths}
        return {
            name: part for name, part in (parts | self.extras).items() if name in names and part is not None
        }

    def with_extras(self, **extras: Tensor) -> Batch:
        """Return the batch with further extras."""
        return self._replace(extras=self.extras | extras)

    def map(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with a function applied to every tensor."""
        return Batch(
            function(self.inputs),
            function(self.targets),
            None if self.mask is None else function(self.mask),
            None if self.lengths is None else function(self.lengths),
            {name: function(part) for name, part in self.extras.items()},
        )

    def rows(self, start: int, stop: int) -> Batch:
        """Return rows `start` to `stop`."""
        return self.map(lambda part: part[start:stop])

    def select(self, rows: Int[Tensor, " rows"]) -> Batch:
        """Return the rows of these numbers, in this order."""
        return self.map(lambda part: torch.index_select(part, 0, rows))

    def split(self, size: int) -> list[Batch]:
        """Return the batch in parts of `size` rows; the last may be smaller."""
        return [self.rows(i, i + size) for i in range(0, len(self.inputs), size)]

    def at_counted(self, most: int) -> Batch:
        """Return the targets of the first `most` steps that count in each row, and these as `counted_steps`.

        A row of fewer has others beside them, which do not count: shapes do not depend on the data.
        """
        assert self.mask is not None
        steps = (~self.mask).to(torch.uint8).argsort(dim=1, stable=True)[:, :most]
        places = steps if self.targets.ndim == 2 else steps[..., None]
        return self._replace(
            targets=torch.take_along_dim(self.targets, places, 1),
            mask=self.mask.gather(1, steps),
            extras=self.extras | {COUNTED_STEPS: steps},
        )

    def time_slice(self, start: int, stop: int, per_step: bool, dim: int = 1) -> Batch:
        """Return steps `start` to `stop`. Of the extras those that training adds are cut.

        Args:
            start: first step.
            stop: the step after the last.
            per_step: whether there is a target at every step, and not one per sequence.
            dim: the dimension of the steps; 2 for stacked models.
        """

        def cut(part: Tensor) -> Tensor:
            return part.narrow(dim, start, stop - start)

        added = {name: cut(self.extras[name]) for name in (TEACHER_MASK, DROPOUT_MASK) if name in self.extras}
        return self._replace(
            inputs=cut(self.inputs),
            targets=cut(self.targets) if per_step else self.targets,
            mask=None if self.mask is None else cut(self.mask),
            lengths=None if self.lengths is None else (self.lengths - start).clamp(0, stop - start),
            extras=self.extras | added,
        )

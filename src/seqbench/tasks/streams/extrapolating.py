"""What tasks of learning at short lengths and being tested at longer ones share."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Int
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.streams.fresh import SyntheticTask


class ExtrapolationTask(SyntheticTask):
    """A task that is trained, and validated, at all lengths up to `length`, and tested at exact ones.

    So do Delétang et al. (2023), at lengths of 1 to 40 and of 41 to 500; in theirs all of a batch has one
    length, drawn for it, and here each row has one of its own. They call a task solved at a mean accuracy of
    90 % over the longer lengths, which the test shows. Training ends by the lengths it knows, where hardly an
    error is left: what the test shows then is extrapolation, and not an error that was there before.
    """

    solved_when = "99.9 % of the targets right at training lengths (no mark is published for these)"

    #: The shortest length, of which all lengths are multiples.
    unit: int = 1

    def __init__(self, *, length: int, eval_lengths: Sequence[int] | None, eval_size: int) -> None:
        super().__init__(length=length, eval_lengths=eval_lengths, eval_size=eval_size, min_length=self.unit)

    @abstractmethod
    def draw(self, generator: torch.Generator, lengths: Int[Tensor, " B"], longest: int) -> Batch:
        """Draw one sequence of each length, padded as those of `longest` need."""

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        batch = self.draw(generator, torch.full((batch_size,), length), length)
        return batch._replace(lengths=None)

    def sample_training(self, generator: torch.Generator, batch_size: int) -> Batch:
        units = torch.randint(1, self.length // self.unit + 1, (batch_size,), generator=generator)
        return self.draw(generator, units * self.unit, self.length)

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.999

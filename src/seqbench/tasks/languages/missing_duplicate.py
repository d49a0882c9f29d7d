"""Missing duplicate: find the symbol that is missing in one of two copies of a string."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.extrapolating import ExtrapolationTask

#: The token of the bit that is missing.
MISSING = 2


class MissingDuplicate(ExtrapolationTask):
    """Give, after a string of bits that is read twice, the one bit that was missing.

        input  0 1 1 0 0 ? 1 0      target 1, after the last step

    Any bit of either copy is missing, equally likely. A context-sensitive task of Delétang et al. (2023). In
    their code a string of odd length has a further token at its end, and one of a single token stands for
    nothing; odd lengths are left out here. Theirs (mean accuracy at lengths of 41 to 500, best of ten seeds,
    from memory): RNN 52.3, stack RNN 55.2, tape RNN 100, transformer 56.4, LSTM 54.3.

    Args:
        length: the most steps of a training sequence; they have 2, 4, …, T, equally likely.
        eval_lengths: lengths to test at; all sequences of a test have its length.
        eval_size: sequences to evaluate on.
    """

    variant = "bits"
    unit = 2
    inputs = Tokens(3)
    targets = Classes(2, per_step=False)

    def __init__(
        self, length: int = 40, eval_lengths: Sequence[int] | None = None, eval_size: int = 1000
    ) -> None:
        super().__init__(length, eval_lengths, eval_size)
        self.check_even("there are two copies")

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return "01?", "01"

    def draw(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Batch:
        bits = torch.randint(2, (len(lengths), longest // 2), generator=generator)
        n, t = lengths[:, None], torch.arange(longest)
        text = bits.gather(1, t % (n // 2)) * (t < n)
        place = (torch.rand(len(lengths), 1, generator=generator, dtype=torch.float64) * n).long()
        return Batch(text.scatter(1, place, MISSING), text.gather(1, place)[:, 0], lengths=lengths)

    def baseline_loss(self, length: int) -> float:
        """Return log 2."""
        return math.log(2)

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 0.5}

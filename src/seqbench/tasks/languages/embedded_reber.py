"""The embedded Reber grammar: predict each next symbol; the second last repeats the second."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.languages.reber import OVER, WRONG, ReberTask, draw, grammar


class EmbeddedReber(ReberTask):
    """Predict each next symbol of a string: a string of the inner grammar between two equal symbols.

        inner   0 ─B─▶ 1 ─T─▶ 2 ─X─▶ 4 ─S─▶ 6 ─E─▶       and 2 ─S─▶ 2, 4 ─X─▶ 3
                       1 ─P─▶ 3 ─V─▶ 5 ─V─▶ 6                3 ─T─▶ 3, 5 ─P─▶ 4
        whole   B T inner T E, or B P inner P E

        input   B T B P V V E T        the inner string is BPVVE
        target  T B P V V E T E        the T after it follows from the second symbol only

    Where two symbols are legal, each has the chance ½ (Hochreiter & Schmidhuber, 1997, experiment 1; from
    Fahlman, 1991). They train on 256 strings and test on 256 others. Here strings are drawn afresh, so that
    short strings, which are likely, occur in training, validation and test alike.

    The measures are those of `ReberTask`.

    Args:
        length: the most steps T of a sequence. A sequence of n steps is a string of n + 1 symbols, 12 on
            average; strings longer than T + 1 are drawn again.
        eval_lengths: lengths to test at; each is a maximum too.
        eval_size: sequences to evaluate on.
    """

    solved_when = (
        "every step of every string right (Hochreiter & Schmidhuber, 1997; from memory: it could not be read "
        "in the paper)"
    )
    variant = "embedded"

    def __init__(
        self, length: int = 40, eval_lengths: Sequence[int] | None = None, eval_size: int = 1000
    ) -> None:
        super().__init__(length, eval_lengths, eval_size, min_length=8)
        self.table = grammar(after=OVER)

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        text, states = draw(generator, self.table, self._chances(length), batch_size)
        valid = states[:, :-1] != OVER
        return Batch(text[:, :-1] * valid, text[:, 1:] * valid, mask=valid, lengths=valid.sum(1))

    def _chances(self, length: int) -> Tensor:
        """Return the chance of each symbol in each state (T + 1, S, K), given that the string ends in time.

        It is proportional to the symbol's chance in the grammar times the chance to end in time after it. So
        strings are as likely as if longer ones were drawn again.
        """
        edges = (self.table != WRONG).double()
        edges /= edges.sum(1, keepdim=True).clamp_min(1)
        in_time = torch.zeros(len(self.table), dtype=torch.float64)
        in_time[OVER] = 1.0
        chances = []
        for _ in range(length + 1):  # from the last symbol to the first
            chances.append(edges * in_time[self.table])
            in_time = chances[-1].sum(1)
        return torch.stack(chances[::-1])

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] == 1

"""The continual embedded Reber grammar: an endless stream of strings without a reset between them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.languages.reber import START, WRONG, ReberTask, draw, follow, grammar
from seqbench.tasks.metrics import Measures


class ContinualReber(ReberTask):
    """Predict each next symbol of a stream of strings of the embedded Reber grammar, with no reset.

        input   B T B P V V E T E B P B T X S E P E B …
        target  T B P V V E T E B P B T X S E P E B T …
                            ▲                 ▲
                    the T of this string, the P of this one, not of earlier ones

    The task that motivated the forget gate (Gers, Schmidhuber & Cummins, 2000): a cell that only accumulates
    carries the remains of all earlier strings along. Their streams end at the first error or after 100,000
    symbols; here a stream ends at T, and longer `eval_lengths` show drift.

    The measures are those of `ReberTask`. The effect of forget gates shows in `long`: `accuracy` is high even
    without a long memory, which matters at one step of twelve.

    In closed loop the most likely symbol is the next input. `closed_legal` is the share of generated symbols
    that are legal after the true and the generated symbols before them; all symbols after an illegal one
    count as wrong.

    Args:
        length: steps T. A stream begins with a string and is cut off after T + 1 symbols.
        eval_lengths: lengths to test at.
        eval_size: streams to evaluate on.
    """

    solved_when = (
        "99.9 % of the steps right (after the good solutions of Gers et al., 2000: more than 1,000 symbols "
        "before an error, in the mean of ten streams)"
    )
    horizon = 20
    variant = "continual"

    def __init__(
        self, length: int = 100, eval_lengths: Sequence[int] | None = None, eval_size: int = 1000
    ) -> None:
        # A model reads at least the shortest string before the loop is closed.
        super().__init__(length, eval_lengths, eval_size, min_length=self.horizon + 10)
        self.table = grammar(after=START)

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        text, _ = draw(generator, self.table, self._chances(length), batch_size)
        return Batch(text[:, :-1], text[:, 1:])

    def _chances(self, length: int) -> Tensor:
        """Return the weight of each symbol in each state (T + 1, S, K): the same for all that are legal."""
        return (self.table != WRONG).double().expand(length + 1, -1, -1)

    def measure_closed(self, outputs: Tensor, batch: Batch) -> Measures:
        table = self.table.to(batch.inputs.device)
        true = batch.inputs[:, : batch.inputs.shape[1] - self.horizon + 1]
        before = follow(table, true, torch.full_like(true[:, 0], START))[:, -1]
        # No symbol leads out of the state WRONG.
        legal = follow(table, outputs[:, -self.horizon :].argmax(-1), before) != WRONG
        values = legal.to(outputs.dtype)
        return {"closed_legal": (values, torch.ones_like(values))}

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.999

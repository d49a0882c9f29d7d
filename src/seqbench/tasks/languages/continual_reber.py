"""The continual embedded Reber grammar: strings without end, and no sign but symbols where one ends."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.languages.reber import START, SYMBOLS, WRONG, ReberTask, draw, entropy, follow, grammar
from seqbench.tasks.metrics import Measures
from seqbench.tasks.specs import Classes, Tokens


class ContinualReber(ReberTask):
    """Predict each next symbol of a stream of strings of the embedded Reber grammar, with no reset.

        input   B T B P V V E T E B P B T X S E P E B …
        target  T B P V V E T E B P B T X S E P E B T …
                            ▲                 ▲
                    the T of this string, the P of this one, not of those before

    The task that brought the forget gate (Gers, Schmidhuber & Cummins, 2000): a cell that only adds up goes
    from string to string with what is left of all those before. There a stream ends at the first error or
    after 100,000 symbols; here at T, and longer `eval_lengths` show what drifts.

    The measures are those of `ReberTask`. It is `long` that shows what forget gates do: `accuracy` is high
    without a long memory too, as it is of use at one step of twelve.

    In closed loop the likeliest symbol is the next input. `closed_legal` is the share of the symbols so made
    that are allowed after the true ones and those made before; what follows one that is not counts as wrong.

    Args:
        length: steps T. A stream begins with a string, and is cut off after T + 1 symbols.
        eval_lengths: lengths to test at.
        eval_size: streams to evaluate on.
    """

    solved_when = (
        "99.9 % of the steps right (good solutions of Gers et al., 2000, go on for more than 1,000 symbols "
        "without an error)"
    )
    horizon = 20

    def __init__(
        self, length: int = 100, eval_lengths: Sequence[int] | None = None, eval_size: int = 1000
    ) -> None:
        super().__init__(
            length=length,
            eval_lengths=eval_lengths,
            eval_size=eval_size,
            min_length=self.horizon + 10,  # before the loop is closed a model sees the shortest string
        )
        self.variant = "continual"
        self.table = grammar(after=START)
        self.inputs = Tokens(len(SYMBOLS))
        self.targets = Classes(len(SYMBOLS), per_step=True)

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        text, _ = draw(generator, self.table, self._chances(length), batch_size)
        return Batch(text[:, :-1], text[:, 1:])

    def _chances(self, length: int) -> Tensor:
        """Return weights of each symbol in each state, alike for all that are allowed, (T + 1, S, K)."""
        return (self.table != WRONG).double().expand(length + 1, -1, -1)

    def baseline_loss(self, length: int) -> float:
        """Return the mean entropy of a step's symbol, where all that is known is the time."""
        return entropy(self.table, self._chances(length))

    def measure_closed(self, outputs: Tensor, batch: Batch) -> Measures:
        table = self.table.to(batch.inputs.device)
        true = batch.inputs[:, : batch.inputs.shape[1] - self.horizon + 1]
        before = follow(table, true, torch.full_like(true[:, 0], START))[:, -1]
        # What is wrong once stays so: nothing leads out of that state.
        legal = follow(table, outputs[:, -self.horizon :].argmax(-1), before) != WRONG
        values = legal.to(outputs.dtype)
        return {"closed_legal": (values, torch.ones_like(values))}

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.999

"""Multi-query associative recall: output the values of keys that occur again."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Literal

import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.fresh import SyntheticTask
from seqbench.tasks.synthetic.associative_recall import distinct

#: The token of an empty step.
BLANK = 0


class MQAR(SyntheticTask):
    """Output, where a key occurs again as a query, the value that first followed it.

        input    2 8 4 7 _ _ 4 _ _ _ 2 _        keys 1, …, 5 and values 6, …, 11 of a vocabulary of 12
        target   . . . . . . 7 . . . 8 .        two pairs; _ is the token 0, and . does not count

    Multi-query associative recall of Arora et al. (2024, "Zoology"). The keys of a sequence are different
    tokens of the first half of the vocabulary, the values different tokens of the second half. The pairs come
    first; then each key occurs once more, 2 g steps after the last pair. The gaps g = 0, 1, … of a sequence
    are drawn without replacement, with chances in proportion to (g + 1)^(a − 1). So most are small, as in
    language, where most repetitions follow soon. Their lengths of 64, 128, 256 and 512 have 4, 8, 16 and 64
    pairs.

    Variants:
        blank: all other steps are blank (their Figure 2).
        random: all other steps hold random tokens of the whole vocabulary, keys and values included (an
            option of their generator). A key of the sequence among them is no query, and does not count.

    Args:
        length: steps T, an even number.
        pairs: pairs of a key and a value. Each takes two steps, and two more for its query.
        eval_lengths: lengths to test at, all with as many pairs: the span grows and the memory load does not.
        eval_size: sequences to evaluate on.
        vocabulary: the number of tokens. Models read one of them at every step, and output one at each query.
        power: the exponent a of the gaps, in (0, 1]; at 1 all gaps are equally likely.
        variant: see above.
    """

    solved_when = "99 % of the queries right (where Arora et al., 2024, stop training)"

    def __init__(
        self,
        length: int = 64,
        pairs: int = 4,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        vocabulary: int = 8192,
        power: float = 0.01,
        variant: Literal["blank", "random"] = "blank",
    ) -> None:
        super().__init__(length, eval_lengths, eval_size, min_length=4)
        if variant not in ("blank", "random"):
            raise ConfigError(f"task.variant={variant} is unknown; there are blank and random.")
        if not 0 < power <= 1:
            raise ConfigError(f"task.power={power} is not a power of the gaps; give a number in (0, 1].")
        self.check_even("queries are two steps apart")
        shortest = min(length, *self.eval_lengths)
        if not 1 <= pairs <= shortest // 4:
            typed = f"length={length}" if shortest == length else f"eval_lengths={[*self.eval_lengths]}"
            raise ConfigError(
                f"task.pairs={pairs} do not fit into the {shortest} steps of task.{typed}, four for each; "
                f"give 1 to {shortest // 4}."
            )
        if pairs >= vocabulary // 2:
            raise ConfigError(
                f"task.vocabulary={vocabulary} has too few keys for task.pairs={pairs}; "
                f"give at least {2 * pairs + 2}."
            )
        self.variant = variant
        self.pairs = self.counted = pairs
        self.vocabulary = vocabulary
        self.power = power
        self.inputs = Tokens(vocabulary)
        self.targets = Classes(vocabulary, per_step=True)

    @property
    def span(self) -> Span:
        """The length: a query follows directly after the last value, or up to the end after the first."""
        return Span("length", 4 * self.pairs, lambda length: (1, length - 3), unit=2)

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        first_value = self.vocabulary // 2
        keys = 1 + distinct(generator, batch_size, self.pairs, first_value - 1)
        values = first_value + distinct(generator, batch_size, self.pairs, self.vocabulary - first_value)
        context = 2 * self.pairs
        chances = torch.arange(1, (length - context) // 2 + 1).float() ** (self.power - 1)
        gaps = torch.multinomial(chances.expand(batch_size, -1), self.pairs, generator=generator)
        queries = context + 2 * gaps
        if self.variant == "random":
            inputs = torch.randint(self.vocabulary, (batch_size, length), generator=generator)
        else:
            inputs = torch.full((batch_size, length), BLANK)
        inputs[:, :context] = torch.stack([keys, values], dim=2).flatten(1)
        inputs.scatter_(1, queries, keys)
        targets = torch.zeros(batch_size, length, dtype=torch.int64).scatter_(1, queries, values)
        mask = torch.zeros(batch_size, length, dtype=torch.bool).scatter_(1, queries, True)
        return Batch(inputs, targets, mask=mask)

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        inputs, targets = super().token_names()
        return ["_", *inputs[1:]], targets

    def baseline_loss(self, length: int) -> float:
        """Return the logarithm of the number of values, which are equally likely."""
        return math.log(self.vocabulary - self.vocabulary // 2)

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 1 / (self.vocabulary - self.vocabulary // 2)}

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.99

"""Dynamic N-grams: predict the bits of a source that differs from sequence to sequence."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, Metric
from seqbench.tasks.specs import Bits, Vectors
from seqbench.tasks.streams.fresh import SyntheticTask

#: The number of bits that the next one depends on, and the number of contexts that they form.
ORDER = 5
CONTEXTS = 2**ORDER


class DynamicNgrams(SyntheticTask):
    """Predict each next bit. Its chance depends on the five bits before it and on a table of the sequence.

        input   0 1 1 0 1 0 1 1 0 1
        target  1 1 0 1 0 1 1 0 1 0
        P(1)    ½ ½ ½ ½ ½ ½ ½ ½ ½ ¼      of the optimal estimator: 01101 occurred before, followed by a 0

    Each sequence has a table of its own: for each of the 32 contexts of five bits, the chance of a 1, from
    Beta(½, ½). The optimal estimator counts the bits after each context: P(1) = (N₁ + ½) / (N₁ + N₀ + 1).
    The first five bits are fair. They count as well, at a cost of one bit each, so that `bits` is the cost of
    a whole sequence. Section 4.4 of Graves, Wayne & Danihelka (2014), with 200 bits.

    `bits` is the code length of the targets of a sequence, `optimal_bits` that of the optimal estimator on
    the same sequences, and `excess_bits` the difference.

    Args:
        length: steps T; a sequence has T + 1 bits.
        eval_lengths: steps of the sequences to test at.
        eval_size: sequences to evaluate on.
    """

    metric = "excess_bits"
    extra_metrics = (Metric("optimal_bits", "min", "bits", 0.0), Metric("excess_bits", "min", "bits"))
    solved_when = (
        "under 0.01 bits a step more than the optimal estimator (no mark is published; the Neural Turing "
        "Machine of Graves et al., 2014, comes close to the optimum without reaching it)"
    )
    variant = f"{ORDER + 1}-grams"
    inputs = Vectors(1)
    targets = Bits(1, per_step=True)

    def __init__(
        self, length: int = 200, eval_lengths: Sequence[int] | None = None, eval_size: int = 1000
    ) -> None:
        # A shorter sequence cannot repeat a context.
        super().__init__(length, eval_lengths, eval_size, min_length=ORDER + 1)

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        uniform = torch.rand(batch_size, CONTEXTS, generator=generator)
        table = (uniform * (math.pi / 2)).sin().square()  # Beta(½, ½) is the arcsine distribution
        coins = torch.rand(batch_size, length + 1, generator=generator)
        first = (coins[:, :ORDER] < 0.5).long()
        bits, (context,) = list(first.unbind(1)), contexts(first).unbind(1)
        for coin in coins[:, ORDER:].unbind(1):
            bits.append((coin < table.gather(1, context[:, None])[:, 0]).long())
            context = (2 * context + bits[-1]) % CONTEXTS
        text = torch.stack(bits, dim=1)[..., None].float()
        return Batch(text[:, :-1], text[:, 1:])

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        bits, weights = measures["bits"]
        optimal = -torch.log2(optimal_estimates(batch)).sum(1)
        return {**measures, "optimal_bits": (optimal, weights), "excess_bits": (bits - optimal, weights)}

    def baseline_loss(self, length: int) -> float:
        """Return log 2: Beta(½, ½) is symmetric, so that both bits are equally likely."""
        return math.log(2)

    def chance(self, length: int) -> dict[str, float]:
        optimal = -torch.log2(optimal_estimates(self.test(length)).double()).sum(1).mean().item()
        return {
            "bits": length,
            "bit_errors": length / 2,
            "optimal_bits": optimal,  # of this test set
            "excess_bits": length - optimal,
        }

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["excess_bits"] < 0.01 * self.length


def contexts(bits: Tensor) -> Int[Tensor, "B N"]:
    """Return the number of the context that ends at each bit, from the fifth bit on."""
    powers = 2 ** torch.arange(ORDER - 1, -1, -1, device=bits.device)
    return (bits.long().unfold(1, ORDER, 1) * powers).sum(-1)


def optimal_estimates(batch: Batch) -> Float[Tensor, "B T"]:
    """Return the chance that the optimal estimator gives to each target, from the bits up to its step."""
    inputs, targets = batch.inputs[..., 0], batch.targets[..., 0].float()
    here = contexts(inputs)[..., None] == torch.arange(CONTEXTS, device=inputs.device)
    followed = targets[:, ORDER - 1 :, None]

    def before(counted: Tensor) -> Tensor:
        """Count the occurrences in the context of each step at earlier steps."""
        return ((counted.cumsum(1) - counted) * here).sum(-1)

    ones, zeros = before(here * followed), before(here * (1 - followed))
    of_one = F.pad((ones + 0.5) / (ones + zeros + 1), (ORDER - 1, 0), value=0.5)
    return of_one.where(targets == 1, 1 - of_one)

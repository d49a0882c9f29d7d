"""Sort tokens: say a sequence of random tokens in their order."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from scipy.special import betainc, entr
from torch import Tensor

from seqbench.tasks.translation.base import Reordering


class SortTokens(Reordering):
    """Say a sequence of random tokens from the smallest to the largest, and then that it is done.

        input    3 0 7 7 1
        target   0 1 3 7 7 8       of 8 symbols, 0 to 7; 8 is the end

    Where a token of the answer stands in the input hangs on all others. No such order is given with the
    tokens: it has to be learnt. How often each symbol comes is all there is to keep, so that a context of one
    vector can hold a sequence of any length.

    Args:
        length: the most tokens of a training sequence; a batch has 1 to so many, equally likely.
        eval_lengths: tokens of the sequences to test at.
        eval_size: sequences to evaluate on.
        alphabet: symbols there are, from 0 on; in the answer the next number is the end.
    """

    def answer(self, tokens: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        return tokens.sort(1).values

    def baseline_loss(self, length: int) -> float:
        """Return the mean entropy of what each step says: an order statistic of n tokens, or the end.

        The j-th smallest is below v where j or more of the n are, each with probability v/k. How likely that
        is, a regularised incomplete beta function tells.
        """
        place = np.arange(1, length + 1)[:, None]
        below = betainc(place, length + 1 - place, np.arange(self.alphabet + 1) / self.alphabet)
        return float(entr(np.diff(below)).sum()) / (length + 1)

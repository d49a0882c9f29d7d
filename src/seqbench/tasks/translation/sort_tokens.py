"""Sort tokens: output a sequence of random tokens in ascending order."""

from __future__ import annotations

import numpy as np
from jaxtyping import Int
from numpy.typing import NDArray
from scipy.special import betainc, entr, gammaln
from torch import Tensor

from seqbench.tasks.translation.base import Reordering


class SortTokens(Reordering):
    """Output a sequence of random tokens from the smallest to the largest, and then the end token.

        input    3 0 7 7 1
        target   0 1 3 7 7 8       of 8 symbols, 0 to 7; 8 is the end

    The place of a token in the target depends on all others. The order of the symbols is not given: it has to
    be learnt. The counts of the symbols are sufficient, so that a context of one vector can represent a
    sequence of any length.

    Args:
        length: the most tokens of a training sequence; a batch has 1 to `length`, equally likely.
        eval_lengths: tokens of the sequences to test at.
        eval_size: sequences to evaluate on.
        alphabet: the number of symbols, which are 0, 1, …; in the target the next number is the end.
    """

    def answer(self, tokens: Int[Tensor, "B T"]) -> Int[Tensor, "B T"]:
        return tokens.sort(1).values

    def baseline_loss(self, length: int) -> float:
        """Return the mean entropy of a step's target: an order statistic of n tokens, or the end.

        The j-th smallest token is below v if at least j of the n are, each with probability v/k. The chance
        of this is a regularised incomplete beta function.
        """
        return float(entr(self._chances(length)).sum()) / (length + 1)

    def chance(self, length: int) -> dict[str, float]:
        """Return `accuracy` and `exact` of the answer that is most likely place by place."""
        chances = self._chances(length)
        answer = chances.round(12).argmax(1)  # of symbols that are as likely the first
        orders = gammaln(length + 1) - gammaln(np.bincount(answer) + 1).sum()
        return {
            "accuracy": (float(chances.max(1).sum()) + 1) / (length + 1),
            "exact": float(np.exp(orders - length * np.log(self.alphabet))),
        }

    def _chances(self, length: int) -> NDArray[np.float64]:
        """Return the chance of each symbol at each place, (n, k)."""
        place = np.arange(1, length + 1)[:, None]
        below = betainc(place, length + 1 - place, np.arange(self.alphabet + 1) / self.alphabet)
        return np.asarray(np.diff(below))

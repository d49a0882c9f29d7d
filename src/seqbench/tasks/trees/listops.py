"""ListOps: evaluate nested operations on lists of digits."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from functools import cached_property
from itertools import combinations_with_replacement
from random import Random

import numpy as np

from seqbench.errors import ConfigError
from seqbench.tasks.specs import Classes
from seqbench.tasks.trees.base import Node
from seqbench.tasks.trees.expressions import OPERATOR, Chances, ExpressionTask, Shape

DIGITS = 10
#: The fewest arguments of an operator.
FEWEST = 2


def median(digits: Sequence[int]) -> int:
    """Return the median, rounded down if it lies between two digits."""
    ordered, middle = sorted(digits), len(digits) // 2
    return ordered[middle] if len(digits) % 2 else (ordered[middle - 1] + ordered[middle]) // 2


OPERATORS: dict[str, Callable[[Sequence[int]], int]] = {
    "MAX": max,
    "MIN": min,
    "MED": median,
    "SUM_MOD": lambda digits: sum(digits) % DIGITS,
}


class ListOps(ExpressionTask):
    """Evaluate nested operations on lists of digits.

        [ MAX 2 9 [ MIN 4 7 ] 0 ]                  class 9
        [ SUM_MOD 3 8 [ MED 2 [ MAX 5 1 ] 4 ] ]    class 5 (the last digit of 3 + 8 + 4)

    ListOps (Nangia & Bowman, 2018), with the chances of its generator: a node is an operator with chance 1/4;
    the four operators are equally likely, as are 2 to 5 arguments and the ten digits. A median between two
    digits is rounded down. Their trees are up to 20 deep in training and test alike. Here some tests are
    deeper than training, as in Csordás et al. (2022), whose trees have up to 50 tokens; they count an
    operator and its bracket as one, so that this is about 60 here.

    A digit has depth 0, an operation on digits depth 1.

    Args:
        length: the greatest depth of a training tree; they have 1 to `length`, equally likely.
        eval_lengths: depths to test at; all trees of a test have its depth.
        eval_size: trees to evaluate on.
        max_arguments: the most arguments of an operator.
        max_tokens: tokens of the longest tree, brackets included.
    """

    solved_when = "95 % right at the greatest depth of training (no mark is published for this split)"
    operator_chance = 0.25
    tokens = (*OPERATORS, *map(str, range(DIGITS)))
    targets = Classes(DIGITS, per_step=False)

    def __init__(
        self,
        length: int = 5,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        max_arguments: int = 5,
        max_tokens: int = 60,
    ) -> None:
        if max_arguments < FEWEST:
            raise ConfigError(f"task.max_arguments={max_arguments} leaves no list; give at least {FEWEST}.")
        if max_arguments > max_tokens:
            raise ConfigError(
                f"task.max_arguments={max_arguments} are more than fit in task.max_tokens={max_tokens}."
            )
        numbers = range(FEWEST, max_arguments + 1)
        arguments = {number: 1 / len(numbers) for number in numbers}
        super().__init__(length, eval_lengths, eval_size, max_tokens, arguments=arguments)
        self.variant = f"up to {max_arguments} arguments"

    def fill(self, random: Random, shape: Shape) -> tuple[Node, int]:
        if not shape:
            digit = int(random.random() * DIGITS)
            return Node(str(digit)), digit
        name = random.choice(tuple(OPERATORS))
        arguments, values = zip(*(self.fill(random, child) for child in shape), strict=True)
        return Node(name, arguments), OPERATORS[name](values)

    def baseline_loss(self, length: int) -> float:
        """Return the entropy of the values of trees of this depth and at most `max_tokens`, in nats."""
        return -math.fsum(share * math.log(share) for share in self._shares(length))

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": max(self._shares(length))}

    def _shares(self, length: int) -> list[float]:
        """Return how many of the trees of this depth have each value."""
        shares = (self._values[length] - self._values[length - 1]).sum(1)
        return list((shares / shares.sum()).tolist())

    @cached_property
    def _values(self) -> list[Chances]:
        """The chance of each value and number of tokens (10, max_tokens + 1) of trees up to each depth.

        The order of arguments does not matter. So it is a sum over all multisets of them: 2992 with up to
        five arguments.
        """
        width = self.max_tokens + 1
        leaf = np.zeros((DIGITS, width))
        leaf[:, 1] = (1 - self.operator_chance) / DIGITS
        found = [leaf]
        for _ in range(max(self.length, *self.eval_lengths)):
            inside = np.zeros((DIGITS, width))
            chances: dict[tuple[int, ...], Chances] = {(): np.eye(1, width)[0]}
            for number in range(1, max(self.shapes.arguments) + 1):
                share = self.shapes.arguments.get(number, 0.0) / len(OPERATORS)
                for digits in combinations_with_replacement(range(DIGITS), number):
                    chance = np.convolve(chances[digits[:-1]], found[-1][digits[-1]])[:width]
                    chances[digits] = chance
                    for operator in OPERATORS.values():
                        inside[operator(digits)] += share * orders(digits) * chance
            deeper = leaf.copy()
            deeper[:, OPERATOR:] += self.operator_chance * inside[:, :-OPERATOR]
            found.append(deeper)
        return found

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.95


def orders(digits: Sequence[int]) -> int:
    """Return the number of different orders of digits."""
    return math.factorial(len(digits)) // math.prod(
        math.factorial(digits.count(digit)) for digit in set(digits)
    )

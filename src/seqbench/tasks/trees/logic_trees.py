"""Logic trees: decide whether a formula over true and false is true."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import product
from random import Random

from seqbench.tasks.specs import Classes
from seqbench.tasks.trees.base import Node
from seqbench.tasks.trees.expressions import ExpressionTask, Shape

VALUES = ("F", "T")
#: The pairs of values for which each operator is true; 1 is true.
TRUE = {
    "and": [(1, 1)],
    "or": [(0, 1), (1, 0), (1, 1)],
    "xor": [(0, 1), (1, 0)],
    "implies": [(0, 0), (0, 1), (1, 1)],
}
FALSE = {
    operator: [pair for pair in product((0, 1), repeat=2) if pair not in pairs]
    for operator, pairs in TRUE.items()
}
#: The chance that an operator is `not`: one of five.
NOT = 1 / (1 + len(TRUE))


class LogicTrees(ExpressionTask):
    """Decide whether a formula over true and false is true.

        [ implies [ and T F ] [ not T ] ]        class 1: true
        [ implies [ not T ] [ and T F ] ]        class 1
        [ and [ implies T F ] [ not T ] ]        class 0: false, with the tokens of the first

    The operators are `not`, `and`, `or`, `xor` and `implies`, equally likely; the order of arguments matters
    for `implies`.

    The value depends on the structure. A formula's operators are drawn first, then its value, and then, from
    the root to the leaves, values of arguments that give each operator its value. So half of the formulas
    are true whatever the operators and their places; and the evidence of a leaf is inverted by each `not`
    above it, and by each `implies` to whose left it is. From the tokens without their places hardly more
    than half of the deeper formulas can be classified.

    A constant has depth 0, an operator on constants depth 1. A node is an operator with chance 1/2.

    Args:
        length: the greatest depth of a training formula; they have 1 to `length`, equally likely.
        eval_lengths: depths to test at; all formulas of a test have its depth.
        eval_size: formulas to evaluate on.
        max_tokens: tokens of the longest formula, brackets included.
    """

    solved_when = "99 % right at the greatest depth of training (no mark is published for this task)"
    variant = "constants"
    operator_chance = 0.5
    tokens = ("not", *TRUE, *VALUES)
    targets = Classes(2, per_step=False)

    def __init__(
        self,
        length: int = 5,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
        max_tokens: int = 60,
    ) -> None:
        super().__init__(length, eval_lengths, eval_size, max_tokens, arguments={1: NOT, 2: 1 - NOT})

    def fill(self, random: Random, shape: Shape) -> tuple[Node, int]:
        value = int(random.random() * 2)
        return formula(random, shape, value), value

    def baseline_loss(self, length: int) -> float:
        """Return log 2: half of the formulas are true."""
        return math.log(2)

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 0.5}

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.99


def formula(random: Random, shape: Shape, value: int) -> Node:
    """Draw a formula of a shape that has this value."""
    if not shape:
        return Node(VALUES[value])
    if len(shape) == 1:
        return Node("not", (formula(random, shape[0], 1 - value),))
    operator = random.choice(tuple(TRUE))
    left, right = random.choice((TRUE if value else FALSE)[operator])
    return Node(operator, (formula(random, shape[0], left), formula(random, shape[1], right)))

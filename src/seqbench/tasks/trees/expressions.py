"""What the tasks share that evaluate random expressions: trees of operators over values."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Any, ClassVar

import numpy as np
import torch
from numpy.typing import NDArray

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.streams.mixed import MixedSizesTask
from seqbench.tasks.trees.base import MARKS, Node, Trees, TreeTask, encode

#: Tokens of an operator: itself and its brackets.
OPERATOR = 3
#: The greatest share of padding in a row of a training batch.
PADDED = 0.25

#: The shape of a tree: the shapes of its children.
Shape = tuple[Any, ...]
#: Chances; the last dimension is the number of tokens.
Chances = NDArray[np.float64]


class Shapes:
    """Random shapes of trees of a given depth and number of tokens.

    Trees come from a branching process: a node is an operator with some chance, else a value. An operator has
    a random number of arguments, each of which is a node of the same kind. Shapes are drawn with their chance
    in this process, given the depth and the tokens. A single value has depth 0.

    Args:
        operator: the chance of an operator.
        arguments: the chance of each number of arguments.
        depth: the greatest depth.
        tokens: the most tokens.
    """

    def __init__(self, operator: float, arguments: Mapping[int, float], depth: int, tokens: int) -> None:
        self.arguments = arguments
        self.tokens = tokens
        most = max(arguments)
        none, nothing = self._row({0: 1.0}), self._row({})
        #: Chances of each number of tokens, by depth: of a tree of exactly or of at most this depth; and, by
        #: number, of a row of trees that all have at most this depth, or of which the deepest has exactly it.
        self.exact, self.within = [self._row({1: 1 - operator})], [self._row({1: 1 - operator})]
        self.rows: list[list[Chances]] = []
        self.exact_rows: list[list[Chances]] = []
        for d in range(depth + 1):
            if d:
                inside = sum((share * self.exact_rows[-1][k] for k, share in arguments.items()), nothing)
                self.exact.append(operator * self._row(dict(enumerate(inside, OPERATOR))))
                self.within.append(self.within[-1] + self.exact[-1])
            shallow = self.within[d - 1] if d else nothing
            rows, exact_rows = [none], [nothing]
            for _ in range(most):  # the first has exactly this depth, or it is shallower and a later one has
                exact_rows.append(self._join(self.exact[d], rows[-1]) + self._join(shallow, exact_rows[-1]))
                rows.append(self._join(self.within[d], rows[-1]))
            self.rows.append(rows)
            self.exact_rows.append(exact_rows)
        self._choices: dict[tuple[Any, ...], tuple[list[Any], list[float]]] = {}

    def _row(self, values: Mapping[int, float]) -> Chances:
        row = np.zeros(self.tokens + 1)
        for tokens, chance in values.items():
            if tokens <= self.tokens:
                row[tokens] = chance
        return row

    def _join(self, a: Chances, b: Chances) -> Chances:
        """Return the chances of the tokens of two in a row. No term is negative: what is impossible is 0."""
        return np.convolve(a, b)[: self.tokens + 1]

    def draw(self, random: Random, depth: int, tokens: int) -> Shape:
        """Draw a shape of exactly this depth and number of tokens."""
        if depth == 0:
            return ()
        room = tokens - OPERATOR
        left = self._choose(random, self._numbers, depth, room)
        deep = True  # whether one of the children left must have depth `depth` − 1
        children = []
        while left:
            d, size = self._choose(random, self._nexts, depth, room, left, deep)
            children.append(self.draw(random, d, size))
            left, room, deep = left - 1, room - size, deep and d < depth - 1
        return tuple(children)

    def _choose(self, random: Random, find: Callable[..., dict[Any, float]], *state: int) -> Any:
        """Draw one of the options that `find` returns for a state; these are cached."""
        key = (find.__name__, *state)
        if key not in self._choices:
            chances = find(*state)
            self._choices[key] = list(chances), np.cumsum(list(chances.values())).tolist()
        options, totals = self._choices[key]
        return random.choices(options, cum_weights=totals)[0]

    def _numbers(self, depth: int, room: int) -> dict[int, float]:
        """Return the chance of each number of arguments, which together have `room` tokens."""
        inside = self.exact_rows[depth - 1]
        return {number: share * inside[number][room] for number, share in self.arguments.items()}

    def _nexts(self, depth: int, room: int, left: int, deep: bool) -> dict[tuple[int, int], float]:
        """Return the chance of each depth and size of the next child, if those left have `room` tokens."""
        chances = {}
        for d in range(depth):
            later = self.exact_rows if deep and d < depth - 1 else self.rows
            after = later[depth - 1][left - 1]
            for size in range(1, room + 1):
                if chance := self.exact[d][size] * after[room - size]:
                    chances[d, size] = chance
        return chances


class ExpressionTask(TreeTask, MixedSizesTask):
    """A task of evaluating random expressions, at depths up to `length` and beyond.

    The depth of a training tree is 1 to `length`, equally likely; otherwise the branching process decides,
    with `max_tokens` at most. The trees of a batch have similar numbers of tokens, so that at most a quarter
    of a row is padding. The range of these numbers is drawn for each step, in proportion to the trees in it:
    over a whole run only the order of the trees is affected.

    Validation and tests are at exact depths, validation at `length`.

    Args:
        length: the greatest depth of a training tree.
        eval_lengths: depths to test at.
        eval_size: trees to evaluate on.
        max_tokens: tokens of the longest tree, brackets included.
        arguments: the chance of each number of arguments.

    Raises:
        ConfigError: a value is out of range, or `max_tokens` is too small for the deepest trees.
    """

    #: The chance that a node is an operator.
    operator_chance: ClassVar[float]
    #: All operators and values.
    tokens: ClassVar[tuple[str, ...]]

    def __init__(
        self,
        length: int,
        eval_lengths: Sequence[int] | None,
        eval_size: int,
        max_tokens: int,
        *,
        arguments: Mapping[int, float],
    ) -> None:
        super().__init__(length, eval_lengths, eval_size, min_length=1)
        deepest = max(self.length, *self.eval_lengths)
        least = deepest * (OPERATOR + min(arguments) - 1) + 1
        if max_tokens < least:
            raise ConfigError(
                f"task.max_tokens={max_tokens} is too few for trees of depth {deepest} (task.length, "
                f"task.eval_lengths); give at least {least}."
            )
        self.max_tokens = max_tokens
        self.vocabulary = {token: number for number, token in enumerate([*MARKS, *self.tokens])}
        self.inputs = Trees(len(self.vocabulary), children=max(arguments))
        self.shapes = Shapes(self.operator_chance, arguments, deepest, max_tokens)
        # The chance of each depth and number of tokens in training, (length + 1, max_tokens + 1).
        exact = np.stack(self.shapes.exact[: length + 1])
        self._training = exact / exact.sum(1, keepdims=True)
        self._training[0] = 0

    @property
    def steps(self) -> int:
        return self.most_tokens(self.length)

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return list(self.vocabulary), super().token_names()[1]

    def most_tokens(self, depth: int) -> int:
        """Return the tokens of the longest tree of a depth."""
        return int(self.shapes.exact[depth].nonzero()[0][-1])

    @abstractmethod
    def fill(self, random: Random, shape: Shape) -> tuple[Node, int]:
        """Draw an expression of a shape; return it with the class of its value."""

    def size(self, generator: torch.Generator) -> tuple[int, ...]:
        """Draw the least and the greatest number of tokens of a batch."""
        ranges = size_ranges(self.steps)
        shares = torch.tensor([self._training[:, low : high + 1].sum() for low, high in ranges])
        return ranges[int(torch.multinomial(shares, 1, generator=generator))]

    def draw(self, generator: torch.Generator, batch_size: int, *size: int) -> Batch:
        low, high = size
        return self._expressions(generator, batch_size, self._training[:, : high + 1], low, high)

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        chances = np.zeros_like(self.shapes.exact)
        chances[length] = self.shapes.exact[length]
        return self._expressions(generator, batch_size, chances, 1, self.most_tokens(length))

    def _expressions(
        self, generator: torch.Generator, number: int, chances: Chances, least: int, longest: int
    ) -> Batch:
        """Draw expressions of at least `least` tokens, by the chances of each depth and number of tokens."""
        random = Random(int(torch.randint(2**62, (), generator=generator)))
        possible = [(int(d), int(n)) for d, n in zip(*chances.nonzero(), strict=True) if n >= least]
        totals = np.cumsum([chances[both] for both in possible]).tolist()
        drawn = [
            self.fill(random, self.shapes.draw(random, depth, tokens))
            for depth, tokens in random.choices(possible, cum_weights=totals, k=number)
        ]
        trees, values = zip(*drawn, strict=True)
        return encode(trees, values, self.vocabulary, longest)


def size_ranges(longest: int) -> list[tuple[int, int]]:
    """Return the sizes from 1 to `longest` in ranges in which padding is at most a quarter of a row."""
    ranges: list[tuple[int, int]] = []
    while longest:
        least = math.ceil(longest * (1 - PADDED))
        ranges.append((least, longest))
        longest = least - 1
    return ranges

"""The embedded Reber grammar, and what the tasks of predicting its symbols share."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Iterator, Sequence

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, share
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.fresh import SyntheticTask

SYMBOLS = "BTPSXVE"

#: The Reber grammar (Reber, 1967): the next state by state and symbol.
INNER = {
    0: {"B": 1},
    1: {"T": 2, "P": 3},
    2: {"S": 2, "X": 4},
    3: {"T": 3, "V": 5},
    4: {"X": 3, "S": 6},
    5: {"P": 4, "V": 6},
    6: {"E": 7},
}

#: States of the embedded grammar: before a string, after its first symbol, in two copies of the inner grammar
#: (of which state 7 is the end), before the last symbol, after it, and after an illegal symbol.
START, SECOND, COPIES, LAST, OVER, WRONG = 0, 1, {"T": 2, "P": 10}, 18, 19, 20


def grammar(after: int) -> Int[Tensor, "states symbols"]:
    """Return the next state by state and symbol; `after` is the state after a string's last symbol.

    In the state OVER an endless run of B follows, which stands for padding.
    """
    edges = {START: {"B": SECOND}, SECOND: COPIES, LAST: {"E": after}, OVER: {"B": OVER}}
    for symbol, first in COPIES.items():
        for state, by_symbol in INNER.items():
            edges[first + state] = {inner: first + to for inner, to in by_symbol.items()}
        edges[first + 7] = {symbol: LAST}
    table = torch.full((WRONG + 1, len(SYMBOLS)), WRONG)
    for state, by_symbol in edges.items():
        for symbol, to in by_symbol.items():
            table[state, SYMBOLS.index(symbol)] = to
    return table


def follow(table: Int[Tensor, "states symbols"], text: Tensor, state: Tensor) -> Int[Tensor, "B T"]:
    """Return the state after each symbol of a text (B, T) that begins in the states (B,)."""
    states = []
    for symbol in text.unbind(1):
        state = table[state, symbol]
        states.append(state)
    return torch.stack(states, dim=1)


def draw(
    generator: torch.Generator,
    table: Int[Tensor, "states symbols"],
    chances: Float[Tensor, "steps states symbols"],
    rows: int,
) -> tuple[Int[Tensor, "B steps"], Int[Tensor, "B steps"]]:
    """Draw texts that begin with a string; return them and the state after each symbol."""
    state = torch.full((rows,), START)
    text, states = [], []
    for now in chances.unbind():
        symbol = torch.multinomial(now[state], 1, generator=generator)[:, 0]
        state = table[state, symbol]
        text.append(symbol)
        states.append(state)
    return torch.stack(text, dim=1), torch.stack(states, dim=1)


def state_chances(
    table: Int[Tensor, "states symbols"], chances: Float[Tensor, "steps states symbols"]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield the chance of each state before every step but the first, and of each symbol from it.

    They are propagated step by step. Strings that have ended are left out.
    """
    at = torch.zeros(len(table), dtype=torch.float64)
    at[START] = 1.0
    for step, now in enumerate(chances.double().unbind()):
        edges = at[:, None] * now / now.sum(1, keepdim=True).clamp_min(1e-300)
        if step > 0:
            ended = torch.tensor([OVER])
            yield at.index_fill(0, ended, 0.0), edges.index_fill(0, ended, 0.0)
        at = torch.zeros_like(at).index_add(0, table.flatten(), edges.flatten())


def entropy(table: Int[Tensor, "states symbols"], chances: Float[Tensor, "steps states symbols"]) -> float:
    """Return the mean entropy of a step's symbol, after the first, over the strings that have not ended.

    It is the cost per symbol if only the step is known.
    """
    cost, count = 0.0, 0.0
    for _, edges in state_chances(table, chances):
        symbols = edges.sum(0)
        total = symbols.sum().item()
        cost -= sum(p * math.log(p / total) for p in symbols.tolist() if p > 0)
        count += total
    return cost / count


def without_input(
    table: Int[Tensor, "states symbols"], chances: Float[Tensor, "steps states symbols"]
) -> dict[str, float]:
    """Return `legal`, `accuracy` and `long` of a `ReberTask` if only the step is known.

    At each step the outputs are the shares of the symbols, which `entropy` is the loss of: so they rank the
    symbols alike for all strings.
    """
    may_follow = table != WRONG
    second_last = torch.zeros(len(table), dtype=torch.bool)
    second_last[[first + 7 for first in COPIES.values()]] = True
    sums = torch.zeros(3, 2, dtype=torch.float64)
    for at, edges in state_chances(table, chances):
        rank = edges.sum(0).argsort(descending=True, stable=True).argsort()
        first = may_follow[:, rank == 0][:, 0]
        worst_legal = rank.where(may_follow, -1).amax(1)
        exact = worst_legal < rank.where(~may_follow, len(rank)).amin(1)
        weights = torch.stack([at, at, at * second_last])
        sums += torch.stack([(torch.stack([first, exact, exact]) * weights).sum(1), weights.sum(1)], dim=1)
    return dict(zip(("legal", "accuracy", "long"), (sums[:, 0] / sums[:, 1]).tolist(), strict=True))


class ReberTask(SyntheticTask):
    """A task of predicting the next symbol of the grammar; subclasses set `table`, the grammar.

    legal: the share of steps where the symbol with the largest output is legal.
    accuracy: the share of steps where every legal symbol has a larger output than every illegal one: all of
        them are predicted and no other. This is the criterion of Hochreiter & Schmidhuber (1997) and of Gers
        et al. (2000), with ranks in place of their thresholds.
    long: the same at the one step of a string that needs a long memory, before its second last symbol.

    A model that guesses there and is right elsewhere has an `accuracy` of at least 0.95 and a `long` of 0.5.
    """

    extra_metrics = (share("legal"), share("long"))
    inputs = Tokens(len(SYMBOLS))
    targets = Classes(len(SYMBOLS), per_step=True)
    table: Tensor

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return SYMBOLS, SYMBOLS

    @abstractmethod
    def _chances(self, length: int) -> Float[Tensor, "steps states symbols"]:
        """Return the weight of each symbol in each state, at each of T + 1 steps."""

    def baseline_loss(self, length: int) -> float:
        """Return the mean entropy of a step's symbol if only the step is known."""
        return entropy(self.table, self._chances(length))

    def chance(self, length: int) -> dict[str, float]:
        return without_input(self.table, self._chances(length))

    def legal(self, states: Int[Tensor, "B T"]) -> Bool[Tensor, "B T symbols"]:
        """Return which symbols may follow each state."""
        return self.table.to(states.device)[states] != WRONG

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        _, weights = measures["loss"]
        table = self.table.to(batch.inputs.device)
        states = follow(table, batch.inputs, torch.full_like(batch.inputs[:, 0], START))
        legal = self.legal(states)
        first = legal.gather(-1, outputs.argmax(-1, keepdim=True))[..., 0].to(outputs.dtype)
        least = outputs.masked_fill(~legal, math.inf).amin(-1)
        exact = (least > outputs.masked_fill(legal, -math.inf).amax(-1)).to(outputs.dtype)
        second_last = sum(states == first + 7 for first in COPIES.values())
        return {
            **measures,
            "legal": (first, weights),
            "accuracy": (exact, weights),
            "long": (exact, weights * second_last),
        }

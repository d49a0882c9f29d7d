"""The embedded Reber grammar, and what tasks of predicting its symbols share."""

from __future__ import annotations

import math

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, Metric, share
from seqbench.tasks.streams.fresh import SyntheticTask

SYMBOLS = "BTPSXVE"

#: The Reber grammar: from a state, by a symbol, to a state (Reber, 1967).
INNER = {
    0: {"B": 1},
    1: {"T": 2, "P": 3},
    2: {"S": 2, "X": 4},
    3: {"T": 3, "V": 5},
    4: {"X": 3, "S": 6},
    5: {"P": 4, "V": 6},
    6: {"E": 7},
}

#: States of the embedded one: before a string, after its first symbol, two copies of the inner grammar (with
#: state 7 after it), before its last symbol, after it, and where nothing is allowed any more.
START, SECOND, COPIES, LAST, OVER, WRONG = 0, 1, {"T": 2, "P": 10}, 18, 19, 20


def grammar(after: int) -> Int[Tensor, "states symbols"]:
    """Return the state that follows each state by each symbol; `after` follows a string's last symbol.

    Where it is OVER, the string is followed by B's without end, which stand for padding.
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
    """Return the state after each symbol of a text (B, T), from states (B,) on."""
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
    """Draw texts from the start of a string on; return them, and the state after each symbol."""
    state = torch.full((rows,), START)
    text, states = [], []
    for now in chances.unbind():
        symbol = torch.multinomial(now[state], 1, generator=generator)[:, 0]
        state = table[state, symbol]
        text.append(symbol)
        states.append(state)
    return torch.stack(text, dim=1), torch.stack(states, dim=1)


def entropy(table: Int[Tensor, "states symbols"], chances: Float[Tensor, "steps states symbols"]) -> float:
    """Return what it costs, per symbol after the first, to know no more of a text than how far it is.

    That is the mean entropy of the symbol of a step, over strings that are not over; the chance of each
    state at each step is carried along.
    """
    at = torch.zeros(len(table), dtype=torch.float64)
    at[START] = 1.0
    cost, count = 0.0, 0.0
    for step, now in enumerate(chances.double().unbind()):
        edges = at[:, None] * now / now.sum(1, keepdim=True).clamp_min(1e-300)
        if step > 0:
            symbols = (edges.sum(0) - edges[OVER]).clamp_min(0)
            total = symbols.sum().item()
            cost -= sum(p * math.log(p / total) for p in symbols.tolist() if p > 0)
            count += total
        at = torch.zeros_like(at).index_add(0, table.flatten(), edges.flatten())
    return cost / count


class ReberTask(SyntheticTask):
    """A task of predicting the next symbol of the grammar; subclasses set `table`, the grammar.

    legal: the share of steps where the symbol with the largest output is one that may come next.
    accuracy: the share of steps where each symbol that may come next has a larger output than each that may
        not, so that all of them are predicted and no other. That is the success of Hochreiter & Schmidhuber
        (1997) and of Gers et al. (2000), who have thresholds where a softmax has ranks.
    long: the same at the one step of a string that takes a long memory, before its second last symbol.

    One that guesses there and is right elsewhere has an `accuracy` of 0.95 or more, and a `long` of 0.5.
    """

    table: Tensor

    def allowed(self, states: Int[Tensor, "B T"]) -> Bool[Tensor, "B T symbols"]:
        """Return which symbols may follow each state."""
        return self.table.to(states.device)[states] != WRONG

    @property
    def metrics(self) -> tuple[Metric, ...]:
        return *super().metrics, share("legal"), share("long")

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        _, weights = measures["loss"]
        table = self.table.to(batch.inputs.device)
        states = follow(table, batch.inputs, torch.full_like(batch.inputs[:, 0], START))
        allowed = self.allowed(states)
        legal = allowed.gather(-1, outputs.argmax(-1, keepdim=True))[..., 0].to(outputs.dtype)
        least = outputs.masked_fill(~allowed, math.inf).amin(-1)
        exact = (least > outputs.masked_fill(allowed, -math.inf).amax(-1)).to(outputs.dtype)
        second_last = sum(states == first + 7 for first in COPIES.values())
        return {
            **measures,
            "legal": (legal, weights),
            "accuracy": (exact, weights),
            "long": (exact, weights * second_last),
        }

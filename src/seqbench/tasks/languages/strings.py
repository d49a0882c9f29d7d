"""What the tasks share that read a string and then write another."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import NamedTuple, TypeVar

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.extrapolating import ExtrapolationTask

#: A length, or the length of each row.
Length = TypeVar("Length", int, Tensor)


class Strings(NamedTuple):
    """Strings, padded to the longest, and their answers, of which the first `due` symbols count."""

    text: Int[Tensor, "B L"]
    answer: Int[Tensor, "B A"]
    due: Int[Tensor, " B"]


class StringTask(ExtrapolationTask):
    """Read a string, then write its answer at blanks; targets count at the blanks of the answer only.

    The blank is the last token of the inputs. Sequences of one length have as many blanks, whatever their
    answers: an answer that is shorter ends with a token of its own, and what follows does not count. (The
    code of Delétang et al. (2023) pads with zeros, which count in the loss of training and not in the score.)
    """

    @property
    def steps(self) -> int:
        return self.length + self.answer_steps(self.length)

    @abstractmethod
    def answer_steps(self, length: Length) -> Length:
        """Return how many blanks follow a string of `length` symbols."""

    @abstractmethod
    def write(self, generator: torch.Generator, lengths: Int[Tensor, " B"], longest: int) -> Strings:
        """Draw strings of these lengths with their answers."""

    @abstractmethod
    def shares(self, length: int) -> Float[Tensor, "A K"]:
        """Return how often, in answers to strings of `length`, each symbol is due at each blank."""

    def draw(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Batch:
        text, answer, due = self.write(generator, lengths, longest)
        blanks = self.answer_steps(longest)
        n, t = lengths[:, None], torch.arange(longest + blanks)
        inputs = torch.where(t < n, F.pad(text, (0, blanks)), self.inputs.size - 1)
        mask = (t >= n) & (t < n + due[:, None])
        targets = answer.gather(1, torch.where(mask, t - n, 0)) * mask
        return Batch(inputs, targets, mask=mask, lengths=lengths + self.answer_steps(lengths))

    def baseline_loss(self, length: int) -> float:
        """Return the mean entropy of the symbols that are due at each blank."""
        shares = self.shares(length)
        here = shares / shares.sum(1, keepdim=True).clamp_min(1e-300)
        return float(-torch.special.xlogy(shares, here).sum() / shares.sum())

    def chance(self, length: int) -> dict[str, float]:
        """Return the accuracy of the symbol that is the most frequent at each blank."""
        shares = self.shares(length)
        return {"accuracy": float(shares.amax(1).sum() / shares.sum())}


class BitStringTask(StringTask):
    """Read a string of bits, then write bits."""

    inputs = Tokens(3)
    targets = Classes(2, per_step=True)

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        return "01_", "01"


def fair(blanks: int, symbols: int) -> Float[Tensor, "A K"]:
    """Return the shares of symbols that are all due at each blank and equally often."""
    return torch.full((blanks, symbols), 1 / symbols, dtype=torch.float64)

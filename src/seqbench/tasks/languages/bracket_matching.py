"""Bracket matching: say whether every bracket of a string has its fellow."""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Bool, Int
from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.extrapolating import ExtrapolationTask


class BracketMatching(ExtrapolationTask):
    """Say, after a string of brackets of several kinds, whether it is balanced.

        input  ( [ ] ( ( ) ) )      class 1: balanced
        input  ( [ ] [ ( ) ) ]      class 0: two closing brackets of it have changed places

    Membership in the Dyck language of `kinds` kinds (Suzgun et al., 2019; Hewitt et al., 2020), which has no
    bound on its depth; trained and tested at lengths as in Delétang et al. (2023), who do not have it.

    Half of the strings are balanced: each shape of its length is equally likely, and so is each kind of a
    pair. The others are such strings with one fault that no count of brackets shows: two closing brackets of
    different kinds change places, of those that do not follow their opening one directly. Where there are no
    two such, as in short strings, one closing bracket becomes one of another kind.

    Args:
        length: the most brackets of a training sequence; they have 2, 4, …, T, equally likely.
        kinds: how many kinds of brackets there are.
        eval_lengths: lengths to test at, each of all sequences of that test.
        eval_size: sequences to evaluate on.
    """

    unit = 2

    def __init__(
        self,
        length: int = 40,
        kinds: int = 2,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        if kinds < 2:
            raise ConfigError(f"task.kinds={kinds} leaves nothing but to count; give at least 2.")
        super().__init__(length=length, eval_lengths=eval_lengths, eval_size=eval_size)
        for name, value in [("length", length), *(("eval_lengths", n) for n in self.eval_lengths)]:
            if value % 2:
                raise ConfigError(
                    f"task.{name}={value} is odd, and brackets come in pairs; give {value + 1}."
                )
        self.variant = f"Dyck-{kinds}"
        self.kinds = kinds
        self.inputs = Tokens(2 * kinds)
        self.targets = Classes(2, per_step=False)

    def draw(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Batch:
        opens = shapes(generator, lengths, longest)
        valid = torch.arange(longest) < lengths[:, None]
        opener = openers(opens)
        kinds = torch.randint(self.kinds, opens.shape, generator=generator).gather(1, opener)
        targets = torch.randint(2, (len(lengths),), generator=generator)
        faulty = self._with_a_fault(generator, kinds, valid & ~opens, opener)
        kinds = torch.where(targets[:, None] == 1, kinds, faulty)
        # Opening brackets are 0, …, K − 1, their closing ones K, …, 2K − 1.
        return Batch((kinds + self.kinds * ~opens) * valid, targets, lengths=lengths)

    def _with_a_fault(
        self, generator: torch.Generator, kinds: Tensor, closes: Tensor, opener: Tensor
    ) -> Tensor:
        """Return kinds with those of two closing brackets exchanged, or that of one changed."""
        far = closes & (torch.arange(kinds.shape[1]) - opener > 1)
        one = _choose(generator, far)
        others = far & (kinds != kinds.gather(1, one))
        other = _choose(generator, others)
        two = others.any(1, keepdim=True)
        swapped = kinds.scatter(1, one, kinds.gather(1, other)).scatter(1, other, kinds.gather(1, one))
        any_one = _choose(generator, closes)
        step = torch.randint(1, self.kinds, any_one.shape, generator=generator)
        changed = kinds.scatter(1, any_one, (kinds.gather(1, any_one) + step) % self.kinds)
        return torch.where(two, swapped, changed)

    def baseline_loss(self, length: int) -> float:
        """Return log 2: half of the strings are balanced."""
        return math.log(2)


def shapes(generator: torch.Generator, lengths: Int[Tensor, " B"], longest: int) -> Bool[Tensor, "B T"]:
    """Draw where balanced strings open brackets, each shape of a length being equally likely.

    With h brackets open and r steps left, h (r + h + 2) of 2 r (h + 1) of the ways on close one.
    """
    depth, left = torch.zeros_like(lengths), lengths.clone()
    opens = []
    for chance in torch.rand(longest, len(lengths), generator=generator).unbind():
        closing = depth * (left + depth + 2) / (2 * left * (depth + 1)).clamp_min(1)
        now = (chance >= closing) & (left > 0)
        opens.append(now)
        depth = depth + torch.where(left > 0, 2 * now.long() - 1, 0)
        left = (left - 1).clamp_min(0)
    return torch.stack(opens, dim=1)


def openers(opens: Bool[Tensor, "B T"]) -> Int[Tensor, "B T"]:
    """Return for each closing bracket where its opening one is, and for all else where that is itself."""
    rows = torch.arange(len(opens))
    stack = torch.zeros(len(opens), opens.shape[1] + 1, dtype=torch.int64)
    depth = torch.zeros(len(opens), dtype=torch.int64)
    found = []
    for t, now in enumerate(opens.unbind(1)):
        closes = ~now & (depth > 0)
        found.append(torch.where(closes, stack[rows, depth], t))
        depth = depth + now.long() - closes.long()
        stack[rows, depth] = torch.where(now, t, stack[rows, depth])
    return torch.stack(found, dim=1)


def _choose(generator: torch.Generator, among: Bool[Tensor, "B T"]) -> Int[Tensor, "B 1"]:
    """Draw one of the places of each row that are among those to choose from; place 0 where none is."""
    return (1 - torch.rand(among.shape, generator=generator)).mul(among).argmax(1, keepdim=True)

"""Bracket matching: decide whether the brackets of a string are balanced."""

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
    """Decide, after a string of brackets of several kinds, whether it is balanced.

        input  ( [ ] ( ( ) ) )      class 1: balanced
        input  ( [ ] [ ( ) ) ]      class 0: two closing brackets are exchanged

    Membership in the Dyck language of `kinds` kinds (Suzgun et al., 2019; Hewitt et al., 2020), whose depth
    has no bound. The lengths of training and tests are those of Delétang et al. (2023), who do not have this
    task.

    Half of the strings are balanced: all shapes of a length are equally likely, and so are the kinds of each
    pair. The others are such strings with one fault that no count of brackets shows: two closing brackets of
    different kinds are exchanged, neither of which follows its opening bracket directly. If there are no two
    such, as in short strings, one closing bracket is replaced by one of another kind.

    Args:
        length: the most brackets of a training sequence; they have 2, 4, …, T, equally likely.
        kinds: the number of kinds of brackets.
        eval_lengths: lengths to test at; all sequences of a test have its length.
        eval_size: sequences to evaluate on.
    """

    solved_when = "99.9 % of the targets right at training lengths (no mark is published for this task)"
    unit = 2
    targets = Classes(2, per_step=False)

    def __init__(
        self,
        length: int = 40,
        kinds: int = 2,
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        if kinds < 2:
            raise ConfigError(f"task.kinds={kinds} leaves nothing but counting; give at least 2.")
        super().__init__(length, eval_lengths, eval_size)
        self.check_even("brackets come in pairs")
        self.variant = f"Dyck-{kinds}"
        self.kinds = kinds
        self.inputs = Tokens(2 * kinds)

    def draw(self, generator: torch.Generator, lengths: Tensor, longest: int) -> Batch:
        opens = shapes(generator, lengths, longest)
        valid = torch.arange(longest) < lengths[:, None]
        opener = openers(opens)
        kinds = torch.randint(self.kinds, opens.shape, generator=generator).gather(1, opener)
        targets = torch.randint(2, (len(lengths),), generator=generator)
        faulty = self._with_a_fault(generator, kinds, valid & ~opens, opener)
        kinds = torch.where(targets[:, None] == 1, kinds, faulty)
        # Opening brackets are 0, …, K − 1, closing brackets K, …, 2K − 1.
        return Batch((kinds + self.kinds * ~opens) * valid, targets, lengths=lengths)

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        pairs = ["()", "[]", "{}", "<>", *(f"({i})" for i in range(5, self.kinds + 1))][: self.kinds]
        return [*(pair[:-1] for pair in pairs), *(pair[1:] for pair in pairs)], ["unbalanced", "balanced"]

    def _with_a_fault(
        self, generator: torch.Generator, kinds: Tensor, closes: Tensor, opener: Tensor
    ) -> Tensor:
        """Return the kinds with those of two closing brackets exchanged, or that of one replaced."""
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

    def chance(self, length: int) -> dict[str, float]:
        return {"accuracy": 0.5}


def shapes(generator: torch.Generator, lengths: Int[Tensor, " B"], longest: int) -> Bool[Tensor, "B T"]:
    """Draw where balanced strings open brackets; all shapes of a length are equally likely.

    With h open brackets and r steps left, the chance of a closing bracket is h (r + h + 2) / (2 r (h + 1)).
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
    """Return the step of each closing bracket's opening bracket, and for all other steps the step itself."""
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
    """Draw one of the marked steps of each row; step 0 if none is marked."""
    return (1 - torch.rand(among.shape, generator=generator)).mul(among).argmax(1, keepdim=True)

"""Noiseless memory: hold 5 bits, or more than 20, over a long delay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Literal

from torch import Tensor

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Measures, share
from seqbench.tasks.specs import Classes
from seqbench.tasks.synthetic.copy_memory import CopyMemory

#: The number of symbols of a pattern, and of different symbols.
PATTERNS = {"5bit": (5, 2), "20bit": (10, 5)}


class NoiselessMemory(CopyMemory):
    """Repeat a pattern of symbols after a delay of `length` steps, at a cue.

        input    1 0 0 1 1 _ _ _ _ | _ _ _ _ _        _ blank, | the cue
        target   _ _ _ _ _ _ _ _ _ _ 1 0 0 1 1        variant 5bit, delay T = 5

    The noiseless memorisation of Martens & Sutskever (2011): copy memory with their patterns. The cue comes
    one step before the first symbol is due, and every step has a target, as in their code. (In the code of
    Pascanu et al. (2013) the cue comes when the first symbol is due.)

    Variants:
        5bit: 5 symbols of 2; all 32 patterns occur in training, validation and test alike.
        20bit: 10 symbols of 5, which is 23 bits.

    `accuracy` is over the recalled symbols. `correct` is the share of sequences with every step right.

    Args:
        length: the delay T; a sequence has T + 2M steps for M symbols.
        variant: see above.
        eval_lengths: delays to test at.
        eval_size: sequences to evaluate on.
    """

    extra_metrics = (share("correct"),)
    solved_when = "under 1 % of the sequences with a step wrong (Pascanu, Mikolov & Bengio, 2013)"

    def __init__(
        self,
        length: int = 100,
        variant: Literal["5bit", "20bit"] = "5bit",
        eval_lengths: Sequence[int] | None = None,
        eval_size: int = 1000,
    ) -> None:
        if variant not in PATTERNS:
            raise ConfigError(f"task.variant={variant} is unknown; there are 5bit and 20bit.")
        symbols, alphabet = PATTERNS[variant]
        super().__init__(length, symbols, alphabet, eval_lengths, eval_size)
        self.variant = variant
        self.targets = Classes(alphabet + 1, per_step=True)  # the cue is never a target

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        measures = super().measure(outputs, batch)
        right = (outputs.argmax(-1) == batch.targets).all(1).to(outputs.dtype)
        return {**measures, "correct": (right, right.new_ones(right.shape))}

    @property
    def solved_metric(self) -> str:
        return "correct"

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["correct"] > 0.99

"""Tasks over a fixed data set: the fingerprint of their data."""

from __future__ import annotations

from typing import Any

import torch

from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.fixed import DataTask


class Fixed(DataTask):
    """Two classes of three symbols."""

    title = "made by hand"
    contents = "sequences of {}"
    inputs, targets = Tokens(3), Classes(2, per_step=False)
    solved_when = "never"
    length, eval_lengths, variant = 2, (2,), ""

    def __init__(self, **changed: Any) -> None:
        self.parts = {split: batch() for split in ("train", "validation", "test")} | changed

    def read_split(self, split: str) -> Batch:
        return self.parts[split]

    def solved(self, metrics: Any) -> bool:
        return False


def batch(first: int = 0, **parts: Any) -> Batch:
    inputs = torch.tensor([[first, 1], [2, 0], [1, 1]])
    return Batch(inputs, torch.tensor([0, 1, 1]))._replace(**parts)


def test_the_fingerprint_changes_with_every_part_of_the_data() -> None:
    plain = Fixed().fingerprint()
    assert plain == Fixed().fingerprint() and len(plain) == 16
    changed = [
        Fixed(**{split: batch(1)}) for split in ("train", "validation", "test")
    ] + [
        Fixed(train=batch().rows(0, 2)),
        Fixed(train=batch(targets=torch.tensor([0, 1, 0]))),
        Fixed(train=batch(inputs=batch().inputs.int())),
        Fixed(train=batch(inputs=batch().inputs.T.contiguous())),
        Fixed(train=batch(lengths=torch.tensor([2, 2, 1]))),
        Fixed(train=batch(mask=torch.tensor([[True, False]] * 3))),
        Fixed(train=batch(extras={"parents": torch.zeros(3, 2)})),
        Fixed(train=batch(extras={"children": torch.zeros(3, 2)})),
    ]  # fmt: skip
    found = [task.fingerprint() for task in changed]
    assert len({plain, *found}) == len(found) + 1


def test_the_fingerprint_is_of_the_values_and_not_of_their_memory() -> None:
    same = Fixed(train=batch(inputs=batch().inputs.T.contiguous().T))
    assert same.fingerprint() == Fixed().fingerprint()


def test_only_tasks_with_data_have_one(make_task: Any) -> None:
    assert make_task("task=adding").fingerprint() is None

"""Batches of rows of similar length."""

from __future__ import annotations

from collections import Counter
from itertools import islice, pairwise

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Tokens
from seqbench.tasks.streams.bucketed import BucketTask, by_size
from tests.tasks.batches import same


class Ragged(BucketTask):
    """Rows of 1 to 12 tokens, all of which are the row's number, with as many targets or more."""

    def __init__(self, rows: int = 203) -> None:
        self.lengths = 1 + (torch.rand(rows).square() * 12).long()
        self.answers = self.lengths + torch.randint(3, (rows,))
        self.inputs = Tokens(rows)
        self.targets = Classes(rows, per_step=True)
        number = torch.arange(rows)[:, None]
        mask = torch.arange(15) < self.answers[:, None]
        self.rows = Batch(number.expand(-1, 12), number.expand(-1, 15), mask=mask, lengths=self.lengths)

    @property
    def train(self):
        return self.rows

    def sizes(self, batch):
        return torch.stack([batch.lengths, batch.mask.sum(1)], dim=1)

    def cut(self, batch, *size):
        steps, answer = size
        return batch._replace(
            inputs=batch.inputs[:, :steps], targets=batch.targets[:, :answer], mask=batch.mask[:, :answer]
        )

    read_split = solved = None  # not called


def epoch(task: Ragged, seed: int, number: int, size: int = 10) -> list[Batch]:
    steps = len(task.lengths) // size
    return list(islice(task.train_batches(seed, size, start=number * steps), steps))


def numbers(batches: list[Batch]) -> list[int]:
    return [number for batch in batches for number in batch.inputs[:, 0].tolist()]


def test_an_epoch_visits_every_row_once_but_for_less_than_a_batch():
    task = Ragged()
    left_out = []
    for number in range(30):
        batches = epoch(task, 0, number)
        assert [len(batch.inputs) for batch in batches] == [10] * 20
        seen = Counter(numbers(batches))
        assert set(seen.values()) == {1}
        left_out += sorted(set(range(203)) - set(seen))
    assert len(left_out) == 30 * 3 and len(set(left_out)) > 40  # other rows each time


def test_rows_come_whole_and_cut_to_the_longest_of_their_batch():
    task = Ragged()
    for batch in epoch(task, 0, 0):
        rows = batch.inputs[:, 0]
        assert torch.equal(batch.lengths, task.lengths[rows])
        assert torch.equal(batch.mask.sum(1), task.answers[rows])
        assert batch.inputs.shape[1] == batch.lengths.max()
        assert batch.targets.shape == batch.mask.shape == (10, task.answers[rows].max())
        assert (batch.inputs == rows[:, None]).all() and (batch.targets == rows[:, None]).all()


def test_a_batch_holds_rows_of_neighbouring_lengths():
    """No row lies between two of one batch that is in another, by source and then target length."""
    spans = []
    task = Ragged(200)
    for batch in epoch(task, 0, 0):
        keys = sorted(zip(batch.lengths.tolist(), batch.mask.sum(1).tolist(), strict=True))
        spans.append((keys[0], keys[-1]))
    spans.sort()
    assert all(last <= first for (_, last), (first, _) in pairwise(spans))


def test_padding_is_small():
    task = Ragged(2003)
    steps = cells = 0
    for batch in epoch(task, 0, 0):
        steps += int(batch.lengths.sum() + batch.mask.sum())
        cells += batch.inputs.numel() + batch.targets.numel()
    assert 1 - steps / cells < 0.1
    assert 1 - task.lengths.sum().item() / (12 * 2003) > 0.5  # all padded to the longest


def test_seeds_share_lengths_and_not_rows():
    task = Ragged()
    for number in range(3):
        ours, theirs = epoch(task, 0, number), epoch(task, 1, number)
        for a, b in zip(ours, theirs, strict=True):
            assert a.inputs.shape == b.inputs.shape and a.targets.shape == b.targets.shape
            assert a.lengths.sort().values.tolist() == b.lengths.sort().values.tolist()
        assert numbers(ours) != numbers(theirs)
        mates = [{frozenset(batch.inputs[:, 0].tolist()) for batch in each} for each in (ours, theirs)]
        assert len(mates[0] & mates[1]) < 10  # other rows share a batch, too


def test_epochs_differ_in_order_and_rows():
    task = Ragged()
    first, second = epoch(task, 0, 0), epoch(task, 0, 1)
    assert [b.inputs.shape for b in first] != [b.inputs.shape for b in second]
    shapes = [batch.inputs.shape[1] for batch in first]
    assert shapes != sorted(shapes) and shapes != sorted(shapes, reverse=True)


def test_a_stream_resumes_at_any_step():
    task = Ragged()
    batches = list(islice(task.train_batches(5, 10), 45))
    for start in (1, 19, 20, 21, 40):
        for resumed, batch in zip(task.train_batches(5, 10, start=start), batches[start:], strict=False):
            assert same(resumed, batch)


def test_an_evaluation_reads_each_row_once_and_whole_by_length():
    task = Ragged()
    parts = task.parts(task.rows, 25)
    assert sorted(numbers(parts)) == list(range(203)) and [len(part.inputs) for part in parts][-2:] == [25, 3]
    keys = [
        key for part in parts for key in zip(part.lengths.tolist(), part.mask.sum(1).tolist(), strict=True)
    ]
    assert keys == sorted(keys)
    for part in parts:
        rows = part.inputs[:, 0]
        assert torch.equal(part.lengths, task.lengths[rows]) and part.inputs.shape[1] == part.lengths.max()
        assert torch.equal(part.mask.sum(1), task.answers[rows]) and part.targets.shape == part.mask.shape
    alike = Batch(
        torch.arange(7)[:, None], torch.arange(7)[:, None], torch.ones(7, 1) > 0, torch.ones(7).long()
    )
    assert numbers(task.parts(alike, 3)) == list(range(7)), "rows of one length keep their order"


def test_rows_by_size_the_first_length_ruling():
    sizes = torch.tensor([[2, 9], [1, 5], [2, 3], [1, 7], [2, 3], [1, 5]])
    orders = {tuple(by_size(sizes, torch.Generator().manual_seed(i)).tolist()) for i in range(50)}
    assert orders == {(*a, 3, *b, 0) for a in ((1, 5), (5, 1)) for b in ((2, 4), (4, 2))}


def test_a_batch_of_all_rows_and_one_that_is_too_large():
    task = Ragged(12)
    assert sorted(numbers(epoch(task, 0, 0, size=12))) == list(range(12))
    with pytest.raises(ConfigError, match="batch_size=13 is more than the 12 training examples"):
        next(task.train_batches(0, 13))

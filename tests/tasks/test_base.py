"""Losses and measures, [9]-[11], batches and random streams."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import islice

import pytest
import torch

from seqbench.errors import ConfigError
from seqbench.tasks.base import generator
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Bits, Classes, Input, Values
from seqbench.tasks.streams.fixed import DataTask

#: Two sequences of three steps; the second has two steps, and its first target does not count.
MASK = torch.tensor([[True, True, True], [False, True, False]])


def test_classes_sum_the_log_probabilities_of_the_targets_that_count():
    outputs, targets = torch.randn(2, 3, 4), torch.tensor([[0, 3, 1], [2, 2, 0]])
    batch = Batch(torch.zeros(2, 3, dtype=torch.int64), targets, mask=MASK, lengths=torch.tensor([3, 2]))
    total, right, count = 0.0, 0, 0
    for row, t in [(0, 0), (0, 1), (0, 2), (1, 1)]:
        o, y = outputs[row, t].tolist(), targets[row, t].item()
        total -= math.log(math.exp(o[y]) / sum(map(math.exp, o)))  # [9]-[11]
        right += o[y] == max(o)
        count += 1
    spec = Classes(4, per_step=True)
    assert spec.loss(outputs, batch).item() == pytest.approx(total / count, abs=1e-6)
    values, weights = spec.measure(outputs, batch)["loss"]
    assert (values * weights).sum().item() == pytest.approx(total, abs=1e-5) and weights.sum() == count
    correct, weights = spec.measure(outputs, batch)["accuracy"]
    assert (correct * weights).sum() == right


def test_values_sum_the_squared_errors_of_the_targets_that_count():
    outputs, targets = torch.randn(2, 3, 2), torch.randn(2, 3, 2)
    batch = Batch(torch.zeros(2, 3, 1), targets, mask=MASK)
    total = 0.0
    for row, t in [(0, 0), (0, 1), (0, 2), (1, 1)]:
        total += sum((outputs[row, t, i].item() - targets[row, t, i].item()) ** 2 for i in (0, 1)) / 2
    assert Values(2, per_step=True).loss(outputs, batch).item() == pytest.approx(total / 4, abs=1e-6)


@pytest.mark.parametrize("spec", [Classes(3, per_step=True), Values(3, per_step=True)])
def test_what_is_masked_has_neither_loss_nor_gradient(spec):
    outputs = torch.randn(2, 3, 3, requires_grad=True)
    targets = torch.randn(2, 3, 3) if isinstance(spec, Values) else torch.randint(3, (2, 3))
    batch = Batch(torch.zeros(2, 3, 1), targets, mask=MASK)
    loss = spec.loss(outputs, batch)
    loss.backward()
    assert torch.equal(outputs.grad.abs().sum(-1) > 0, MASK)
    altered = torch.where(MASK[..., None], outputs.detach(), 100.0)
    assert torch.equal(spec.loss(altered, batch), loss)


def test_without_a_mask_or_with_one_target_a_sequence_all_count():
    outputs, targets = torch.randn(2, 3, 4), torch.randint(4, (2, 3))
    inputs = torch.zeros(2, 3, 1)
    expected = torch.nn.functional.cross_entropy(outputs.flatten(0, 1), targets.flatten())
    torch.testing.assert_close(Classes(4, per_step=True).loss(outputs, Batch(inputs, targets)), expected)
    last = Batch(inputs, targets[:, 0], mask=MASK, lengths=torch.tensor([3, 2]))
    expected = torch.nn.functional.cross_entropy(outputs[:, 0], targets[:, 0])
    torch.testing.assert_close(Classes(4, per_step=False).loss(outputs[:, 0], last), expected)


def test_means_of_pieces_weighed_by_what_counts_make_the_mean_of_the_whole():
    spec, outputs = Classes(4, per_step=True), torch.randn(2, 3, 4)
    batch = Batch(torch.zeros(2, 3, 1), torch.randint(4, (2, 3)), mask=MASK)
    pieces = [spec.measure(outputs[i : i + 1], piece)["loss"] for i, piece in enumerate(batch.split(1))]
    means = [((values * weights).sum() / weights.sum(), weights.sum()) for values, weights in pieces]
    assert [int(count) for _, count in means] == [3, 1]
    whole = sum(mean * count for mean, count in means) / sum(count for _, count in means)
    torch.testing.assert_close(spec.loss(outputs, batch), whole)
    assert abs(whole - sum(mean for mean, _ in means) / 2) > 1e-3  # which the plain mean is not


def test_batches_split_by_rows():
    batch = Batch(torch.arange(10).view(5, 2), torch.arange(5), lengths=torch.tensor([2, 1, 2, 1, 2]))
    pieces = batch.split(2)
    assert [len(piece.inputs) for piece in pieces] == [2, 2, 1]
    assert pieces[1].targets.tolist() == [2, 3] and pieces[1].lengths.tolist() == [2, 1]
    assert all(piece.mask is None for piece in pieces)
    assert torch.equal(torch.cat([piece.inputs for piece in pieces]), batch.inputs)


def test_no_training_stream_is_an_evaluation_stream():
    train = {generator("train", seed, draw).initial_seed() for seed in range(50) for draw in range(50)}
    held_out = {
        generator(split, length).initial_seed() for split in ("validation", "test") for length in range(500)
    }
    assert all(seed % 2 == 0 for seed in train) and all(seed % 2 == 1 for seed in held_out)
    assert len(train) > 2490 and len(held_out) == 1000
    assert generator("train", 1, 2).initial_seed() == generator("train", 1, 2).initial_seed()


def test_bits_sum_the_log_probabilities_of_the_bits_that_count():
    outputs, targets = torch.randn(2, 3, 4), torch.randint(2, (2, 3, 4)).float()
    batch = Batch(torch.zeros(2, 3, 1), targets, mask=MASK)
    costs, errors = [0.0, 0.0], [0, 0]
    for row, t in [(0, 0), (0, 1), (0, 2), (1, 1)]:
        for o, y in zip(outputs[row, t].tolist(), targets[row, t].tolist(), strict=True):
            p = 1 / (1 + math.exp(-o))
            costs[row] -= math.log(p if y else 1 - p)
            errors[row] += (p > 0.5) != (y == 1)
    spec = Bits(4, per_step=True)
    assert spec.loss(outputs, batch).item() == pytest.approx(sum(costs) / 16, abs=1e-6)
    measures = spec.measure(outputs, batch)
    values, weights = measures["loss"]
    assert (values * weights).sum().item() == pytest.approx(sum(costs) / 4, abs=1e-5) and weights.sum() == 4
    assert measures["bits"][0].tolist() == pytest.approx([c / math.log(2) for c in costs], abs=1e-5)
    assert measures["bit_errors"][0].tolist() == errors
    assert all(measures[name][1].tolist() == [1, 1] for name in ("bits", "bit_errors"))


def test_all_bits_count_without_a_mask_and_each_wrong_one_costs_a_bit_at_least():
    outputs, targets = torch.randn(5, 3, 4), torch.randint(2, (5, 3, 4)).float()
    measures = Bits(4, per_step=True).measure(outputs, Batch(torch.zeros(5, 3, 1), targets))
    wrong = (outputs.sigmoid().round() != targets).sum((1, 2))
    assert measures["bit_errors"][0].tolist() == wrong.tolist() and wrong.any()
    assert (measures["bits"][0] >= wrong).all()
    right = Bits(4, per_step=True).measure(40 * targets - 20, Batch(torch.zeros(5, 3, 1), targets))
    assert not right["bit_errors"][0].any() and right["bits"][0].max() < 1e-4


def test_tokens_have_the_names_that_readers_know(make_task, dictionary):
    """Numbers, unless the family has words; a blank and the end of an answer are named."""
    numbers = [str(i) for i in range(12)]
    assert make_task("task=mqar", "task.vocabulary=12").token_names() == (["_", *numbers[1:]], numbers)
    inputs, targets = make_task("task=reverse", "task.alphabet=3").token_names()
    assert (inputs, targets) == (["0", "1", "2"], ["0", "1", "2", "end"])
    letters, sounds = make_task("task=g2p").token_names()
    assert (letters[0], letters[26], sounds[-1]) == ("'", "z", "end")
    stories = make_task("task=stories", "task.types=[two_facts]")
    words, answers = stories.token_names()
    assert words[stories.inputs.period] == "." and words[0] == "_"
    assert (len(words), len(answers)) == (stories.inputs.size, stories.targets.size)


@dataclass(frozen=True)
class Graphs(Input):
    """Nodes of `size` kinds, joined by `edges` pairs of their places (`extras["edges"]`)."""

    edges: int

    def arguments(self):
        return {"input_size": self.size, "edges": self.edges}


class Paths(DataTask):
    """A family of its own: paths of as many nodes as the class says, with an input that no other task has."""

    kind = "graph"
    title = "paths"
    contents = "{} nodes"
    length = 4
    eval_lengths = (4,)
    variant = "of four"
    inputs = Graphs(9, edges=3)
    targets = Classes(3, per_step=False)
    solved = None  # not called

    def read_split(self, split):
        number = torch.arange({"train": 10, "validation": 2, "test": 3}[split])
        edges = number[:, None, None].expand(-1, 3, 2) * 10 + torch.tensor([[0, 1], [1, 2], [2, 3]])
        return Batch(number[:, None].expand(-1, 4), number % 3, extras={"edges": edges})


def test_a_family_brings_its_own_input_and_extras():
    """Rows, splits and training batches carry the extras along; the spec answers what constructors ask."""
    task = Paths()
    assert task.model_arguments() == {
        **{"input_size": 9, "edges": 3, "output_size": 3, "per_step": False},
        **{"classes": True, "predicts": False, "counted": None, "steps": 4},
    }
    batches = list(islice(task.train_batches(0, 5), 2))
    assert sorted(row for batch in batches for row in batch.inputs[:, 0].tolist()) == list(range(10))
    for batch in (*batches, *task.train.split(3), task.train.select(torch.tensor([7, 2])), task.test(4)):
        assert torch.equal(batch.extras["edges"][:, 2, 1], 10 * batch.inputs[:, 0] + 3)
        assert set(batch.arguments(["inputs", "edges", "parents"])) == {"inputs", "edges"}
    # 4 of 10 rows are of class 0, and each class counts once more: 5 of 13, then 4 of 13 twice.
    assert task.baseline_loss(4) == pytest.approx(-(math.log(5 / 13) + 2 * math.log(4 / 13)) / 3)
    with pytest.raises(
        ConfigError, match=r"set of paths is read whole, with 4 nodes, so there is none at 5\."
    ):
        task.test(5)
    with pytest.raises(ConfigError, match="batch_size=11 is more than the 10 training examples"):
        task.prepare(11)

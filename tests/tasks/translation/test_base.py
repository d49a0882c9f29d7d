"""One sequence into another: distances, what is right, and what tasks of another order share."""

from __future__ import annotations

import math
from collections import Counter
from itertools import islice, product

import pytest
import torch
from torch.nn import functional as F

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Tokens
from seqbench.tasks.translation.base import Sequences, before_end, edit_distance
from seqbench.tasks.translation.reverse import Reverse
from seqbench.tasks.translation.sort_tokens import SortTokens

END = 3
SPEC = Sequences(4, per_step=True, end=END)


def decoded(row: list[int]) -> list[int]:
    """Return what stands before the first end."""
    return row[: row.index(END)] if END in row else row


def distance(a: list[int], b: list[int]) -> int:
    """Levenshtein's distance by the plain table, entry by entry."""
    table = [[i + j for j in range(len(b) + 1)] for i in range(len(a) + 1)]
    for i, j in product(range(1, len(a) + 1), range(1, len(b) + 1)):
        replaced = table[i - 1][j - 1] + (a[i - 1] != b[j - 1])
        table[i][j] = min(table[i - 1][j] + 1, table[i][j - 1] + 1, replaced)
    return table[-1][-1]


def outputs_for(said: torch.Tensor) -> torch.Tensor:
    return F.one_hot(said, 4).float() + 0.1 * torch.rand(*said.shape, 4)


def means(measures) -> dict[str, float]:
    return {name: ((v * w).sum() / w.sum()).item() for name, (v, w) in measures.items()}


def test_what_stands_before_the_end():
    tokens = torch.tensor([[0, 1, 3, 2, 3], [3, 0, 0, 0, 0], [0, 1, 2, 1, 0]])
    assert before_end(tokens, END).tolist() == [
        [True, True, False, False, False],
        [False] * 5,
        [True] * 5,
    ]


@pytest.mark.parametrize(("said", "answer"), [(7, 7), (9, 4), (4, 9), (1, 6), (6, 1)])
def test_edit_distance_is_that_of_the_plain_table(said, answer):
    """Two symbols and an end, so that sequences of all lengths, empty ones among them, and ties come up."""
    ours = torch.randint(2, (500, said)) + (torch.rand(500, said) < 0.15) * 9
    theirs = torch.randint(2, (500, answer)) + (torch.rand(500, answer) < 0.15) * 9
    ours, theirs = ours.clamp(max=END), theirs.clamp(max=END)
    expected = [distance(decoded(a), decoded(b)) for a, b in zip(ours.tolist(), theirs.tolist(), strict=True)]
    assert edit_distance(ours, theirs, END).tolist() == expected
    assert len(set(expected)) > 3


@pytest.mark.parametrize(
    ("said", "answer", "edits"),
    [
        ([0, 1, 2, 3], [0, 1, 2, 3], 0),
        ([0, 1, 2, 3], [1, 2, 3, 3], 1),  # one to leave out, where place by place three are wrong
        ([1, 2, 3, 3], [0, 1, 2, 3], 1),
        ([0, 2, 3, 0], [0, 1, 3, 3], 1),  # nothing counts after the end
        ([3, 0, 1, 2], [0, 1, 2, 3], 3),
        ([0, 1, 2, 2], [0, 1, 2, 3], 1),  # goes on
    ],
)
def test_edits_by_hand(said, answer, edits):
    assert edit_distance(torch.tensor([said]), torch.tensor([answer]), END).tolist() == [edits]


def test_exact_and_error_of_a_batch():
    targets = torch.tensor([[0, 1, 2, 3], [2, 3, 3, 3], [1, 1, 3, 3], [0, 1, 3, 3]])
    said = torch.tensor([[0, 1, 2, 3], [1, 0, 3, 0], [1, 3, 1, 1], [0, 1, 3, 1]])
    mask = torch.tensor([[1, 1, 1, 1], [1, 1, 0, 0], [1, 1, 1, 0], [1, 1, 1, 0]]).bool()
    batch = Batch(torch.zeros(4, 6, dtype=torch.int64), targets, mask=mask)
    found = SPEC.measure(outputs_for(said), batch)
    assert found["exact"][0].tolist() == [1, 0, 0, 1] and found["exact"][1].tolist() == [1] * 4
    # Edits 0, 2, 1 and 0; tokens 3, 1, 2 and 2.
    assert found["error"][0].tolist() == [0, 2, 0.5, 0] and found["error"][1].tolist() == [3, 1, 2, 2]
    means_found = means(found)
    assert means_found["exact"] == 0.5 and means_found["error"] == pytest.approx(3 / 8)
    assert means_found["accuracy"] == pytest.approx(8 / 12)  # step by step, where the mask is


def test_the_nearest_reference_counts():
    """Padding repeats the first. The second row is one edit from its last, which has three tokens."""
    references = torch.tensor(
        [
            [[0, 1, 3, 3, 3], [2, 2, 3, 3, 3], [0, 1, 3, 3, 3]],
            [[0, 3, 3, 3, 3], [2, 1, 0, 1, 3], [2, 2, 1, 3, 3]],
        ]
    )
    said = torch.tensor([[2, 2, 3, 0, 0], [2, 2, 2, 3, 0]])
    batch = Batch(torch.zeros(2, 1, dtype=torch.int64), references[:, 0], extras={"references": references})
    found = SPEC.measure(outputs_for(said), batch)
    assert found["exact"][0].tolist() == [1, 0]
    assert found["error"][0].tolist() == pytest.approx([0, 1 / 3]) and found["error"][1].tolist() == [2, 3]
    alone = SPEC.measure(outputs_for(said), batch._replace(extras={}))
    assert alone["exact"][0].tolist() == [0, 0]
    assert alone["error"][0].tolist() == [1, 3] and alone["error"][1].tolist() == [2, 1]


def test_of_two_nearest_references_the_first_counts():
    references = torch.tensor([[[0, 1, 3, 3], [0, 1, 2, 2]]])
    batch = Batch(torch.zeros(1, 1, dtype=torch.int64), references[:, 0], extras={"references": references})
    found = SPEC.measure(outputs_for(torch.tensor([[0, 1, 2, 3]])), batch)
    assert (found["error"][0].item(), found["error"][1].item()) == (0.5, 2)


def test_random_rows_against_the_plain_table():
    references = torch.randint(4, (200, 3, 6))
    said = torch.randint(4, (200, 6))
    batch = Batch(torch.zeros(200, 1, dtype=torch.int64), references[:, 0], extras={"references": references})
    found = SPEC.measure(outputs_for(said), batch)
    for i, row in enumerate(said.tolist()):
        answers = [decoded(answer) for answer in references[i].tolist()]
        edits, size = min(((distance(decoded(row), a), len(a)) for a in answers), key=lambda pair: pair[0])
        assert found["exact"][0][i] == (decoded(row) in answers)
        assert found["error"][1][i] == size
        assert found["error"][0][i].item() == pytest.approx(edits / max(size, 1))


def test_several_models_are_measured_at_once():
    references = torch.randint(4, (20, 2, 5))
    batch = Batch(torch.zeros(20, 1, dtype=torch.int64), references[:, 0], extras={"references": references})
    outputs = torch.randn(3, 20, 5, 4)
    together = torch.func.vmap(lambda each: SPEC.measure(each, batch))(outputs)
    for k in range(3):
        for name, both in SPEC.measure(outputs[k], batch).items():
            torch.testing.assert_close(tuple(part[k] for part in together[name]), both)


def test_training_has_all_lengths_alike_and_evaluation_exact_ones():
    task = Reverse(length=4, eval_lengths=[2, 6], eval_size=7)
    assert task.steps == 4
    found = Counter(batch.inputs.shape for batch in islice(task.train_batches(0, 3), 1200))
    assert set(found) == {(3, n) for n in (1, 2, 3, 4)}
    assert all(abs(n - 300) < 5 * math.sqrt(300) for n in found.values())
    assert task.validation().inputs.shape == (7, 4) and task.validation().targets.shape == (7, 5)
    assert [task.test(n).targets.shape for n in task.eval_lengths] == [(7, 3), (7, 7)]


def test_bad_values_are_refused():
    with pytest.raises(ConfigError, match=r"task.alphabet=1 leaves nothing to tell apart; give at least 2\."):
        Reverse(alphabet=1)
    with pytest.raises(ConfigError, match=r"task.length=0 is too short .* at least 1"):
        Reverse(length=0)


@pytest.mark.parametrize("task_class", [Reverse, SortTokens])
def test_specs(task_class):
    task = task_class(alphabet=5)
    assert task.inputs == Tokens(5) and task.targets == Sequences(6, per_step=True, end=5)
    assert (task.kind, task.metric, task.direction) == ("two-sequence", "exact", "max")
    assert task.variant == "5 symbols" and task.token_names() == (list("01234"), [*"01234", "end"])


@pytest.mark.parametrize(("name", "task_class"), [("reverse", Reverse), ("sort_tokens", SortTokens)])
def test_the_presets(make_task, name, task_class):
    task = make_task(f"task={name}")
    assert isinstance(task, task_class) and (task.length, task.alphabet, task.eval_size) == (20, 8, 1000)
    assert task.eval_lengths == (5, 10, 15, 20, 30)

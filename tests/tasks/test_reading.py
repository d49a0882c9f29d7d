"""Reading new sequences in a reader's words."""

from __future__ import annotations

import pytest
import torch

from seqbench.errors import DataError


def test_tokens_by_name_and_by_number(make_task):
    task = make_task("task=embedded_reber")
    named, numbered = task.read(["B T B P"]), task.read([[0, 1, 0, 2]])
    assert torch.equal(named["inputs"], numbered["inputs"]) and named.keys() == {"inputs"}
    two = task.read([["B", "T"], torch.tensor([0, 1, 0])])
    assert two["inputs"].tolist() == [[0, 1, 0], [0, 1, 0]] and two["lengths"].tolist() == [2, 3]


def test_numbers(make_task):
    task = make_task("task=latch")
    assert task.read([[1.0, 0.5, -1.0]])["inputs"].shape == (1, 3, 1)
    assert make_task("task=adding").read([[[0.5, 0], [0.1, 1]]])["inputs"].dtype == torch.float32


def test_trees_have_the_parents_of_their_batch(make_task):
    task = make_task("task=listops")
    batch = task.validation().rows(0, 5)
    names, _ = task.token_names()
    lengths = batch.lengths.tolist()
    texts = [
        " ".join(names[i] for i in row[:n]) for row, n in zip(batch.inputs.tolist(), lengths, strict=True)
    ]
    given = task.read(texts)
    steps = max(lengths)
    assert torch.equal(given["inputs"], batch.inputs[:, :steps])
    assert torch.equal(given["parents"], batch.extras["parents"][:, :steps])


def test_an_answer_is_said_in_words(make_task):
    assert make_task("task=parity").in_words(torch.tensor([0.2, 0.8])) == "odd"
    reverse = make_task("task=reverse")
    likeliest = torch.nn.functional.one_hot(torch.tensor([3, 0, 8, 1]), 9)
    assert reverse.in_words(likeliest) == "3 0", "up to the end"
    assert make_task("task=adding").in_words(torch.tensor([1.25])) == "1.25"


@pytest.mark.parametrize(
    ("task", "sequence", "reason"),
    [
        ("embedded_reber", "B Q", "There is no token 'Q'. There are: B, T, P, S, X, V, E.$"),
        (
            "embedded_reber",
            "BTBPE",
            "There is no token 'BTBPE'; with spaces between tokens it is 'B T B P E'.",
        ),
        ("embedded_reber", [0, 7], "There is no token 7; the tokens are 0 to 6."),
        (
            "embedded_reber",
            [0.5],
            r"must be tokens \(T,\), by name or by number, and one has the shape \(1,\)",
        ),
        ("embedded_reber", "", "must be tokens"),
        ("adding", [0.5, 0.5], r"must be numbers \(T, 2\), and one has the shape \(2,\)"),
        ("adding", "half", "must be numbers"),
        ("listops", "[ MAX 2 3", "leaves a bracket open"),
        ("listops", "MAX 2 ] 3", "closes a bracket that it has not opened"),
        ("listops", "2 3", "has more than one root"),
        ("embedded_reber", None, "must be tokens"),
        ("embedded_reber", 3, r"must be tokens .* has the shape \(\)"),
        ("embedded_reber", ["B", 1], r"There is no token 1\. There are: B, "),
        ("embedded_reber", [1, "B"], r"There is no token 1\. There are: B, "),
        ("embedded_reber", [1j], "must be tokens .* and one has complex ones"),
        ("latch", [0.5, float("nan")], r"must be numbers \(T, 1\), and step 2 of one is not finite"),
        ("adding", [[0.5, 1], [float("inf"), 1e300]], "step 2 of one is not finite"),
        ("latch", [1e300], "step 1 of one is not finite"),
        ("latch", [1j], "must be numbers .* and one has complex ones"),
        ("stories", "mary moved to the kitchen .", r"must end with a question, after the last '\.'"),
    ],
)
def test_what_the_task_cannot_have_is_refused(make_task, task, sequence, reason):
    with pytest.raises(DataError, match=reason):
        make_task(f"task={task}").read([sequence])


@pytest.mark.parametrize("sequences", ["B T B P", [], None, 5])
def test_sequences_come_in_a_list(make_task, sequences):
    with pytest.raises(DataError, match="Give a list of sequences, and not "):
        make_task("task=embedded_reber").read(sequences)


def test_any_iterable_of_sequences_is_read(make_task):
    task = make_task("task=stories")
    read = task.read(text for text in ("where is mary ?", "mary moved to the kitchen . where is mary ?"))
    assert read["lengths"].tolist() == [4, 10]

"""What tasks of answering questions share: tokens, what is measured, when they are solved."""

from __future__ import annotations

import math

import pytest
import torch
from torch.nn import functional as F

from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.stories.base import Answers, Story, StoryTask, encode
from tests.tasks.batches import parts

WORDS = {"_": 0, ".": 1, "?": 2, "mary": 3, "left": 4, "came": 5, "who": 6}
LEFT, CAME = ["mary", "left", "."], ["mary", "came", "."]
STORIES = [
    Story([LEFT, CAME], ["who", "came", "?"], "mary", [1], 0),
    Story([CAME], ["who", "left", "?"], "nobody", [], 2),
]
ANSWERS = {"nobody": 0, "mary": 1}


class Asked(StoryTask):
    """Only its measures are asked for."""

    types = ("who", "what", "where")
    targets = Answers(2, per_step=False)

    train_batches = validation = test = baseline_loss = None  # type: ignore[assignment]


def batch_of(targets: list[int], types: list[int], facts: list[list[int]] | None = None) -> Batch:
    return Batch(
        torch.zeros(len(targets), 4, dtype=torch.int64),
        torch.tensor(targets),
        extras={"types": torch.tensor(types)} | ({} if facts is None else {"facts": torch.tensor(facts)}),
    )


def means(measures) -> dict[str, float]:
    return {
        name: ((values * weights).sum() / weights.sum()).item()
        for name, (values, weights) in measures.items()
    }


def test_stories_become_tokens():
    batch = encode(STORIES, WORDS, ANSWERS, 10, 2)
    assert batch.inputs.tolist() == [[3, 4, 1, 3, 5, 1, 6, 5, 2, 0], [3, 5, 1, 6, 4, 2, 0, 0, 0, 0]]
    assert batch.targets.tolist() == [1, 0] and batch.lengths.tolist() == [9, 6]
    assert batch.extras["facts"].tolist() == [[1, -1], [-1, -1]] and batch.extras["types"].tolist() == [0, 2]
    assert batch.mask is None and all(part.dtype == torch.int64 for part in parts(batch).values())
    assert set(encode([STORIES[1]], WORDS, ANSWERS, 6, 0).extras) == {"types"}


@pytest.mark.parametrize(
    ("story", "message"),
    [
        (STORIES[0]._replace(question=["why", "?"]), "The word 'why' of a story is not in the vocabulary"),
        (STORIES[0]._replace(answer="john"), "The answer 'john' of a story is not among the known ones"),
        (STORIES[0]._replace(sentences=[LEFT] * 3), "A story has 12 words, but there is room for 10 at most"),
    ],
)
def test_what_has_no_token_is_refused(story, message):
    with pytest.raises(ConfigError, match=message):
        encode([story], WORDS, ANSWERS, 10, 2)


def test_the_loss_of_addressing_is_trained_on_and_not_reported():
    batch = batch_of([1, 0, 1], [0, 0, 0], [[0, 2], [1, -1], [-1, -1]])
    logits = torch.randn(3, 2)
    target = Answers(2, per_step=False)
    answer = F.cross_entropy(logits, batch.targets, reduction="none")
    addressing = torch.tensor([0.5, 0.25, 2.0])
    outputs = (logits, addressing, torch.zeros(3, 2, dtype=torch.int64))
    torch.testing.assert_close(target.losses(outputs, batch), answer + addressing)
    torch.testing.assert_close(target.loss(outputs, batch), (answer + addressing).mean())
    torch.testing.assert_close(target.loss(logits, batch), answer.mean())
    assert means(target.measure(outputs, batch))["loss"] == pytest.approx(answer.mean().item())
    assert set(target.measure(logits, batch)) == {"loss", "accuracy"}


def test_facts_are_the_share_of_those_addressed():
    """Of two facts one, of one none, of three all in another order; a story without any does not count."""
    facts = [[4, 2, -1], [0, -1, -1], [5, 1, 3], [-1, -1, -1]]
    found = torch.tensor([[2, 2, 1], [-1, 3, 1], [1, 3, 5], [-1, 0, -1]])
    batch = batch_of([0] * 4, [0] * 4, facts)
    measures = Answers(2, per_step=False).measure((torch.zeros(4, 2), torch.zeros(4), found), batch)
    assert means(measures)["facts"] == pytest.approx((1 / 2 + 0 + 1) / 3)
    untold = batch._replace(extras={"types": batch.extras["types"]})
    assert "facts" not in Answers(2, per_step=False).measure(
        (torch.zeros(4, 2), torch.zeros(4), found), untold
    )


def test_errors_are_counted_by_type():
    task = Asked()
    logits = F.one_hot(torch.tensor([0, 1, 1, 1, 0]), 2).float()
    batch = batch_of([0, 1, 0, 1, 1], [0, 0, 0, 2, 2])
    metrics = means(task.measure(logits, batch))
    assert metrics["error"] == pytest.approx(2 / 5) and metrics["accuracy"] == pytest.approx(3 / 5)
    assert metrics["error_who"] == pytest.approx(1 / 3) and metrics["error_where"] == pytest.approx(1 / 2)
    assert math.isnan(metrics["error_what"])
    summary = task.summary(metrics)
    assert "error_what" not in summary and summary["failed"] == 2  # a type of which there is no story


@pytest.mark.parametrize(
    ("errors", "failed"),
    [((0.05, 0.0, 0.05), 0), ((0.0501, 0.0, 0.0), 1), ((0.3, 0.06, 1.0), 3), ((0.0, 0.0, 0.0), 0)],
)
def test_a_type_is_failed_above_five_percent(errors, failed):
    task = Asked()
    metrics = dict(zip(map("error_{}".format, task.types), errors, strict=True)) | {"error": 0.5}
    summary = task.summary(metrics)
    assert summary == metrics | {"failed": failed}
    assert task.solved(summary) is (failed == 0)


@pytest.mark.parametrize(("error", "failed"), [(0.05, 0), (0.051, 1)])
def test_one_type_is_judged_by_all_of_its_stories(error, failed):
    task = Asked()
    task.types = ("who",)
    assert set(task.measure(torch.zeros(1, 2), batch_of([0], [0]))) == {"loss", "accuracy", "error"}
    assert task.summary({"error": error})["failed"] == failed

"""Stories taken apart into sentences."""

from __future__ import annotations

import pytest
import torch

from seqbench.models.memory.sentences import check_memory, split_into_sentences

PERIOD, PADDING = 1, 0
#: Two stories of tokens: two sentences and a question; no sentence and a question. Garbage past the end.
STORIES = [
    [[2, 3, 4, PERIOD], [5, 3, PERIOD], [6, 2]],
    [[7, 2, 2]],
]


def tokens():
    flat = [[token for sentence in story for token in sentence] for story in STORIES]
    lengths = torch.tensor([len(row) for row in flat])
    padded = torch.full((2, 12), PERIOD)
    for row, words in zip(padded, flat, strict=True):
        row[: len(words)] = torch.tensor(words)
    return padded, lengths


def by_hand(story, embedding, rows, position):
    """Σ_j l_j ⊙ A x_j of every sentence, in plain loops."""
    size = embedding.shape[1]
    found = torch.zeros(rows, size, dtype=embedding.dtype)
    for row, sentence in enumerate(reversed(story)):
        for j, word in enumerate(sentence, 1):
            for k in range(1, size + 1):
                weight = (1 - j / len(sentence)) - k / size * (1 - 2 * j / len(sentence)) if position else 1
                found[row, k - 1] += weight * embedding[word, k - 1]
    return found


@pytest.mark.parametrize("encoding", ["position", "bag"])
def test_encodes_as_the_paper_says_newest_sentence_first(encoding):
    inputs, lengths = tokens()
    embedding = torch.randn(8, 5).double()
    sentences = split_into_sentences(inputs, lengths, 8, PERIOD, 4, encoding, torch.float64)
    assert sentences.number.tolist() == [2, 0]
    for found, story in zip(sentences.encode(embedding), STORIES, strict=True):
        torch.testing.assert_close(found, by_hand(story, embedding, 4, encoding == "position"))


@pytest.mark.parametrize("encoding", ["position", "bag"])
def test_of_a_story_too_long_the_newest_are_kept(encoding):
    inputs, lengths = tokens()
    embedding = torch.randn(8, 5).double()
    whole = split_into_sentences(inputs, lengths, 8, PERIOD, 4, encoding, torch.float64).encode(embedding)
    short = split_into_sentences(inputs, lengths, 8, PERIOD, 2, encoding, torch.float64).encode(embedding)
    torch.testing.assert_close(short, whole[:, :2])


def test_the_order_of_words_counts_for_position_alone():
    inputs = torch.tensor([[2, 3, 4, PERIOD, 5], [4, 3, 2, PERIOD, 5]])
    embedding = torch.randn(8, 5)
    for encoding, differs in [("position", True), ("bag", False)]:
        found = split_into_sentences(inputs, None, 8, PERIOD, 2, encoding, torch.float32).encode(embedding)
        assert torch.allclose(found[0], found[1], atol=1e-6) is not differs


def test_room_for_the_longest_story():
    assert check_memory(None, 7) == check_memory(7, 7) == 7
    with pytest.raises(
        ValueError, match=r"memory_size=6 holds fewer sentences than the longest story has, 7"
    ):
        check_memory(6, 7)

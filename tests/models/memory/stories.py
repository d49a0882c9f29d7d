"""Small stories in tokens, for the tests of memory networks."""

from __future__ import annotations

import torch
from torch import Tensor

PERIOD, WORDS, SENTENCES = 1, 9, 5
KNOWN = {"input_size": WORDS, "output_size": 4, "period": PERIOD, "sentences": SENTENCES}
#: Three stories of 3, 1 and 4 sentences, each with its question.
STORIES = [
    [[2, 3, 4, PERIOD], [5, 3, PERIOD], [4, 6, PERIOD], [6, 2]],
    [[7, 2, 2, PERIOD], [3]],
    [[8, 3, PERIOD], [2, 4, 6, PERIOD], [5, PERIOD], [7, 3, PERIOD], [6, 4, 2]],
]
#: Their supporting facts.
FACTS = torch.tensor([[0, 2], [0, -1], [3, 1]])


def padded() -> tuple[Tensor, Tensor]:
    """The stories as a batch, and the words in each."""
    flat = [[token for sentence in story for token in sentence] for story in STORIES]
    inputs = torch.zeros(3, max(map(len, flat)) + 2, dtype=torch.int64)
    for row, words in zip(inputs, flat, strict=True):
        row[: len(words)] = torch.tensor(words)
    return inputs, torch.tensor([len(words) for words in flat])


def encode(sentence: list[int], embedding: Tensor, position: bool) -> Tensor:
    """Σ_j l_j ⊙ A x_j in plain loops, without a gradient."""
    found = torch.zeros(embedding.shape[1], dtype=embedding.dtype)
    for j, word in enumerate(sentence, 1):
        for k in range(embedding.shape[1]):
            share = (k + 1) / embedding.shape[1]
            weight = (1 - j / len(sentence)) - share * (1 - 2 * j / len(sentence)) if position else 1.0
            found[k] += weight * embedding[word, k].detach()
    return found

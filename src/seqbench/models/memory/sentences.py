"""A story of tokens, split into sentences, each of which is encoded in one vector."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor

from seqbench.models.sizes import at_least_one

Encoding = Literal["position", "bag"]


class Sentences(NamedTuple):
    """The weighted counts of the words of each sentence; a sentence's row is its age.

        row 0   the question          where is mary ?
        row 1   the newest sentence   john took the ball .
        row 2   the one before        mary went to the garden .
        row 3   …                     nothing, if the story has no more

    bag: counts of each word, with the weights α of its places, (B, rows, words).
    order: the same with the weights β; None if the order of words does not count.
    number: sentences of the story, without the question, (B).
    """

    bag: Float[Tensor, "B rows V"]
    order: Float[Tensor, "B rows V"] | None
    number: Int[Tensor, " B"]

    def encode(self, embedding: Float[Tensor, "V d"]) -> Float[Tensor, "B rows d"]:
        """Return Σ_j l_j ⊙ A x_j for each sentence, by a matrix A whose rows embed the words.

        The weight of place j of J in number k of d, l_kj = (1 − j/J) − (k/d) (1 − 2j/J), is α_j − (k/d) β_j:
        the sum follows from two counts of words and one matrix (Sukhbaatar et al., 2015, section 4.1).
        """
        plain = self.bag @ embedding
        if self.order is None:
            return plain
        size = embedding.shape[1]
        share = torch.arange(1, size + 1, device=embedding.device, dtype=embedding.dtype) / size
        return plain - share * (self.order @ embedding)


def split_into_sentences(
    tokens: Int[Tensor, "B T"],
    lengths: Int[Tensor, " B"] | None,
    words: int,
    period: int,
    rows: int,
    encoding: Encoding,
    dtype: torch.dtype,
) -> Sentences:
    """Split stories into sentences, by sums and products alone, so that `torch.func.vmap` can batch it.

    Args:
        tokens: a story, its question last.
        lengths: valid tokens of each row; None if all are.
        words: size of the vocabulary.
        period: the token that ends a sentence.
        rows: the question and the newest `rows` − 1 sentences; older ones are left out.
        encoding: whether the order of words counts.
        dtype: type of the counts.
    """
    t = torch.arange(tokens.shape[1], device=tokens.device)
    valid = t < (torch.full_like(tokens[:, 0], tokens.shape[1]) if lengths is None else lengths)[:, None]
    ends = ((tokens == period) & valid).to(torch.int64)
    age = ends.sum(1, keepdim=True) - (ends.cumsum(1) - ends)
    here = (age[..., None] == torch.arange(rows, device=tokens.device)) & valid[..., None]
    where = here.to(dtype)  # (B, T, rows)
    which = (tokens[..., None] == torch.arange(words, device=tokens.device)).to(dtype)  # (B, T, words)
    if encoding == "bag":
        return Sentences(where.transpose(1, 2) @ which, None, ends.sum(1))
    size = where.sum(1)
    # The newest come last: before a sentence are all words but its own and those of newer sentences.
    start = valid.sum(1, keepdim=True) - size.cumsum(1)
    place = (t + 1) - (where @ start[..., None])[..., 0]  # j, from 1
    length = (where @ size[..., None])[..., 0].clamp_min(1)  # J
    share = (place / length)[..., None]
    bag = (where * (1 - share)).transpose(1, 2) @ which
    order = (where * (1 - 2 * share)).transpose(1, 2) @ which
    return Sentences(bag, order, ends.sum(1))


def check_memory(memory_size: int | None, sentences: int) -> int:
    """Return the number of sentences that the memory has room for.

    Raises:
        ValueError: the longest story has more, or there is no memory for so much room.
    """
    if memory_size is not None and memory_size < sentences:
        raise ValueError(
            f"memory_size={memory_size} holds fewer sentences than the longest story has, {sentences}; "
            "give at least so many, or null for just enough."
        )
    room = sentences if memory_size is None else memory_size
    at_least_one(memory_size=(room, "sentence"))
    return room

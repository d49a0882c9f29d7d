"""What models that answer questions about a story share: a memory of its sentences."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Bool, Int
from torch import Tensor, nn

from seqbench.models.memory.sentences import Encoding, Sentences, check_memory, split_into_sentences
from seqbench.models.model import Model
from seqbench.models.observations import Lookups
from seqbench.models.sizes import MOST_PARTS, at_least_one


class StoryModel(Model):
    """A model with a memory of one row for each sentence, looked up in several hops.

    Args:
        input_size: words V of the alphabet.
        period: the token that ends a sentence.
        sentences: of the longest story.
        hidden_size: d.
        hops: times that the memory is looked up.
        encoding: position, the order of words counts; or bag.
        memory_size: sentences there is room for; None for as many as the longest story has.

    Raises:
        ValueError: a size below 1, or a story longer than the memory.
    """

    accepts: ClassVar[tuple[str, ...]] = ("story",)
    vectorizable = True

    def __init__(
        self,
        input_size: int,
        period: int,
        sentences: int,
        hidden_size: int,
        hops: int,
        encoding: Encoding,
        memory_size: int | None,
    ) -> None:
        super().__init__()
        at_least_one(hidden_size=(hidden_size, "unit"))
        at_least_one(MOST_PARTS, hops=(hops, "hop"))
        self.rows = check_memory(memory_size, sentences) + 1  # row 0 is the question
        self.words = input_size
        self.sentences = sentences
        self.period = period
        self.hidden_size = hidden_size
        self.hops = hops
        self.encoding: Encoding = encoding

    @staticmethod
    def weights(*size: int) -> nn.Parameter:
        """Return new weights, normal with a standard deviation of 0.1."""
        return nn.Parameter(torch.randn(size) * 0.1)

    def of_the_period(self, words: nn.Parameter) -> Bool[Tensor, "V d"]:
        """Return the mask of the period's row: it ends sentences of the story, so that no question has it."""
        mask = torch.zeros(words.shape, dtype=torch.bool, device="cpu")
        mask[self.period] = True
        return mask

    @property
    def state_size(self) -> int:
        """Numbers in the memory, as one hop sees it."""
        return (self.rows - 1) * self.hidden_size

    def time_scales(self) -> list[str]:
        return [f"a memory of {self.rows - 1} sentences, all within reach"]

    def split(self, inputs: Int[Tensor, "B T"], lengths: Int[Tensor, " B"] | None) -> Sentences:
        """Split stories into the sentences that the memory has room for."""
        dtype = next(self.parameters()).dtype
        return split_into_sentences(inputs, lengths, self.words, self.period, self.rows, self.encoding, dtype)

    def unobservable(self) -> None:
        return None

    def observe(self, inputs: Int[Tensor, "B T"], lengths: Int[Tensor, " B"] | None = None) -> Lookups:
        """Return which sentences the model looks up; `outputs` are the answers' log-probabilities."""
        outputs, attention = self(inputs, lengths)
        return Lookups(outputs=outputs if isinstance(outputs, Tensor) else outputs[0], attention=attention)

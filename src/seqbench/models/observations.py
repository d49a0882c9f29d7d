"""Records of what a model did on a batch; `analysis` tabulates and draws them."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor


@dataclass(frozen=True)
class Observation:
    """A record of what a model did on a batch; subclasses add what there is to see.

    Attributes:
        outputs: of the model.
    """

    outputs: Tensor


@dataclass(frozen=True)
class Heads(Observation):
    """Heads that read and write a memory of N words of M numbers, in T steps.

    Attributes:
        inputs: of the layer with the memory; tokens are one-hot.
        written: the change of the memory by writing, summed over its words.
        read: the words that the R read heads read.
        writing: the weightings of the W write heads.
        reading: the weightings of the read heads.
        layers: of the model, the first of which has this memory.
    """

    inputs: Float[Tensor, "B T F"]
    written: Float[Tensor, "B T M"]
    read: Float[Tensor, "B T R M"]
    writing: Float[Tensor, "B T W N"]
    reading: Float[Tensor, "B T R N"]
    layers: int = 1


@dataclass(frozen=True)
class Lookups(Observation):
    """Sentences of a story that were looked up, in K hops, among the N places of a memory.

    Attributes:
        attention: the weight of each place in each hop, the newest sentence first.
    """

    attention: Float[Tensor, "B K N"]


@dataclass(frozen=True)
class Alignment(Observation):
    """Tokens of the input that were attended to at each of T output steps.

    Attributes:
        attention: the weight of each of the S tokens of the input.
        end: the token that ends an output.
    """

    attention: Float[Tensor, "B T S"]
    end: int

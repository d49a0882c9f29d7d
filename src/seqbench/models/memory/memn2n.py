"""The end-to-end memory network: several hops of soft attention over a story."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor

from seqbench.models.memory.sentences import Encoding
from seqbench.models.memory.story_model import StoryModel


class MemN2N(StoryModel):
    """A story in a memory, read in several hops; what a hop reads decides what the next one looks for.

        question ──B──▶ u ──────────────▶(+)── u ────────────▶(+)── u ──W──▶ answer
                        │                 ▲     │               ▲
                        ▼ p = softmax(u·m)│     ▼ p             │
        story ──A──▶ m ─○──▶ o = Σ p c ───┘     ○──▶ o ─────────┘
              ──C──▶ c ─┘

        p_i = softmax(u·m_i)                        (1)
        o = Σ_i p_i c_i                             (2)
        â = softmax(W (o + u))                      (3)
        u ← u + o                                   (4)  between hops; with `tying: layerwise` u ← H u + o
        m_i = Σ_j l_j ⊙ A x_ij + T_A(i)             section 4.1, position and temporal encoding; c_i likewise

    Training does not use the facts that an answer rests on. i counts sentences from the question backwards.

    Args:
        input_size: words V of the alphabet.
        output_size: answers.
        period: the token that ends a sentence.
        sentences: of the longest story.
        hidden_size: d.
        hops: K.
        tying: adjacent, A of a hop is C of the previous one, and B is the first A; or layerwise, all hops
            have the same A and C, and a matrix H between them.
        encoding: position, the order of words counts; or bag.
        temporal: whether the order of sentences counts, by T.
        memory_size: sentences there is room for; None for as many as the longest story has.

    Raises:
        ValueError: a size below 1, or a story longer than the memory.

    Where it differs from the paper and the authors' code: the answers have a matrix W of their own, as they
    need not be words of the story. The full stop of a sentence is a word (and the task's question mark too),
    which counts in J; their code strips both. Their code takes for J the words of the longest sentence and
    one for the time, whose embedding is weighted with the place of a last word. Training is that of any
    model: without time noise (up to 10 % of empty memories between sentences), and without a linear start
    (the first 20 epochs without the softmax of (1)).

    Source: Sukhbaatar, Szlam, Weston & Fergus (2015), "End-to-end memory networks".
    """

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        period: int,
        sentences: int,
        hidden_size: int = 50,
        hops: int = 3,
        tying: Literal["adjacent", "layerwise"] = "adjacent",
        encoding: Encoding = "position",
        temporal: bool = True,
        memory_size: int | None = None,
    ) -> None:
        super().__init__(input_size, period, sentences, hidden_size, hops, encoding, memory_size)
        self.tying = tying
        # Adjacent: hop k reads with matrix k and puts out with matrix k + 1.
        matrices = hops + 1 if tying == "adjacent" else 2
        self.A = self.weights(matrices, input_size, hidden_size)
        self.T = self.weights(matrices, self.rows, hidden_size) if temporal else None
        self.B = self.weights(input_size, hidden_size) if tying == "layerwise" else None
        self.H = self.weights(hidden_size, hidden_size) if tying == "layerwise" else None
        self.W = self.weights(output_size, hidden_size)

    def dead_entries(self) -> dict[str, Tensor]:
        """Return the masks of the times of the question and of places never in use, and of periods.

        The period ends every sentence of the story, with the same weight: in m of the first hop it adds the
        same to every score, which softmax takes away.
        """
        masks = {} if self.B is None else {"B": self.of_the_period(self.B)}
        masks["A"] = torch.zeros(self.A.shape, dtype=torch.bool, device="cpu")
        masks["A"][0, self.period] = True
        if self.T is not None:
            masks["T"] = torch.ones(self.T.shape, dtype=torch.bool, device="cpu")
            masks["T"][:, 1 : self.sentences + 1] = False
        return masks

    def forward(
        self, inputs: Int[Tensor, "B T"], lengths: Int[Tensor, " B"] | None = None
    ) -> tuple[Float[Tensor, "B O"], Float[Tensor, "B K N"]]:
        """Answer the questions of stories.

        Args:
            inputs: words, the question last.
            lengths: words of each row; None if all are valid.

        Returns:
            Unnormalised log-probabilities of the answers, and the attention p of each of the K hops to the N
            places of the memory, the newest sentence first.
        """
        story = self.split(inputs, lengths)
        there = torch.arange(self.rows - 1, device=inputs.device) < story.number[:, None]
        encoded = [
            story.encode(a) + (0 if self.T is None else self.T[k]) for k, a in enumerate(self.A.unbind(0))
        ]
        u = story.encode(self.A[0] if self.B is None else self.B)[:, 0]
        attention = []
        for hop in range(self.hops):
            first = hop if self.tying == "adjacent" else 0
            m, c = encoded[first][:, 1:], encoded[first + 1][:, 1:]
            p = attend((m @ u[..., None])[..., 0], there)
            o = (p[:, None] @ c)[:, 0]
            u = o + (u if self.H is None else u @ self.H.t())
            attention.append(p)
        return u @ self.W.t(), torch.stack(attention, dim=1)


def attend(scores: Float[Tensor, "B N"], there: Bool[Tensor, "B N"]) -> Float[Tensor, "B N"]:
    """Return the softmax over the places in use; zero everywhere if none is."""
    least = torch.finfo(scores.dtype).min
    return torch.softmax(scores.masked_fill(~there, least), dim=-1) * there

"""Encoder and decoder (Fig. 10.12): one sequence is read, another of another length is put out."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, Literal

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from seqbench.models.body import Stack
from seqbench.models.model import Model
from seqbench.models.observations import Alignment
from seqbench.models.seq2seq.attention import AttentionKind
from seqbench.models.seq2seq.beam import beam_search
from seqbench.models.seq2seq.decoder import Decoder
from seqbench.models.sizes import MOST_PARTS, at_least_one
from seqbench.models.unfold import Cell, Engine, last_valid


class Seq2Seq(Model):
    """An encoder reads x(1) … x(n) into a context C, from which a decoder puts out y(1) … y(m).

          C fixed                                    C a sequence, `attention`

          x(1) ▶ x(2) ▶ … ▶ x(n)                     x(1) ◀▶ x(2) ◀▶ … ◀▶ x(n)
                             │                         h₁      h₂          hₙ
                             C                          ╲      │ α(t)     ╱
                       ┌─────┼─────┐                     ▶ c(t) = Σ α h ◀
                       ▼     ▼     ▼                          │
                     y(1) ▶ y(2) ▶ y(3)             s(t−1), y(t−1) ──▶ s(t) ──▶ y(t)

    A fixed C is the encoder's last output, of both directions if it has two. It sets the decoder's first
    state, through tanh of a linear map. With `context: every_step` it is also an input of each step (Cho et
    al., 2014); with `start` it is not (Sutskever, Vinyals & Le, 2014). With attention the first state is set
    in the same way, and each step has a context of its own (Bahdanau, Cho & Bengio, 2015, section 3.1 and
    appendix A.2; they set s(0) from the backward direction alone):

        e_j(t) = vᵀ tanh(Wₐ s(t−1) + Uₐ h_j)        additive; or dot, s(t−1)·(Uₐ h_j) / √d
        α(t) = softmax e(t)                         over the valid steps of the input
        c(t) = Σ_j α_j(t) h_j
        s(t) = f(s(t−1), [y(t−1), c(t)])
        o(t) = readout [s(t), c(t)]

    As a query s is the output of the decoder's last layer. s(0) is the output that belongs to the first
    state; of a cell whose output does not follow from its state it is tanh of a linear map of its own.

    In training the decoder is fed the true y(t−1) (teacher forcing), or where the teacher mask is false its
    own likeliest token. In use it is always fed its own likeliest token, or what beam search finds.

    Args:
        cell: makes a layer of the encoder, and of the decoder unless `decoder_cell` does.
        input_size: tokens of the input.
        output_size: tokens of the output, `end` among them.
        end: the token that ends an output.
        hidden_size: H, units of a layer in each direction, and of the attention.
        num_layers: layers of the encoder, and of the decoder.
        bidirectional: whether the encoder is.
        attention: additive or dot; None for a fixed context.
        context: where a fixed context enters: every_step or start.
        decoder_cell: makes a layer of the decoder; None for `cell`.
        beam: sequences that beam search keeps, in use; 1 takes the likeliest token at each step.
        length_penalty: of beam search, see `beam_search`; 0 compares sequences by their probability alone.
        engine: how layers unfold, see `unfold`.

    Raises:
        ValueError: a size or a beam below 1, an engine that a cell does not have, a context that would not
            reach the decoder, a length penalty without a beam, or a place for a fixed context where attention
            makes one for each step.
    """

    accepts: ClassVar[tuple[str, ...]] = ("two-sequence",)
    feeds_back = True
    revisions: ClassVar[dict[str, int]] = {"attention": 2, "beam": 2}

    def __init__(
        self,
        cell: Callable[[int, int], Cell],
        input_size: int,
        output_size: int,
        *,
        end: int,
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        attention: AttentionKind | None = None,
        context: Literal["every_step", "start"] = "every_step",
        decoder_cell: Callable[[int, int], Cell] | None = None,
        beam: int = 1,
        length_penalty: float = 1.0,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        at_least_one(MOST_PARTS, beam=(beam, "sequence"))
        if beam == 1 and length_penalty != 1.0:
            raise ValueError(
                f"length_penalty={length_penalty} ranks what beam search finds, and beam=1 does not search; "
                "give a larger beam, or leave it out."
            )
        if attention is not None and context != "every_step":
            raise ValueError(
                f"context={context} places a fixed context, and attention={attention} makes one for each "
                "step; give one of them."
            )
        self.end = end
        self.beam = beam
        self.length_penalty = length_penalty
        self.one_hot: Tensor
        self.register_buffer("one_hot", torch.eye(input_size), persistent=False)
        self.encoder = Stack(cell, input_size, hidden_size, num_layers, bidirectional, engine=engine)
        self.decoder = Decoder(
            decoder_cell or cell,
            output_size,
            self.encoder.output_size,
            hidden_size,
            num_layers,
            attention,
            attention is not None or context == "every_step",
            engine,
        )
        self.vectorizable = self.encoder.vectorizable and self.decoder.body.vectorizable

    @property
    def state_size(self) -> int:
        """Numbers that the decoder carries from step to step, a fixed context among them."""
        return self.decoder.body.state_size + self.decoder.context_size

    def time_scales(self) -> list[str]:
        attention = ["attention to every step of the input"] if self.decoder.attention else []
        return [*super().time_scales(), *attention]

    def forward(
        self,
        inputs: Int[Tensor, "B S"],
        lengths: Int[Tensor, " B"] | None = None,
        targets: Int[Tensor, "B T"] | None = None,
        teacher_mask: Bool[Tensor, "B T"] | None = None,
        steps: int | None = None,
    ) -> tuple[Float[Tensor, "B T O"], Float[Tensor, "B T S"] | None]:
        """Translate sequences.

        Args:
            inputs: tokens.
            lengths: valid steps of each row of the inputs; None if all are.
            targets: the true outputs, T of them.
            teacher_mask: true where the true token of the step before is fed, false where the model's own;
                None: the truth everywhere, or nowhere if there are no targets. In evaluation mode with a beam
                above 1 any mask means nowhere.
            steps: T, if there are no targets.

        Returns:
            Unnormalised log-probabilities of the output's tokens, and the attention α; None with a fixed C.
            In what beam search finds, the token of a step has the largest of them.

        Raises:
            ValueError: neither targets nor a number of steps.
        """
        if targets is None and steps is None:
            raise ValueError("There is neither a true output nor a number of steps to put out.")
        state = self.decoder.start(*self.encode(inputs, lengths), lengths)
        total = steps or 0 if targets is None else targets.shape[1]
        if self.beam > 1 and not self.training and (targets is None or teacher_mask is not None):
            return beam_search(self.decoder, state, total, self.beam, self.end, self.length_penalty)
        outputs, attention = self.decoder(state, total, targets, teacher_mask)
        return outputs, attention

    def encode(
        self, inputs: Int[Tensor, "B S"], lengths: Int[Tensor, " B"] | None
    ) -> tuple[Float[Tensor, "B S E"], Float[Tensor, "B E"]]:
        """Return the encoder's outputs, zero after a row's end, and its last output in each direction."""
        h, _ = self.encoder(F.embedding(inputs, self.one_hot), lengths)
        width = self.encoder.cells[-1].output_size
        return h, torch.cat([last_valid(h[..., :width], lengths), h[:, 0, width:]], dim=-1)

    def unobservable(self) -> str | None:
        return None if self.decoder.attention else "A fixed context has no attention that could be observed."

    def observe(
        self,
        inputs: Int[Tensor, "B S"],
        targets: Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"] | None = None,
    ) -> Alignment:
        """Return what the decoder attends to when it is fed its own outputs, for as many steps as targets."""
        outputs, attention = self(inputs, lengths, steps=targets.shape[1])
        return Alignment(outputs=outputs, attention=attention, end=self.end)

"""The decoder: it puts out a sequence, one token after another, from a context."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves, tree_map

from seqbench.models.body import Stack, States
from seqbench.models.feedback import Fed, Feedback, FeedbackInput, closed_loop_engine
from seqbench.models.seq2seq.attention import Attention, AttentionKind
from seqbench.models.unfold import Cell, Engine, unfold


class DecoderState(NamedTuple):
    """What a decoder carries from step to step.

    layers: the states of its layers.
    query: with attention the last layer's output of the step before, s(t−1); empty without.
    source: the fixed context (B, E), or with attention the annotations.
    """

    layers: States
    query: Float[Tensor, "B Q"]
    source: Any


class Decoder(nn.Module):
    """One step at a time from the previous token and a context to the next token.

    Args:
        cell: makes a layer.
        tokens: of the output.
        context_size: E, numbers of a context.
        hidden_size: H, units of a layer and of the attention.
        num_layers: layers.
        attention: its kind; None for a fixed context.
        reads_context: whether the context is an input of each step, of layers and readout.
        engine: how layers unfold, see `unfold`.

    Raises:
        ValueError: the context would not reach the decoder: it sets the first state alone, and the cell's
            state has no vector of units.
    """

    def __init__(
        self,
        cell: Callable[[int, int], Cell],
        tokens: int,
        context_size: int,
        hidden_size: int,
        num_layers: int,
        attention: AttentionKind | None,
        reads_context: bool,
        engine: Engine,
    ) -> None:
        super().__init__()
        self.tokens = tokens
        self.hidden_size = hidden_size
        self.context_size = context_size
        self.reads_context = reads_context
        width = context_size * reads_context
        self.body = Stack(cell, tokens + width, hidden_size, num_layers, engine=engine)
        output_size = self.body.output_size
        state = self.body.initial_state(1)
        vectors = [part for part in tree_leaves(state) if self._is_vector(part)]
        if not vectors and not reads_context:
            raise ValueError(
                f"context=start sets the decoder's first state, and the state of {type(self._last).__name__} "
                "has no vector that it could set; give context=every_step, or another decoder_cell."
            )
        self.first = nn.ModuleList(nn.Linear(context_size, hidden_size) for _ in vectors)
        self.readout = nn.Linear(output_size + width, tokens)
        self.attention = attention and Attention(attention, output_size, context_size, hidden_size)
        #: Makes s(0) for cells whose output does not follow from their state.
        self.first_query = (
            nn.Linear(context_size, output_size)
            if self.attention and self._last.output_after(None, state[-1]) is None
            else None
        )

    @property
    def _last(self) -> Cell:
        """The cell of the last layer, whose output is s."""
        return self.body.cells[-1]

    def _is_vector(self, part: Tensor) -> bool:
        """Say whether a part of a state is a vector of units, whose start the context sets."""
        return part.shape[1:] == (self.hidden_size,) and part.is_floating_point()

    def start(
        self, annotations: Float[Tensor, "B S E"], final: Float[Tensor, "B E"], lengths: Tensor | None
    ) -> DecoderState:
        """Return the state before the first step, from the encoder's outputs and its last output.

        The first query s(0) is the output that belongs to the first state: of a GRU the state itself, which
        the context has set (Bahdanau, Cho & Bengio, 2015, appendix A.2.2).
        """
        maps = iter(self.first)

        def first(part: Tensor) -> Tensor:
            return torch.tanh(next(maps)(final)) if self._is_vector(part) else part

        layers = tree_map(first, self.body.initial_state(len(final)))
        if self.attention is None:
            return DecoderState(layers, final[:, :0], final)
        query = (
            self._last.output_after(None, layers[-1])
            if self.first_query is None
            else torch.tanh(self.first_query(final))
        )
        assert query is not None
        return DecoderState(layers, query, self.attention.annotate(annotations, lengths))

    def forward(
        self,
        state: DecoderState,
        steps: int,
        targets: Int[Tensor, "B T"] | None,
        teacher_mask: Bool[Tensor, "B T"] | None,
    ) -> tuple[Float[Tensor, "B T O"], Float[Tensor, "B T S"] | None]:
        """Put out sequences.

        Args:
            state: from `start`.
            steps: T.
            targets: the true outputs.
            teacher_mask: where the true token of the step before is fed; None: everywhere, if there are
                targets.

        Returns:
            The outputs of the readout, and the attention; None with a fixed context.
        """
        if self.attention is None and targets is not None and teacher_mask is None:
            return self._in_parallel(state, targets), None
        weight, rows = self.readout.weight, len(state.query)
        truth = weight.new_zeros(rows, steps, self.tokens) if targets is None else self._previous(targets)
        teacher = truth.new_full((rows, steps), targets is not None, dtype=torch.bool)
        given = FeedbackInput((), (truth,), teacher if teacher_mask is None else teacher_mask)
        start = state, (weight.new_zeros(rows, self.tokens),)
        outputs, _ = unfold(
            Feedback(self, self.tokens), given, start, engine=closed_loop_engine(self.body.engine)
        )
        return (outputs, None) if self.attention is None else outputs

    def _previous(self, targets: Int[Tensor, "B T"]) -> Float[Tensor, "B T O"]:
        """Return the token of the step before, one-hot; zeros at the first step."""
        one_hot = self.one_hot(targets)
        return torch.cat([torch.zeros_like(one_hot[:, :1]), one_hot[:, :-1]], dim=1)

    def _in_parallel(self, state: DecoderState, targets: Tensor) -> Float[Tensor, "B T O"]:
        """Return the outputs with the truth fed and a fixed context: no step waits for another's output."""
        context = state.source[:, None].expand(-1, targets.shape[1], -1)

        def with_context(h: Tensor) -> Tensor:
            return torch.cat([h, context], dim=-1) if self.reads_context else h

        h, _ = self.body(with_context(self._previous(targets)), None, state.layers)
        o: Tensor = self.readout(with_context(h))
        return o

    def step(self, x: Fed, fed: Fed, state: DecoderState) -> tuple[Any, DecoderState, Fed]:
        """Take one step, see `Feedback`; the output is o, or with attention o and α."""
        layers, query, source = state
        context, weights = (source, None) if self.attention is None else self.attention(query, source)
        width = [context] if self.reads_context else []
        h, layers = self.body.step(torch.cat([*fed, *width], dim=1), layers)
        o = self.readout(torch.cat([h, *width], dim=1))
        own = (self.one_hot(o.argmax(-1)),)
        if weights is None:
            return o, DecoderState(layers, query, source), own
        return (o, weights), DecoderState(layers, h, source), own

    def one_hot(self, tokens: Int[Tensor, " ..."]) -> Float[Tensor, "... O"]:
        """Return tokens one-hot; vmap can batch it."""
        places = torch.arange(self.tokens, device=tokens.device)
        return (tokens[..., None] == places).to(self.readout.weight.dtype)

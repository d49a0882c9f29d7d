"""Beam search: the likeliest sequences of a decoder."""

from __future__ import annotations

import math
from operator import itemgetter
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.utils._pytree import tree_map

from seqbench.models.seq2seq.decoder import Decoder, DecoderState


def beam_search(
    decoder: Decoder, state: DecoderState, steps: int, beam: int, end: int, length_penalty: float
) -> tuple[Float[Tensor, "B T O"], Float[Tensor, "B T S"] | None]:
    """Return what beam search finds, in the form of outputs.

    Every step keeps the `beam` likeliest of all continuations of those kept so far. A sequence that has ended
    stays as it is. In the end the sequences are compared by their log-probability over ((5 + m) / 6)^a, for m
    tokens (Wu et al., 2016).

    Args:
        decoder: whose sequences are searched.
        state: before the first step.
        steps: T.
        beam: sequences that are kept of each row.
        end: the token that ends an output.
        length_penalty: a.

    Returns:
        The log-probabilities of each step's tokens, in which the chosen token has changed places with the
        likeliest; and the attention, None with a fixed context.
    """
    rows, size = len(state.query), decoder.tokens
    state = tree_map(lambda part: part.repeat_interleave(beam, 0), state)
    own = decoder.readout.weight.new_zeros(rows * beam, size)
    # At first all sequences of a row are the same: only the first is continued.
    scores = own.new_full((rows, beam), -math.inf)
    scores[:, 0] = 0
    ended = torch.zeros_like(scores, dtype=torch.bool)
    lengths = torch.zeros_like(scores)
    first_of_row = beam * torch.arange(rows, device=own.device)[:, None]
    history: list[Any] = []
    for _ in range(steps):
        output, state, _ = decoder.step((), (own,), state)
        o, *attention = output if isinstance(output, tuple) else (output,)
        logs = o.log_softmax(-1).view(rows, beam, size)
        stay = torch.full_like(logs, -math.inf)
        stay[..., end] = 0
        total = scores[..., None] + torch.where(ended[..., None], stay, logs)
        scores, place = total.flatten(1).topk(beam, dim=1)
        origin, token = place // size, place % size
        flat = (origin + first_of_row).flatten()
        everything = state, ended.flatten(), lengths.flatten(), history, logs.flatten(0, 1), attention
        state, ended, lengths, history, logs, attention = tree_map(itemgetter(flat), everything)
        history.append((_swapped(logs, token.flatten()[:, None]), *attention))
        ended, lengths = ended.view(rows, beam), lengths.view(rows, beam)
        lengths = lengths + ~ended
        ended = ended | (token == end)
        own = decoder.one_hot(token.flatten())
    best = (scores / ((5 + lengths) / 6) ** length_penalty).argmax(1)
    chosen = best + first_of_row[:, 0]
    per_part = zip(*history, strict=True)
    outputs, *weights = (torch.stack([step[chosen] for step in steps], dim=1) for steps in per_part)
    return outputs, weights[0] if weights else None


def _swapped(logs: Float[Tensor, "N O"], chosen: Tensor) -> Float[Tensor, "N O"]:
    """Return log-probabilities in which the chosen token and the likeliest have changed places."""
    best = logs.argmax(-1, keepdim=True)
    swapped = logs.scatter(1, best, logs.gather(1, chosen))
    return swapped.scatter(1, chosen, logs.gather(1, best))

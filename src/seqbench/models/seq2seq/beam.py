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

    Every step keeps the `beam` likeliest of all continuations that do not end. Each sequence kept is also
    ended at every step, and the best of all that have ended is remembered beside the beam. Sequences are
    compared by their log-probability over ((5 + m) / 6)^a, for m tokens with the end (Wu et al., 2016,
    equation 14). After the last step those that have not ended are compared too.

    Args:
        decoder: whose sequences are searched.
        state: before the first step.
        steps: T.
        beam: sequences that are kept of each row.
        end: the token that ends an output.
        length_penalty: a.

    Returns:
        The log-probabilities of each step's tokens, in which the chosen token has changed places with the
        likeliest; and the attention, None with a fixed context. After the end of a sequence the end is
        chosen again.
    """
    rows, size = len(state.query), decoder.tokens
    slots = beam + 1  # the last holds the best sequence that has ended
    state = tree_map(lambda part: part.repeat_interleave(slots, 0), state)
    own = decoder.readout.weight.new_zeros(rows * slots, size)
    # At first all sequences of a row are the same: only the first is continued.
    scores = own.new_full((rows, beam), -math.inf)
    scores[:, 0] = 0
    best = own.new_full((rows,), -math.inf)
    first_of_row = slots * torch.arange(rows, device=own.device)
    ends = torch.arange(size, device=own.device) == end
    history: list[Any] = []
    for length in range(1, steps + 1):
        penalty = ((5 + length) / 6) ** length_penalty
        output, state, _ = decoder.step((), (own,), state)
        o, *attention = output if isinstance(output, tuple) else (output,)
        logs = o.log_softmax(-1).view(rows, slots, size)
        total = scores[..., None] + logs[:, :beam]
        ended, which = (total[..., end] / penalty).max(1)
        kept = torch.where(ended > best, which, beam)
        best = torch.maximum(best, ended)
        scores, place = total.masked_fill(ends, -math.inf).flatten(1).topk(beam, dim=1)
        origin = torch.cat([place // size, kept[:, None]], dim=1)
        token = torch.cat([place % size, torch.full_like(kept, end)[:, None]], dim=1).flatten()
        flat = (origin + first_of_row[:, None]).flatten()
        everything = state, history, logs.flatten(0, 1), attention
        state, history, logs, attention = tree_map(itemgetter(flat), everything)
        history.append((_swapped(logs, token[:, None]), *attention))
        own = decoder.one_hot(token)
    unfinished, which = (scores / penalty).max(1)
    chosen = first_of_row + torch.where(unfinished > best, which, beam)
    per_part = zip(*history, strict=True)
    outputs, *weights = (torch.stack([step[chosen] for step in steps], dim=1) for steps in per_part)
    return outputs, weights[0] if weights else None


def _swapped(logs: Float[Tensor, "N O"], chosen: Tensor) -> Float[Tensor, "N O"]:
    """Return log-probabilities in which the chosen token and the likeliest have changed places."""
    best = logs.argmax(-1, keepdim=True)
    swapped = logs.scatter(1, best, logs.gather(1, chosen))
    return swapped.scatter(1, chosen, logs.gather(1, best))

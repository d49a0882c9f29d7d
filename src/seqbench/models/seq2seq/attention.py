"""Attention of a decoder to the annotations that an encoder has made of its input."""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

AttentionKind = Literal["additive", "dot"]


class Annotations(NamedTuple):
    """What there is to attend to.

    values: the annotations h, the encoder's output at each of the S steps of the input.
    keys: Uₐ h.
    valid: true at the valid steps of the input.
    """

    values: Float[Tensor, "B S E"]
    keys: Float[Tensor, "B S A"]
    valid: Bool[Tensor, "B S"]


class Attention(nn.Module):
    """The context of a step as a weighted mean of annotations.

        e_j = vᵀ tanh(Wₐ s + Uₐ h_j)         additive; or dot, s·(Uₐ h_j) / √d
        α = softmax e                        over the valid steps of the input
        c = Σ_j α_j h_j

    Args:
        kind: additive or dot.
        query_size: numbers of s.
        annotation_size: numbers of h_j.
        hidden_size: units of the additive kind; the dot product has as many as s.

    Source: Bahdanau, Cho & Bengio (2015), section 3.1; dot: Luong, Pham & Manning (2015), scaled as in
    Vaswani et al. (2017).
    """

    def __init__(self, kind: AttentionKind, query_size: int, annotation_size: int, hidden_size: int) -> None:
        super().__init__()
        self.kind = kind
        self.query_size = query_size
        self.U_a = nn.Linear(annotation_size, query_size if kind == "dot" else hidden_size, bias=False)
        if kind == "additive":
            self.W_a = nn.Linear(query_size, hidden_size)
            self.v = nn.Parameter(torch.empty(hidden_size).uniform_(-1, 1) * hidden_size**-0.5)

    def annotate(self, values: Float[Tensor, "B S E"], lengths: Tensor | None) -> Annotations:
        """Return all that does not depend on the query, for inputs of these lengths (None: all valid)."""
        t = torch.arange(values.shape[1], device=values.device)
        ends = values.new_full((len(values),), len(t)) if lengths is None else lengths
        return Annotations(values, self.U_a(values), t < ends[:, None])

    def forward(
        self, query: Float[Tensor, "B Q"], annotations: Annotations
    ) -> tuple[Float[Tensor, "B E"], Float[Tensor, "B S"]]:
        """Return the context c and the attention α for the query s."""
        values, keys, valid = annotations
        if self.kind == "dot":
            scores = (keys @ query[..., None])[..., 0] * keys.shape[-1] ** -0.5
        else:
            scores = torch.tanh(self.W_a(query)[:, None] + keys) @ self.v
        weights = torch.softmax(scores.masked_fill(~valid, torch.finfo(scores.dtype).min), dim=-1)
        return torch.bmm(weights[:, None], values)[:, 0], weights

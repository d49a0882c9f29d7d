"""Closed loops: a model that is fed its own output of the step before (Figs. 10.4 and 10.6)."""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

import torch
from jaxtyping import Float
from torch import Tensor

from seqbench.models.unfold import Cell, State

if TYPE_CHECKING:
    from seqbench.models.sequence import SequenceModel


class Network(Cell):
    """A whole model as one cell: layers, readout, and the output that is fed back.

        x(t), or ŷ(t−1) in its place ──▶ layers ──▶ readout ──▶ o(t), ŷ(t)
        ŷ(t−1), or the true y(t−1)   ──▶

    Its input at a step is the model's input, 1 where the truth is fed and 0 elsewhere, and for a model with
    `feedback` the true output of the step before. Its state is that of all layers, and ŷ(t−1).
    """

    def __init__(self, model: SequenceModel) -> None:
        super().__init__(0, model.output_size)
        self.layers = model.layers
        self.readout = model.readout
        self.dilations = model.dilations
        self.classes = model.classes
        self.predicts = model.predicts
        self.feedback = model.feedback
        self.tokens = model.one_hot is not None
        self.parts = [len(cell.initial_state(1)) for cell in self._cells]

    @property
    def _cells(self) -> list[Cell]:
        return [cast(Cell, layer) for layer in self.layers]

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps F"]:
        return x

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B O"], State]:
        *layers, (own,) = self.apart(state)
        size = self.hidden_size
        fed = projected[..., -size:] if self.feedback else own
        x = projected[..., : projected.shape[-1] - 1 - size * self.feedback]
        forced = projected[..., x.shape[-1], None] > 0
        if self.predicts:
            x = torch.where(forced, x, self._as_input(own).to(x.dtype))
        h = torch.cat([x, torch.where(forced, fed, own.to(fed.dtype))], dim=-1) if self.feedback else x
        new: list[Tensor] = []
        for cell, dilation, old in zip(self._cells, self.dilations, layers, strict=True):
            h, after = cell.step(cell.project(h), old if dilation == 1 else tuple(part[:, 0] for part in old))
            if dilation > 1:  # what has been used makes room
                pairs = zip(old, after, strict=True)
                after = tuple(torch.cat([part[:, 1:], now[:, None]], dim=1) for part, now in pairs)
            new += after
        o = self.readout(h)
        return o, (*new, o.softmax(-1) if self.classes else o)

    def _as_input(self, own: Tensor) -> Tensor:
        """Return an output in the form of an input: where that is a token, the likeliest, one-hot."""
        if not self.tokens:
            return own
        return (own.argmax(-1, keepdim=True) == torch.arange(own.shape[-1], device=own.device)).to(own.dtype)

    def initial_state(self, batch_size: int) -> State:
        state: list[Tensor] = []
        for cell, d in zip(self._cells, self.dilations, strict=True):
            parts = cell.initial_state(batch_size * d)
            state += parts if d == 1 else (part.view(batch_size, d, *part.shape[1:]) for part in parts)
        weight = next(self.readout.parameters())
        return (*state, weight.new_zeros(batch_size, self.hidden_size))

    def apart(self, state: State) -> tuple[State, ...]:
        """Return the state of each layer, and that of the loop, the output before."""
        found, start = [], 0
        for parts in (*self.parts, 1):
            found.append(state[start : start + parts])
            start += parts
        return tuple(found)

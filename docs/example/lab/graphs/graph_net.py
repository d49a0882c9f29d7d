"""A network that passes messages along edges."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.model import Model


class GraphNet(Model):
    """h ← tanh(b + U x + W E h), for some rounds; the readout takes the sum over nodes.

    Args:
        input_size: numbers of a node.
        output_size: classes.
        nodes: of a graph.
        hidden_size: H.
        rounds: how often messages are passed.
    """

    accepts: ClassVar[tuple[str, ...]] = ("graph",)
    vectorizable = True

    def __init__(
        self, input_size: int, output_size: int, *, nodes: int, hidden_size: int = 32, rounds: int = 2
    ) -> None:
        super().__init__()
        if rounds < 1:
            raise ValueError(f"rounds={rounds} passes no message; give at least 1.")
        self.nodes = nodes
        self.rounds = rounds
        self.U = nn.Linear(input_size, hidden_size)
        self.W = nn.Linear(hidden_size, hidden_size, bias=False)
        self.readout = nn.Linear(hidden_size, output_size)

    @property
    def state_size(self) -> int:
        """Numbers that all nodes hold."""
        return self.nodes * self.W.in_features

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return {"W": self.W.weight}

    def forward(
        self, inputs: Float[Tensor, "B N F"], edges: Float[Tensor, "B N N"]
    ) -> tuple[Float[Tensor, "B O"], Float[Tensor, "B N H"]]:
        x = self.U(inputs)
        h = torch.tanh(x)
        for _ in range(self.rounds):
            h = torch.tanh(x + self.W(edges @ h))
        return self.readout(h.sum(1)), h

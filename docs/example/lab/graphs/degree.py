"""Graphs: say how many neighbours the marked node has."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch

from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Vectors
from seqbench.tasks.streams.fresh import SyntheticTask


@dataclass(frozen=True)
class Graph(Vectors):
    """Input spec: `nodes` nodes with `size` numbers each; their edges are `extras["edges"]` (B, N, N)."""

    nodes: int

    def arguments(self) -> dict[str, Any]:
        return super().arguments() | {"nodes": self.nodes}


class Degree(SyntheticTask):
    """Say how many neighbours the marked node of a random graph has; an edge is there with a chance of ½.

    Args:
        length: nodes.
        eval_lengths: numbers of nodes to test at; a model is made for `length`.
        eval_size: graphs to evaluate on.
    """

    kind: ClassVar[str] = "graph"
    solved_when = "99 % right"

    def __init__(
        self, length: int = 6, eval_lengths: Sequence[int] | None = None, eval_size: int = 500
    ) -> None:
        super().__init__(length=length, eval_lengths=eval_lengths, eval_size=eval_size, min_length=2)
        self.variant = "random graphs"
        self.inputs = Graph(1, nodes=length)
        self.targets = Classes(length, per_step=False)

    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        upper = torch.rand(batch_size, length, length, generator=generator).lt(0.5).float().triu(1)
        edges = upper + upper.transpose(1, 2)
        marked = torch.randint(length, (batch_size,), generator=generator)
        nodes = torch.nn.functional.one_hot(marked, length).float()[..., None]
        degree = edges[torch.arange(batch_size), marked].sum(1).long()
        return Batch(nodes, degree, extras={"edges": edges})

    def baseline_loss(self, length: int) -> float:
        """Return the entropy of a binomial number of N − 1 trials."""
        chances = [math.comb(length - 1, k) / 2 ** (length - 1) for k in range(length)]
        return -sum(p * math.log(p) for p in chances)

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.99

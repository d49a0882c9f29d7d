"""The recursive network of Fig. 10.14."""

from __future__ import annotations

from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqbench.models.init import RecurrentInit, init_recurrent
from seqbench.models.model import Model
from seqbench.models.sizes import at_least_one
from seqbench.models.trees.levels import binary, by_depth, gather_children, look_up, read


class RecursiveNet(Model):
    """A network over a tree and not a chain: the same U, V and W at all nodes, whatever its size.

        h = V x                            a leaf, which is a token
        h = tanh(b + U h_left + W h_right) a node, of its two children
        o = c + V′ h                       the readout, of the root

    A node with a token and n children takes them one by one, from left to right, as a function its
    arguments, so that the figure's binary step is the only one. [ MAX 2 [ MIN 7 4 ] 0 ] is
    (((MAX 2) ((MIN 7) 4)) 0):

                      h ──▶ o
                  U ╱   ╲ W
                   h      0
               U ╱   ╲ W
               h       h
             U╱ ╲W   U╱ ╲W
           MAX   2   h    4
                   U╱ ╲W
                  MIN  7

    Trees with a token at every node and binary trees with tokens only at the leaves are two notations of the
    same thing: the balanced ((w x) (y z)) is w with the children x and y, the latter with the child z. In a
    balanced tree of τ tokens each is log2 τ steps below the root. If one token has all others as its
    children, the first is τ − 1 steps below the root, and the network is the recurrent one of Fig. 10.3.

    Args:
        input_size: size of the vocabulary.
        output_size: numbers in the output.
        hidden_size: H.
        recurrent_init: how U and W start, see `seqbench.models.init`.

    Raises:
        ValueError: a size below 1.

    Source: Goodfellow, Bengio & Courville (2016), section 10.6, after Pollack (1990), which draws the tree
    and its matrices but prints no equations. Linear leaves and tanh nodes are those of Socher et al. (2013),
    "Recursive deep models for semantic compositionality over a sentiment treebank".
    """

    accepts: ClassVar[tuple[str, ...]] = ("tree",)
    revisions: ClassVar[dict[str, int]] = {"recurrent_init=smart_tanh": 2}

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        hidden_size: int = 64,
        recurrent_init: RecurrentInit = "uniform",
    ) -> None:
        super().__init__()
        at_least_one(hidden_size=(hidden_size, "unit"))
        # Leaves as large as the values of tanh; smaller ones would hardly affect the nodes above.
        self.V = nn.Parameter(torch.randn(hidden_size, input_size))
        self.U = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.W = nn.Parameter(torch.empty(hidden_size, hidden_size))
        self.b = nn.Parameter(torch.zeros(hidden_size))
        init_recurrent(self.U, recurrent_init)
        init_recurrent(self.W, recurrent_init)
        self.readout = nn.Linear(hidden_size, output_size)

    @property
    def state_size(self) -> int:
        """Numbers passed from a node to its parent."""
        return len(self.b)

    def recurrent_matrices(self) -> dict[str, Tensor]:
        return {"U": self.U, "W": self.W}

    def forward(
        self,
        inputs: Int[Tensor, "B L"],
        lengths: Int[Tensor, " B"] | None = None,
        *,
        parents: Int[Tensor, "B L"],
    ) -> tuple[Float[Tensor, "B O"], Float[Tensor, "B H"]]:
        """Run over a batch of trees, all nodes of one depth at once.

        Args:
            inputs: tokens.
            lengths: of each row; not needed beside `parents`.
            parents: the position of each token's parent, −1 at the root, −2 for a token that is not a node.

        Returns:
            Outputs, and the roots' h.

        Raises:
            ValueError: `parents` do not describe one tree in each row.
        """
        levels = by_depth(binary(read(parents)))
        leaves = look_up(self.V.t(), inputs, levels)
        h = self.b.new_zeros(0, len(self.b))
        for level, x in zip(reversed(levels), reversed(leaves), strict=True):
            left, right = gather_children(h, level, 2).chunk(2, dim=1)
            nodes = torch.tanh(
                nn.functional.linear(left, self.U, self.b) + nn.functional.linear(right, self.W)
            )
            h = x.index_copy(0, level.inner, nodes.to(x.dtype))
        return self.readout(h), h

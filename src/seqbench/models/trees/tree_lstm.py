"""The long short-term memory over trees."""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqbench.models.init import init_uniform
from seqbench.models.model import Model
from seqbench.models.sizes import at_least_one
from seqbench.models.trees.levels import Level, binary, by_depth, gather_children, look_up, read


class TreeLSTM(Model):
    """An LSTM over a tree: a node has one forget gate for each of its children.

        c(child 1) ──▶(⊙ f1)──┐                     h(child 1) ─┐
        c(child 2) ──▶(⊙ f2)──┴─▶(+)──┬──▶ c        h(child 2) ─┼──▶ every gate, and u
                    i ⊙ u ────────┘   │             token x ────┘
                                      └─tanh─(⊙ o)──▶ h

    `child_sum`, for any number of children in no order:

        h̃ = Σ_k h_k                                    (2)
        i = σ(Wⁱ x + Uⁱ h̃ + bⁱ)                        (3)
        f_k = σ(Wᶠ x + Uᶠ h_k + bᶠ)                    (4)  one for each child k
        o = σ(Wᵒ x + Uᵒ h̃ + bᵒ)                        (5)
        u = tanh(Wᵘ x + Uᵘ h̃ + bᵘ)                     (6)
        c = i ⊙ u + Σ_k f_k ⊙ c_k                      (7)
        h = o ⊙ tanh(c)                                (8)

    `n_ary`, for at most N children, with weights for each place l; a missing child has h_l = c_l = 0:

        i = σ(Wⁱ x + Σ_l Uⁱ_l h_l + bⁱ)                (9)
        f_k = σ(Wᶠ x + Σ_l Uᶠ_kl h_l + bᶠ)             (10) each child's gate sees all of them
        o = σ(Wᵒ x + Σ_l Uᵒ_l h_l + bᵒ)                (11)
        u = tanh(Wᵘ x + Σ_l Uᵘ_l h_l + bᵘ)             (12)
        c = i ⊙ u + Σ_l f_l ⊙ c_l                      (13)
        h = o ⊙ tanh(c)                                (14)

    `binary` is `n_ary` with N = 2, for any number of children in order: a node takes them one by one, as in
    `RecursiveNet`, and each time its own token is x again. [ MAX 2 0 ] is ((MAX 2) 0), with MAX at both
    brackets, as in Nangia & Bowman (2018).

    The output is that of the root. On a chain, where every node has one child, the first two are the LSTM.

    Args:
        input_size: size of the vocabulary.
        output_size: numbers in the output.
        children: N, the most that a node has; for `n_ary`.
        hidden_size: H.
        kind: child_sum, n_ary or binary. The forget gates of n_ary have (N H)² weights.
        forget_bias: initial value of bᶠ, as in `LSTM`.

    Raises:
        ValueError: a size below 1.

    Parameters W (4H, tokens) and b (4H) stack i, o, u, f; U is (4H, H), or (3H + N H, N H) with the children
    side by side.

    Source: Tai, Socher & Manning (2015), "Improved semantic representations from tree-structured long
    short-term memory networks".
    """

    accepts: ClassVar[tuple[str, ...]] = ("tree",)

    def __init__(
        self,
        input_size: int,
        output_size: int,
        *,
        children: int,
        hidden_size: int = 64,
        kind: Literal["child_sum", "n_ary", "binary"] = "binary",
        forget_bias: float = 1.0,
    ) -> None:
        super().__init__()
        at_least_one(
            hidden_size=(hidden_size, "unit"),
            children=(children, "child"),
        )
        self.hidden_size = hidden_size
        self.most_children = {"child_sum": 1, "n_ary": children, "binary": 2}[kind]
        self.kind = kind
        self.W = nn.Parameter(torch.empty(4 * hidden_size, input_size))
        many = self.most_children
        self.U = nn.Parameter(torch.empty((3 + many) * hidden_size, many * hidden_size))
        self.b = nn.Parameter(torch.zeros(4 * hidden_size))
        init_uniform(self.W, hidden_size)
        init_uniform(self.U, hidden_size)
        self.b.detach()[3 * hidden_size :].fill_(forget_bias)
        self.readout = nn.Linear(hidden_size, output_size)

    @property
    def state_size(self) -> int:
        """Numbers passed from a node to its parent."""
        return 2 * self.hidden_size

    def recurrent_matrices(self) -> dict[str, Tensor]:
        size, many = self.hidden_size, self.most_children
        names = [*"iou", *("f" if many == 1 else f"f{k}" for k in range(1, many + 1))]
        return {
            f"U[{name}]" if many == 1 else f"U[{name},{place}]": block
            for name, rows in zip(names, torch.split(self.U, size), strict=True)
            for place, block in enumerate(torch.split(rows, size, dim=1), 1)
        }

    def forward(
        self,
        inputs: Int[Tensor, "B L"],
        lengths: Int[Tensor, " B"] | None = None,
        *,
        parents: Int[Tensor, "B L"],
    ) -> tuple[Float[Tensor, "B O"], tuple[Float[Tensor, "B H"], Float[Tensor, "B H"]]]:
        """Run over a batch of trees, all nodes of one depth at once.

        Args:
            inputs: tokens.
            lengths: of each row; not needed beside `parents`.
            parents: the position of each token's parent, −1 at the root, −2 for a token that is not a node.

        Returns:
            Outputs, and the roots' h and c.

        Raises:
            ValueError: `parents` do not describe one tree in each row, or a node has too many children.
        """
        nodes = read(parents)
        if self.kind == "n_ary" and ((nodes.rank >= self.most_children) & (nodes.parent >= 0)).any():
            raise ValueError(
                f"A node has {int(nodes.rank[nodes.parent >= 0].max()) + 1} children; kind=n_ary is made for "
                f"at most {self.most_children} here, and child_sum and binary take any number."
            )
        levels = by_depth(binary(nodes) if self.kind == "binary" else nodes)
        projected = look_up(self.W.t() + self.b, inputs, levels)
        h = c = self.b.new_zeros(0, self.hidden_size)
        for level, x in zip(reversed(levels), reversed(projected), strict=True):
            sums, f = (part.to(x.dtype) for part in self._of_children(h, level))
            owners = level.inner[level.owners]
            gates = x[:, : 3 * self.hidden_size].index_add(0, level.inner, sums)
            i, o, u = gates.chunk(3, dim=1)
            f = torch.sigmoid(x[:, 3 * self.hidden_size :][owners] + f)
            c = (torch.sigmoid(i) * torch.tanh(u)).index_add(0, owners, f * c)
            h = torch.sigmoid(o) * torch.tanh(c)
        return self.readout(h), (h, c)

    def _of_children(self, h: Float[Tensor, "m H"], level: Level) -> tuple[Tensor, Tensor]:
        """Return the children's terms in i, o and u of their parents (k, 3H), and in their own f (m, H)."""
        rows = 3 * self.hidden_size
        if self.kind == "child_sum":
            total = h.new_zeros(len(level.inner), self.hidden_size).index_add(0, level.owners, h)
            return nn.functional.linear(total, self.U[:rows]), nn.functional.linear(h, self.U[rows:])
        sums = nn.functional.linear(gather_children(h, level, self.most_children), self.U)
        forget = sums[:, rows:].view(len(sums), self.most_children, self.hidden_size)
        return sums[:, :rows], forget[level.owners, level.ranks]

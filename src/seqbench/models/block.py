"""Blocks: norm, residual and MLP around each layer of a body."""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float, Int
from torch import Tensor, nn

from seqbench.models.unfold.tokens import affine

NORMS: dict[str, type[nn.Module]] = {"rms": nn.RMSNorm, "layer": nn.LayerNorm}
EPSILON = 1e-6
#: Units of an MLP's hidden layer over the width.
EXPANSION = 2.0


class PreNorm(nn.Module):
    """The block of today's models around one layer: each part reads a norm and adds to the residual stream.

        u(t) = x(t) + P layer(norm(x))(t)       P only where the layer's output is not as wide as the stream
        y(t) = u(t) + mlp(norm(u(t)))           y = u without an MLP

          x(t) ──┬──norm──▶ layer ──▶(+)──▶ u(t) ──┬──norm──▶ mlp ──▶(+)──▶ y(t)
                 └─────────────────────┘           └───────────────────┘

        gelu:   mlp(v) = b₂ + W₂ gelu(b₁ + W₁ v)
        swiglu: mlp(v) = W₂ (silu(W₁ v) ⊙ W₃ v)

    A body of such blocks has a linear map from its input to the stream before the first, and a norm after the
    last.

    Args:
        width: of the residual stream, D.
        layer_size: numbers in an output of the layer.
        norm: rms (Zhang & Sennrich, 2019), or layer (Ba et al., 2016).
        mlp: gelu, swiglu (Shazeer, 2020), or none.
        expansion: units of the MLP's hidden layer, over D.

    Raises:
        ValueError: an MLP without a unit.

    Source: Xiong et al. (2020), "On layer normalization in the Transformer architecture", section 3 (Pre-LN).
    """

    def __init__(
        self,
        width: int,
        layer_size: int,
        norm: Literal["rms", "layer"] = "rms",
        mlp: Literal["gelu", "swiglu", "none"] = "gelu",
        expansion: float = EXPANSION,
    ) -> None:
        super().__init__()
        if mlp == "none" and expansion != EXPANSION:
            raise ValueError(f"expansion={expansion} is of an MLP, and mlp=none; leave it out.")
        units = round(expansion * width) if expansion > 0 else 0
        if units < 1:
            raise ValueError(f"expansion={expansion} leaves no unit of the MLP; give more.")
        self.norm = norm
        self.mlp = mlp
        self.layer_norm = NORMS[norm](width, eps=EPSILON)
        self.P = nn.Linear(layer_size, width, bias=False) if layer_size != width else None
        if mlp != "none":
            self.mlp_norm = NORMS[norm](width, eps=EPSILON)
            self.enter = nn.Linear(width, units * (1 + (mlp == "swiglu")), bias=mlp == "gelu")
            self.leave = nn.Linear(units, width, bias=mlp == "gelu")

    def before(self, x: Float[Tensor, "*B D"]) -> Float[Tensor, "*B D"]:
        """Return what the layer reads."""
        read: Tensor = self.layer_norm(x)
        return read

    def after(self, x: Float[Tensor, "*B D"], h: Float[Tensor, "*B H"]) -> Float[Tensor, "*B D"]:
        """Return the stream after the block, from that before it and the layer's outputs."""
        u = x + (h if self.P is None else self.P(h))
        if self.mlp == "none":
            return u
        inner = self.enter(self.mlp_norm(u))
        if self.mlp == "gelu":
            inner = nn.functional.gelu(inner)
        else:
            gate, value = inner.chunk(2, dim=-1)
            inner = nn.functional.silu(gate) * value
        out: Tensor = u + self.leave(inner)
        return out


class Entry(nn.Linear):
    """The linear map from the input of a body to the residual stream; of tokens it looks a column up."""

    reads_tokens: ClassVar[bool] = True

    def forward(self, x: Float[Tensor, "*B F"] | Int[Tensor, "*B"]) -> Float[Tensor, "*B D"]:
        return affine(x, self.weight, self.bias)

    def store_by_token(self) -> None:
        """Lay the weights out so that the numbers of a token lie side by side."""
        self.weight.data = self.weight.data.t().contiguous().t()

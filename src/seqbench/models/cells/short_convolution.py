"""Short convolutions over steps, which cells with a matrix as their state begin with."""

from __future__ import annotations

import math
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor, nn

from seqbench.models.sizes import MOST_PARTS, at_least_one

#: How many numbers a thread takes at once where each is read many times; 256 KiB of float32.
NUMBERS_IN_CACHE = 2**16


class ShortConvolution(nn.Module):
    """A causal convolution over the last K steps, each channel by itself; its state is the last K − 1 inputs.

    y(t) = b + Σⱼ wⱼ ⊙ u(t − K + 1 + j),   j = 0, …, K − 1
    """

    def __init__(self, channels: int, width: int, bias: bool) -> None:
        super().__init__()
        if width < 2:
            raise ValueError(
                f"conv_width={width} is no convolution over steps; give at least 2, or null for none."
            )
        at_least_one(MOST_PARTS, conv_width=(width, "step"))
        self.channels = channels
        self.w = nn.Parameter((2 * torch.rand(width, channels) - 1) / math.sqrt(width))
        self.b = nn.Parameter(torch.zeros(channels)) if bias else None

    def initial_state(self, like: Tensor, batch_size: int) -> Float[Tensor, "B window C"]:
        return like.new_zeros(batch_size, len(self.w) - 1, self.channels)

    def step(self, u: Float[Tensor, "B C"], window: Tensor) -> tuple[Float[Tensor, "B C"], Tensor]:
        seen = torch.cat([window, u[:, None]], dim=1)
        y = (seen * self.w).sum(1)
        return y if self.b is None else y + self.b, seen[:, 1:]

    def scan(
        self, u: Float[Tensor, "T B C"], window: Tensor, valid: Tensor | None
    ) -> tuple[Float[Tensor, "T B C"], Tensor]:
        """Go through all steps; `valid` (T, B, 1) is true for the first steps of a row."""
        seen = torch.cat([window.transpose(0, 1), u])
        y: Tensor = _Weighted.apply(seen, self.w, self.b)  # type: ignore[no-untyped-call]
        kept = len(self.w) - 1
        last = seen[len(u) :] if valid is None else last_window(seen, kept, valid)
        return y, last.transpose(0, 1)


def short_convolution(channels: int, width: int | None, bias: bool) -> ShortConvolution | None:
    """Return a convolution over `width` steps; None where that is None."""
    return None if width is None else ShortConvolution(channels, width, bias)


class _Weighted(torch.autograd.Function):
    """b + Σⱼ wⱼ ⊙ seen(t + j) for each of T steps t, from T + K − 1 that are seen.

    Each number is read and written for each tap, so that a processor mostly waits for memory; it takes half
    of the time where it goes through as many steps at once as its cache has room for.
    """

    generate_vmap_rule = True

    @staticmethod
    def forward(
        seen: Float[Tensor, "steps B C"], w: Float[Tensor, "K C"], b: Float[Tensor, " C"] | None
    ) -> Float[Tensor, "T B C"]:
        first = seen[:1] * w[0] if b is None else seen[:1] * w[0] + b
        y = first.new_empty(len(seen) - len(w) + 1, *seen.shape[1:])  # batched under vmap, if one of them is
        for start, end in _in_cache(y):
            part = w[0] * seen[start:end]
            for j in range(1, len(w)):
                part = torch.addcmul(part, w[j], seen[start + j : end + j])
            y[start:end] = part if b is None else part + b
        return y

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Tensor, Tensor, Tensor | None], output: Tensor) -> None:
        seen, w, b = inputs
        ctx.save_for_backward(seen, w)
        ctx.has_bias = b is not None

    @staticmethod
    def backward(ctx: Any, *gradients: Tensor) -> tuple[Tensor, Tensor, Tensor | None]:
        (seen, w), (g,) = ctx.saved_tensors, gradients
        to_seen = (g[:1] * w[0]).new_zeros(seen.shape)
        to_w, to_b = [], []
        for start, end in _in_cache(g):
            part = g[start:end]
            for j in range(len(w)):
                to_seen[start + j : end + j].addcmul_(w[j], part)
            to_w.append(torch.stack([(part * seen[start + j : end + j]).sum((0, 1)) for j in range(len(w))]))
            to_b.append(part.sum((0, 1)))
        bias = torch.stack(to_b).sum(0) if ctx.has_bias else None
        return to_seen, torch.stack(to_w).sum(0), bias


def _in_cache(x: Float[Tensor, "T B C"]) -> list[tuple[int, int]]:
    """Return the first and the last step, exclusive, of each part that fits into the threads' caches."""
    room = NUMBERS_IN_CACHE * torch.get_num_threads()
    steps = max(1, room // max(1, x[0].numel())) if x.is_cpu else len(x)
    return [(start, min(start + steps, len(x))) for start in range(0, len(x), steps)]


class TokenShift(nn.Module):
    """A convolution over two steps whose weights are in what it reads: y(t) = u₁(t) + u₂(t − 1).

    Its state is the last u₂.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = 2 * channels

    def initial_state(self, like: Tensor, batch_size: int) -> Float[Tensor, "B 1 C"]:
        return like.new_zeros(batch_size, 1, self.channels // 2)

    def step(self, u: Float[Tensor, "B D"], window: Tensor) -> tuple[Float[Tensor, "B C"], Tensor]:
        now, later = u.chunk(2, dim=-1)
        return now + window[:, 0], later[:, None]

    def scan(
        self, u: Float[Tensor, "T B D"], window: Tensor, valid: Tensor | None
    ) -> tuple[Float[Tensor, "T B C"], Tensor]:
        """Go through all steps; `valid` (T, B, 1) is true for the first steps of a row."""
        now, later = u.chunk(2, dim=-1)
        seen = torch.cat([window.transpose(0, 1), later])
        last = seen[-1:] if valid is None else last_window(seen, 1, valid)
        return now + seen[:-1], last.transpose(0, 1)


def last_window(seen: Float[Tensor, "steps B C"], width: int, valid: Tensor) -> Float[Tensor, "W B C"]:
    """Return the last W valid steps of each row, from W before the first step and all T."""
    at = torch.arange(width, device=seen.device)[:, None] + valid[..., 0].sum(0)
    return seen.gather(0, at[..., None].expand(-1, -1, seen.shape[-1]))

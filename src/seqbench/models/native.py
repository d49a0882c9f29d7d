"""Torch's own recurrent kernels (cuDNN on a GPU, oneDNN on a CPU), run with a cell's weights."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import nullcontext
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.backends import mkldnn
from torch.nn.utils.rnn import PackedSequence

from seqbench.models.unfold import State


def run_native(
    kernel: Callable[..., Any], x: Tensor | PackedSequence, state: State, weights: list[Tensor]
) -> tuple[Tensor | PackedSequence, State]:
    """Run one layer in one direction of `torch.lstm`, `torch.gru`, `torch.rnn_tanh` or `torch.rnn_relu`.

    Args:
        kernel: one of these functions.
        x: inputs (T, B, F), or the same packed.
        state: tensors (B, H), in the kernel's order.
        weights: input weights (G, F), recurrent weights (G, H), and their two biases (G,).

    Returns:
        The outputs (T, B, H), packed if x is, and the last state.
    """
    hidden = [part.unsqueeze(0) for part in state]
    hx = hidden if len(hidden) > 1 else hidden[0]
    # biases, one layer, no dropout, training (so that cuDNN saves tensors for backward), one direction
    common = (weights, True, 1, 0.0, True, False)
    with mkldnn.flags(enabled=False) if _lacks_half_precision(weights[0]) else nullcontext():
        if isinstance(x, PackedSequence):
            data, *last = kernel(x.data, x.batch_sizes, hx, *common)
            outputs: Tensor | PackedSequence = x._replace(data=data)
        else:
            outputs, *last = kernel(x, hx, *common, False)
    return outputs, tuple(part.squeeze(0) for part in last)


def _lacks_half_precision(weight: Tensor) -> bool:
    """Whether a kernel runs in half precision on a CPU for which oneDNN has none: its LSTM then fails."""
    if weight.device.type != "cpu":
        return False
    dtype = torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else weight.dtype
    return dtype in (torch.bfloat16, torch.float16) and not _has_half_precision()


@cache
def _has_half_precision() -> bool:
    return bool(torch.ops.mkldnn._is_mkldnn_bf16_supported())

"""Public forms of attention, convolutions and minimal gates."""

from __future__ import annotations

import importlib
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from .form import Form, Function


def x_transformers(flash: bool, width: int) -> nn.Module:
    from x_transformers.x_transformers import Attention, RotaryEmbedding

    attention = Attention(width, heads=1, dim_head=width, causal=True, flash=flash)
    rotary = RotaryEmbedding(width)

    def forward(x: Tensor) -> Tensor:
        outputs: Tensor = attention(x, rotary_pos_emb=rotary.forward_from_seq_len(x.shape[1]))
        return outputs

    return Function(forward, attention, rotary)


def torch_attention(width: int) -> nn.Module:
    attention = nn.MultiheadAttention(width, 1, bias=False, batch_first=True)

    def forward(x: Tensor) -> Tensor:
        later = torch.ones(x.shape[1], x.shape[1], dtype=torch.bool).triu(1)
        outputs: Tensor = attention(x, x, x, attn_mask=later, is_causal=True, need_weights=False)[0]
        return outputs

    return Function(forward, attention)


def pytorch_tcn(width: int) -> nn.Module:
    from pytorch_tcn import TCN

    return TCN(width, [width], kernel_size=7, dropout=0.0, use_skip_connections=False, input_shape="NLC")


def min_gru_pytorch(name: str, width: int) -> nn.Module:
    layer: nn.Module = getattr(importlib.import_module(f"minGRU_pytorch.{name}"), name)(width)
    return layer


def mingru_scans(width: int) -> nn.Module:
    from mingru import MinGRU

    layer = MinGRU(width, width)

    def forward(x: Tensor) -> Tensor:
        outputs: Any = layer(x)
        return outputs[0] if isinstance(outputs, tuple) else outputs

    return Function(forward, layer)


#: By the name of a preset, the public forms of its layer.
FORMS: dict[str, tuple[Form, ...]] = {
    "transformer": (
        Form("x-transformers", "`Attention`, flash, rotary", partial(x_transformers, True)),
        Form("x-transformers", "`Attention`, rotary", partial(x_transformers, False)),
        Form("torch", "`nn.MultiheadAttention`, without positions", torch_attention),
    ),
    "tcn": (Form("pytorch-tcn", "`TCN` of one block", pytorch_tcn),),
    "min_gru": (
        Form("minGRU-pytorch", "`minGRU`", partial(min_gru_pytorch, "minGRU")),
        Form("mingru-scans", "`MinGRU`", mingru_scans),
    ),
    "min_lstm": (Form("minGRU-pytorch", "`minLSTM`", partial(min_gru_pytorch, "minLSTM")),),
}

"""Public forms of recurrences of matrices."""

from __future__ import annotations

from functools import partial

import torch
from torch import Tensor, nn

from agreements.compare import file_of
from seqbench.models.cells.delta_net import DeltaNet, GatedDeltaNet
from seqbench.models.cells.gla import GLA
from seqbench.models.cells.mlstm import MLSTM
from seqbench.models.cells.rwkv7 import RWKV7

from .form import Form, RecurrenceOf


def unscaled(q: Tensor) -> Tensor:
    """Return queries that are not yet divided by √(H/A), as these forms divide them themselves."""
    return q * q.shape[-1] ** 0.5


def fla_gla(width: int) -> nn.Module:
    theirs = file_of("fla", "ops/gla/naive.py")

    def recurrence(q: Tensor, k: Tensor, v: Tensor, log_a: Tensor) -> Tensor:
        return theirs.naive_recurrent_gla(unscaled(q), k, v, log_a)[0]

    return RecurrenceOf(GLA(width, width), recurrence)


def fla_delta(form: str, width: int) -> nn.Module:
    theirs = file_of("fla", "ops/delta_rule/naive.py")

    def recurrence(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_a: Tensor) -> Tensor:
        q, k, v, beta = (part.transpose(1, 2) for part in (unscaled(q), k, v, beta[..., 0]))
        return getattr(theirs, form)(q, k, v, beta)[0].transpose(1, 2)

    return RecurrenceOf(DeltaNet(width, width), recurrence)


def transformers_delta(kind: type[DeltaNet], width: int) -> nn.Module:
    from transformers.models.qwen3_next.modeling_qwen3_next import torch_chunk_gated_delta_rule

    def recurrence(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_a: Tensor) -> Tensor:
        return torch_chunk_gated_delta_rule(unscaled(q), k, v, log_a[..., 0], beta[..., 0])[0]

    return RecurrenceOf(kind(width, width), recurrence)


def transformers_gated_delta(width: int) -> nn.Module:
    from transformers import Qwen3NextConfig
    from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextGatedDeltaNet

    config = Qwen3NextConfig(
        hidden_size=width, linear_num_value_heads=1, linear_num_key_heads=1, linear_key_head_dim=width,
        linear_value_head_dim=width, linear_conv_kernel_dim=4, num_hidden_layers=1,
    )  # fmt: skip
    return Qwen3NextGatedDeltaNet(config, 0)


def fla_gated_delta(width: int) -> nn.Module:
    theirs = file_of("fla", "ops/gated_delta_rule/naive.py")

    def recurrence(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_a: Tensor) -> Tensor:
        return theirs.naive_chunk_gated_delta_rule(unscaled(q), k, v, log_a[..., 0], beta[..., 0])[0]

    return RecurrenceOf(GatedDeltaNet(width, width), recurrence)


def fla_rwkv7(form: str, width: int) -> nn.Module:
    theirs = file_of("fla", "ops/generalized_delta_rule/dplr/naive.py")

    def recurrence(
        q: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, log_w: Tensor, **_: Tensor
    ) -> Tensor:
        given = (part.transpose(1, 2) for part in (unscaled(q), k, v, a, b, log_w))
        return getattr(theirs, form)(*given)[0].transpose(1, 2)

    return RecurrenceOf(RWKV7(width, width), recurrence)


def before_sigmoid(log_f: Tensor) -> Tensor:
    """Return f with log σ(f) = log_f."""
    return log_f - torch.log(-torch.expm1(log_f))


def xlstm(form: str, width: int) -> nn.Module:
    from xlstm.blocks.mlstm import backends

    def recurrence(q: Tensor, k: Tensor, v: Tensor, i: Tensor, log_f: Tensor) -> Tensor:
        given = (part.transpose(1, 2).contiguous() for part in (unscaled(q), k, v, i, before_sigmoid(log_f)))
        return getattr(backends, form)(*given).transpose(1, 2)

    return RecurrenceOf(MLSTM(width, width), recurrence)


def mlstm_kernels(form: str, width: int) -> nn.Module:
    if form.startswith("mlstm_parallel"):
        from mlstm_kernels.torch.parallel import native as forms
    else:
        from mlstm_kernels.torch.chunkwise import native as forms

    def recurrence(q: Tensor, k: Tensor, v: Tensor, i: Tensor, log_f: Tensor) -> Tensor:
        q, k, v, i, f = (
            part.transpose(1, 2).contiguous() for part in (unscaled(q), k, v, i, before_sigmoid(log_f))
        )
        return getattr(forms, form)(q, k, v, i[..., 0], f[..., 0]).transpose(1, 2)

    return RecurrenceOf(MLSTM(width, width), recurrence)


#: By the name of a preset, the public forms of its layer.
FORMS: dict[str, tuple[Form, ...]] = {
    "gla": (Form("fla-core", "`naive_recurrent_gla`", fla_gla),),
    "delta_net": (
        Form("transformers", "`torch_chunk_gated_delta_rule`", partial(transformers_delta, DeltaNet)),
        Form("fla-core", "`delta_rule_chunkwise`", partial(fla_delta, "delta_rule_chunkwise")),
    ),
    "gated_delta_net": (
        Form("transformers", "`Qwen3NextGatedDeltaNet`", transformers_gated_delta),
        Form("transformers", "`torch_chunk_gated_delta_rule`", partial(transformers_delta, GatedDeltaNet)),
        Form("fla-core", "`naive_chunk_gated_delta_rule`", fla_gated_delta),
    ),
    "rwkv7": (
        Form("fla-core", "`dplr_chunkwise`", partial(fla_rwkv7, "dplr_chunkwise")),
        Form("fla-core", "`dplr_recurrence`", partial(fla_rwkv7, "dplr_recurrence")),
    ),
    "xlstm": (
        Form("xlstm", "`chunkwise_simple`", partial(xlstm, "chunkwise_simple")),
        Form("xlstm", "`parallel_stabilized_simple`", partial(xlstm, "parallel_stabilized_simple")),
        Form(
            "mlstm-kernels",
            "`mlstm_chunkwise__native_custbw`",
            partial(mlstm_kernels, "mlstm_chunkwise__native_custbw"),
        ),
        Form(
            "mlstm-kernels",
            "`mlstm_chunkwise__native_autograd`",
            partial(mlstm_kernels, "mlstm_chunkwise__native_autograd"),
        ),
    ),
}

"""Public forms of the parallel models that run on a CPU: each a layer (B, T, W) to (B, T, W) in PyTorch.

A form is a package's own layer where it has one. Where it has the recurrence alone, that stands in a layer of
seqbench in the place of seqbench's own; state-space models have the output of seqbench's layers.
"""

from __future__ import annotations

import importlib
import importlib.util
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from agreements.cases import around
from agreements.compare import file_of
from seqbench.models.cells.delta_net import DeltaNet, GatedDeltaNet
from seqbench.models.cells.gla import GLA
from seqbench.models.cells.lru import LRU
from seqbench.models.cells.matrix_state import MatrixCell
from seqbench.models.cells.mlstm import MLSTM
from seqbench.models.cells.rwkv7 import RWKV7
from seqbench.models.cells.s4d import S4D
from seqbench.models.cells.s5 import S5

#: What is done in every layer with q, k, v and more: it returns the outputs (B, T, A, V).
Recurrence = Callable[..., Tensor]


class Form(NamedTuple):
    """A public form of a layer.

    package: as it is installed; torch where a formula is written out in torch's operations.
    part: of the package, in words.
    make: returns the layer, from its width. An ImportError says that the package is not there.
    """

    package: str
    part: str
    make: Callable[[int], nn.Module]


class Function(nn.Module):
    """A function of x as a layer, with the parameters of modules that it uses."""

    def __init__(self, function: Callable[[Tensor], Tensor], *modules: nn.Module) -> None:
        super().__init__()
        self.function = function
        self.used = nn.ModuleList(modules)

    def forward(self, x: Tensor) -> Tensor:
        return self.function(x)


class RecurrenceOf(nn.Module):
    """A layer of seqbench with a recurrence that is not its own."""

    def __init__(self, cell: MatrixCell, recurrence: Recurrence) -> None:
        super().__init__()
        self.cell = cell
        self.recurrence = recurrence

    def forward(self, x: Tensor) -> Tensor:
        return around(self.cell, self.recurrence, x)


# State-space models


def s5_pytorch(width: int) -> nn.Module:
    import s5

    layer, gate = s5.S5(width, width), nn.Linear(width, width, bias=False)

    def forward(x: Tensor) -> Tensor:
        v = nn.functional.gelu(layer(x))
        return v * torch.sigmoid(gate(v))

    return Function(forward, layer, gate)


def s5_scan(kind: type[LRU | S5], width: int) -> nn.Module:
    """The scan of s5-pytorch over all sequences at once, in a layer of seqbench."""
    from s5.jax_compat import associative_scan
    from s5.s5_model import binary_operator

    cell = kind(width, width)

    def forward(x: Tensor) -> Tensor:
        projected = cell.project(x)
        _, states = associative_scan(binary_operator, cell.coefficients(projected), axis=1)
        return cell.read(projected, states)

    return Function(forward, cell)


def s4d_convolution(width: int) -> nn.Module:
    """Gu et al. (2022), "On the parameterization and initialization of diagonal state space models", (6)."""
    cell = S4D(width, width)

    def forward(x: Tensor) -> Tensor:
        steps = x.shape[1]
        eigenvalues = torch.complex(-torch.exp(cell.nu), cell.omega)
        exponent = eigenvalues * torch.exp(cell.log_step)[:, None]
        C = torch.complex(*cell.C) * (torch.exp(exponent) - 1) / eigenvalues
        powers = torch.exp(exponent[..., None] * torch.arange(steps))
        kernel = 2 * torch.einsum("hn,hnt->ht", C, powers).real
        u = x.transpose(1, 2)
        spectrum = torch.fft.rfft(u, n=2 * steps) * torch.fft.rfft(kernel, n=2 * steps)
        y = torch.fft.irfft(spectrum, n=2 * steps)[..., :steps] + u * cell.D[:, None]
        return nn.functional.glu(cell.mix(nn.functional.gelu(y.transpose(1, 2))), dim=-1)

    return Function(forward, cell)


def lru_pytorch(width: int) -> nn.Module:
    import LRU_pytorch

    layer, gate = LRU_pytorch.LRU(width, width, width, 0.9, 0.999), nn.Linear(width, width, bias=False)

    def forward(x: Tensor) -> Tensor:
        v = nn.functional.gelu(layer(x))
        return v * torch.sigmoid(gate(v))

    return Function(forward, layer, gate)


def transformers_mamba(scan: bool, width: int) -> nn.Module:
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    if scan and importlib.util.find_spec("mambapy") is None:
        raise ImportError("No module named 'mambapy'")
    return MambaMixer(MambaConfig(hidden_size=width, num_hidden_layers=1, use_mambapy=scan), 0)


def mambapy(width: int) -> nn.Module:
    from mambapy.mamba import MambaBlock, MambaConfig

    return MambaBlock(MambaConfig(d_model=width, n_layers=1))


def transformers_mamba2(chunk: int, width: int) -> nn.Module:
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    config = Mamba2Config(
        hidden_size=width, num_heads=2, head_dim=width, expand=2, state_size=64, n_groups=1, chunk_size=chunk,
        num_hidden_layers=1,
    )  # fmt: skip
    return Mamba2Mixer(config, 0)


# Recurrences of matrices


def fla_gla(width: int) -> nn.Module:
    theirs = file_of("fla", "ops/gla/naive.py")

    def recurrence(q: Tensor, k: Tensor, v: Tensor, log_a: Tensor) -> Tensor:
        return theirs.naive_recurrent_gla(q, k, v, log_a)[0]

    return RecurrenceOf(GLA(width, width), recurrence)


def fla_delta(form: str, width: int) -> nn.Module:
    theirs = file_of("fla", "ops/delta_rule/naive.py")

    def recurrence(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_a: Tensor) -> Tensor:
        q, k, v, beta = (part.transpose(1, 2) for part in (q, k, v, beta[..., 0]))
        return getattr(theirs, form)(q, k, v, beta)[0].transpose(1, 2)

    return RecurrenceOf(DeltaNet(width, width), recurrence)


def transformers_delta(kind: type[DeltaNet], width: int) -> nn.Module:
    from transformers.models.qwen3_next.modeling_qwen3_next import torch_chunk_gated_delta_rule

    def recurrence(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_a: Tensor) -> Tensor:
        return torch_chunk_gated_delta_rule(q, k, v, log_a[..., 0], beta[..., 0])[0]

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
        return theirs.naive_chunk_gated_delta_rule(q, k, v, log_a[..., 0], beta[..., 0])[0]

    return RecurrenceOf(GatedDeltaNet(width, width), recurrence)


def fla_rwkv7(form: str, width: int) -> nn.Module:
    theirs = file_of("fla", "ops/generalized_delta_rule/dplr/naive.py")

    def recurrence(
        q: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, log_w: Tensor, **_: Tensor
    ) -> Tensor:
        given = (part.transpose(1, 2) for part in (q, k, v, a, b, log_w))
        return getattr(theirs, form)(*given)[0].transpose(1, 2)

    return RecurrenceOf(RWKV7(width, width), recurrence)


def before_sigmoid(log_f: Tensor) -> Tensor:
    """Return f with log σ(f) = log_f."""
    return log_f - torch.log(-torch.expm1(log_f))


def xlstm(form: str, width: int) -> nn.Module:
    from xlstm.blocks.mlstm import backends

    def recurrence(q: Tensor, k: Tensor, v: Tensor, i: Tensor, log_f: Tensor) -> Tensor:
        given = (part.transpose(1, 2).contiguous() for part in (q, k, v, i, before_sigmoid(log_f)))
        return getattr(backends, form)(*given).transpose(1, 2)

    return RecurrenceOf(MLSTM(width, width), recurrence)


def mlstm_kernels(form: str, width: int) -> nn.Module:
    if form.startswith("mlstm_parallel"):
        from mlstm_kernels.torch.parallel import native as forms
    else:
        from mlstm_kernels.torch.chunkwise import native as forms

    def recurrence(q: Tensor, k: Tensor, v: Tensor, i: Tensor, log_f: Tensor) -> Tensor:
        q, k, v, i, f = (part.transpose(1, 2).contiguous() for part in (q, k, v, i, before_sigmoid(log_f)))
        return getattr(forms, form)(q, k, v, i[..., 0], f[..., 0]).transpose(1, 2)

    return RecurrenceOf(MLSTM(width, width), recurrence)


# Attention, convolutions, minimal gates


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
    "s4d": (Form("torch", "the convolution by FFT of Gu et al. (2022)", s4d_convolution),),
    "s5": (
        Form("s5-pytorch", "`S5`", s5_pytorch),
        Form("s5-pytorch", "`associative_scan`", partial(s5_scan, S5)),
    ),
    "lru": (
        Form("s5-pytorch", "`associative_scan`", partial(s5_scan, LRU)),
        Form("lru-pytorch", "`LRU`", lru_pytorch),
    ),
    "mamba": (
        Form("transformers", "`MambaMixer` with mambapy's `pscan`", partial(transformers_mamba, True)),
        Form("transformers", "`MambaMixer`", partial(transformers_mamba, False)),
        Form("mambapy", "`MambaBlock`", mambapy),
    ),
    "mamba2": (
        Form("transformers", "`Mamba2Mixer`, chunks of 64", partial(transformers_mamba2, 64)),
        Form("transformers", "`Mamba2Mixer`, chunks of 256", partial(transformers_mamba2, 256)),
    ),
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

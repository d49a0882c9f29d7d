"""Public forms of state-space models."""

from __future__ import annotations

import importlib.util
from functools import partial

import torch
from torch import Tensor, nn

from agreements.compare import file_of
from seqbench.models.cells.lru import LRU
from seqbench.models.cells.mamba2 import Mamba2
from seqbench.models.cells.s4d import S4D
from seqbench.models.cells.s5 import S5

from .form import Form, Function, RecurrenceOf


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


def transformers_mamba(width: int) -> nn.Module:
    """With a scan; without mambapy it goes step by step, and takes a minute for 1,024 steps."""
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    if importlib.util.find_spec("mambapy") is None:
        raise ImportError("No module named 'mambapy'")
    return MambaMixer(MambaConfig(hidden_size=width, num_hidden_layers=1, use_mambapy=True), 0)


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


def fla_mamba2(width: int) -> nn.Module:
    theirs, cell = file_of("fla", "ops/simple_gla/naive.py"), Mamba2(width, width)

    def recurrence(v: Tensor, step: Tensor, B: Tensor, C: Tensor) -> Tensor:
        q, k = (part[..., None, :].expand(*step.shape[:-1], -1) for part in (C, B))
        log_a = -torch.exp(cell.a) * step[..., 0]
        outputs: Tensor = theirs.naive_chunk_simple_gla(q, k, step * v, log_a, scale=1.0)[0]
        return outputs

    return RecurrenceOf(cell, recurrence)


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
        Form("transformers", "`MambaMixer` with mambapy's `pscan`", transformers_mamba),
        Form("mambapy", "`MambaBlock`", mambapy),
    ),
    "mamba2": (
        Form("transformers", "`Mamba2Mixer`, chunks of 64", partial(transformers_mamba2, 64)),
        Form("transformers", "`Mamba2Mixer`, chunks of 256", partial(transformers_mamba2, 256)),
        Form("fla-core", "`naive_chunk_simple_gla`", fla_mamba2),
    ),
}

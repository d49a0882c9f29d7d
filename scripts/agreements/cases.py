"""The models that have a public implementation to be held against, and how its weights follow from theirs."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.func import functional_call

from agreements.compare import ROWS, Case, drawn, file_of, module_of
from seqbench.models.cells.delta_net import DeltaNet, GatedDeltaNet
from seqbench.models.cells.gla import GLA
from seqbench.models.cells.mamba import Mamba
from seqbench.models.cells.mamba2 import Mamba2
from seqbench.models.cells.matrix_state import MatrixCell
from seqbench.models.cells.mlstm import MLSTM
from seqbench.models.cells.rwkv7 import RWKV7
from seqbench.models.cells.s4d import S4D
from seqbench.models.cells.s5 import S5
from seqbench.models.cells.short_convolution import ShortConvolution
from seqbench.models.cells.slstm import SLSTM
from seqbench.models.cells.transformer import CausalAttention
from seqbench.models.chunk import EPSILON
from seqbench.models.memory.dnc import DNC, DNCState

#: The width of models and of their inputs, which references have alike.
H = 8


def s5() -> Case:
    from s5.s5_model import apply_ssm, discretize_zoh

    cell = drawn(S5(H, H, state_width=5))

    def reference(x: Tensor) -> Tensor:
        eigenvalues = torch.complex(-torch.exp(cell.nu), cell.omega)
        kept, B = discretize_zoh(eigenvalues, torch.complex(*cell.B), torch.exp(cell.log_step))
        # The reference's D is a vector: that part of the output is ours.
        none = x.new_zeros(H)
        y = torch.stack([apply_ssm(kept, B, torch.complex(*cell.C), none, row)[0] for row in x])
        v = nn.functional.gelu(y + x @ cell.D.t())
        return v * torch.sigmoid(v @ cell.G.t())

    return Case("s5-pytorch", "`apply_ssm`", cell, reference)


def s4d() -> Case:
    from s5.s5_model import apply_ssm, discretize_zoh

    cell = drawn(S4D(H, H, state_width=3))

    def reference(x: Tensor) -> Tensor:
        eigenvalues = torch.complex(-torch.exp(cell.nu), cell.omega).flatten()
        units = torch.block_diag(*[torch.ones(3, 1)] * H)  # the states of each unit see its input alone
        kept, B = discretize_zoh(eigenvalues, units + 0j, torch.exp(cell.log_step).repeat_interleave(3))
        C = torch.block_diag(*(2 * torch.complex(*cell.C)).split(1))
        y = torch.stack([apply_ssm(kept, B, C, cell.D, row)[0] for row in x])
        return nn.functional.glu(cell.mix(nn.functional.gelu(y)), dim=-1)

    return Case("s5-pytorch", "`apply_ssm`", cell, reference)


def mamba() -> Case:
    from transformers import MambaConfig
    from transformers.models.mamba.modeling_mamba import MambaMixer

    cell = drawn(Mamba(H, H, state_width=5))
    mixer = MambaMixer(MambaConfig(hidden_size=H, state_size=5, num_hidden_layers=1), 0).double()

    def reference(x: Tensor) -> Tensor:
        assert isinstance(cell.convolution, ShortConvolution)
        weights = {
            "in_proj.weight": cell.U,
            "conv1d.weight": cell.convolution.w.t()[:, None],
            "conv1d.bias": cell.convolution.b,
            "x_proj.weight": cell.X,
            "dt_proj.weight": cell.W_step,
            "dt_proj.bias": cell.b_step,
            "A_log": cell.a,
            "D": cell.D,
            "out_proj.weight": cell.W,
        }
        return called(mixer, weights, x)

    return Case("transformers", "`MambaMixer`", cell, reference)


def mamba2() -> Case:
    from transformers import Mamba2Config
    from transformers.models.mamba2.modeling_mamba2 import Mamba2Mixer

    cell = drawn(Mamba2(H, H, heads=4, state_width=5, chunk_size=8))
    config = Mamba2Config(
        hidden_size=H, num_heads=4, head_dim=4, expand=2, state_size=5, n_groups=1, chunk_size=16,
        layer_norm_epsilon=EPSILON, num_hidden_layers=1,
    )  # fmt: skip
    mixer = Mamba2Mixer(config, 0).double()

    def reference(x: Tensor) -> Tensor:
        assert isinstance(cell.convolution, ShortConvolution)
        mixed, z, step = cell.U.split([26, 16, 4])
        weights = {
            "in_proj.weight": torch.cat([z, mixed, step]),
            "conv1d.weight": cell.convolution.w.t()[:, None],
            "conv1d.bias": cell.convolution.b,
            "dt_bias": cell.b_step,
            "A_log": cell.a,
            "D": cell.D,
            "norm.weight": cell.g,
            "out_proj.weight": cell.W,
        }
        return called(mixer, weights, x)

    return Case("transformers", "`Mamba2Mixer`", cell, reference)


def gated_delta_net() -> Case:
    from transformers import Qwen3NextConfig
    from transformers.models.qwen3_next.modeling_qwen3_next import Qwen3NextGatedDeltaNet

    cell = drawn(GatedDeltaNet(H, H, heads=2, chunk_size=8))
    config = Qwen3NextConfig(
        hidden_size=H, linear_num_value_heads=2, linear_num_key_heads=2, linear_key_head_dim=4,
        linear_value_head_dim=4, linear_conv_kernel_dim=4, rms_norm_eps=EPSILON, num_hidden_layers=1,
    )  # fmt: skip
    layer = Qwen3NextGatedDeltaNet(config, 0).double()

    def reference(x: Tensor) -> Tensor:
        assert isinstance(cell.convolution, ShortConvolution)
        qkvz, step, beta = cell.U.split([4 * H, 2, 2])
        weights = {
            # The reference's rows are head by head.
            "in_proj_qkvz.weight": qkvz.view(4, 2, 4, H).transpose(0, 1).reshape(4 * H, H),
            "in_proj_ba.weight": torch.stack([beta, step], dim=1).flatten(0, 1),
            "conv1d.weight": cell.convolution.w.t()[:, None],
            "dt_bias": cell.b_step,
            "A_log": cell.a,
            "norm.weight": cell.g,
            "out_proj.weight": cell.W,
        }
        return called(layer, weights, x)

    return Case("transformers", "`Qwen3NextGatedDeltaNet`", cell, reference)


def called(module: nn.Module, weights: dict[str, Tensor], x: Tensor) -> Tensor:
    """Return the output of a module with other weights; all of its weights must be given."""
    assert {*weights} == {name for name, _ in module.named_parameters()}
    outputs: Tensor = functional_call(module.eval(), weights, (x,))
    return outputs


def around(cell: MatrixCell, recurrence: Callable[..., Tensor], x: Tensor) -> Tensor:
    """Return what a cell makes of a recurrence (B, T, A, …) that is not its own."""
    parts = list(torch.split(cell.project(x.transpose(0, 1)), cell.parts, dim=-1))
    if cell.convolution is not None:
        parts[0], _ = cell.convolution.scan(parts[0], cell.initial_state(len(x))[0], None)
    given = cell.enter(parts)
    output = recurrence(**{name: part.transpose(0, 1) for name, part in given.items()})
    return (cell.leave(parts, given, output.transpose(0, 1)) @ cell.W.t()).transpose(0, 1)


def gla() -> Case:
    theirs = file_of("fla", "ops/gla/naive.py")
    cell = drawn(GLA(H, H, heads=2, gate_rank=3, chunk_size=8))

    def recurrence(q: Tensor, k: Tensor, v: Tensor, log_a: Tensor) -> Tensor:
        return theirs.naive_recurrent_gla(q * 2**0.5, k, v, log_a)[0]  # it scales queries itself

    return Case("fla-core", "`naive_recurrent_gla`", cell, lambda x: around(cell, recurrence, x))


def delta_net() -> Case:
    theirs = file_of("fla", "ops/delta_rule/naive.py")
    cell = drawn(DeltaNet(H, H, heads=2, chunk_size=8))

    def recurrence(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_a: Tensor) -> Tensor:
        q, k, v, beta = (part.transpose(1, 2) for part in (q * 2, k, v, beta))
        return theirs.delta_rule_recurrence(q, k, v, beta)[0].transpose(1, 2)

    return Case("fla-core", "`delta_rule_recurrence`", cell, lambda x: around(cell, recurrence, x))


def rwkv7() -> Case:
    theirs = file_of("fla", "ops/generalized_delta_rule/dplr/naive.py")
    cell = drawn(RWKV7(H, H, heads=2, rank=3, chunk_size=8))

    def recurrence(
        q: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, log_w: Tensor, **_: Tensor
    ) -> Tensor:
        given = (part.transpose(1, 2) for part in (q * 2, k, v, a, b, log_w))
        return theirs.dplr_recurrence(*given)[0].transpose(1, 2)

    return Case("fla-core", "`dplr_recurrence`", cell, lambda x: around(cell, recurrence, x))


def gated_delta_rule() -> Case:
    theirs = file_of("fla", "ops/gated_delta_rule/naive.py")
    cell = drawn(GatedDeltaNet(H, H, heads=2, chunk_size=8))

    def recurrence(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, log_a: Tensor) -> Tensor:
        return theirs.naive_recurrent_gated_delta_rule(q * 2, k, v, beta[..., 0], log_a[..., 0])[0]

    part = "`naive_recurrent_gated_delta_rule`"
    return Case("fla-core", part, cell, lambda x: around(cell, recurrence, x))


def xlstm() -> Case:
    from xlstm.blocks.mlstm.backends import recurrent_step_stabilized_simple

    cell = drawn(MLSTM(H, H, heads=2, chunk_size=8))

    def recurrence(q: Tensor, k: Tensor, v: Tensor, i: Tensor, log_f: Tensor) -> Tensor:
        f = log_f - torch.log(-torch.expm1(log_f))  # before the sigmoid
        inputs = [part.transpose(1, 2).split(1, dim=2) for part in (q, k * 2, v, i, f)]
        size = H // 2
        memory = [q.new_zeros(len(q), 2, *shape) for shape in ((size, size), (size, 1), (1, 1))]
        outputs = []
        for step in zip(*inputs, strict=True):
            h, memory = recurrent_step_stabilized_simple(*memory, *(part.clone() for part in step))
            outputs.append(h)
        return torch.cat(outputs, dim=2).transpose(1, 2)

    part = "`recurrent_step_stabilized_simple`"
    return Case("xlstm", part, cell, lambda x: around(cell, recurrence, x))


def slstm() -> Case:
    from xlstm.blocks.slstm.src.vanilla import slstm_forward, slstm_pointwise_function_registry

    cell = drawn(SLSTM(H, H, heads=2))

    def reference(x: Tensor) -> Tensor:
        inputs = (x @ cell.U.t()).transpose(0, 1)
        # Heads, then the four gates of each, as the reference has them, without what is zero between heads.
        R = torch.stack([W[h : h + 4, h : h + 4] for h in (0, 4) for W in cell.W.chunk(4)])
        R = R.view(2, 16, 4)
        start = x.new_zeros(4, len(x), H)
        pointwise = slstm_pointwise_function_registry["slstm"]
        states, _, _ = slstm_forward(inputs, start, R, cell.b, pointwise)
        h = states[0, 1:].transpose(0, 1)
        return nn.functional.group_norm(h.flatten(0, 1), 2, cell.g, eps=EPSILON).view_as(h)

    return Case("xlstm", "`slstm_forward`, vanilla", cell, reference)


def transformer() -> Case:
    from x_transformers.x_transformers import Attention, RotaryEmbedding

    cell = drawn(CausalAttention(H, H, heads=2, context=64))
    attention = Attention(H, heads=2, dim_head=4, causal=True, flash=False).double()
    # Which the reference takes in single precision.
    attention.attend.attn_fn = lambda scores: scores.softmax(-1)
    rotary = RotaryEmbedding(4).double()

    def reference(x: Tensor) -> Tensor:
        q, k, v = cell.U.chunk(3)
        weights = {"to_q.weight": q, "to_k.weight": k, "to_v.weight": v, "to_out.weight": cell.W}
        assert {*weights} == {name for name, _ in attention.named_parameters()}
        given = {"rotary_pos_emb": rotary.forward_from_seq_len(x.shape[1])}
        return functional_call(attention, weights, (x,), given)

    return Case("x-transformers", "`Attention` with `RotaryEmbedding`", cell, reference)


def dnc() -> Case:
    theirs, tools = module_of("dnc", "memory"), module_of("dnc", "util")
    theirs.cuda = lambda x, gpu_id: x  # which makes it single precision
    N, W, R = 6, 4, 2
    cell = drawn(DNC(H, H, memory_size=N, word_size=W, read_heads=R))
    memory = theirs.Memory(H, N, W, R)
    # What keeps a cosine and usage off zero, each in its own way, is made too small to be seen.
    cell.epsilon = theirs.δ = tools.δ = 1e-30
    # Words that are alike, as all are at the start, have an order in ours alone.
    start = [torch.rand(ROWS, *part.shape[1:]) / N for part in cell.initial_state(ROWS)[1:]]
    start[-1] = start[-1] * (1 - torch.eye(N))
    begun = DNCState(cell.controller.initial_state(ROWS), *start)
    cell.initial_state = lambda batch_size: begun

    def reference(x: Tensor) -> Tensor:
        own, r, outputs = begun.controller, begun.read, []
        hidden = {
            "memory": begun.memory,
            "link_matrix": begun.link[:, None],
            "precedence": begun.precedence,
            "read_weights": begun.reading,
            "write_weights": begun.writing,
            "usage_vector": begun.usage[:, 0],
        }
        for x_t in x.unbind(1):
            read = cell.controller.project(torch.cat([x_t, r.flatten(1)], dim=1))
            h, own = cell.controller.step(read, own)
            given = cell.interface(h)
            strengths = given.read_strengths[..., 0]
            hidden = memory.write(
                given.write_key, given.value, given.erase, given.free[..., 0], strengths,
                given.write_strength[..., 0], given.write_gate[..., 0], given.allocation_gate[..., 0], hidden,
            )  # fmt: skip
            modes = given.modes[..., [0, 2, 1]]  # backward, forward, content
            r, hidden = memory.read(given.read_keys, strengths, modes, hidden)
            outputs.append(torch.cat([h, r.flatten(1)], dim=1))
        return torch.stack(outputs, dim=1)

    return Case("dnc", "`Memory.write`, `Memory.read`", cell, reference)


#: By the name of a preset, the references of its cell.
CASES: dict[str, tuple[Callable[[], Case], ...]] = {
    "s5": (s5,),
    "s4d": (s4d,),
    "mamba": (mamba,),
    "mamba2": (mamba2,),
    "gla": (gla,),
    "delta_net": (delta_net,),
    "rwkv7": (rwkv7,),
    "xlstm": (xlstm,),
    "slstm": (slstm,),
    "transformer": (transformer,),
    "dnc": (dnc,),
    "gated_delta_net": (gated_delta_net, gated_delta_rule),
}

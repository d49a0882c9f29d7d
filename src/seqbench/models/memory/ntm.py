"""The Neural Turing Machine of Fig. 10.18: a network with a memory that it reads and writes by attention."""

from __future__ import annotations

from functools import reduce
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from seqbench.models.init import init_uniform
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import Cell, State

#: Keeps the cosine of an empty word, and the logarithm of a weight of zero, finite.
TINY = 1e-12


class NTM(Cell):
    """A controller with a memory of N words of M numbers, which heads address by content and by location.

                        x(t)                    y(t)
                          │                      ▲
                          ▼                      │
          r(t−1) ──▶ controller ──▶ h(t) ──▶ [h(t), r(t)]
            ▲              │                     ▲
            │              ▼ k, β, g, s, γ, e, a │
            │            heads ──▶ w(t) ─────────┤
            │              │                     │
            └── memory ────┴── read r(t) ────────┘
                M(t−1) ──erase e, add a──▶ M(t)

    Reading, section 3.1, of the memory as the step before has left it:

        r = Σ_i w(i) M(i)                                                        (2)

    Writing, section 3.2; several heads erase together, and then add together:

        M̃(i) = M(i) ⊙ [1 − w(i) e]                                               (3)
        M(i) ← M̃(i) + w(i) a                                                     (4)

    Addressing, section 3.3, which every head does by itself:

        w_c(i) = exp(β K[k, M(i)]) / Σ_j exp(β K[k, M(j)])                       (5)  by content
        K[u, v] = u·v / (‖u‖ ‖v‖)                                                (6)
        w_g = g w_c + (1 − g) w(t−1)                                             (7)  or as before
        w̃(i) = Σ_j w_g(j) s(i − j)          indices modulo N                     (8)  shifted
        w(i) = w̃(i)^γ / Σ_j w̃(j)^γ                                               (9)  sharpened

    What heads want comes from the controller's h by one matrix: the key k = tanh, its strength β = softplus,
    the gate g = σ, the shift s = softmax, γ = 1 + softplus, the erase vector e = σ, the add vector a = tanh.

    The state is that of the controller, h, for an LSTM also s; the words read r (B, R, M); the weightings w
    (B, heads, N), of the read heads first; and the memory (B, N, M). Where a sequence starts the memory is
    what `memory_init` says, and words and weightings are learnt.

    Args:
        input_size: F.
        hidden_size: H, units of the controller.
        controller: feed_forward, tanh units that see x(t) and r(t−1) alone; or lstm.
        memory_size: N.
        word_size: M.
        read_heads: R.
        write_heads: heads that write.
        shift: the farthest a head moves in one step; s is over −shift, …, shift.
        memory_init: constant, every number 10⁻⁶; learnt; random, drawn with the weights and then fixed. Of
            these constant learns fastest (Collier & Beel, 2018).
        weighting_init: where learning the first weightings starts: focused, all heads at the first word, as
            that of a Turing machine; or uniform. In an empty memory there is nothing to find by content, and
            a uniform weighting is the same wherever it is shifted: from there learning takes far longer.
        clip_output: what the controller tells the heads is kept within ± this; None leaves it.

    Raises:
        ValueError: a size below 1, no head to read or to write, or a shift wider than the memory.

    Source: Graves, Wayne & Danihelka (2014), "Neural Turing machines".
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        controller: Literal["lstm", "feed_forward"] = "lstm",
        memory_size: int = 128,
        word_size: int = 20,
        read_heads: int = 1,
        write_heads: int = 1,
        shift: int = 1,
        memory_init: Literal["constant", "learnt", "random"] = "constant",
        weighting_init: Literal["focused", "uniform"] = "focused",
        clip_output: float | None = 20.0,
    ) -> None:
        super().__init__(input_size, hidden_size)
        at_least_one(
            memory_size=(memory_size, "word"),
            word_size=(word_size, "number in a word"),
            read_heads=(read_heads, "head to read with"),
            write_heads=(write_heads, "head to write with"),
        )
        if shift < 0 or 2 * shift + 1 > memory_size:
            raise ValueError(
                f"shift={shift} lets a head go to {2 * shift + 1} places, and the memory has {memory_size}; "
                f"give 0 to {(memory_size - 1) // 2}, or a larger memory_size."
            )
        if clip_output is not None and not clip_output > 0:
            raise ValueError(f"clip_output={clip_output} must be above 0; null does not clip.")
        self.controller = controller
        self.read_heads = read_heads
        self.write_heads = write_heads
        self.shift = shift
        self.clip_output = clip_output
        heads, gates = read_heads + write_heads, 4 if controller == "lstm" else 1
        # For each head k, β, g, s, γ; for each that writes e, a.
        self.parts = [word_size, 1, 1, 2 * shift + 1, 1]
        told = heads * sum(self.parts) + write_heads * 2 * word_size
        self.U = nn.Parameter(torch.empty(gates * hidden_size, input_size))
        self.R = nn.Parameter(torch.empty(gates * hidden_size, read_heads * word_size))
        self.W = nn.Parameter(torch.empty(gates * hidden_size, hidden_size)) if gates == 4 else None
        self.b = nn.Parameter(torch.zeros(gates * hidden_size))
        self.V = nn.Parameter(torch.empty(told, hidden_size))
        self.c = nn.Parameter(torch.zeros(told))
        self.w0 = nn.Parameter(torch.zeros(heads, memory_size))
        if weighting_init == "focused":  # the first word has a weight of 0.994 among 128
            self.w0.detach()[:, 0] = 10.0
        self.r0 = nn.Parameter(torch.zeros(read_heads, word_size))
        for weight in (self.U, self.R, self.W, self.V):
            if weight is not None:
                init_uniform(weight, hidden_size)
        if gates == 4:  # the forget gate, as in the LSTM
            self.b.detach()[hidden_size : 2 * hidden_size] = 1.0
        first = torch.full((memory_size, word_size), 1e-6)
        self.memory: Tensor
        if memory_init == "learnt":
            self.memory = nn.Parameter(nn.init.normal_(first, std=word_size**-0.5))
        else:
            self.register_buffer(
                "memory", nn.init.normal_(first, std=0.5) if memory_init == "random" else first
            )

    @property
    def output_size(self) -> int:
        return self.hidden_size + self.r0.numel()

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps G"]:
        return F.linear(x, self.U, self.b)

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B H"], State]:
        *own, r, w, memory = state
        a = torch.addmm(projected, r.flatten(1), self.R.t())
        if self.W is None:
            h = torch.tanh(a)
            own = []
        else:
            h, s = own
            g, f, new, q = torch.addmm(a, h, self.W.t()).chunk(4, dim=-1)
            s = torch.sigmoid(f) * s + torch.sigmoid(g) * torch.tanh(new)
            h = torch.tanh(s) * torch.sigmoid(q)
            own = [h, s]
        told = torch.addmm(self.c, h, self.V.t())
        if self.clip_output is not None:
            told = told.clamp(-self.clip_output, self.clip_output)
        heads = self.read_heads + self.write_heads
        to_address, to_write = torch.tensor_split(told, [heads * sum(self.parts)], dim=1)
        w = self.address(to_address.reshape(len(told), heads, -1), w, memory)
        reading, writing = torch.tensor_split(w, [self.read_heads], dim=1)
        r = torch.bmm(reading, memory)  # (2)
        erase, add = to_write.reshape(len(told), 2, self.write_heads, -1).unbind(1)
        memory = write(memory, writing, torch.sigmoid(erase), torch.tanh(add))
        return torch.cat([h, r.flatten(1)], dim=1), (*own, r, w, memory)

    def address(
        self,
        told: Float[Tensor, "B heads P"],
        before: Float[Tensor, "B heads N"],
        memory: Float[Tensor, "B N M"],
    ) -> Float[Tensor, "B heads N"]:
        """Return the weightings of all heads, from what the controller tells them (section 3.3)."""
        k, strength, gate, shift, sharpness = torch.split(told, self.parts, dim=2)
        content = torch.softmax(F.softplus(strength) * similarity(torch.tanh(k), memory), dim=-1)  # (5)
        gated = torch.lerp(before, content, torch.sigmoid(gate))  # (7)
        shifted = convolve(gated, torch.softmax(shift, dim=-1))  # (8)
        # (9): a power, made to sum to one, is a softmax of logarithms.
        return torch.softmax((1 + F.softplus(sharpness)) * torch.log(shifted + TINY), dim=-1)

    def initial_state(self, batch_size: int) -> State:
        w = self.w0.softmax(-1).expand(batch_size, -1, -1)
        r, memory = (part.expand(batch_size, -1, -1) for part in (self.r0, self.memory))
        zeros = self.U.new_zeros(batch_size, self.hidden_size)
        return (r, w, memory) if self.W is None else (zeros, zeros, r, w, memory)


def similarity(k: Float[Tensor, "B heads M"], memory: Float[Tensor, "B N M"]) -> Float[Tensor, "B heads N"]:
    """Return the cosine of every key with every word, (6)."""
    inverse = (memory.square().sum(-1) + TINY).rsqrt()
    unit = k * (k.square().sum(-1, keepdim=True) + TINY).rsqrt()
    return torch.bmm(unit, memory.transpose(1, 2)) * inverse[:, None]


def convolve(w: Float[Tensor, "B heads N"], shift: Float[Tensor, "B heads S"]) -> Float[Tensor, "B heads N"]:
    """Return the circular convolution of weightings with shifts over −n, …, n, (8)."""
    n = shift.shape[-1] // 2
    around = torch.cat([w[..., w.shape[-1] - n :], w, w[..., :n]], dim=-1)
    # A shift of j brings to place i what was at i − j.
    parts = [around[..., n - j : n - j + w.shape[-1]] * shift[..., j + n, None] for j in range(-n, n + 1)]
    return reduce(torch.add, parts)


def write(
    memory: Float[Tensor, "B N M"],
    w: Float[Tensor, "B heads N"],
    erase: Float[Tensor, "B heads M"],
    add: Float[Tensor, "B heads M"],
) -> Float[Tensor, "B N M"]:
    """Return the memory after all heads have erased, (3), and then all have added, (4)."""
    kept = [
        1 - weight[:, :, None] * e[:, None] for weight, e in zip(w.unbind(1), erase.unbind(1), strict=True)
    ]
    return torch.baddbmm(memory * reduce(torch.mul, kept), w.transpose(1, 2), add)

"""The Neural Turing Machine of Fig. 10.18: a network with a memory that it reads and writes by attention."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, Literal, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from seqbench.models.cells.lstm import LSTM
from seqbench.models.init import init_uniform
from seqbench.models.observations import Heads
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import Cell, State
from seqbench.models.unfold.cell import as_cell

#: Keeps the cosine of an empty word, and the logarithm of a weight of zero, finite.
TINY = 1e-12


class NTMState(NamedTuple):
    """What a Neural Turing Machine carries from step to step.

    controller: its controller's state.
    read: the words r that the R read heads read.
    weightings: w of all heads, those of the read heads first.
    memory: N words of M numbers.
    """

    controller: State
    read: Float[Tensor, "B R M"]
    weightings: Float[Tensor, "B heads N"]
    memory: Float[Tensor, "B N M"]


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

    The controller is any cell; its input is [x(t), r(t−1)]. One matrix V maps its output h to the parameters
    of the heads: the key k = tanh, its strength β = softplus, the gate g = σ, the shift s = softmax,
    γ = 1 + softplus, the erase vector e = σ, the add vector a = tanh.

    The state is an `NTMState`. At the start of a sequence the memory is what `memory_init` says; words and
    weightings are learnt.

    Args:
        input_size: F.
        hidden_size: H, units of the controller.
        controller: makes the controller: `controller(input_size, hidden_size)`. The paper uses `LSTM` and
            `FeedForward`.
        memory_size: N.
        word_size: M.
        read_heads: R.
        write_heads: heads that write.
        shift: the farthest a head moves in one step; s is over −shift, …, shift.
        memory_init: constant, every number 10⁻⁶; learnt; random, drawn with the weights and then fixed. With
            constant it learns fastest (Collier & Beel, 2018).
        weighting_init: initial value of the learnt first weightings: focused, all heads at the first word, as
            in a Turing machine; or uniform. In an empty memory content addressing finds nothing, and shifts
            do not change a uniform weighting: from there learning takes far longer.
        clip_output: limits the heads' parameters, before their squashing, to ± this; None does not.

    Raises:
        ValueError: a size below 1, no head to read or to write, or a shift wider than the memory.

    Source: Graves, Wayne & Danihelka (2014), "Neural Turing machines".
    """

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        controller: Callable[[int, int], Cell] = LSTM,
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
        if shift < 0:
            raise ValueError(
                f"shift={shift} is no number of words; give at least 0, which leaves heads in place."
            )
        if 2 * shift + 1 > memory_size:
            raise ValueError(
                f"shift={shift} lets a head go to {2 * shift + 1} words, and memory_size={memory_size} has "
                f"fewer; give a shift of at most {(memory_size - 1) // 2}, or a larger memory."
            )
        if clip_output is not None and not clip_output > 0:
            raise ValueError(f"clip_output={clip_output} must be above 0; null does not clip.")
        self.read_heads = read_heads
        self.write_heads = write_heads
        self.shift = shift
        self.clip_output = clip_output
        self.controller = as_cell(controller(input_size + read_heads * word_size, hidden_size), "controller")
        self.vectorizable = self.controller.runs_vectorized
        heads, size = read_heads + write_heads, self.controller.output_size
        # For each head k, β, g, s, γ; for each that writes e, a.
        self.parts = [word_size, 1, 1, 2 * shift + 1, 1]
        parameters = heads * sum(self.parts) + write_heads * 2 * word_size
        self.V = nn.Parameter(torch.empty(parameters, size))
        self.c = nn.Parameter(torch.zeros(parameters))
        init_uniform(self.V, size)
        self.w0 = nn.Parameter(torch.zeros(heads, memory_size))
        if weighting_init == "focused":  # the first word has a weight of 0.994 among 128
            self.w0.detach()[:, 0] = 10.0
        self.r0 = nn.Parameter(torch.zeros(read_heads, word_size))
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
        return self.controller.output_size + self.r0.numel()

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps F"]:
        return x  # the controller's input depends on the state

    def step(self, projected: Tensor, state: NTMState) -> tuple[Float[Tensor, "B H"], NTMState]:
        x = torch.cat([projected, state.read.flatten(1).to(projected.dtype)], dim=1)
        h, controller = self.controller.step(self.controller.project(x), state.controller)
        parameters = torch.addmm(self.c, h, self.V.t())
        if self.clip_output is not None:
            parameters = parameters.clamp(-self.clip_output, self.clip_output)
        heads = self.read_heads + self.write_heads
        to_address, to_write = torch.tensor_split(parameters, [heads * sum(self.parts)], dim=1)
        w = self.address(to_address.reshape(len(h), heads, -1), state.weightings, state.memory)
        reading, writing = torch.tensor_split(w, [self.read_heads], dim=1)
        r = torch.bmm(reading, state.memory)  # (2)
        erase, add = to_write.reshape(len(h), 2, self.write_heads, -1).unbind(1)
        memory = write(state.memory, writing, torch.sigmoid(erase), torch.tanh(add))
        return torch.cat([h, r.flatten(1)], dim=1), NTMState(controller, r, w, memory)

    def address(
        self,
        parameters: Float[Tensor, "B heads P"],
        before: Float[Tensor, "B heads N"],
        memory: Float[Tensor, "B N M"],
    ) -> Float[Tensor, "B heads N"]:
        """Return the weightings of all heads, from their parameters (section 3.3)."""
        k, strength, gate, shift, sharpness = torch.split(parameters, self.parts, dim=2)
        content = torch.softmax(F.softplus(strength) * similarity(torch.tanh(k), memory), dim=-1)  # (5)
        gated = torch.lerp(before, content.to(before.dtype), torch.sigmoid(gate).to(before.dtype))  # (7)
        shifted = convolve(gated, torch.softmax(shift, dim=-1))  # (8)
        # (9): a power, made to sum to one, is a softmax of logarithms.
        return torch.softmax((1 + F.softplus(sharpness)) * torch.log(shifted + TINY), dim=-1)

    def initial_state(self, batch_size: int) -> NTMState:
        w = self.w0.softmax(-1).expand(batch_size, -1, -1)
        r, memory = (part.expand(batch_size, -1, -1) for part in (self.r0, self.memory))
        return NTMState(self.controller.initial_state(batch_size), r, w, memory)

    def time_scales(self) -> str | None:
        return f"a memory of {len(self.memory)} words"

    def dead_entries(self) -> dict[str, Tensor]:
        """Return the masks of what moves no head: the shift of one place, and all where there is one word."""
        one_word = len(self.memory) == 1
        if self.shift and not one_word:
            return {}
        rows = torch.zeros(len(self.c), dtype=torch.bool, device="cpu")
        size = sum(self.parts)
        for head in range(self.read_heads + self.write_heads):
            first = head * size + (0 if one_word else size - 2)  # the shift is before the last
            rows[first : (head + 1) * size if one_word else first + 1] = True
        masks = {"V": rows[:, None].expand(self.V.shape), "c": rows}
        if one_word:
            masks["w0"] = torch.ones(self.w0.shape, dtype=torch.bool, device="cpu")
        return masks

    def output_of(self, projected: Any, state: NTMState) -> Tensor | None:
        h = self.controller.output_after(None, state.controller)
        return None if h is None else torch.cat([h, state.read.flatten(1)], dim=1)

    def unobservable(self) -> None:
        return None

    def observe(self, inputs: Tensor, states: NTMState, outputs: Tensor, layers: int) -> Heads:
        start = self.initial_state(len(inputs)).memory
        before = torch.cat([start[:, None], states.memory[:, :-1]], dim=1)
        reading, writing = torch.tensor_split(states.weightings, [self.read_heads], dim=2)
        return Heads(
            outputs=outputs,
            inputs=inputs,
            written=(states.memory - before).sum(2),
            read=states.read,
            writing=writing,
            reading=reading,
            layers=layers,
        )


def similarity(
    k: Float[Tensor, "B heads M"], memory: Float[Tensor, "B N M"], tiny: float = TINY
) -> Float[Tensor, "B heads N"]:
    """Return the cosine of every key with every word, (6); `tiny` is added to the squares of lengths."""
    inverse = (memory.square().sum(-1) + tiny).rsqrt()
    unit = k * (k.square().sum(-1, keepdim=True) + tiny).rsqrt()
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

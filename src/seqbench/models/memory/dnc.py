"""The Differentiable Neural Computer: a memory that knows what is free, and in which order it was written."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from typing import Any, NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from seqbench.models.cells.lstm import LSTM
from seqbench.models.init import init_uniform
from seqbench.models.memory.ntm import similarity, write
from seqbench.models.observations import Heads
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import Cell, State
from seqbench.models.unfold.cell import as_cell

#: Words whose usage differs by less stand in the free list in the order of their places.
TIE = 2.0**-16


class DNCState(NamedTuple):
    """What a Differentiable Neural Computer carries from step to step.

    controller: its controller's state.
    read: the words r that the R read heads read.
    reading, writing: the weightings w^r and w^w.
    memory: M, N words of W numbers.
    usage: u, how far each word is in use.
    precedence: p, how far each word is the one written last.
    link: L; L[i, j] is how far word i was written after word j.
    """

    controller: State
    read: Float[Tensor, "B R W"]
    reading: Float[Tensor, "B R N"]
    writing: Float[Tensor, "B 1 N"]
    memory: Float[Tensor, "B N W"]
    usage: Float[Tensor, "B 1 N"]
    precedence: Float[Tensor, "B 1 N"]
    link: Float[Tensor, "B N N"]


class Interface(NamedTuple):
    """The interface vector ξ in its parts, each in its range."""

    read_keys: Float[Tensor, "B R W"]
    read_strengths: Float[Tensor, "B R 1"]
    write_key: Float[Tensor, "B 1 W"]
    write_strength: Float[Tensor, "B 1 1"]
    erase: Float[Tensor, "B 1 W"]
    value: Float[Tensor, "B 1 W"]
    free: Float[Tensor, "B R 1"]
    allocation_gate: Float[Tensor, "B 1 1"]
    write_gate: Float[Tensor, "B 1 1"]
    modes: Float[Tensor, "B R 3"]


class DNC(Cell):
    """A controller with a memory of N words of W numbers, one write head, and R read heads.

        h(t)  = controller([x(t), r¹(t−1), …, r^R(t−1)], h(t−1))
        ξ(t)  = c + V h(t) = [k^r, β^r, k^w, β^w, e, v, f, g^a, g^w, π]

    Strengths β = oneplus(·) = 1 + log(1 + exp(·)); the erase vector e, the free gates f, the allocation gate
    g^a and the write gate g^w are σ(·); the read modes π = softmax(·) of each head; keys k and the write
    vector v are as they come. All of the following is at step t where no step is written.

    Content lookup, over the words i, with the cosine D(k, m) = k·m / (‖k‖ ‖m‖):

        C(M, k, β)[i] = exp(β D(k, M[i])) / Σ_j exp(β D(k, M[j]))

    Usage and allocation; φ is the free list, the words by increasing usage:

        ψ         = Π_i (1 − fⁱ w^{r,i}(t−1))
        u         = (u(t−1) + w^w(t−1) − u(t−1) ∘ w^w(t−1)) ∘ ψ
        a[φ[j]]   = (1 − u[φ[j]]) Π_{i<j} u[φ[i]]

    Writing, from the memory as the step before has left it:

        w^w       = g^w [g^a a + (1 − g^a) C(M(t−1), k^w, β^w)]
        M         = M(t−1) ∘ (1 − w^w eᵀ) + w^w vᵀ

    Temporal links, with L[i, i] = 0:

        L[i, j]   = (1 − w^w[i] − w^w[j]) L(t−1)[i, j] + w^w[i] p(t−1)[j]
        p         = (1 − Σ_i w^w[i]) p(t−1) + w^w

    Reading, of the memory after writing: backward in the order of writing, by content, or forward:

        w^{r,i}   = πⁱ[1] Lᵀ w^{r,i}(t−1) + πⁱ[2] C(M, k^{r,i}, β^{r,i}) + πⁱ[3] L w^{r,i}(t−1)
        rⁱ        = Mᵀ w^{r,i}

    The output is [h, r¹, …, r^R]. The state is a `DNCState`; but for the controller's it starts at zero.

    As in the paper, the free list is a constant to the gradient. Words that are equally used stand in it in
    the order of their places. They count as equally used if their usage is the same in steps of 2⁻¹⁶, so that
    rounding, which may depend on the size of a batch, does not decide the order of words with the same past.
    The cosine has 10⁻⁶ beside ‖·‖² under its roots, as in the authors' code: it is 0 at an empty word. The
    paper's sparse links are not built: a step takes O(N²).

    Args:
        input_size: F.
        hidden_size: H, units of the controller.
        controller: makes the controller: `controller(input_size, hidden_size)`. The paper's is an LSTM.
        memory_size: N.
        word_size: W.
        read_heads: R.

    Raises:
        ValueError: a size below 1.

    Source: Graves et al. (2016), "Hybrid computing using a neural network with dynamic external memory",
    Nature 538, Methods. There ξ has no bias.
    """

    #: Beside the squares of lengths: keeps the gradient of the cosine at an empty word in bounds.
    epsilon = 1e-6

    def __init__(
        self,
        input_size: int,
        hidden_size: int,
        controller: Callable[[int, int], Cell] = LSTM,
        memory_size: int = 32,
        word_size: int = 16,
        read_heads: int = 4,
    ) -> None:
        super().__init__(input_size, hidden_size)
        at_least_one(
            memory_size=(memory_size, "word"),
            word_size=(word_size, "number in a word"),
            read_heads=(read_heads, "head to read with"),
        )
        self.memory_size = memory_size
        self.word_size = word_size
        self.read_heads = read_heads
        self.controller = as_cell(controller(input_size + read_heads * word_size, hidden_size), "controller")
        self.vectorizable = self.controller.runs_vectorized
        R, W = read_heads, word_size
        #: Heads and numbers of each part of the interface, in its order.
        self.parts = [(R, W), (R, 1), (1, W), (1, 1), (1, W), (1, W), (R, 1), (1, 1), (1, 1), (R, 3)]
        rows, size = sum(heads * numbers for heads, numbers in self.parts), self.controller.output_size
        self.V = nn.Parameter(torch.empty(rows, size))
        self.c = nn.Parameter(torch.zeros(rows))
        init_uniform(self.V, size)

    @property
    def output_size(self) -> int:
        return self.controller.output_size + self.read_heads * self.word_size

    def project(self, x: Float[Tensor, "*steps F"]) -> Float[Tensor, "*steps F"]:
        return x  # the controller's input depends on the state

    def step(self, projected: Tensor, state: DNCState) -> tuple[Float[Tensor, "B H"], DNCState]:
        x = torch.cat([projected, state.read.flatten(1).to(projected.dtype)], dim=1)
        h, controller = self.controller.step(self.controller.project(x), state.controller)
        given = self.interface(h)
        u = used(state.usage, state.writing, state.reading, given.free)
        content = self.lookup(state.memory, given.write_key, given.write_strength)
        by_allocation, gate = allocation(u).to(content.dtype), given.allocation_gate.to(content.dtype)
        w = given.write_gate * torch.lerp(content, by_allocation, gate)
        memory = write(state.memory, w, given.erase, given.value)
        link = linked(state.link, state.precedence, w)
        p = (1 - w.sum(-1, keepdim=True)) * state.precedence + w
        backward, by_content, forward = torch.split(given.modes, 1, dim=2)
        reading = (
            backward * torch.bmm(state.reading, link)
            + by_content * self.lookup(memory, given.read_keys, given.read_strengths)
            + forward * torch.bmm(state.reading, link.transpose(1, 2))
        )
        r = torch.bmm(reading, memory)
        return torch.cat([h, r.flatten(1)], dim=1), DNCState(controller, r, reading, w, memory, u, p, link)

    def interface(self, h: Float[Tensor, "B H"]) -> Interface:
        """Return ξ, each part in its range."""
        numbers = [heads * size for heads, size in self.parts]
        flat = torch.split(torch.addmm(self.c, h, self.V.t()), numbers, dim=1)
        given = Interface(
            *(part.reshape(len(h), *shape) for part, shape in zip(flat, self.parts, strict=True))
        )
        return given._replace(
            read_strengths=1 + F.softplus(given.read_strengths),
            write_strength=1 + F.softplus(given.write_strength),
            erase=torch.sigmoid(given.erase),
            free=torch.sigmoid(given.free),
            allocation_gate=torch.sigmoid(given.allocation_gate),
            write_gate=torch.sigmoid(given.write_gate),
            modes=torch.softmax(given.modes, dim=2),
        )

    def lookup(self, memory: Tensor, keys: Tensor, strengths: Tensor) -> Float[Tensor, "B heads N"]:
        """Return the weightings C by content."""
        return torch.softmax(strengths * similarity(keys, memory, self.epsilon), dim=-1)

    def initial_state(self, batch_size: int) -> DNCState:
        N, W, R = self.memory_size, self.word_size, self.read_heads
        shapes = [(R, W), (R, N), (1, N), (N, W), (1, N), (1, N), (N, N)]
        zeros = (self.c.new_zeros(1, *shape).expand(batch_size, -1, -1) for shape in shapes)
        return DNCState(self.controller.initial_state(batch_size), *zeros)

    def time_scales(self) -> str | None:
        return f"a memory of {self.memory_size} words"

    def dead_entries(self) -> dict[str, Tensor]:
        """Return the masks of what is looked up by content where there is one word: keys and strengths."""
        if self.memory_size > 1:
            return {}
        numbers = [heads * size for heads, size in self.parts]
        dead = [i < Interface._fields.index("erase") for i in range(len(numbers))]
        rows = torch.tensor(dead, device="cpu").repeat_interleave(torch.tensor(numbers, device="cpu"))
        return {"V": rows[:, None].expand(self.V.shape), "c": rows}

    def output_of(self, projected: Any, state: DNCState) -> Tensor | None:
        h = self.controller.output_after(None, state.controller)
        return None if h is None else torch.cat([h, state.read.flatten(1)], dim=1)

    def unobservable(self) -> None:
        return None

    def observe(self, inputs: Tensor, states: DNCState, outputs: Tensor, layers: int) -> Heads:
        empty = torch.zeros_like(states.memory[:, :1])
        return Heads(
            outputs=outputs,
            inputs=inputs,
            written=torch.diff(states.memory, dim=1, prepend=empty).sum(2),
            read=states.read,
            writing=states.writing,
            reading=states.reading,
            layers=layers,
        )


def used(
    before: Float[Tensor, "B 1 N"],
    writing: Float[Tensor, "B 1 N"],
    reading: Float[Tensor, "B R N"],
    free: Float[Tensor, "B R 1"],
) -> Float[Tensor, "B 1 N"]:
    """Return the usage u, from the usage and the weightings of the step before and the free gates."""
    kept: Tensor = reduce(torch.mul, torch.split(1 - free * reading, 1, dim=1))
    return (before + writing - before * writing) * kept


def allocation(usage: Float[Tensor, "B 1 N"]) -> Float[Tensor, "B 1 N"]:
    """Return the weighting a by allocation, from the usage."""
    free_list = torch.sort(torch.round(usage.detach() / TIE), dim=-1, stable=True).indices
    u = usage.gather(-1, free_list)
    # Products over those before, by doubling: a backward pass through them divides by no usage of zero.
    product = torch.cat([torch.ones_like(u[..., :1]), u[..., :-1]], dim=-1)
    reach = 1
    while reach < u.shape[-1]:
        multiplied = product[..., reach:] * product[..., :-reach]
        product = torch.cat([product[..., :reach], multiplied], dim=-1)
        reach *= 2
    return torch.zeros_like(u).scatter(-1, free_list, (1 - u) * product)


def linked(
    link: Float[Tensor, "B N N"], precedence: Float[Tensor, "B 1 N"], writing: Float[Tensor, "B 1 N"]
) -> Float[Tensor, "B N N"]:
    """Return the temporal links L after a step has written, from those before and the precedence before."""
    at = writing.transpose(1, 2)
    new = (1 - at - writing) * link + at * precedence
    return new * (1 - torch.eye(new.shape[-1], dtype=new.dtype, device=new.device))

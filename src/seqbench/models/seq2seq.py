"""Encoder and decoder (Fig. 10.12): one sequence is read, another of another length is said."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import ClassVar, Literal, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from seqbench.models.model import Model
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import Cell, Engine, State, check_engine, last_valid, unfold

Attention = Literal["additive", "dot"]


class Seq2Seq(Model):
    """An encoder reads x(1) … x(n), a decoder says y(1) … y(m) from the context C that the first has left.

          C fixed                                    C a sequence, `attention`

          x(1) ▶ x(2) ▶ … ▶ x(n)                     x(1) ◀▶ x(2) ◀▶ … ◀▶ x(n)
                             │                         h₁      h₂          hₙ
                             C                          ╲      │ α(t)     ╱
                       ┌─────┼─────┐                     ▶ c(t) = Σ α h ◀
                       ▼     ▼     ▼                          │
                     y(1) ▶ y(2) ▶ y(3)             s(t−1), y(t−1) ──▶ s(t) ──▶ y(t)

    A fixed C is the encoder's last output, that of either direction where it has two. It sets the
    decoder's first state, through tanh of a linear map, and with `context: every_step` is an input of each
    step (Cho et al., 2014); with `start` nothing else is told (Sutskever, Vinyals & Le, 2014). With attention
    the first state is set so too, and each step has a context of its own (Bahdanau, Cho & Bengio, 2015,
    section 3.1):

        e_j(t) = vᵀ tanh(Wₐ s(t−1) + Uₐ h_j)        additive; or dot, s(t−1)·(Uₐ h_j) / √d
        α(t) = softmax e(t)                         over the valid steps of the input
        c(t) = Σ_j α_j(t) h_j
        s(t) = f(s(t−1), [y(t−1), c(t)])
        o(t) = readout [s(t), c(t)]

    In training the decoder is fed the true y(t−1) (teacher forcing), or, where that is not `forced`, its own
    likeliest token; in use always this one, or what beam search finds.

    Args:
        cell: makes a layer of the encoder, and of the decoder unless `decoder_cell` does.
        input_size: tokens of the input.
        output_size: tokens of the output, `end` among them.
        end: the token that ends an output.
        hidden_size: H, units of a layer in each direction, and of the attention.
        num_layers: of the encoder and of the decoder.
        bidirectional: whether the encoder reads both ways.
        attention: additive or dot; None for a fixed context.
        context: where a fixed context is told: every_step, or start.
        decoder_cell: makes a layer of the decoder; None for `cell`.
        beam: sequences that beam search keeps, in use; 1 takes the likeliest token at each step.
        length_penalty: a of beam search, whose sequences of m tokens are compared by their log-probability
            over ((5 + m) / 6)^a (Wu et al., 2016); 0 compares without.
        engine: how layers unfold, see `unfold`.

    Raises:
        ValueError: a size or a beam below 1, or an engine that a cell lacks.
    """

    accepts: ClassVar[tuple[str, ...]] = ("two-sequence",)
    vectorizable = True
    feeds_back = True

    def __init__(
        self,
        cell: Callable[[int, int], Cell],
        input_size: int,
        output_size: int,
        *,
        end: int,
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        attention: Attention | None = None,
        context: Literal["every_step", "start"] = "every_step",
        decoder_cell: Callable[[int, int], Cell] | None = None,
        beam: int = 1,
        length_penalty: float = 1.0,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        at_least_one(
            hidden_size=(hidden_size, "unit"),
            num_layers=(num_layers, "layer"),
            beam=(beam, "sequence"),
        )
        self.end = end
        self.beam = beam
        self.length_penalty = length_penalty
        self.engine: Engine = engine
        self.one_hot: Tensor
        self.register_buffer("one_hot", torch.eye(input_size), persistent=False)

        def stack(make: Callable[[int, int], Cell], size: int, directions: int) -> nn.ModuleList:
            layers = [make(size, hidden_size)]
            for _ in range(num_layers - 1):
                layers.append(make(layers[-1].output_size * directions, hidden_size))
            return nn.ModuleList(layers)

        directions = 1 + bidirectional
        self.layers = stack(cell, input_size, directions)
        self.backward_layers = stack(cell, input_size, directions) if bidirectional else nn.ModuleList()
        size = cast(Cell, self.layers[-1]).output_size * directions
        told = size if attention or context == "every_step" else 0
        decoder = stack(decoder_cell or cell, output_size + told, 1)
        self.decoder = Decoder(decoder, output_size, size, hidden_size, attention, told > 0)
        for layer in (*self.layers, *self.backward_layers):
            check_engine(cast(Cell, layer), engine)

    @property
    def state_size(self) -> int:
        """Numbers that the decoder carries from step to step, a fixed context among them."""
        return sum(cast(Cell, layer).state_size for layer in self.decoder.layers) + self.decoder.context_size

    def forward(
        self,
        inputs: Int[Tensor, "B S"],
        lengths: Int[Tensor, " B"] | None = None,
        targets: Int[Tensor, "B T"] | None = None,
        teacher_mask: Bool[Tensor, "B T"] | None = None,
        steps: int | None = None,
    ) -> tuple[Float[Tensor, "B T O"], Float[Tensor, "B T S"] | None]:
        """Put sequences into others.

        Args:
            inputs: tokens.
            lengths: valid steps of each row of the inputs; None where all are.
            targets: the outputs as they should be, T of them.
            teacher_mask: true where the true token before is fed, and false where the model's own is; None:
                the truth everywhere, or nowhere if there are no targets. In evaluation mode a mask with a beam
                above 1 means nowhere, too.
            steps: T, where there is no truth.

        Returns:
            Unnormalised log-probabilities of the output's tokens, and the attention α; None with a fixed C.
            Of what beam search finds, the token of a step has the largest of them.

        Raises:
            ValueError: neither a truth nor a number of steps.
        """
        if targets is None and steps is None:
            raise ValueError("There is neither a true output nor a number of steps to put out.")
        annotations, final = self.encode(inputs, lengths)
        state = self.decoder.start(annotations, final, lengths)
        total = steps or 0 if targets is None else targets.shape[1]
        searches = self.beam > 1 and not self.training and (targets is None or teacher_mask is not None)
        if searches:
            outputs, attention = self.search(state, total)
        elif targets is not None and teacher_mask is None and self.decoder.attention is None:
            outputs, attention = self.decoder.all_at_once(targets, state, self.engine), state[-1][:, :0]
        else:
            given = teacher_mask
            if teacher_mask is None and targets is not None:
                given = torch.ones_like(targets, dtype=torch.bool)
            # What is compiled is for one size of state, and annotations are as many as the input has steps.
            fixed = self.decoder.attention is None
            engine: Engine = "compile" if self.engine == "compile" and fixed else "loop"
            said, _ = unfold(
                self.decoder, self.decoder.packed(targets, given, len(inputs), total), state, engine=engine
            )
            outputs, attention = said[..., : self.decoder.tokens], said[..., self.decoder.tokens :]
        return outputs, None if self.decoder.attention is None else attention

    def encode(self, inputs: Tensor, lengths: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the encoder's outputs (B, S, E), zero past a row's end, and its last output (B, E)."""
        h = F.embedding(inputs, self.one_hot)
        final = h[:, 0]
        for i, layer in enumerate(self.layers):
            forth, _ = unfold(cast(Cell, layer), h, lengths=lengths, engine=self.engine)
            final = last_valid(forth, lengths)
            if self.backward_layers:
                other = cast(Cell, self.backward_layers[i])
                back, _ = unfold(other, h, lengths=lengths, reverse=True, engine=self.engine)
                forth, final = torch.cat([forth, back], dim=-1), torch.cat([final, back[:, 0]], dim=-1)
            h = forth
        return h, final

    def search(self, state: State, steps: int) -> tuple[Float[Tensor, "B T O"], Float[Tensor, "B T S"]]:
        """Return what beam search finds, in the form of outputs.

        Every step keeps the `beam` likeliest of all continuations of those kept so far. One that has ended
        stays as it is. In the end those are compared with their lengths taken into account.
        """
        rows, width, size = len(state[0]), self.beam, self.decoder.tokens
        state = tuple(part.repeat_interleave(width, 0) for part in state)
        # At first all of a row's are the same: the first alone is to be continued.
        scores = state[0].new_full((rows, width), -math.inf)
        scores[:, 0] = 0
        ended = torch.zeros(rows, width, dtype=torch.bool, device=scores.device)
        lengths = torch.zeros_like(scores)
        history = scores.new_zeros(rows, width, 0, size + self.decoder.attended(state))
        own = torch.zeros(rows * width, size, device=scores.device, dtype=scores.dtype)
        for _ in range(steps):
            flag = torch.zeros_like(own[:, :1])
            said, state = self.decoder.step(torch.cat([flag, own], dim=1), state)
            logs = said[:, :size].log_softmax(-1).view(rows, width, size)
            stay = torch.full_like(logs, -math.inf)
            stay[..., self.end] = 0
            total = scores[..., None] + torch.where(ended[..., None], stay, logs)
            scores, place = total.flatten(1).topk(width, dim=1)
            origin, token = place // size, place % size
            flat = (origin + width * torch.arange(rows, device=origin.device)[:, None]).flatten()
            state = tuple(part[flat] for part in state)
            # What is put out is what the model thought, with the token chosen in the likeliest one's place.
            shown = logs.flatten(0, 1)[flat]
            chosen = token.flatten()[:, None]
            best = shown.argmax(-1, keepdim=True)
            swapped = shown.scatter(1, best, shown.gather(1, chosen))
            swapped = swapped.scatter(1, chosen, shown.gather(1, best))
            step = torch.cat([swapped, said[flat, size:]], dim=1).view(rows, width, 1, -1)
            history = torch.cat(
                [history.flatten(0, 1)[flat].view(rows, width, *history.shape[2:]), step], dim=2
            )
            ended, lengths = (part.flatten()[flat].view(rows, width) for part in (ended, lengths))
            lengths = lengths + ~ended
            ended = ended | (token == self.end)
            own = F.one_hot(token.flatten(), size).to(own.dtype)
            state = self.decoder.fed(state, own)
        best = (scores / ((5 + lengths) / 6) ** self.length_penalty).argmax(1)
        found = history[torch.arange(rows, device=best.device), best]
        return found[..., :size], found[..., size:]


class Decoder(Cell):
    """The decoder as one cell, whose state also holds what it reads: the context, or all annotations.

    Its input at a step is 1 where the truth is fed and 0 elsewhere, and the true token before, one-hot. Its
    output is that of the readout, and, with attention, α. Its state is that of all layers; the token said
    before, one-hot, zero at first; with attention s(t−1), h, Uₐ h, and where these are valid; else C.
    """

    def __init__(
        self,
        layers: nn.ModuleList,
        tokens: int,
        context_size: int,
        attention_size: int,
        attention: Attention | None,
        is_told: bool,
    ) -> None:
        super().__init__(tokens + 1, tokens)
        self.layers = layers
        self.tokens = tokens
        self.context_size = context_size
        self.attention = attention
        self.is_told = is_told
        last = cast(Cell, layers[-1])
        self.parts = [len(cast(Cell, layer).initial_state(1)) for layer in layers]
        self.sizes = [
            [self._width(part, cast(Cell, layer)) for part in cast(Cell, layer).initial_state(1)]
            for layer in layers
        ]
        self.first = nn.ModuleList(
            nn.Linear(context_size, size) for sizes in self.sizes for size in sizes if size
        )
        self.readout = nn.Linear(last.output_size + context_size * is_told, tokens)
        if attention:
            size = last.output_size if attention == "dot" else attention_size
            self.U_a = nn.Linear(context_size, size, bias=False)
        if attention == "additive":
            self.W_a = nn.Linear(last.output_size, attention_size)
            self.v = nn.Parameter(torch.empty(attention_size).uniform_(-1, 1) * attention_size**-0.5)

    @staticmethod
    def _width(part: Tensor, layer: Cell) -> int:
        """Return the numbers of a part of a state that the context sets; 0 where it is no vector of units."""
        return layer.hidden_size if part.shape[1:] == (layer.hidden_size,) and part.is_floating_point() else 0

    @property
    def _cells(self) -> list[Cell]:
        return [cast(Cell, layer) for layer in self.layers]

    def start(
        self, annotations: Float[Tensor, "B S E"], final: Float[Tensor, "B E"], lengths: Tensor | None
    ) -> State:
        """Return the state before the first step."""
        maps = iter(self.first)
        state: list[Tensor] = []
        for layer, sizes in zip(self._cells, self.sizes, strict=True):
            for part, size in zip(layer.initial_state(len(final)), sizes, strict=True):
                state.append(torch.tanh(next(maps)(final)) if size else part)
        state.append(final.new_zeros(len(final), self.tokens))
        if self.attention is None:
            return (*state, final)
        steps = torch.arange(annotations.shape[1], device=final.device)
        valid = steps < (torch.full_like(final[:, 0], len(steps)) if lengths is None else lengths)[:, None]
        query = final.new_zeros(len(final), self._cells[-1].output_size)
        return (*state, query, annotations, self.U_a(annotations), valid.to(final.dtype))

    def packed(
        self, truth: Tensor | None, forced: Tensor | None, rows: int, steps: int
    ) -> Float[Tensor, "B T I"]:
        """Return the decoder's inputs: where the truth is fed, and the true token before."""
        weight = self.readout.weight
        if truth is None:
            return weight.new_zeros(rows, steps, 1 + self.tokens)
        before = self._shifted(truth).to(weight.dtype)
        flag = torch.ones_like(before[..., :1]) if forced is None else forced.to(weight.dtype)[..., None]
        return torch.cat([flag, before], dim=-1)

    def _shifted(self, truth: Tensor) -> Tensor:
        """Return the token before each, one-hot; nothing before the first."""
        places = torch.arange(self.tokens, device=truth.device)
        one_hot = (truth[..., None] == places).to(self.readout.weight.dtype)
        return torch.cat([torch.zeros_like(one_hot[:, :1]), one_hot[:, :-1]], dim=1)

    def all_at_once(self, truth: Tensor, state: State, engine: Engine) -> Float[Tensor, "B T O"]:
        """Return the outputs where the true tokens are fed and the context is fixed: no step waits."""
        h, context = self._shifted(truth), state[-1][:, None].expand(-1, truth.shape[1], -1)
        if self.is_told:
            h = torch.cat([h, context], dim=-1)
        start = 0
        for layer, parts in zip(self._cells, self.parts, strict=True):
            h, _ = unfold(layer, h, tuple(state[start : start + parts]), engine=engine)
            start += parts
        return cast(Tensor, self.readout(torch.cat([h, context], dim=-1) if self.is_told else h))

    def project(self, x: Float[Tensor, "*steps I"]) -> Float[Tensor, "*steps I"]:
        return x

    def step(self, projected: Tensor, state: State) -> tuple[Float[Tensor, "B Q"], State]:
        forced, true = projected[:, :1] > 0, projected[:, 1:]
        number = sum(self.parts)
        layers, own, rest = state[:number], state[number], state[number + 1 :]
        y = torch.where(forced, true, own)
        weights = y[:, :0]
        if self.attention is None:
            context = rest[0]
        else:
            weights = self._attend(*rest[:1], *rest[2:])
            context = torch.bmm(weights[:, None], rest[1])[:, 0]
        h = torch.cat([y, context], dim=1) if self.is_told else y
        new: list[Tensor] = []
        start = 0
        for cell, parts in zip(self._cells, self.parts, strict=True):
            h, after = cell.step(cell.project(h), tuple(layers[start : start + parts]))
            new += after
            start += parts
        o = self.readout(torch.cat([h, context], dim=1) if self.is_told else h)
        said = (o.argmax(-1, keepdim=True) == torch.arange(self.tokens, device=o.device)).to(o.dtype)
        rest = rest if self.attention is None else (h, *rest[1:])
        return torch.cat([o, weights], dim=1), (*new, said, *rest)

    def _attend(self, query: Tensor, keys: Tensor, valid: Tensor) -> Float[Tensor, "B S"]:
        if self.attention == "dot":
            scores = (keys @ query[..., None])[..., 0] * keys.shape[-1] ** -0.5
        else:
            scores = torch.tanh(self.W_a(query)[:, None] + keys) @ self.v
        return torch.softmax(scores.masked_fill(valid == 0, torch.finfo(scores.dtype).min), dim=-1)

    def attended(self, state: State) -> int:
        """Return how many steps of the input there are to attend to; 0 with a fixed context."""
        return 0 if self.attention is None else state[-1].shape[1]

    def fed(self, state: State, token: Float[Tensor, "B O"]) -> State:
        """Return the state with another token said before."""
        number = sum(self.parts)
        return (*state[:number], token, *state[number + 1 :])

    def initial_state(self, batch_size: int) -> State:
        """Return the state after an encoder that put out one step of zeros."""
        final = self.readout.weight.new_zeros(batch_size, self.context_size)
        return self.start(final[:, None], final, None)

"""The model that any cell makes: input map → recurrent body → readout."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, cast

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqbench.models.closed_loop import Network
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import Cell, Engine, State, check_engine, unfold


class SequenceModel(nn.Module):
    """A stack of recurrent layers over a sequence, with one output per step or one at its end.

        tokens or vectors ──▶ layer 1 ──▶ … ──▶ layer L ──▶ readout o = c + V h   [7]
                ▲                                              │
                └─────────────── ŷ(t−1), with `feedback` ──────┘

    Tokens enter one-hot, so that a column of U is a token's embedding.

    Args:
        cell: makes one layer: `cell(input_size, hidden_size)`.
        input_size: symbols of the alphabet where `tokens`, else numbers per step.
        output_size: numbers put out.
        tokens: whether inputs are tokens.
        per_step: an output at every step (Fig. 10.3), or one after the last valid step (Fig. 10.5).
        classes: whether outputs are unnormalised log-probabilities, ŷ = softmax o, or numbers, ŷ = o.
        predicts: whether the target of a step is the input of the next one.
        hidden_size: width H of each layer, in each direction.
        num_layers: L, hidden states stacked as in Fig. 10.13 (a).
        bidirectional: a second cell in each layer goes from the last valid step to the first (Fig. 10.11).
        dilation: the state of layer i comes from `dilation`^(i−1) steps before (Chang et al., 2017).
        deep_output: a hidden layer of tanh units before the readout, as in Fig. 10.13 (b).
        feedback: the output of a step is an input of the next, in training the true one (Figs. 10.4, 10.6).
        engine: how layers unfold, see `unfold`.

    Raises:
        ValueError: a size below 1, an engine that the cell lacks, or both directions in a closed loop.
    """

    #: The kinds of task that the model takes.
    accepts: ClassVar[tuple[str, ...]] = ("sequence", "story", "tree")

    def __init__(
        self,
        cell: Callable[[int, int], Cell],
        input_size: int,
        output_size: int,
        *,
        tokens: bool = False,
        per_step: bool = True,
        classes: bool = False,
        predicts: bool = False,
        hidden_size: int = 64,
        num_layers: int = 1,
        bidirectional: bool = False,
        dilation: int = 1,
        deep_output: bool = False,
        feedback: bool = False,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        at_least_one(
            hidden_size=(hidden_size, "unit"),
            num_layers=(num_layers, "layer"),
            dilation=(dilation, "step back"),
        )
        if bidirectional and (feedback or predicts):
            raise ValueError(
                "bidirectional=true reads the whole sequence before it puts anything out, and "
                + ("feedback=true" if feedback else "a task that predicts its next input")
                + " wants a closed loop; give bidirectional=false."
            )
        if predicts and input_size != output_size:
            raise ValueError(f"Outputs of {output_size} numbers cannot be the next inputs of {input_size}.")
        self.per_step = per_step
        self.classes = classes
        self.predicts = predicts
        self.bidirectional = bidirectional
        self.feedback = feedback
        self.engine: Engine = engine
        self.dilations = [dilation**i for i in range(num_layers)]
        # A frozen embedding is a one-hot code that vmap can batch.
        self.one_hot: Tensor | None
        self.one_hot_truth: Tensor | None
        self.register_buffer("one_hot", torch.eye(input_size) if tokens else None, persistent=False)
        truth = torch.eye(output_size) if feedback and classes else None
        self.register_buffer("one_hot_truth", truth, persistent=False)

        def layers() -> list[Cell]:
            first = cell(input_size + output_size * feedback, hidden_size)
            width = first.output_size * (1 + bidirectional)
            return [first, *(cell(width, hidden_size) for _ in range(num_layers - 1))]

        self.layers = nn.ModuleList(layers())
        self.backward_layers = nn.ModuleList(layers() if bidirectional else [])
        width = self._cells[-1].output_size * (1 + bidirectional)
        self.readout: nn.Module = nn.Linear(width, output_size)
        if deep_output:
            hidden = nn.Linear(width, hidden_size)
            self.readout = nn.Sequential(hidden, nn.Tanh(), nn.Linear(hidden_size, output_size))
        self.output_size = output_size
        for layer in self._cells:
            check_engine(layer, engine)

    @property
    def _cells(self) -> list[Cell]:
        return [cast(Cell, layer) for layer in self.layers]

    @property
    def state_size(self) -> int:
        """Numbers carried from step to step for one sequence."""
        sizes = [d * layer.state_size for d, layer in zip(self.dilations, self._cells, strict=True)]
        own = self.output_size if self.feedback else 0
        return int(sum(sizes)) * (2 if self.bidirectional else 1) + own

    def check_length(self, steps: int) -> None:
        """Raise a ValueError where sequences of `steps` steps make no sense to the model."""
        if self.dilations[-1] >= steps:
            raise ValueError(
                f"layer {len(self.dilations)} reaches {self.dilations[-1]} steps back, and a sequence has "
                f"{steps}; give fewer layers or a smaller dilation."
            )

    def forward(
        self,
        inputs: Int[Tensor, "B T"] | Float[Tensor, "B T F"],
        lengths: Int[Tensor, " B"] | None = None,
        state: tuple[State, ...] | None = None,
        truth: Int[Tensor, "B T"] | Float[Tensor, "B T O"] | None = None,
        forced: Bool[Tensor, "B T"] | None = None,
    ) -> tuple[Float[Tensor, "B T O"] | Float[Tensor, "B O"], tuple[State, ...]]:
        """Run over a batch of sequences.

        Args:
            inputs: tokens (B, T) or vectors (B, T, F).
            lengths: valid steps of each row; None where all are.
            state: one state for each layer, and the output fed back, to go on from; None to begin.
            truth: the targets, from which a model with `feedback` is fed; without them it is fed its own
                outputs.
            forced: where the true output of the step before is fed, and where (false) the model's own: as
                what is fed back, and where the model `predicts`, as the input. None: everywhere the true one.

        Returns:
            Outputs (B, T, O), or (B, O) where there is one per sequence; and the last states.

        Raises:
            ValueError: a state, or a closed loop, is asked of a model that goes both ways.
        """
        if self.bidirectional and (state is not None or forced is not None):
            raise ValueError("A model that goes both ways has no state to go on from, and no closed loop.")
        x = inputs if self.one_hot is None else nn.functional.embedding(inputs, self.one_hot)
        if forced is not None or (self.feedback and truth is None):
            return self._closed_loop(x, lengths, state, truth, forced)
        h, last = self._open_loop(x, lengths, state, truth)
        return self.readout(h), last

    def _open_loop(
        self, x: Tensor, lengths: Tensor | None, state: tuple[State, ...] | None, truth: Tensor | None
    ) -> tuple[Tensor, tuple[State, ...]]:
        """Return what the readout reads, and the last states, where no step waits for another's output."""
        if not self.feedback:
            return self._body(x, lengths, state)
        true = self._true_outputs(truth, x)
        before = torch.zeros_like(true[:, 0]) if state is None else state[-1][0]
        fed = torch.cat([before[:, None], true], dim=1)
        h, last = self._body(
            torch.cat([x, fed[:, :-1]], dim=-1), lengths, None if state is None else state[:-1]
        )
        rows = torch.arange(len(fed), device=fed.device)
        return h, (*last, (fed[:, -1] if lengths is None else fed[rows, lengths],))

    def _body(
        self, h: Tensor, lengths: Tensor | None, state: tuple[State, ...] | None
    ) -> tuple[Tensor, tuple[State, ...]]:
        """Run the layers; return the last one's outputs, or output, and the states."""
        ends: list[State] = []
        for i, (layer, dilation) in enumerate(zip(self._cells, self.dilations, strict=True)):
            last = not self.per_step and i == len(self.layers) - 1
            start = None if state is None else state[i]
            run = {"lengths": lengths, "last": last, "dilation": dilation, "engine": self.engine}
            forth, end = unfold(layer, h, start, **run)
            if self.bidirectional:
                back, other_end = unfold(cast(Cell, self.backward_layers[i]), h, reverse=True, **run)
                forth, end = torch.cat([forth, back], dim=-1), (*end, *other_end)
            h = forth
            ends.append(end)
        return h, tuple(ends)

    def _true_outputs(self, truth: Tensor | None, x: Tensor) -> Tensor:
        """Return what would be fed back at each step (B, T, O) if all outputs were right."""
        if truth is None:
            return x.new_zeros(*x.shape[:2], self.output_size)
        return (
            truth.to(x.dtype)
            if self.one_hot_truth is None
            else nn.functional.embedding(truth, self.one_hot_truth)
        )

    def _closed_loop(
        self,
        x: Tensor,
        lengths: Tensor | None,
        state: tuple[State, ...] | None,
        truth: Tensor | None,
        forced: Tensor | None,
    ) -> tuple[Tensor, tuple[State, ...]]:
        network = Network(self)
        start = network.initial_state(len(x))
        if state is not None:
            # A model without feedback has no output before; see below.
            start = (*(part for parts in state for part in parts), *(() if self.feedback else start[-1:]))
        if forced is None:
            forced = torch.zeros(x.shape[:2], dtype=torch.bool, device=x.device)
        if not self.feedback:  # there is no output before the first step to take as its input
            forced = torch.cat([torch.ones_like(forced[:, :1]), forced[:, 1:]], dim=1)
        parts = [x, forced.to(x.dtype)[..., None]]
        if self.feedback:
            true = self._true_outputs(truth, x)
            parts.append(torch.cat([start[-1][:, None].to(true.dtype), true[:, :-1]], dim=1))
        packed = torch.cat(parts, dim=-1)
        engine: Engine = "compile" if self.engine == "compile" else "loop"
        outputs, end = unfold(network, packed, start, lengths=lengths, last=not self.per_step, engine=engine)
        ends = network.apart(end)
        return outputs, ends if self.feedback else ends[:-1]

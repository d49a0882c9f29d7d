"""The model that any cell makes: recurrent body → readout, with or without feedback."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor, nn

from seqbench.models.block import PreNorm
from seqbench.models.body import Stack, States
from seqbench.models.dropout import Dropout
from seqbench.models.feedback import Fed, OutputFeedback
from seqbench.models.model import Model, cell_classes
from seqbench.models.observations import Observation
from seqbench.models.readouts import COUNTED_FROM, LinearReadout, SolvedReadout
from seqbench.models.sizes import at_least_one
from seqbench.models.unfold import Cell, Engine, StateOf, unfold
from seqbench.models.unfold.tokens import LOOKUP_FROM


class SequenceModel(Model):
    """A recurrent body over a sequence and a readout, for one output per step or one at the end.

        tokens or vectors ──▶ body: layer 1 ──▶ … ──▶ layer L ──▶ readout ──▶ o
                ▲                                                     │
                └─────────────── ŷ(t−1), with `feedback` ─────────────┘

    Tokens enter one-hot, so that a column of U is a token's embedding. Of `LOOKUP_FROM` symbols or more the
    column is looked up, where the layer can do that and nothing else enters beside the token. With
    `embedding_size` tokens enter as vectors of that size, which are learnt: rows of a matrix E, drawn from
    U(−0.1, 0.1) as in Zaremba et al. (2014), of which one is looked up.

    With `dropout` training sets that share of the embeddings and of the outputs of each layer to zero, as in
    Zaremba et al. (2014): between layers and before the readout, and nothing that goes on to the next step.

    Args:
        cell: makes one layer: `cell(input_size, hidden_size)`.
        input_size: symbols of the alphabet if `tokens`, else numbers per step.
        output_size: numbers in an output.
        tokens: whether inputs are tokens.
        per_step: an output at every step (Fig. 10.3), or one after the last valid step (Fig. 10.5).
        classes: whether outputs are unnormalised log-probabilities, ŷ = softmax o, or numbers, ŷ = o.
        predicts: whether the target of a step is the input of the next one.
        hidden_size, num_layers, bidirectional, dilation, engine, checkpoint_steps, block: of the body, see
            `Stack`.
        readout: makes the readout: `readout(body.output_size, output_size)`.
        feedback: the output of a step is an input of the next, in training the true one (Figs. 10.4, 10.6).
        embedding_size: numbers of a token's embedding; None for one-hot tokens.
        dropout: the share that training sets to zero.
        counted: the most steps of a sequence that count; None for any. Of `COUNTED_FROM` outputs or more
            those of other steps are not computed, where the batch says which steps these are.
        steps: of the longest training sequence, for cells that keep their past; None where it is not known.

    Raises:
        ValueError: a size below 1, an engine that the cell does not have, a bidirectional body in a closed
            loop, an embedding of what is no token, or dropout that is out of range or not trained with.
    """

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
        readout: Callable[[int, int], nn.Module] = LinearReadout,
        feedback: bool = False,
        engine: Engine = "auto",
        checkpoint_steps: int | None = None,
        embedding_size: int | None = None,
        dropout: float = 0.0,
        counted: int | None = None,
        block: Callable[[int, int], PreNorm] | None = None,
        steps: int | None = None,
    ) -> None:
        super().__init__()
        if embedding_size is not None:
            at_least_one(embedding_size=(embedding_size, "number"))
            if not tokens or predicts:
                raise ValueError(
                    f"embedding_size={embedding_size} is of tokens, and "
                    + ("outputs would be the next inputs" if predicts else "inputs are vectors")
                    + "; give embedding_size=null."
                )
        if bidirectional and (feedback or predicts):
            raise ValueError(
                "bidirectional=true reads the whole sequence before it puts anything out, and "
                + ("feedback=true" if feedback else "a task that predicts its next input")
                + " needs a closed loop; give bidirectional=false."
            )
        if predicts and input_size != output_size:
            raise ValueError(f"Outputs of {output_size} numbers cannot be the next inputs of {input_size}.")
        width = (embedding_size or input_size) + output_size * feedback
        layers = hidden_size, num_layers, bidirectional, dilation, engine, checkpoint_steps
        self.body = Stack(cell, width, *layers, block)
        for part in self.body.modules():
            if steps is not None and isinstance(part, Cell):
                part.expect(steps)
        self.readout = readout(self.body.output_size, output_size)
        self.feedback = OutputFeedback(
            output_size, beside=feedback, in_place=predicts, classes=classes, tokens=tokens
        )
        self.output_size = output_size
        self.per_step = per_step
        self.classes = classes
        self.feeds_back = feedback and per_step  # one target per sequence is no output of a step
        if output_size >= COUNTED_FROM and per_step and not (feedback or predicts):
            self.counted = counted
        self.vectorizable = self.body.vectorizable
        self.carries_state = not bidirectional
        first = self.body.first
        self.looks_up = (
            tokens
            and input_size >= LOOKUP_FROM
            and not (feedback or predicts or embedding_size)
            and all(layer.reads_tokens for layer in first)
        )
        for layer in first if self.looks_up else ():
            layer.store_by_token()
        self.tokens = tokens
        self.input_size = input_size
        self.one_hot: Tensor | None
        one_hot = tokens and not (self.looks_up or embedding_size)
        codes = torch.eye(input_size) if one_hot else None
        self.register_buffer("one_hot", codes, persistent=False)
        if dropout:
            self.dropout_masks = self._dropout(dropout, embedding_size)
        self.embedding = None
        if embedding_size:
            self.embedding = nn.Embedding(input_size, embedding_size)
            nn.init.uniform_(self.embedding.weight, -0.1, 0.1)

    def _dropout(self, rate: float, embedding_size: int | None) -> Dropout:
        """Return the dropout of the embeddings and of the layers; a ValueError where it cannot be."""
        if not 0 < rate < 1:
            raise ValueError(f"dropout={rate} must lie in [0, 1).")
        if self.feedback.beside or self.feedback.in_place:
            raise ValueError(f"dropout={rate} is for models that are not fed their outputs; give dropout=0.")
        if self.solves_readout:
            raise ValueError(f"dropout={rate} has no effect on a readout that is solved for; give dropout=0.")
        widths = [cell.output_size * (1 + self.body.bidirectional) for cell in self.body.cells]
        return Dropout(rate, (*([embedding_size] if embedding_size else []), *widths))

    @property
    def layers(self) -> nn.ModuleList:
        """The layers of the body."""
        return self.body.layers

    @property
    def state_size(self) -> int:
        return self.body.state_size + (self.output_size if self.feedback.beside else 0)

    @property
    def is_fed_outputs(self) -> bool:
        return self.feeds_back or self.feedback.in_place

    @property
    def solves_readout(self) -> bool:
        return isinstance(self.readout, SolvedReadout)

    @property
    def trained_part(self) -> nn.Module:
        return self.readout if self.solves_readout else self

    def time_scales(self) -> list[str]:
        delays = ", ".join(map(str, self.body.dilations))
        dilated = [f"states of {delays} steps before, layer by layer"] if self.body.dilations[-1] > 1 else []
        reaches = [cell.reach for cell in self.body.cells]
        field = 1 + sum(d * (r or 0) for d, r in zip(self.body.dilations, reaches, strict=True))
        bounded = not (None in reaches or self.feedback.beside or self.body.bidirectional)
        seen = [f"a receptive field of {field} steps"] if bounded else []
        return [*dilated, *seen, *super().time_scales()]

    def explained_by(self) -> list[type[nn.Module]]:
        readout = type(self.readout)
        return [*cell_classes(self.body), *([readout] if readout is not LinearReadout else [])]

    def obstacle_to_stepping(self) -> str | None:
        """Return why the state is not that of one step in each layer; None if it is."""
        options = {"bidirectional": self.body.bidirectional, "feedback": self.feedback.beside}
        for name in (name for name, given in options.items() if given):
            key = f"model.{name}"
            return f"{key}=true makes states that are not those of a plain stack; give {key}=false."
        if self.body.dilations[-1] > 1:
            told = f"model.dilation={self.body.dilations[1]}"
            return f"{told} makes states of several steps; give model.dilation=1."
        if len(self.body.blocks):
            return "a block puts norms and residuals between the layers; give model/block=none."
        return None

    def forward(
        self,
        inputs: Int[Tensor, "B T"] | Float[Tensor, "B T F"],
        lengths: Int[Tensor, " B"] | None = None,
        state: Any = None,
        targets: Tensor | None = None,
        teacher_mask: Bool[Tensor, "B T"] | None = None,
        dropout_mask: Bool[Tensor, "B T D"] | None = None,
        counted_steps: Int[Tensor, "B K"] | None = None,
    ) -> tuple[Float[Tensor, "B *T O"], Any]:
        """Run over a batch of sequences.

        Args:
            inputs: tokens (B, T) or vectors (B, T, F).
            lengths: valid steps of each row; None if all are.
            state: what an earlier call returned, to continue from; None to begin.
            targets: the true outputs, which a model with `feedback` is fed; without them it is fed its own.
            teacher_mask: true where the true output of the step before is fed, false where the model's own:
                as feedback, and if the model `predicts`, as the input. None: the truth everywhere.

            dropout_mask: what is kept, see `Dropout`; None keeps all.
            counted_steps: those at which outputs are wanted, of a model that is not fed any; None for all.

            Targets and teacher mask have an effect only on a model that is fed an output of each step.

        Returns:
            Outputs (B, T, O), (B, K, O) at the wanted steps, or (B, O) if there is one per sequence; and the
            state: that of each layer. A model that is fed outputs has `Carried` for its state: these and what
            it is fed next.

        Raises:
            ValueError: a state is given to a bidirectional model.
        """
        if self.body.bidirectional and state is not None:
            raise ValueError("A bidirectional model has no state to continue from.")
        x, last = self.enter(inputs), not self.per_step
        if not (self.feedback.beside or self.feedback.in_place):
            return self._without_feedback(x, lengths, state, last, dropout_mask, counted_steps)
        if not self.feeds_back:
            targets = None
        if not (self.feeds_back or self.feedback.in_place):
            teacher_mask = None
        if teacher_mask is not None or (self.feedback.beside and targets is None):
            return self.feedback.closed_loop(self, x, lengths, state, targets, teacher_mask, last)
        return self.feedback.open_loop(self, x, lengths, state, targets, last)

    def _without_feedback(
        self,
        x: Tensor,
        lengths: Tensor | None,
        state: Any,
        last: bool,
        dropout_mask: Tensor | None,
        counted_steps: Tensor | None,
    ) -> tuple[Tensor, Any]:
        """Return what `forward` does where no output is ever fed; arguments are those of it and the body."""
        scales: tuple[Tensor, ...] = ()
        if self.dropout_masks is not None and dropout_mask is not None:
            scales = self.dropout_masks.scales(dropout_mask, next(self.parameters()).dtype)
            if self.embedding is not None:
                x, scales = x * scales[0], scales[1:]
        h, states = self.body(x, lengths, state, last, scales)
        if counted_steps is not None:
            h = torch.take_along_dim(h, counted_steps[..., None], 1)
        return self.readout(h), states

    def encode(self, inputs: Tensor) -> Float[Tensor, "B T F"]:
        """Return the inputs as vectors: tokens one-hot, or as their embeddings."""
        if not self.tokens:
            return inputs
        if self.embedding is not None:
            embedded: Tensor = self.embedding(inputs)
            return embedded
        if self.one_hot is None:
            like = next(self.parameters())
            return nn.functional.one_hot(inputs, self.input_size).to(like.dtype)
        return nn.functional.embedding(inputs, self.one_hot)

    def enter(self, inputs: Tensor) -> Float[Tensor, "B T F"] | Int[Tensor, "B T"]:
        """Return what enters the body: tokens that are looked up as they are, else vectors."""
        return inputs if self.looks_up else self.encode(inputs)

    def step(self, x: Fed, fed: Fed, states: States) -> tuple[Float[Tensor, "B O"], States, Fed]:
        """Take one step of a closed loop, see `Feedback`."""
        h, states = self.body.step(torch.cat([*x, *fed], dim=-1), states)
        o = self.readout(h)
        return o, states, self.feedback.own(self.feedback.y(o))

    def unobservable(self) -> str | None:
        return self.body.cells[0].unobservable() or self.obstacle_to_stepping()

    def observe(
        self, inputs: Int[Tensor, "B T"] | Float[Tensor, "B T F"], lengths: Int[Tensor, " B"] | None = None
    ) -> Observation:
        """Return what the memory of the first layer did in a batch; steps after a row's end say nothing."""
        if (obstacle := self.unobservable()) is not None:
            raise ValueError(obstacle)
        x, cell = self.encode(inputs), self.body.cells[0]
        states, _ = unfold(StateOf(cell), x, lengths=lengths, engine="loop")
        return cell.observe(x, states, self(inputs, lengths)[0], len(self.body.layers))

    @torch.no_grad()
    def accumulate(
        self,
        inputs: Int[Tensor, "B T"] | Float[Tensor, "B T F"],
        targets: Tensor,
        mask: Bool[Tensor, "B T"] | None = None,
        lengths: Int[Tensor, " B"] | None = None,
    ) -> None:
        """Add a batch to the data that the readout is solved for; classes count as one-hot vectors.

        Args:
            inputs: tokens (B, T) or vectors (B, T, F).
            targets: classes or values, for each step or each sequence.
            mask: steps whose target counts; None if all do.
            lengths: valid steps of each row; None if all are.
        """
        assert isinstance(self.readout, SolvedReadout)
        truth = targets if self.per_step else None
        x, _ = self.feedback.with_truth(self.enter(inputs), truth, lengths)
        h, _ = self.body(x, lengths, last=not self.per_step)
        y = nn.functional.one_hot(targets, self.output_size) if self.classes else targets
        if mask is not None:
            h, y = h[mask], y[mask]
        self.readout.accumulate(h.flatten(0, -2), y.flatten(0, -2).to(h.dtype))

    def solve(self) -> None:
        assert isinstance(self.readout, SolvedReadout)
        self.readout.solve()

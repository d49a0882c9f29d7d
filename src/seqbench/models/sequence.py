"""The model that any cell makes: input map → recurrent body → readout."""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from seqbench.models.unfold import Cell, Engine, State, check_engine, unfold


class SequenceModel(nn.Module):
    """A stack of recurrent layers over a sequence, with one output per step or one at its end.

        tokens or vectors ──▶ layer 1 ──▶ … ──▶ layer L ──▶ readout o = c + V h   [7]

    Tokens enter one-hot, so that a column of U is a token's embedding.

    Args:
        cell: makes one layer: `cell(input_size, hidden_size)`.
        input_size: symbols of the alphabet where `tokens`, else numbers per step.
        output_size: numbers put out.
        tokens: whether inputs are tokens.
        per_step: an output at every step (Fig. 10.3), or one after the last valid step (Fig. 10.5).
        hidden_size: width H of each layer.
        num_layers: L, hidden states stacked as in Fig. 10.13 (a).
        engine: how layers unfold, see `unfold`.

    Raises:
        ValueError: a size below 1, or an engine that the cell lacks.
    """

    #: The kinds of task that the model takes.
    accepts: ClassVar[tuple[str, ...]] = ("sequence",)

    def __init__(
        self,
        cell: Callable[[int, int], Cell],
        input_size: int,
        output_size: int,
        *,
        tokens: bool = False,
        per_step: bool = True,
        hidden_size: int = 64,
        num_layers: int = 1,
        engine: Engine = "auto",
    ) -> None:
        super().__init__()
        if hidden_size < 1:
            raise ValueError(f"hidden_size={hidden_size} leaves no unit; give at least 1.")
        if num_layers < 1:
            raise ValueError(f"num_layers={num_layers} leaves no layer; give at least 1.")
        self.per_step = per_step
        self.engine: Engine = engine
        # A frozen embedding is a one-hot code that vmap can batch.
        self.one_hot: Tensor | None
        self.register_buffer("one_hot", torch.eye(input_size) if tokens else None, persistent=False)
        sizes = [input_size] + [hidden_size] * (num_layers - 1)
        self.layers = nn.ModuleList(cell(size, hidden_size) for size in sizes)
        self.readout = nn.Linear(self._cells[-1].output_size, output_size)
        for layer in self._cells:
            check_engine(layer, engine)

    @property
    def _cells(self) -> list[Cell]:
        return [cast(Cell, layer) for layer in self.layers]

    @property
    def state_size(self) -> int:
        """Numbers carried from step to step for one sequence."""
        return sum(layer.state_size for layer in self._cells)

    def forward(
        self,
        inputs: Int[Tensor, "B T"] | Float[Tensor, "B T F"],
        lengths: Int[Tensor, " B"] | None = None,
        state: tuple[State, ...] | None = None,
    ) -> tuple[Float[Tensor, "B T O"] | Float[Tensor, "B O"], tuple[State, ...]]:
        """Run over a batch of sequences.

        Args:
            inputs: tokens (B, T) or vectors (B, T, F).
            lengths: valid steps of each row; None where all are.
            state: one state for each layer, to go on from; None to begin.

        Returns:
            Outputs (B, T, O), or (B, O) where there is one per sequence; and the layers' last states.
        """
        h = inputs if self.one_hot is None else nn.functional.embedding(inputs, self.one_hot)
        last: list[State] = []
        for i, layer in enumerate(self._cells):
            start = None if state is None else state[i]
            only_last = not self.per_step and i == len(self.layers) - 1
            h, end = unfold(layer, h, start, lengths=lengths, last=only_last, engine=self.engine)
            last.append(end)
        return self.readout(h), tuple(last)

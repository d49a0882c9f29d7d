"""The recurrent body of a model: layers of cells, one above another."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, cast

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.utils._pytree import tree_map

from seqbench.models.block import EPSILON, NORMS, Entry, PreNorm
from seqbench.models.sizes import MOST_PARTS, at_least_one, check_width
from seqbench.models.unfold import Cell, Engine, State, check_engine, last_valid, unfold
from seqbench.models.unfold.cell import as_cell
from seqbench.models.unfold.engines import obstacle_to_pieces

#: The states of the layers, first to last. In a bidirectional body each is a pair, forward and backward.
States = tuple[State, ...]


class Stack(nn.Module):
    """Recurrent layers over a sequence, stacked as in Fig. 10.13 (a).

        x ──▶ layer 1 ──▶ … ──▶ layer L ──▶ h

    With a block each layer reads the residual stream, H numbers, and adds to it, see `PreNorm`:

        x ──▶ E ──▶ block 1 ──▶ … ──▶ block L ──▶ norm ──▶ h

    Args:
        cell: makes one layer: `cell(input_size, hidden_size)`.
        input_size: F, numbers per step.
        hidden_size: width H of each layer, in each direction.
        num_layers: L.
        bidirectional: a second cell in each layer goes from the last valid step to the first (Fig. 10.11).
        dilation: the state of layer i comes from `dilation`^(i−1) steps before (Chang et al., 2017).
        engine: how layers unfold, see `unfold`.
        checkpoint_steps: steps between states that are kept for the backward pass, see `unfold`.
        block: makes what is around each layer: `block(hidden_size, numbers in an output of the layer)`; None
            for nothing.

    Raises:
        ValueError: a size below 1, a dilation that has no effect, or an engine that the cell does not have.
    """

    def __init__(
        self,
        cell: Callable[[int, int], Cell],
        input_size: int,
        hidden_size: int,
        num_layers: int = 1,
        bidirectional: bool = False,
        dilation: int = 1,
        engine: Engine = "auto",
        checkpoint_steps: int | None = None,
        block: Callable[[int, int], PreNorm] | None = None,
    ) -> None:
        super().__init__()
        at_least_one(
            hidden_size=(hidden_size, "unit"),
            dilation=(dilation, "step back"),
            **({} if checkpoint_steps is None else {"checkpoint_steps": (checkpoint_steps, "step")}),
        )
        at_least_one(MOST_PARTS, num_layers=(num_layers, "layer"))

        self.entry = None if block is None else Entry(input_size, hidden_size)

        def layers() -> list[Cell]:
            first = as_cell(cell(input_size if block is None else hidden_size, hidden_size), "cell")
            width = first.output_size * (1 + bidirectional) if block is None else hidden_size
            return [first, *(cell(width, hidden_size) for _ in range(num_layers - 1))]

        if dilation > 1 and num_layers == 1:
            raise ValueError(
                f"dilation={dilation} acts from the second layer on, and num_layers=1; give more layers, or "
                "dilation=1."
            )
        self.layers = nn.ModuleList(layers())
        self.backward_layers = nn.ModuleList(layers() if bidirectional else [])
        self.blocks = nn.ModuleList()
        self.norm: nn.Module | None = None
        if block is not None:
            sizes = [layer.output_size * (1 + bidirectional) for layer in self.cells]
            self.blocks.extend(block(hidden_size, size) for size in sizes)
            self.norm = NORMS[cast(PreNorm, self.blocks[0]).norm](hidden_size, eps=EPSILON)
        self.hidden_size = hidden_size
        self.bidirectional = bidirectional
        self.dilations = [dilation**i for i in range(num_layers)]
        self.engine: Engine = engine
        self.checkpoint_steps = checkpoint_steps
        if checkpoint_steps is not None and engine in ("native", "scan"):
            raise ValueError(
                f"checkpoint_steps={checkpoint_steps} saves nothing where engine={engine} keeps every state; "
                "give engine=auto."
            )
        for layer in self.cells:
            check_engine(layer, engine)
            if checkpoint_steps is not None and (why := obstacle_to_pieces(layer)) is not None:
                raise ValueError(
                    f"checkpoint_steps={checkpoint_steps} takes steps in pieces, and again on the way back, "
                    f"which {type(layer).__name__} does not allow: it has {why}; give checkpoint_steps=null."
                )
            if layer.chunk_size is not None and (engine == "loop" or checkpoint_steps is not None):
                by = "engine=loop" if engine == "loop" else f"checkpoint_steps={checkpoint_steps}"
                raise ValueError(
                    f"chunk_size={layer.chunk_size} is of steps that are taken at once, and with {by} they "
                    "are taken one by one; give chunk_size=null."
                )
        if dilation > 1 and not any(cell.state_size for cell in self.cells):
            raise ValueError(
                f"dilation={dilation} delays a state, and {type(self.cells[0]).__name__} has none; give "
                "dilation=1."
            )

    @property
    def cells(self) -> list[Cell]:
        """The cells of the layers; in a bidirectional body those that go forward."""
        return [cast(Cell, layer) for layer in self.layers]

    @property
    def first(self) -> list[Cell | Entry]:
        """What reads the input: with a block its entry, else the first cell in each direction."""
        if self.entry is not None:
            return [self.entry]
        return [cast(Cell, layers[0]) for layers in (self.layers, self.backward_layers) if len(layers)]

    @property
    def output_size(self) -> int:
        """Numbers in the output of one step."""
        if self.norm is not None:
            return self.hidden_size
        return self.cells[-1].output_size * (1 + self.bidirectional)

    @property
    def state_size(self) -> int:
        """Numbers carried from step to step for one sequence."""
        sizes = [d * cell.state_size for d, cell in zip(self.dilations, self.cells, strict=True)]
        return int(sum(sizes)) * (1 + self.bidirectional)

    @property
    def vectorizable(self) -> bool:
        """Whether every cell is."""
        return all(cell.runs_vectorized for cell in self.cells)

    def check_length(self, steps: int) -> None:
        """Raise a ValueError if a layer reaches back further than a sequence of `steps` steps.

        So does a number of steps between kept states that keeps none, or a chunk that is longer than what a
        layer takes at once: with a dilation of d every d-th step.
        """
        if self.checkpoint_steps is not None and self.checkpoint_steps >= steps:
            raise ValueError(
                f"checkpoint_steps={self.checkpoint_steps} keeps all of the {steps} steps of a sequence; "
                "give fewer, or null."
            )
        if len(self.blocks):
            check_width(self.cells[0].hidden_size)
        if steps == 1:
            raise ValueError(
                "in sequences of one step nothing goes from step to step; give task.length at least 2."
            )
        if self.dilations[-1] >= steps:
            raise ValueError(
                f"layer {len(self.dilations)} reaches {self.dilations[-1]} steps back, and a sequence has "
                f"{steps}; give fewer layers or a smaller dilation."
            )
        for i, (cell, dilation) in enumerate(zip(self.cells, self.dilations, strict=True), start=1):
            at_once = -(-steps // dilation)
            if cell.chunk_size is not None and dilation > 1 and cell.chunk_size > at_once:
                raise ValueError(
                    f"chunk_size={cell.chunk_size} is longer than the {at_once} steps that layer {i} takes "
                    f"at once, one in {dilation} of a sequence of {steps}; give at most that, or null."
                )

    def forward(
        self,
        x: Float[Tensor, "B T F"] | Int[Tensor, "B T"],
        lengths: Int[Tensor, " B"] | None = None,
        states: States | None = None,
        last: bool = False,
        scales: Sequence[Float[Tensor, "B T H"]] = (),
    ) -> tuple[Float[Tensor, "B *T H"], States]:
        """Run all layers over all steps.

        Args:
            x: the input: vectors, or tokens if the first layer reads these.
            lengths: valid steps of each row; None if all are.
            states: to continue from; None for the initial ones.
            last: return only the last valid output.
            scales: what the outputs of each layer are multiplied by, as dropout does; empty for nothing.

        Returns:
            The last layer's outputs (B, T, H), or the last one (B, H), and the last states.
        """
        ends: list[State] = []
        x = x if self.entry is None else self.entry(x)
        for i, (cell, dilation) in enumerate(zip(self.cells, self.dilations, strict=True)):
            options: dict[str, Any] = {
                "lengths": lengths,
                "last": last and i == len(self.layers) - 1,
                "dilation": dilation,
                "engine": self.engine,
                "checkpoint_steps": self.checkpoint_steps,
            }
            read = self._before(i, x)
            h, end = unfold(cell, read, None if states is None else states[i], **options)
            if self.bidirectional:
                back, other_end = unfold(cast(Cell, self.backward_layers[i]), read, reverse=True, **options)
                h, end = torch.cat([h, back], dim=-1), (end, other_end)
            if scales:
                h = h * (scales[i][:, -1] if options["last"] else scales[i])
            x = self._after(i, last_valid(x, lengths) if options["last"] and len(self.blocks) else x, h)
            ends.append(end)
        return x if self.norm is None else self.norm(x), tuple(ends)

    def _before(self, layer: int, x: Tensor) -> Tensor:
        """Return what a layer reads, from the output of the one below."""
        return cast(PreNorm, self.blocks[layer]).before(x) if len(self.blocks) else x

    def _after(self, layer: int, x: Tensor, h: Tensor) -> Tensor:
        """Return what the next layer gets, from what this one got and its cell's output."""
        return cast(PreNorm, self.blocks[layer]).after(x, h) if len(self.blocks) else h

    def step(self, x: Float[Tensor, "B F"], states: States) -> tuple[Float[Tensor, "B H"], States]:
        """Take one step of all layers, in one direction."""
        new: list[State] = []
        x = x if self.entry is None else self.entry(x)
        for i, (cell, dilation, state) in enumerate(zip(self.cells, self.dilations, states, strict=True)):
            projected = cell.project(self._before(i, x))
            if dilation == 1:
                h, after = cell.step(projected, state)
            else:  # the oldest of the last `dilation` states is used, and dropped
                h, latest = cell.step(projected, tree_map(lambda part: part[:, 0], state))
                after = tree_map(lambda old, now: torch.cat([old[:, 1:], now[:, None]], 1), state, latest)
            x = self._after(i, x, h)
            new.append(after)
        return x if self.norm is None else self.norm(x), tuple(new)

    def initial_state(self, batch_size: int) -> States:
        """Return the states before the first step, in one direction."""

        def start(cell: Cell, d: int) -> State:
            state = cell.initial_state(batch_size * d)
            if d == 1:
                return state
            return tree_map(lambda part: part.view(batch_size, d, *part.shape[1:]), state)

        return tuple(start(cell, d) for cell, d in zip(self.cells, self.dilations, strict=True))

"""What is trained: models of seqbench on random sequences, and the loop that they are compared with."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_flatten, tree_map, tree_unflatten

import seqbench
from seqbench.models.unfold import Cell, check_engine, reverse_valid

from .measure import Point

#: The engines of `seqbench.models.unfold`, in the order in which the benchmark prefers them.
ENGINES = ("fused", "native", "scan", "loop")


@dataclass(frozen=True)
class Case:
    """A model on random sequences.

    Attributes:
        model: the preset.
        options: overrides of its configuration, such as `model.cell.form=before`.
        task: the preset of a task that has as many inputs and outputs.
        ragged: whether sequences have lengths from a fifth of the longest.
        name: what it is called; empty for its preset and options.
    """

    model: str
    options: tuple[str, ...] = ()
    task: str = "adding"
    ragged: bool = False
    name: str = ""

    def __str__(self) -> str:
        return self.name or " ".join([self.model, *(o.removeprefix("model.") for o in self.options)])

    def build(
        self, point: Point, engine: str = "auto", device: str = "cpu", count: int = 1
    ) -> list[nn.Module]:
        """Return `count` models of the case, whose weights are always the same."""
        cfg = seqbench.compose(
            [
                *[f"model={self.model}", f"task={self.task}", f"task.length={point.length}", *self.options],
                *[f"model.hidden_size={point.width}", f"model.engine={engine}"],
            ]
        )
        task = seqbench.build_task(cfg)
        with torch.random.fork_rng():
            torch.manual_seed(0)
            return [seqbench.build_model(cfg, task).to(device) for _ in range(count)]

    def engines(self, point: Point) -> list[str]:
        """Return the engines that every cell of the model has."""
        (model,) = self.build(point)
        # With feedback all that a step does is one cell, for which `auto` stands.
        some = ("auto", "loop") if cast(Any, model).feedback.beside else ENGINES
        return [engine for engine in some if has_engine(model, engine)]

    def data(self, point: Point, device: str = "cpu", count: int = 1) -> list[Data]:
        """Return a batch for each of `count` models, always the same ones."""
        (model,) = self.build(point)
        made = cast(Any, model)
        outputs, feedback = made.output_size, made.feeds_back
        batch, length, generator = point.batch, point.length, torch.Generator().manual_seed(0)
        found = []
        for _ in range(count):
            x = torch.rand(batch, length, made.input_size, generator=generator)
            steps = (length,) if feedback else ()
            targets = torch.rand(batch, *steps, outputs, generator=generator)
            arguments = {"inputs": x}
            if self.ragged:
                arguments["lengths"] = torch.randint(length // 5, length + 1, (batch,), generator=generator)
            if feedback:  # it is fed its own outputs alone
                arguments |= {"targets": targets, "teacher_mask": torch.zeros(batch, length) > 0}
            found.append(Data(arguments, targets).to(device))
        return found


@dataclass(frozen=True)
class Data:
    """A batch: the arguments of a model's `forward`, and its targets."""

    arguments: dict[str, Tensor]
    targets: Tensor

    def to(self, device: str) -> Data:
        """Return it on a device."""
        return Data({name: part.to(device) for name, part in self.arguments.items()}, self.targets.to(device))


def has_engine(model: nn.Module, engine: str) -> bool:
    """Whether every cell of a model's body has an engine."""
    body = cast(Any, model).body
    try:
        for cell in [*body.layers, *body.backward_layers]:
            check_engine(cell, cast(Any, engine))
    except ValueError:
        return False
    return True


class PlainLoop(nn.Module):
    """A sequence model as one would write it without engines: a Python loop over its cells' steps.

    It has the model's weights and gives its outputs.

    Args:
        model: a `SequenceModel`.
    """

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model: Any = model

    def forward(
        self,
        inputs: Tensor,
        lengths: Tensor | None = None,
        targets: Tensor | None = None,
        teacher_mask: Tensor | None = None,
    ) -> tuple[Tensor, None]:
        """Return the outputs; targets and teacher mask are there because the model takes them."""
        model, x = self.model, inputs
        if model.feeds_back:
            states, fed = model.body.initial_state(len(x)), (x.new_zeros(len(x), model.output_size),)
            outputs = []
            for x_t in x.unbind(1):
                output, states, fed = model.step((x_t,), fed, states)
                outputs.append(output)
            return torch.stack(outputs, dim=1), None
        for i, cell in enumerate(model.body.layers):
            last = i == len(model.body.layers) - 1
            h = run(cell, x, lengths, last)
            if model.body.bidirectional:
                assert last, "one layer is enough here"
                back = run(model.body.backward_layers[i], reverse_valid(x, lengths), lengths, last)
                h = torch.cat([h, back], dim=-1)
            x = h
        return model.readout(x), None


def run(cell: Cell, x: Tensor, lengths: Tensor | None, last: bool) -> Tensor:
    """Return a cell's outputs (B, T, H), or the last valid one (B, H)."""
    parts, structure = tree_flatten(cell.project(x.transpose(0, 1)))
    state = cell.initial_state(len(x))
    output = x.new_zeros(len(x), cell.output_size)
    outputs = []
    for t, projected in enumerate(zip(*(part.unbind(0) for part in parts), strict=True)):
        new, next_state = cell.step(tree_unflatten(list(projected), structure), state)
        if lengths is None:
            output, state = new, next_state
        else:
            output, state = valid(t < lengths, (new, next_state), (output, state))
        if not last:
            outputs.append(output)
    return output if last else torch.stack(outputs, dim=1)


def valid(here: Tensor, new: Any, old: Any) -> Any:
    """Return new tensors (B, …) in the rows where `here` is true, and old ones elsewhere."""

    def chosen(new: Tensor, old: Tensor) -> Tensor:
        return torch.where(here.view(-1, *[1] * (new.ndim - 1)), new, old)

    return tree_map(chosen, new, old)

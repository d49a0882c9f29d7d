"""What depends on weights alone: recorded while a step is traced, and run in torch before each sequence."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from typing import Any

from torch import Tensor
from torch.utils._pytree import tree_leaves, tree_map

from seqbench.models.unfold.cell import Cell
from seqbench.models.unfold.fused.nodes import NotCoveredError


@dataclass(frozen=True)
class Place:
    """Stands for a tensor of a recipe."""

    index: int


class Recipe:
    """Operations on weights alone, in order.

    It knows weights by their names, so that it keeps none of them alive, and finds those that a cell has now.
    """

    def __init__(self, cell: Cell) -> None:
        named = (*cell.named_parameters(remove_duplicate=False), *cell.named_buffers(remove_duplicate=False))
        self._names = {id(tensor): tuple(name.split(".")) for name, tensor in named}
        self._values: list[tuple[str, ...] | None] = []
        self._calls: list[tuple[Callable[..., Any], Any, Any, list[int]]] = []
        self._places: dict[int, int] = {}

    def place(self, tensor: Tensor) -> int:
        """Return the place of a tensor: of a weight, or of what a call has made.

        Raises:
            NotCoveredError: it is neither; nobody knows when its numbers change.
        """
        if id(tensor) not in self._places:
            if id(tensor) not in self._names:
                raise NotCoveredError("a tensor that is no parameter and no buffer of the cell")
            self._places[id(tensor)] = len(self._values)
            self._values.append(self._names[id(tensor)])
        return self._places[id(tensor)]

    def record(self, call: Callable[..., Any], args: Any, kwargs: Any, made: Any) -> None:
        """Take up a call, whose operands are weights, numbers, or made of these."""
        held = tree_map(lambda a: Place(self.place(a)) if isinstance(a, Tensor) else a, (args, kwargs))
        places = []
        for tensor in [] if made is None else tree_leaves(made):
            places.append(len(self._values))
            self._places[id(tensor)] = len(self._values)
            self._values.append(None)
        self._calls.append((call, *held, places))

    @property
    def text(self) -> str:
        """What is called, with what."""
        return repr([(str(call), args, kwargs, places) for call, args, kwargs, places in self._calls])

    def run(self, cell: Cell, wanted: Sequence[int]) -> list[Tensor]:
        """Return tensors by their places."""
        values: list[Any] = [
            reduce(getattr, value, cell) if isinstance(value, tuple) else value for value in self._values
        ]

        def value(held: Any) -> Any:
            return values[held.index] if isinstance(held, Place) else held

        for call, args, kwargs, places in self._calls:
            if kwargs or any(isinstance(arg, list | tuple) for arg in args):
                args, kwargs = tree_map(value, (args, kwargs))
            made = call(*map(value, args), **kwargs)
            for place, tensor in zip(places, (made,) if isinstance(made, Tensor) else made, strict=True):
                values[place] = tensor
        return [values[place] for place in wanted]

    def keep(self, wanted: Sequence[int]) -> None:
        """Forget what `wanted` does not need."""
        needed, kept = {*wanted}, []
        for call in reversed(self._calls):
            if needed & {*call[3]}:
                kept.append(call)
                needed |= {leaf.index for leaf in tree_leaves(call[1:3]) if isinstance(leaf, Place)}
        self._calls = kept[::-1]
        self._values = [value if i in needed else None for i, value in enumerate(self._values)]
        self._names, self._places = {}, {}

"""What the C source of a cell is made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from seqbench.models.unfold.fused.nodes import Node
from seqbench.models.unfold.fused.trace import Step

#: Rows that go through all steps together.
ROWS = 32


@dataclass
class Function:
    """A C function: the names of its pointers and its whole numbers, in order, and its source."""

    name: str
    pointers: list[str] = field(default_factory=list)
    numbers: list[str] = field(default_factory=list)
    text: str = ""

    def finish(self, constants: Sequence[str], lines: Sequence[str]) -> None:
        """Put the source together."""
        declared = [f"const long {name} = n[{i}];" for i, name in enumerate(self.numbers)]
        for i, name in enumerate(self.pointers):
            kind = "const int64_t" if name in ("order", "lengths") else "real"
            declared.append(f"{kind} *{name} = p[{i}];")
        inner = "\n".join(f"  {line}" for line in [*declared, *constants, *lines])
        self.text = f"int {self.name}(const long *n, void *const *p) {{\n{inner}\n}}"


@dataclass
class Program:
    """The two functions of a cell, and what their arrays hold.

    Attributes:
        forward, backward: the functions.
        output_state: for each output the leaf of the state that it is, or None.
        states: leaves of the state that are stored for all steps.
        tape: the nodes on the tape with their first columns.
        tape_width: columns of the tape.
        trained: places of the weights that have a gradient.
    """

    step: Step
    forward: Function
    backward: Function
    output_state: list[int | None]
    states: list[int]
    tape: dict[Node, int]
    tape_width: int
    trained: set[int]

    @property
    def source(self) -> str:
        """C, to be compiled after `kernel.h`."""
        return f'#define ROWS {ROWS}L\n#include "kernel.h"\n\n{self.forward.text}\n\n{self.backward.text}\n'

"""The C source of a cell: one function that goes through all steps, and one that goes back.

Rows are taken `ROWS` at a time through all steps, so that their state and the weights stay in the cache.
Arrays that stay are laid out (T, B, columns). What the way back reads is stored on the way there: states, and
on the *tape* products and functions such as tanh; cheaper values are computed again. The way back stores the
gradients.
"""

from __future__ import annotations

from seqbench.models.unfold.fused.derivative import Gradients, differentiate
from seqbench.models.unfold.fused.nodes import Input, Node, Pointwise, Product, Reduction, operands, ordered
from seqbench.models.unfold.fused.passes import write_backward, write_forward
from seqbench.models.unfold.fused.program import Function, Program
from seqbench.models.unfold.fused.trace import Step
from seqbench.models.unfold.fused.write import starts

#: Functions that the tape holds, because to compute them again costs more than to read them.
DEAR = frozenset({"tanh", "sigmoid", "exp", "log", "log1p", "sin", "cos", "erf", "pow", "sqrt", "rsqrt"})


def program(step: Step) -> Program:
    """Return the source of a step.

    Raises:
        NotCoveredError: the step has a part without a derivative.
    """
    ends: dict[Node, Node] = {}
    for prefix, nodes in (("do", step.outputs), ("ds", step.state)):
        for i, node in enumerate(nodes):
            g = step.graph.input(f"{prefix}{i}", node.width)
            ends[node] = ends[node] + g if node in ends else g
    gradients = differentiate(step.graph, ends)
    tape, states = _stored(step, gradients)
    output_state = [step.state.index(node) if node in step.state else None for node in step.outputs]
    made = Program(
        step=step,
        forward=Function("forward"),
        backward=Function("backward"),
        output_state=output_state,
        states=sorted({*states, *(i for i in output_state if i is not None)}),
        tape=dict(zip(tape, starts(tape), strict=True)),
        tape_width=sum(node.width for node in tape),
        trained={vector.index for vector, _ in gradients.vectors}
        | {block.index for product in gradients.products for _, block in product.pairs},
    )
    write_forward(made)
    write_backward(made, gradients)
    return made


def _stored(step: Step, gradients: Gradients) -> tuple[list[Node], set[int]]:
    """Return the values that the way back reads: those on the tape, and the leaves of the state."""
    forward = set(ordered([*step.outputs, *step.state], lambda _: False))
    tape: dict[Node, None] = {}
    states: set[int] = set()
    seen: set[Node] = set()

    def read(node: Node) -> None:
        if node in seen:
            return
        seen.add(node)
        if isinstance(node, Input) and node.name.startswith("s"):
            states.add(int(node.name[1:]))
        elif node in forward and (
            isinstance(node, Product | Reduction) or (isinstance(node, Pointwise) and node.op in DEAR)
        ):
            tape[node] = None
        else:
            for operand in operands(node):
                read(operand)

    ends = [*gradients.inputs.values(), *(g for _, g in gradients.vectors), *gradients.products.values()]
    # Where an input is read in parts, these are computed, and not all that they are cut out of.
    for prefix, widths in (("x", step.input_widths), ("s", step.state_widths)):
        ends += [g for i, width in enumerate(widths) for _, g in gradients.whole(f"{prefix}{i}", width)]
    for end in ends:
        read(end)
    for product in gradients.products:
        for a, _ in product.pairs:
            if isinstance(a, Input):
                read(a)
            else:
                tape[a] = None
    return list(tape), states

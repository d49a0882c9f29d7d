"""The two passes in C: forward through all steps, and back."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass

from seqbench.models.unfold.fused.derivative import Gradients
from seqbench.models.unfold.fused.nodes import Input, Node, Product
from seqbench.models.unfold.fused.program import Function, Program
from seqbench.models.unfold.fused.write import Place, Sink, Writer, padded, starts


@dataclass
class Group:
    """Products with the same operands, and the gradients of these products: one product of the way back.

    Its arrays hold a few rows of the operands and of the gradients, from one step or, where there are fewer
    rows than `ROWS`, from several.
    """

    operands: list[Node]
    products: list[Product]
    gradients: list[Node]

    @property
    def width(self) -> int:
        """Columns of all products."""
        return sum(product.width for product in self.products)


def write_forward(made: Program) -> None:
    step, function, writer = made.step, made.forward, Writer()
    function.numbers = ["T", "B"]
    inputs = {f"x{i}": width for i, width in enumerate(step.input_widths)}
    states = {f"s{i}": width for i, width in enumerate(step.state_widths)}
    for name, width in (inputs | states).items():
        writer.local[name] = padded(width)
        writer.places[name] = Place(name, 0, padded(width))
        function.pointers.append(name.upper())
    sinks, moved = [], _moved("s", [[(0, node)] for node in step.state], step.state_widths)
    for i, node in enumerate(step.state):
        function.pointers.append(f"END{i}")
        if i not in moved:
            writer.local[f"next{i}"] = padded(node.width)
            sinks.append(Sink(node, Place(f"next{i}", 0, padded(node.width))))
    stored = {f"KEPT{i}": (f"k{i}", step.state[i]) for i in made.states}
    stored |= {
        f"OUT{i}": (f"o{i}", node) for i, node in enumerate(step.outputs) if made.output_state[i] is None
    }
    for name, (row, node) in stored.items():
        function.pointers.append(name)
        function.numbers.append(f"{name}_step")
        writer.rows[row] = f"real *{row} = {name} + t * {name}_step + g * {node.width};"
        sinks.append(Sink(node, Place(row)))
    function.pointers.append("TAPE")
    function.numbers.append("TAPE_step")
    writer.rows["tape"] = f"real *tape = TAPE + t * TAPE_step + g * {made.tape_width};"
    sinks += [Sink(node, Place("tape", start)) for node, start in made.tape.items()]
    writer.write(sinks)
    load = _copy([(f"{name} + i * {padded(w)}", f"{name.upper()} + (t * B + g) * {w}", w)
                  for name, w in inputs.items()], "m")  # fmt: skip
    first = [(f"{name} + i * {padded(w)}", f"{name.upper()} + g * {w}", w) for name, w in states.items()]
    first += [(f"END{i} + g * {w}", f"S{i} + g * {w}", w) for i, w in enumerate(states.values())]
    last = [(f"END{i} + g * {w}", f"s{i} + i * {padded(w)}", w) for i, w in enumerate(states.values())]
    body = [
        *_copy(first, "rows"),
        "for (long t = 0, m = rows; t < T; t++) {",
        "  if (lengths) while (m && lengths[order[i0 + m - 1]] <= t) m--;",
        *_indented([*load, *writer.lines, *_move("s", moved, step.state_widths)]),
        *_indented(_copy(last, "m", "if ((lengths && lengths[g] < T ? lengths[g] : T) != t + 1) continue;")),
        "}",
    ]
    _finish(made, function, writer, body)


def write_backward(made: Program, gradients: Gradients) -> None:
    step, function, writer = made.step, made.backward, Writer()
    function.numbers = ["T", "B", "inputs"]
    for i, width in enumerate(step.input_widths):
        function.pointers += [f"X{i}", f"DX{i}"]
        writer.places[f"x{i}"] = Place(f"x{i}")
        writer.rows[f"x{i}"] = f"const real *x{i} = X{i} + (t * B + g) * {width};"
        writer.rows[f"dx{i}"] = f"real *dx{i} = DX{i} + (t * B + g) * {width};"
    for i in made.states:
        width = step.state_widths[i]
        function.pointers.append(f"KEPT{i}")
        writer.places[f"s{i}"] = Place(f"k{i}")
        writer.rows[f"k{i}"] = f"const real *k{i} = KEPT{i} + (t * B + g) * {width};"
    for i in range(len(step.outputs)):
        function.pointers.append(f"DO{i}")
        function.numbers += [f"DO{i}_step", f"DO{i}_row"]
        writer.places[f"do{i}"] = Place(f"do{i}")
        writer.rows[f"do{i}"] = f"const real *do{i} = DO{i} + t * DO{i}_step + g * DO{i}_row;"
    function.pointers.append("TAPE")
    writer.rows["tape"] = f"const real *tape = TAPE + (t * B + g) * {made.tape_width};"
    writer.places |= {node: Place("tape", start) for node, start in made.tape.items()}
    sinks, widths = [], dict(enumerate(step.state_widths))
    of_states = [gradients.whole(f"s{i}", width) for i, width in widths.items()]
    moved = _moved("ds", of_states, step.state_widths)
    for i, width in widths.items():
        writer.local[f"ds{i}"] = padded(width)
        writer.places[f"ds{i}"] = Place(f"ds{i}", 0, padded(width))
        function.pointers += [f"DEND{i}", f"DS{i}"]
        if i not in moved:
            writer.local[f"next{i}"] = padded(width)
            sinks += [Sink(g, Place(f"next{i}", start, padded(width))) for start, g in of_states[i]]
    groups = _groups(gradients)
    collected: dict[str, int] = {}

    def collect(prefix: str, columns: int) -> Place:
        """Return a local array that is filled with the rows of several steps."""
        place = writer.new(prefix, columns)
        collected[place.array] = padded(columns)
        return place

    outer, add = [], []
    for group in groups:
        gradient = collect("g", group.width)
        for node, start in zip(group.gradients, starts(group.gradients), strict=True):
            if node in writer.homes:
                sinks.append(Sink(node, gradient.shifted(start)))
            writer.homes.setdefault(node, gradient.shifted(start))
        for q, a in enumerate(group.operands):
            if a not in writer.homes:
                writer.homes[a] = collect("a", a.width)
            home, w = writer.homes[a], f"dw{len(writer.weights)}"
            writer.weights[w] = -(-a.width // 8) * 8 * padded(group.width)
            values = f"{home.array}_all + {home.start}, {home.stride}"
            theirs = f"{gradient.array}_all, {gradient.stride}"
            outer.append(
                f"outer(there, {a.width}, {values}, {group.width}, {theirs}, {w}, {padded(group.width)});"
            )
            for product, start in zip(group.products, starts(group.products), strict=True):
                b = product.pairs[q][1]
                strides = ", ".join([f"W{b.index}_row", f"W{b.index}_column"][:: -1 if b.transposed else 1])
                to = f"DW{b.index} + {b.row} * W{b.index}_row + {b.column} * W{b.index}_column"
                add.append(
                    f"add({to}, {strides}, {a.width}, {product.width}, {w} + {start}, {padded(group.width)});"
                )
    vectors: dict[int, int] = defaultdict(int)
    for vector, g in gradients.vectors:
        sinks.append(Sink(g, Place(f"b{vector.index}", vector.start), adds=True))
        vectors[vector.index] = max(vectors[vector.index], vector.start + vector.width)
    for index, width in vectors.items():
        writer.weights[f"b{index}"] = padded(width)
    function.pointers += [f"DW{index}" for index in sorted(made.trained)]
    writer.write(sinks)
    main, writer.lines = writer.lines, []
    writer.write([
        Sink(g, Place(f"dx{i}", start))
        for i, width in enumerate(step.input_widths)
        for start, g in gradients.whole(f"x{i}", width)
    ])  # fmt: skip
    of_inputs = writer.lines
    arriving = [(f"ds{i} + i * {padded(w)}", f"DEND{i} + g * {w}", w) for i, w in widths.items()]
    done = [(f"DS{i} + g * {w}", f"ds{i} + i * {padded(w)}", w) for i, w in widths.items()]
    clear = [f"memset(b{index}, 0, {width} * sizeof(real));" for index, width in vectors.items()]
    sums = [f"add(DW{index}, 0, 1, 1, {width}, b{index}, 0);" for index, width in vectors.items()]
    at_row = [f"real *{name} = {name}_all + there * {width};" for name, width in collected.items()]
    flush = ["there += m;", "if (there + rows > ROWS || t == 0) {", *_indented(outer),
             "  there = 0;", "}"]  # fmt: skip
    body = [
        "long m = lengths ? 0 : rows, there = 0;",
        *_copy(arriving, "rows"),
        "for (long t = T - 1; t >= 0; t--) {",
        "  const long live = m;",
        "  if (lengths) while (m < rows && lengths[order[i0 + m]] > t) m++;",
        *_indented(_copy(arriving, "m", first="live")),
        *_indented([*at_row, *clear, *main, "if (inputs) {", *_indented(of_inputs), "}"]),
        *_indented([*sums, *flush, *_move("ds", moved, step.state_widths)]),
        "}",
        *_copy(arriving, "rows", first="m"),
        *_copy(done, "rows"),
    ]
    _finish(made, function, writer, body, add, collected)


def _moved(name: str, after: Sequence[Sequence[tuple[int, Node]]], widths: Sequence[int]) -> dict[int, int]:
    """Return which arrays after a step are whole arrays of before it, and which: nobody need copy these.

    A delay of d steps is d vectors, each of which takes the place of the one before it.

    Args:
        name: of the arrays, without their number.
        after: the values of each array after the step, in pieces with their first columns.
        widths: columns of each array.
    """
    before = {f"{name}{k}": k for k in range(len(widths))}
    moved: dict[int, int] = {}
    for i, pieces in enumerate(after):
        node = pieces[0][1]
        if isinstance(node, Input) and node.width == widths[i] and node.name in before:
            k = before[node.name]
            if widths[k] == widths[i] and k not in moved.values():
                moved[i] = k
    return moved


def _move(name: str, moved: Mapping[int, int], widths: Sequence[int]) -> list[str]:
    """Return C that ends a step: each array becomes what it is after it.

    An array that was computed lies in `next`, which gets an array that is needed no longer.
    """
    free = [k for k in range(len(widths)) if k not in moved.values()]
    lines = [f"{name}{i} = old[{k}];" for i, k in moved.items() if i != k]
    for i in range(len(widths)):
        if i not in moved:
            k = next(k for k in free if widths[k] == widths[i])
            free.remove(k)
            lines.append(f"{name}{i} = next{i}; next{i} = old[{k}];")
    every = ", ".join(f"{name}{k}" for k in range(len(widths)))
    return [f"{{ real *old[] = {{{every}}};", *_indented(lines), "}"] if lines else []


def _groups(gradients: Gradients) -> list[Group]:
    """Return products with the same operands together, in the order of their weights."""
    groups: dict[tuple[Node, ...], list[Product]] = defaultdict(list)
    for product in gradients.products:
        groups[tuple(a for a, _ in product.pairs)].append(product)
    for group in groups.values():
        group.sort(key=lambda product: [(block.index, block.column, block.row) for _, block in product.pairs])
    return [Group([*a], group, [gradients.products[p] for p in group]) for a, group in groups.items()]


def _copy(
    copies: Sequence[tuple[str, str, int]], rows: str, condition: str = "", first: str = "0"
) -> list[str]:
    """Return a loop that copies rows, each from one place to another."""
    return [
        f"for (long i = {first}; i < {rows}; i++) {{",
        "  const long g = order ? order[i0 + i] : i0 + i;",
        *([f"  {condition}"] if condition else []),
        *(f"  memcpy({to}, {from_}, {width} * sizeof(real));" for to, from_, width in copies),
        "}",
    ]


def _indented(lines: Sequence[str]) -> list[str]:
    return [f"  {line}" for line in lines]


def _finish(
    made: Program, function: Function, writer: Writer, body: Sequence[str], after: Sequence[str] = (),
    collected: Container[str] = (),
) -> None:  # fmt: skip
    """Put a function together: arguments, local arrays, packed weights, the loop over rows, what follows."""
    blocks = {block.index for packed in writer.packed for p in packed.products for _, block in p.pairs}
    for k in range(len(made.step.used)):
        function.pointers.append(f"W{k}")
        if k in blocks:
            function.numbers += [f"W{k}_row", f"W{k}_column"]
    function.pointers += ["order", "lengths"]
    sizes = {
        f"{name}_all"
        if name in collected
        else name: f"{'(ROWS + 8)' if name in collected else 'ROWS'} * {columns}"
        for name, columns in writer.local.items()
    }
    sizes |= {name: str(size) for name, size in writer.weights.items()}
    sizes |= {packed.name: f"{packed.rows * padded(packed.columns)}" for packed in writer.packed}
    total = " + ".join(sizes.values())
    setup = [f"real *work = aligned_alloc(64, ({total}) * sizeof(real)), *free_work = work;",
             "if (!work) return 1;", f"memset(work, 0, ({total}) * sizeof(real));"]  # fmt: skip
    setup += [f"real *{name} = work; work += {size};" for name, size in sizes.items()]
    for packed in writer.packed:
        for product, column in zip(packed.products, starts(packed.products), strict=True):
            row = 0
            for a, b in product.pairs:
                strides = [f"W{b.index}_row", f"W{b.index}_column"][:: -1 if b.transposed else 1]
                size = f"{a.width}, {product.width}"
                block = f"W{b.index} + {b.row} * W{b.index}_row + {b.column} * W{b.index}_column"
                place = f"{packed.name}, {packed.rows}, {packed.columns}, {row}, {column}"
                setup.append(f"pack({place}, {size}, {block}, {', '.join(strides)});")
                row += a.width
    loop = ["for (long i0 = 0; i0 < B; i0 += ROWS) {", "  const long rows = B - i0 < ROWS ? B - i0 : ROWS;",
            *_indented(body), "}", *after, "free(free_work);", "return 0;"]  # fmt: skip
    function.finish(setup, loop)

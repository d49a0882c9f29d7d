"""`scripts/agreement`: the table of agreements."""

from __future__ import annotations

import argparse
import platform
from pathlib import Path

import torch

from agreements.cases import CASES
from agreements.compare import ROWS, STEPS, AbsentError, Row, compared

PAGE = """# Agreement with public implementations

What `scripts/agreement --out results/agreement.md` found: each cell beside a public implementation with the
same random weights, in double precision, {rows} sequences of {steps} steps. The difference is the largest of
all outputs, and of all gradients (of every weight and of the input), over the largest number there. Cells
run in the engine that a CPU gets, in chunks of 8 steps where they have chunks; that this equals going step by
step is tested for every preset. Where a reference is a recurrence alone, such as the files of fla-core, the
layer around it is the cell's own, which is tested against numpy. References round to single precision within;
here they are kept from it. `dnc` and its reference start at a random memory, as they differ in the order of
equally used words; and what keeps cosines finite, which each does in its own way, is made too small to count.
The references serve the check alone: seqbench does not need them.

{made_with}

{table}"""
HEAD = "| model | reference | version | outputs | gradients |\n| --- | --- | --- | --- | --- |\n"


def main(what: str, arguments: list[str]) -> int:
    """Run the command; return 1 where a model and its reference differ."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="model", help=f"of {', '.join(CASES)}")
    parser.add_argument("--out", type=Path, help="a file for the page")
    options = parser.parse_args(arguments)
    if unknown := sorted({*options.models} - {*CASES}):
        parser.error(f"there is no agreement of {unknown[0]}; there are {', '.join(CASES)}")
    rows: list[Row] = []
    for model in options.models or CASES:
        for case in CASES[model]:
            torch.manual_seed(0)
            try:
                rows.append(compared(model, case))
            except AbsentError as absent:
                print(f"{model}: {absent}")
    lines = [
        f"| `{r.model}` | {r.reference} | {r.version} | {r.outputs:.0e} | {r.gradients:.0e} |" for r in rows
    ]
    print(HEAD + "\n".join(lines))
    if options.out is not None:
        made_with = f"Python {platform.python_version()}, torch {torch.__version__}."
        if options.models and options.out.exists():
            before = options.out.read_text(encoding="utf-8")
            if made_with not in before:
                parser.error(f"{options.out} was not made with {made_with[:-1]}; make all rows anew")
            lines = beside(lines, before)
        table = HEAD + "".join(f"{line}\n" for line in lines)
        page = PAGE.format(table=table, rows=ROWS, steps=STEPS, made_with=made_with)
        options.out.write_text(page, encoding="utf-8")
    return 0 if all(row.agrees for row in rows) else 1


def beside(lines: list[str], page: str) -> list[str]:
    """Return rows of a table, and those of a page that are of other models, in the order of `CASES`."""
    new = {_model(line) for line in lines}
    kept = [line for line in page.splitlines() if line.startswith("| `") and _model(line) not in new]
    return sorted(kept + lines, key=lambda line: [*CASES].index(_model(line)))


def _model(line: str) -> str:
    return line.split("`")[1]

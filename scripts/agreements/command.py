"""`scripts/agreement`: the table of agreements."""

from __future__ import annotations

import argparse
from pathlib import Path

import torch

from agreements.cases import CASES
from agreements.compare import Absent, Row, compared

HEAD = "| model | reference | version | outputs | gradients |\n| --- | --- | --- | --- | --- |\n"


def main(what: str, arguments: list[str]) -> int:
    """Run the command; return 1 where a model and its reference differ."""
    parser = argparse.ArgumentParser(description=what, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", metavar="model", help=f"of {', '.join(CASES)}")
    parser.add_argument("--out", type=Path, help="a file for the table")
    options = parser.parse_args(arguments)
    if unknown := sorted({*options.models} - {*CASES}):
        parser.error(f"there is no agreement of {unknown[0]}; there are {', '.join(CASES)}")
    rows: list[Row] = []
    for model in options.models or CASES:
        for case in CASES[model]:
            torch.manual_seed(0)
            try:
                rows.append(compared(model, case))
            except Absent as absent:
                print(f"{model}: {absent}")
    table = HEAD + "".join(
        f"| `{r.model}` | {r.reference} | {r.version} | {r.outputs:.0e} | {r.gradients:.0e} |\n" for r in rows
    )
    print(table, end="")
    if options.out is not None:
        options.out.write_text(table, encoding="utf-8")
    return 0 if all(row.agrees for row in rows) else 1

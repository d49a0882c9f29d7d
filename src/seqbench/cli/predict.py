"""`seqbench predict`: what a trained run makes of new sequences."""

from __future__ import annotations

import csv
import sys
from argparse import RawDescriptionHelpFormatter
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqbench.cli.arguments import Arguments
from seqbench.config.trust import allow
from seqbench.errors import ConfigError, StoreError, reader_may_leave

if TYPE_CHECKING:
    from torch import Tensor

    from seqbench.tasks.base import Task

DESCRIPTION = """\
What a trained run makes of new sequences, as CSV: a row for each sequence, or for each step if the task has a
target there. Sequences come in the order in which the file names them first, the steps of one in the order of
time. An answer that is a sequence itself is one row.

  seqbench predict runs/table/gru-1234abcd/seed-0 new.csv --probabilities

FILE has the columns of the table that the run was trained on; target, group and split may be missing.
For any other task it has a sequence a line: tokens with spaces between them, or a list of JSON, such as
[[0.1], [0.2]].
"""


def main(argv: list[str]) -> int:
    """Run `seqbench predict` with the arguments after that word; return the exit code.

    Raises:
        StoreError: the folder is not that of a trained run, or the output cannot be written.
        DataError: the file cannot be read, or holds what the task cannot have.
        ConfigError: probabilities are asked for, and an answer is a sequence.
    """
    parser = Arguments(
        "seqbench predict", description=DESCRIPTION, formatter_class=RawDescriptionHelpFormatter
    )
    parser.add_argument(
        "folder", metavar="FOLDER", help="of a trained run: <runs_dir>/<task>/<model>/seed-<n>"
    )
    parser.add_argument("file", metavar="FILE", help="with the new sequences")
    parser.add_argument("--out", metavar="FILE", help="write the CSV there, and not to the screen")
    parser.add_argument("--probabilities", action="store_true", help="add that of each class")
    parser.add_argument(
        "--allow", action="append", default=[], metavar="PACKAGE", help="a package that the run may use"
    )
    args = parser.parse_args(argv)

    from seqbench.results.rendering.rows import quoted
    from seqbench.runs.trained import load_run
    from seqbench.tasks.translation.base import Sequences

    run = load_run(args.folder, allow(args.allow))
    answers = isinstance(run.task.targets, Sequences)
    if answers and args.probabilities:
        raise ConfigError("--probabilities are of classes, and the answers of this task are sequences.")
    new = run.task.read_file(Path(args.file))
    header, body = _heading(run.task, args.probabilities), run.outputs(new.given)
    per_step = run.task.targets.per_step and not answers
    rows = _rows(run.task, new.names, new.steps if per_step else None, body, args.probabilities)
    first = [*new.headings] if per_step else [new.headings[0]]
    lines = [list(map(quoted, row)) for row in ([*first, *header], *rows)]
    if args.out is None:
        with reader_may_leave():
            csv.writer(sys.stdout, lineterminator="\n").writerows(lines)
        return 0
    try:
        with Path(args.out).open("w", encoding="utf-8", newline="") as file:
            csv.writer(file, lineterminator="\n").writerows(lines)
    except OSError as error:
        raise StoreError(f"cannot write {args.out}: {error.strerror}.") from error
    return 0


def _heading(task: Task, probabilities: bool) -> list[str]:
    """Return what the columns of the outputs are called."""
    from seqbench.tasks.specs import Classes

    names = list(task.token_names()[1])
    if isinstance(task.targets, Classes):
        return ["prediction", *(names if probabilities else [])]
    return names if len(names) > 1 else ["prediction"]


def _rows(
    task: Task, names: list[str], steps: list[list[str]] | None, outputs: list[Tensor], probabilities: bool
) -> Iterator[list[Any]]:
    for i, (name, its) in enumerate(zip(names, outputs, strict=True)):
        if steps is None:
            yield [name, *_row(task, its, probabilities)]
            continue
        for step, output in zip(steps[i], its, strict=True):
            yield [name, step, *_row(task, output, probabilities)]


def _row(task: Task, output: Tensor, probabilities: bool) -> list[str]:
    from seqbench.tasks.specs import Classes

    numbers = task.targets.shown(output)
    if isinstance(task.targets, Classes):
        return [task.in_words(output), *(numbers if probabilities else [])]
    return numbers

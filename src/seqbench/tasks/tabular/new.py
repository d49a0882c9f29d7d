"""New sequences for a trained run: another file with the inputs of its table."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch

from seqbench.data.tables.sequences import of_rows, of_steps
from seqbench.data.tables.source import FileSource
from seqbench.errors import DataError, say_once
from seqbench.tasks.reading import NewSequences
from seqbench.tasks.specs import counted
from seqbench.tasks.tabular.pieces import padded

if TYPE_CHECKING:
    from seqbench.tasks.tabular.table import Table


#: What is said of missing values.
REMEDY = "the run was trained with task.missing=refuse, and knows none"


def new_sequences(task: Table, path: Path) -> NewSequences:
    """Return the sequences of another file with the inputs of a task's table; what else it holds is not read.

    They come in the order in which the file names them first.

    A column holds texts or numbers as it did in the table, whatever it looks like alone.

    Raises:
        ConfigError, DataError: it is no such file, or a column that held numbers holds texts.
    """
    its, code, inputs = task.columns, task.prepared.code, task.prepared.inputs_of
    texts = inputs if code.tokens is not None else tuple(name for name in inputs if name in code.categories)
    columns = replace(its, inputs=inputs, target=(), group=None, split=None, texts=texts)
    optional = (*its.target, *(name for name in (its.group, its.split) if name is not None))
    names = texts if its.id is None else (*texts, its.id)
    table = FileSource(task.file(path).without({*optional} - {*inputs}), names).rows()
    columns = columns.check(table.frame, table.title, None)
    read = of_steps if columns.row_is_a_step else of_rows
    found = read(table.frame, columns, None, table.where)
    for name in code.scales:
        if found.values[name].dtype == object:
            step, text = next((i, each) for i, each in enumerate(found.values[name]) if each is not None)
            raise DataError(
                f"{table.where(int(found.rows[step]))}: {name} is {text!r}, and was a number in training."
            )
    for name, known in code.categories.items():
        strange = np.flatnonzero([each is not None and each not in known for each in found.values[name]])
        if len(strange):
            step = int(strange[0])
            say_once(
                f"{table.where(int(found.rows[step]))}: {name} is {found.values[name][step]!r}, which no "
                f"training sequence has; it counts as none of {', '.join(known)}, in "
                f"{counted(len(strange), 'step')}."
            )
    order = np.argsort(np.minimum.reduceat(found.rows, found.starts))
    starts, ends, lengths = found.starts[order], found.ends[order], found.lengths[order]
    encoded = code.encode(found, table.where, REMEDY)
    given = {
        "inputs": padded(encoded, starts, lengths, int(lengths.max())),
        "lengths": torch.from_numpy(lengths),
    }
    if its.time is None:
        steps = [list(map(str, range(length))) for length in lengths]
    else:
        times = table.frame[its.time].astype(str).to_numpy()[found.rows]
        steps = [list(times[a:b]) for a, b in zip(starts, ends, strict=True)]
    ids = [str(each) for each in found.ids[order]]
    return NewSequences(given, ids, steps, (its.id or "sequence", its.time or "step"))

"""What was made of a table, in words."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from seqbench.data.tables import splits as dividing
from seqbench.tasks.specs import counted
from seqbench.tasks.tabular.pieces import steps_of
from seqbench.tasks.tabular.targets import Numbers

if TYPE_CHECKING:
    from seqbench.tasks.tabular.table import Table


def about(task: Table) -> dict[str, str]:
    """Return what was made of the table, in words, by what it is about."""
    its, pieces, code = task.prepared, task.prepared.pieces, task.prepared.code
    contents = [
        its.inputs[start:stop].tobytes() for start, stop in zip(pieces.start, pieces.stop, strict=True)
    ]
    twins, leaked = dividing.twins(contents, pieces.split)
    lengths = pieces.lengths
    trained = steps_of(pieces, len(its.inputs), dividing.TRAIN)
    scale = [
        f"{name} (mean {scale.mean:.4g}, sd {scale.std:.4g})"
        if its.inputs[trained, place].any()
        else f"{name} (always {scale.mean:.4g} in training)"
        for place, (name, scale) in enumerate(code.scales.items())
    ]
    kinds = [f"{name} (one of {len(known)} texts)" for name, known in code.categories.items()]
    more = ["whether each is there"] * (task.settings.missing == "mask")
    more += ["time since the step before"] * task.settings.delta
    text = f"{task.columns.unit}s" if code.tokens is not None else ""
    found = {
        "rows": f"{len(its.inputs):,} steps in {its.sequences:,} sequences of {task.title}",
        "examples": ", ".join(f"{n:,} {split}" for split, n in dividing.counts(pieces.split).items()),
        "steps": f"{lengths.min()} to {lengths.max()}, median {np.median(lengths):g}",
        "reads": text or _listed([*scale, *kinds, *more], 6),
        "puts out": _target_in_words(task),
        "divided by": _divided_by(task),
        "twins": f"{twins} examples equal another one, {leaked} outside of training one in another split"
        if twins
        else "",
    }
    return {about: text for about, text in found.items() if text}


def _target_in_words(task: Table) -> str:
    target = task.prepared.target
    when = "at each step" if target.per_step else "once a sequence"
    ahead = f", {counted(task.columns.ahead, 'step')} ahead" if task.columns.ahead else ""
    if isinstance(target, Numbers):
        return f"{', '.join(target.names)}, {when}{ahead}"
    name = task.columns.target[0]
    counts = Counter(task.counting("train").tolist())
    shown = [f"{name} ({counts[i]:,})" for i, name in enumerate(target.names)]
    return f"{name}, {when}{ahead}: {_listed(shown, 12)} in training"


def _listed(names: Sequence[str], most: int) -> str:
    return ", ".join(names[:most]) + (f" and {len(names) - most} more" if len(names) > most else "")


def _divided_by(task: Table) -> str:
    its, columns = task.prepared, task.columns
    by = columns.group or columns.id or "the number of the row"
    if its.splits is not None:
        whose = f"the column {columns.split}" if columns.split else "the data set"
        lacks = not dividing.names_validation(its.splits)
        taken = f"; {100 * task.settings.shares[0]:g} % of its training, by the hash of {by}, validate"
        return whose + taken * lacks
    shares = " and ".join(f"{100 * share:g} %" for share in task.settings.shares)
    if its.sequences == 1:
        return f"time: the last {shares} are for validation and test"
    whole = f", each {columns.group} whole" if columns.group else ""
    return f"the hash of {by}: {shares} for validation and test{whole}"

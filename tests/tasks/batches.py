"""Comparing batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

import torch
from torch import Tensor

from seqbench.tasks.batch import Batch


def parts(batch: Batch) -> dict[str, Tensor]:
    """Return all tensors of a batch by name."""
    return batch.arguments([*batch._fields, *batch.extras])


def same(a: Batch, b: Batch) -> bool:
    ours, theirs = parts(a), parts(b)
    return ours.keys() == theirs.keys() and all(torch.equal(ours[name], theirs[name]) for name in ours)


def digest(batches: Iterable[Batch]) -> str:
    """Return a hash of all tensors of some batches."""
    every = (part.contiguous().numpy().tobytes() for batch in batches for part in parts(batch).values())
    return hashlib.sha256(b"".join(every)).hexdigest()[:16]

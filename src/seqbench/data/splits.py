"""Split by hash: whether an example is held out depends on the example alone, and not on the others."""

from __future__ import annotations

import hashlib

#: The share of the examples that are for testing, and of the others for validation.
HELD_OUT = 0.1


def hash_fraction(purpose: str, key: str) -> float:
    """Return a number in [0, 1) that is a hash of the key, independent for each purpose.

    A share p is held out by `hash_fraction("test", key) < p`.

    Args:
        purpose: what the split is for, such as `test`.
        key: what identifies the example, such as a word.
    """
    digest = hashlib.sha256(f"{purpose} {key}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64


def split_of(key: str) -> str:
    """Return the split of an example, `train`, `validation` or `test`, by the hash of its key."""
    if hash_fraction("test", key) < HELD_OUT:
        return "test"
    return "validation" if hash_fraction("validation", key) < HELD_OUT else "train"

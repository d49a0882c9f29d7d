"""Which sequences train, which validate and which test."""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np

from seqbench.data.tables.sequences import Sequences, Where
from seqbench.errors import ConfigError, DataError, nearest

TRAIN, VALIDATION, TEST = range(3)
SPLITS = ("train", "validation", "test")
#: What a column may call the splits.
NAMES = {"train": 0, "training": 0, "validation": 1, "valid": 1, "val": 1, "dev": 1, "test": 2}


def by_column(
    its: Sequences, name: str, share: float, labels: Sequence[str] | None, where: Where
) -> np.ndarray:
    """Return the split of each sequence, as a column says it.

    Where it names none for validation, a share of the training sequences is for that, see `by_hash`.

    Args:
        its: the sequences.
        name: of the column.
        share: of the training sequences, for validation.
        labels: of the sequences, if they are to be divided alike.
        where: says where a row stands.

    Raises:
        DataError: it says something else, one split has no sequence, or two have one of the same group.
    """
    assert its.splits is not None
    rows = its.rows[its.starts].tolist()
    for split, row in zip(its.splits, rows, strict=True):
        if split.lower() not in NAMES:
            raise DataError(
                f"{where(row)}: {name} is {split!r} and must be one of {', '.join(NAMES)}."
                f"{nearest(split, NAMES)}"
            )
    found = np.array([NAMES[split.lower()] for split in its.splits])
    first_of: dict[str, int] = {}
    for number, group in enumerate(map(str, its.groups)):
        first = first_of.setdefault(group, number)
        if found[first] != found[number]:
            raise DataError(
                f"{where(rows[number])}: the group {group!r} has {name}={its.splits[number]}, and "
                f"{its.splits[first]} in {where(rows[first])}; a group is in one split."
            )
    for number in (TRAIN, TEST):
        if number not in found:
            raise DataError(
                f"{name} names no sequence for {SPLITS[number]}; add some, or name another column by "
                "task.split."
            )
    if VALIDATION not in found:
        trained = np.flatnonzero(found == TRAIN)
        found[trained] = _hashed(its, trained, (share, 0.0), labels)
        if VALIDATION not in found:
            raise DataError(
                f"{name} names none for validation, and too few for training to take some of them."
            )
    return found


def names_validation(splits: Iterable[str]) -> bool:
    """Return whether any of some splits, by their names, is that of validation."""
    return any(NAMES.get(split.lower()) == VALIDATION for split in splits)


def by_hash(its: Sequences, shares: Sequence[float], labels: Sequence[str] | None) -> np.ndarray:
    """Return the split of each sequence by the hash of its id, or of its group's name.

    Groups stay whole. Without them, and with one label a sequence, each label is divided alike; a label with
    too few sequences for that trains. So the splits follow from the names and not from the rows' order.

    Args:
        its: the sequences.
        shares: of the validation set and of the test set.
        labels: of the sequences, if they are to be divided alike.

    Raises:
        DataError: there are too few.
    """
    found = _hashed(its, np.arange(len(its.ids)), shares, labels)
    if lacking := [split for number, split in enumerate(SPLITS) if number not in found]:
        count = len(np.unique(its.groups.astype(str)))
        what = "groups" if count < len(its.ids) else "sequences"
        alike = f", each of {len({*labels})} labels alike" if labels and count == len(its.ids) else ""
        numbers = "task.classes=false takes labels that are numbers for numbers, or n" if alike else "N"
        raise DataError(
            f"{count} {what} are too few to divide by task.shares={list(shares)}{alike}: none is left for "
            f"{lacking[0]}. {numbers}ame the column of the splits by task.split, or give other shares."
        )
    return found


def _hashed(
    its: Sequences, numbers: np.ndarray, shares: Sequence[float], labels: Sequence[str] | None
) -> np.ndarray:
    """Return the split of each of some sequences, see `by_hash`."""
    units: dict[str, list[int]] = defaultdict(list)
    for place, number in enumerate(numbers):
        units[str(its.groups[number])].append(place)
    strata: dict[str, list[str]] = defaultdict(list)
    alike = labels is not None and len(units) == len(numbers)
    for name, places in units.items():
        strata[labels[numbers[places[0]]] if labels is not None and alike else ""].append(name)
    found = np.full(len(numbers), TRAIN)
    for names in strata.values():
        names.sort(key=lambda name: hashlib.sha256(name.encode()).digest())
        validated, tested = (_count(share, len(names), alike) for share in shares)
        for place, name in enumerate(names[: tested + validated]):
            found[units[name]] = TEST if place < tested else VALIDATION
    return found


def by_time(steps: int, shares: Sequence[float], title: str) -> tuple[int, int]:
    """Return where the one sequence of a table is cut: up to the first step it trains, then it validates."""
    tested, validated = (max(1, round(share * steps)) for share in (shares[1], shares[0]))
    if steps - tested - validated < 1:
        raise DataError(
            f"{title}: one sequence of {steps} steps is too short to be divided into three parts."
        )
    return steps - tested - validated, steps - tested


def check_shares(shares: Sequence[float]) -> None:
    """Check the shares of validation and test.

    Raises:
        ConfigError: they are not two that leave something to train on.
    """
    if len(shares) != 2 or not all(0 < share < 1 for share in shares) or sum(shares) >= 1:
        raise ConfigError(
            f"task.shares={list(shares)} must be two numbers above 0, for validation and test, that leave "
            "something to train on."
        )


def twins(contents: Sequence[bytes], splits: np.ndarray) -> tuple[int, int]:
    """Return how many examples equal another one, and how many outside of training one in another split.

    Args:
        contents: of each example.
        splits: of each.
    """
    where: dict[bytes, Counter[int]] = defaultdict(Counter)
    for content, split in zip(contents, splits.tolist(), strict=True):
        where[content][split] += 1
    several = [found for found in where.values() if found.total() > 1]
    leaked = [found.total() - found[TRAIN] for found in several if len(found) > 1]
    return sum(found.total() for found in several), sum(leaked)


def counts(splits: np.ndarray) -> dict[str, int]:
    """Return how many sequences each split has."""
    found = Counter(splits.tolist())
    return {split: found[number] for number, split in enumerate(SPLITS)}


def _count(share: float, names: int, alike: bool) -> int:
    """Return how many of so many names a split gets: at least one, unless each label is divided alone."""
    if alike or names < 3:
        return round(share * names)
    return max(1, round(share * names)) if share else 0

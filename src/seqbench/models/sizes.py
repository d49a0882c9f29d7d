"""Sizes of models that make sense."""

from __future__ import annotations


def at_least_one(**sizes: tuple[int, str]) -> None:
    """Raise a ValueError where a size is below 1: `at_least_one(hidden_size=(hidden_size, "unit"))`.

    Args:
        sizes: by its name, each size, and what there is one of at least.
    """
    for name, (value, least) in sizes.items():
        if value < 1:
            raise ValueError(f"{name}={value} leaves no {least}; give at least 1.")

"""A check of the sizes that a model's constructor takes."""

from __future__ import annotations


def at_least_one(**sizes: tuple[int, str]) -> None:
    """Raise a ValueError if a size is below 1: `at_least_one(hidden_size=(hidden_size, "unit"))`.

    Args:
        sizes: by name, each size and the noun for what it counts.
    """
    for name, (value, noun) in sizes.items():
        if value < 1:
            raise ValueError(f"{name}={value} leaves no {noun}; give at least 1.")

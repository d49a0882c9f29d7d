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


#: More layers than anybody trains. A million take hours to make, before their size is known.
MOST_LAYERS = 1000


def at_most_layers(**sizes: int) -> None:
    """Raise a ValueError if there are more than `MOST_LAYERS` of something: `at_most_layers(depth=depth)`."""
    for name, value in sizes.items():
        if value > MOST_LAYERS:
            raise ValueError(f"{name}={value} is more than can be made; give at most {MOST_LAYERS}.")

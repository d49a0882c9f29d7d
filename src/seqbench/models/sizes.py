"""A check of the sizes that a model's constructor takes."""

from __future__ import annotations

#: More units than any memory has room for, and few enough to count one by one.
MOST_UNITS = 10**7
#: More layers, or sequences of a beam, than anybody asks for. A million layers take hours to make.
MOST_PARTS = 1000


def at_least_one(**sizes: tuple[int, str]) -> None:
    """Raise a ValueError if a size is below 1, or absurd: `at_least_one(hidden_size=(hidden_size, "unit"))`.

    Args:
        sizes: by name, each size and the noun for what it counts.
    """
    for name, (value, noun) in sizes.items():
        if value < 1:
            raise ValueError(f"{name}={value} leaves no {noun}; give at least 1.")
    not_too_many(MOST_UNITS, **{name: value for name, (value, _) in sizes.items()})


def not_too_many(most: int = MOST_PARTS, **sizes: int) -> None:
    """Raise a ValueError if there are more than `most` of something: `not_too_many(depth=depth)`."""
    for name, value in sizes.items():
        if value > most:
            raise ValueError(f"{name}={value} is more than can be made; give at most {most}.")

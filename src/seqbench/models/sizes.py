"""A check of the sizes that a model's constructor takes."""

from __future__ import annotations

#: More units than any memory has room for, and few enough to count one by one.
MOST_UNITS = 10**7
#: More layers, or taps of a convolution, than anybody asks for: each is made, and computed, by itself.
MOST_PARTS = 1000


def at_least_one(most: int = MOST_UNITS, /, **sizes: tuple[int, str]) -> None:
    """Raise a ValueError if a size is below 1, or absurd: `at_least_one(hidden_size=(hidden_size, "unit"))`.

    Args:
        most: of each.
        sizes: by name, each size and the noun for what it counts.
    """
    for name, (value, noun) in sizes.items():
        if value < 1:
            raise ValueError(f"{name}={value} leaves no {noun}; give at least 1.")
        if value > most:
            raise ValueError(f"{name}={value} is more than can be made; give at most {most}.")


def check_width(hidden_size: int) -> None:
    """Raise a ValueError if one number is normed."""
    if hidden_size == 1:
        raise ValueError(
            "hidden_size=1 is one number, of which a norm leaves the sign or nothing; give more."
        )

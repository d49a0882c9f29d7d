"""Docstrings without what they say of arguments, fitted to a width."""

from __future__ import annotations

from seqbench.analysis.overview.docstrings import docstring


class Told:
    """What it computes.

        h(t) = tanh(W h(t−1))                    [6]  the state

    A paragraph of two
    lines.

    Args:
        size: of something.

            still about it

    Forms:
        one: stays.

    Raises:
        ValueError: never.

    Source: a paper.
    """


def test_equations_prose_and_source_stay():
    assert docstring(Told, 80) == (
        "What it computes.\n\n"
        "    h(t) = tanh(W h(t−1))                    [6]  the state\n\n"
        "A paragraph of two lines.\n\nForms:\n    one: stays.\n\nSource: a paper."
    )


def test_a_remark_moves_closer_and_then_below():
    closer = docstring(Told, 45)
    assert "    h(t) = tanh(W h(t−1))      [6]  the state\n" in closer, "as far right as there is room"
    below = docstring(Told, 30)
    assert "    h(t) = tanh(W h(t−1))\n        [6]  the state\n" in below
    assert max(map(len, below.splitlines())) <= 30


class Drawn:
    """A drawing.

            x ────────────▶ y
            └───────────────┘

    Variants:
        one: with a text that is longer than a line
            is, and so goes on.
        two: short.
    """


def test_a_drawing_moves_to_the_left_and_then_ends_early():
    assert docstring(Drawn, 22).splitlines()[2:4] == ["     x ────────────▶ y", "     └───────────────┘"]
    assert docstring(Drawn, 16).splitlines()[2:4] == ["        x ─────…", "        └──────…"]


def test_items_are_filled():
    assert docstring(Drawn, 30).splitlines()[5:] == [
        "Variants:",
        "    one: with a text that is",
        "        longer than a line is,",
        "        and so goes on.",
        "    two: short.",
    ]

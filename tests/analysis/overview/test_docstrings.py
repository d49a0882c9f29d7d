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
    assert "    h(t) = tanh(W h(t−1))  [6]  the state\n" in closer
    below = docstring(Told, 30)
    assert "    h(t) = tanh(W h(t−1))\n        [6]  the state\n" in below
    assert max(map(len, below.splitlines())) <= 30

"""Which runs a command reads: folders and exported files, and what is chosen of them."""

from __future__ import annotations

import re
from argparse import ArgumentParser, Namespace
from collections.abc import Callable

from seqbench.errors import say
from seqbench.runs.places import PlacedRun, read_places

#: A comma between two models. One within brackets is part of a label, `lstm (lr=0.01, hidden_size=32)`.
BETWEEN = r",(?![^(]*\))"


def add_choice(parser: ArgumentParser) -> None:
    """Add the arguments that `chosen` reads."""
    parser.add_argument(
        "places",
        nargs="*",
        default=["runs"],
        metavar="RUNS",
        help="folders of runs, or files of `seqbench runs export`; default: runs",
    )

    def repeated(option: str, metavar: str, help: str) -> None:
        parser.add_argument(
            option, action="append", default=[], metavar=metavar, help=f"{help}; may be repeated"
        )

    repeated("--task", "NAME", "only this task")
    repeated("--model", "NAME", "only this model, a preset")
    repeated("--where", "KEY=VALUE", "only runs with this value, or one of several: optim.lr=0.01,0.03")


def chosen(args: Namespace, warn: Callable[[str], object] = say) -> list[PlacedRun]:
    """Return the runs that the arguments of a command choose.

    Args:
        args: those of `add_choice`.
        warn: called with a sentence about runs that are left out.

    Raises:
        ConfigError, StoreError: as for `read_places`.
    """
    return read_places(args.places, warn, filters(args))


def filters(args: Namespace) -> list[str]:
    """Return the filters that the arguments of a command are, see `selection.select`."""
    named = [f"{key}={','.join(names)}" for key in ("task", "model") if (names := getattr(args, key))]
    return [*named, *args.where]


def add_models(parser: ArgumentParser) -> None:
    """Add the argument that `groups` reads."""
    parser.add_argument(
        "--models",
        action="append",
        required=True,
        metavar="A,B,…",
        help="all pairs of these: names, or labels as in a report, 'lstm (lr=0.01),gru'; may be repeated",
    )


def groups(args: Namespace) -> list[list[str]]:
    """Return the models whose pairs are compared, a group for each time that they were given."""
    return [[name.strip() for name in re.split(BETWEEN, group) if name.strip()] for group in args.models]

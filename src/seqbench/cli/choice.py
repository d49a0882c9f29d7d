"""Which runs a command reads: folders and exported files, and what is chosen of them."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace

from seqbench.errors import say
from seqbench.runs.places import PlacedRun, read_places


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


def chosen(args: Namespace) -> list[PlacedRun]:
    """Return the runs that the arguments of a command choose.

    Raises:
        ConfigError, StoreError: as for `read_places`.
    """
    named = [f"{key}={','.join(names)}" for key in ("task", "model") if (names := getattr(args, key))]
    return read_places(args.places, say, [*named, *args.where])

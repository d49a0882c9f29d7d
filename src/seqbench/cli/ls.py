"""`seqbench ls`: every preset, one line each, as the first line of its file describes it."""

from __future__ import annotations

from collections.abc import Sequence

from seqbench.cli.arguments import Arguments
from seqbench.config.presets import (
    GROUPS,
    OTHER_GROUPS,
    SUBGROUPS,
    describe,
    noted,
    preset_names,
)
from seqbench.errors import ConfigError, nearest, printable

#: Every group that is listed.
EVERY = (*GROUPS, *SUBGROUPS, *OTHER_GROUPS)


def main(argv: list[str]) -> int:
    """Print the presets of the groups named, or of all groups; return the exit code.

    Raises:
        ConfigError: there is no such group.
    """
    parser = Arguments(prog="seqbench ls", description="Every preset, one line each.")
    parser.add_argument("group", nargs="*", help=", ".join(EVERY))
    parser.add_argument(
        "--format", choices=["text", "md"], default="text", help="default: text; md: a table, as in docs/"
    )
    args = parser.parse_args(argv)
    groups = [_group(name) for name in args.group] or EVERY
    if args.format == "md":
        from seqbench.cli.catalogue import table

        tables = [table(group) for group in groups]
        if len(groups) > 1:
            tables = [f"## {group}\n\n{its}" for group, its in zip(groups, tables, strict=True)]
        print("\n\n".join(tables))
        return 0
    _print(groups)
    return 0


def by_kind(group: str) -> dict[str, list[str]]:
    """Return the presets of a group by what their files say under `Kind`; under "" those that say none.

    Kinds are in the order of their names; presets without one come last.
    """
    kinds: dict[str, list[str]] = {}
    for name in preset_names(group):
        kinds.setdefault(noted(group, name, "Kind"), []).append(name)
    return {kind: kinds[kind] for kind in sorted(kinds, key=lambda kind: (not kind, kind))}


def _print(groups: Sequence[str]) -> None:
    from seqbench.results.rendering.rows import print_entries

    kinds = {group: by_kind(group) for group in groups}
    width = max(len(name) for its in kinds.values() for some in its.values() for name in some)
    for group, its in kinds.items():
        print(f"{group}=")
        for kind, some in its.items():
            if len(its) > 1:
                print(f" {printable(kind) or 'others'}")
            print_entries((f"  {name:<{width}}", describe(group, name)) for name in some)


def _group(name: str) -> str:
    for group in EVERY:
        if name in (group, f"{group}s"):
            return group
    raise ConfigError(f"There is no group {name!r}.{nearest(name, EVERY)} There are: {', '.join(EVERY)}.")

"""`seqbench ls`: every preset, one line each, as the first line of its file describes it."""

from __future__ import annotations

from seqbench.cli.arguments import Arguments
from seqbench.config.presets import GROUPS, OTHER_GROUPS, SUBGROUPS, describe, preset_names
from seqbench.errors import ConfigError, nearest, printable

#: Every group that is listed.
EVERY = (*GROUPS, *SUBGROUPS, *OTHER_GROUPS)


def main(argv: list[str]) -> int:
    """Print the presets of the groups named, or of all groups; return the exit code.

    Raises:
        ConfigError: there is no such group.
    """
    parser = Arguments(prog="seqbench ls", description="Every preset, one line each.")
    names = ", ".join(f"{group.removesuffix('s')}s" for group in GROUPS)
    parser.add_argument("group", nargs="*", help=names)
    groups = [_group(name) for name in parser.parse_args(argv).group] or EVERY
    presets = {group: preset_names(group) for group in groups}
    width = max(len(name) for some in presets.values() for name in some)
    for group, some in presets.items():
        print(f"{group}=")
        for name in some:
            print(f"  {printable(name):<{width}}  {printable(describe(group, name))}")
    return 0


def _group(name: str) -> str:
    for group in EVERY:
        if name in (group, f"{group}s"):
            return group
    raise ConfigError(f"There is no group {name!r}.{nearest(name, GROUPS)} There are: {', '.join(GROUPS)}.")

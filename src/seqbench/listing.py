"""`seqbench ls`: every preset, one line each, as its file's first line says."""

from __future__ import annotations

import argparse

from seqbench.config import CONF_DIR, GROUPS, preset_names, user_presets
from seqbench.errors import ConfigError, nearest


def main(argv: list[str]) -> int:
    """Print the presets of the groups named, or of all."""
    parser = argparse.ArgumentParser(prog="seqbench ls", description="Every preset, one line each.")
    parser.add_argument("group", nargs="*", help="tasks, models, optims, trainers, loggers, experiments")
    wanted = parser.parse_args(argv).group
    groups = [_group(name) for name in wanted] or list(GROUPS)
    names = {group: preset_names(group) for group in groups}
    width = max(len(name) for some in names.values() for name in some)
    for group, some in names.items():
        print(f"{group}=")
        for name in some:
            print(f"  {name:<{width}}  {describe(group, name)}")
    return 0


def _group(name: str) -> str:
    for group in GROUPS:
        if name in (group, f"{group}s"):
            return group
    raise ConfigError(f"There is no group {name!r}.{nearest(name, GROUPS)} There are: {', '.join(GROUPS)}.")


def describe(group: str, name: str) -> str:
    """Return the first comment of a preset that is not an instruction to Hydra."""
    folders = [folder for folder in (user_presets(), CONF_DIR) if folder is not None]
    path = next(p for folder in folders if (p := folder / group / f"{name}.yaml").exists())
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        if line.startswith("#") and "@package" not in line:
            return line.lstrip("# ").rstrip(".")
    return ""

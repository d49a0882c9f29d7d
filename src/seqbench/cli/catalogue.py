"""The tables of presets in docs/: `seqbench ls tasks --format md`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from omegaconf import OmegaConf

from seqbench.cli.ls import by_kind
from seqbench.config.build import build_task
from seqbench.config.presets import describe, lineage, main_config, noted, preset_node
from seqbench.errors import ConfigError
from seqbench.results.rendering.markdown import escape

#: What all model presets build on that are made of a cell.
CELL = "_sequence"
#: Where the package's files lie, seen from docs/.
SOURCE = "../src"


def table(group: str) -> str:
    """Return the presets of a group as a Markdown table: their kind, what they are, and of some groups more.

    Of tasks it says what solves them, of models where the equations are.
    """
    kinds = by_kind(group)
    rows = [
        {"preset": f"`{name}`"}
        | ({"kind": escape(kind)} if any(kinds) else {})
        | {"what it is": escape(describe(group, name))}
        | MORE.get(group, lambda _: {})(name)
        for kind, some in kinds.items()
        for name in some
    ]
    lines = [rows[0].keys(), ["---"] * len(rows[0]), *(row.values() for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def _solved(name: str) -> dict[str, str]:
    """Return when a task counts as solved. Its data are not read."""
    node = preset_node("task", name)
    try:
        task = build_task(OmegaConf.create({"task": node, "data_dir": main_config().data_dir}))
    except ConfigError:  # of a preset of the user's own, whose package is not allowed here
        return {"solved": ""}
    mark = noted("task", name, "Solved")
    return {"solved": escape(f"{task.solved_when or ''}{f': {mark}' if mark else ''}")}


def _equations(name: str) -> dict[str, str]:
    """Return the file with a model's equations: that of its cell, where the model is nothing but its cell."""
    node: Any = preset_node("model", name)
    of_its_cell = CELL in lineage("model", name) and "cell" in node
    target = str((node.cell if of_its_cell else node).get("_target_", ""))
    if not target.startswith("seqbench."):
        return {"equations in": ""}
    path = Path(*target.split(".")[:-1]).with_suffix(".py")
    return {"equations in": f"[`{'/'.join(path.parts[-2:])}`]({SOURCE}/{path.as_posix()})"}


#: Group -> what its table says beyond the kind and the description, column to text.
MORE = {"task": _solved, "model": _equations}

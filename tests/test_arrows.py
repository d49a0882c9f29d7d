"""Imports point one way: what depends on what, and no circle."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import seqbench

SOURCE = Path(seqbench.__file__).parent
#: For each package or module of seqbench, what it may import of the others.
MAY = {
    "errors": set(),
    "versions": set(),
    "installed": set(),
    "processes": {"errors"},
    "signals": {"processes"},
    "data": {"errors"},
    "tasks": {"data", "errors"},
    "models": {"errors", "installed"},
    "config": {"errors", "installed", "processes"},
    "analysis": {"tasks", "models", "results", "errors"},
    "training": {"analysis", "tasks", "models", "dashboards.account", "errors", "processes"},
    "results": {"runs.store", "runs.files", "runs.result", "runs.places", "config", "errors"},
    "runs": {"training", "analysis", "tasks", "models", "config", "errors", "processes"}
    | {"signals", "versions"},
    "dashboards": {"runs.result", "errors"},
    "sweeps": {"runs", "training", "results.rendering.rows", "config", "errors", "processes", "signals"},
    "search": {"sweeps", "runs", "tasks", "config", "errors"},
    "span": {"sweeps", "runs", "results", "training", "tasks", "config", "errors"},
    "cli": {"span", "search", "sweeps", "runs", "training", "results", "analysis", "tasks", "models", "data"}
    | {"dashboards", "config", "errors", "processes", "signals", "versions"},
}
#: Frameworks that a package may not import, at any depth of its code.
BANNED = {
    "models": {"hydra", "omegaconf", "lightning", "wandb", "matplotlib", "pandas"},
    "tasks": {"hydra", "omegaconf", "lightning", "wandb", "matplotlib", "pandas"},
    "results": {"lightning", "wandb", "torch"},
}


@cache
def modules(at_run_time: bool) -> dict[str, list[str]]:
    """Return what each module imports, see `imports`."""
    return {
        ".".join(path.relative_to(SOURCE).with_suffix("").parts).removesuffix(".__init__"): [
            *imports(ast.parse(path.read_text()), at_run_time)
        ]
        for path in sorted(SOURCE.rglob("*.py"))
    }


def imports(tree: ast.Module, at_run_time: bool) -> Iterator[str]:
    """Yield the modules that a module imports, those for type checking alone left out."""
    skipped = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and "TYPE_CHECKING" in ast.dump(branch.test)
        for node in ast.walk(branch)
    }
    lazy = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, ast.FunctionDef)
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if id(node) in skipped or (at_run_time and id(node) in lazy):
            continue
        if isinstance(node, ast.Import):
            yield from (name.name for name in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module
            yield from (f"{node.module}.{name.name}" for name in node.names)


def room(dotted: str) -> str:
    return dotted.split(".")[0]


def test_imports_point_one_way() -> None:
    wrong = []
    for dotted, imported_there in modules(at_run_time=False).items():
        home = room(dotted)
        if home not in MAY:  # the package itself, and __main__
            assert home in ("__init__", "__main__", ""), f"{dotted} lies in no room of the design"
            continue
        for imported in imported_there:
            if not imported.startswith("seqbench."):
                continue
            target = imported.removeprefix("seqbench.")
            allowed = MAY[home] | {home}
            if not any(target == name or target.startswith(f"{name}.") for name in allowed):
                wrong.append(f"{dotted} imports {target}")
    assert not wrong, "\n".join(wrong)


def test_no_framework_where_it_does_not_belong() -> None:
    wrong = [
        f"{dotted} imports {imported}"
        for dotted, imported_there in modules(at_run_time=False).items()
        for imported in imported_there
        if imported.split(".")[0] in BANNED.get(room(dotted), ())
    ]
    assert not wrong, "\n".join(wrong)


def test_configuration_imports_no_framework_before_it_builds() -> None:
    frameworks = {"torch", "lightning", "wandb", "hydra"}
    wrong = [
        f"{dotted} imports {imported}"
        for dotted, imported_there in modules(at_run_time=True).items()
        for imported in imported_there
        if room(dotted) == "config" and imported.split(".")[0] in frameworks
    ]
    assert not wrong, "\n".join(wrong)


def test_there_is_no_circle() -> None:
    known = modules(at_run_time=True)
    graph = {
        dotted: {
            target
            for imported in imported_there
            if (target := imported.removeprefix("seqbench.")) in known and imported.startswith("seqbench.")
        }
        - {dotted}
        for dotted, imported_there in known.items()
    }
    done: set[str] = set()

    def visit(node: str, path: tuple[str, ...]) -> None:
        assert node not in path, " → ".join((*path[path.index(node) :], node))
        if node not in done:
            for target in graph[node]:
                visit(target, (*path, node))
            done.add(node)

    for node in graph:
        visit(node, ())

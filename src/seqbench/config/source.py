"""The source of other packages, which decides what a class of theirs does.

What seqbench's own classes do is known by the commit of a run, and by revisions. A class of another package
may be edited between two runs, and its name stays the same: a hash of its source tells the two apart.
"""

from __future__ import annotations

import ast
import hashlib
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from importlib.machinery import ModuleSpec
from pathlib import Path
from typing import Any, NamedTuple

from seqbench.config.trust import BUILT_IN
from seqbench.installed import is_installed


class Source(NamedTuple):
    """What a module is made of, and the names of all modules that it may import."""

    text: str
    imports: tuple[str, ...]


#: Where modules are that were not imported when they were asked for.
_found: dict[str, ModuleSpec | None] = {}
#: Modules as they were when they were first asked for, by the spec that they were imported with.
_sources: dict[str, tuple[ModuleSpec, Source]] = {}


def source_hash(target: str, found: Callable[..., Any]) -> str | None:
    """Return a hash of the source of what a `_target_` names; None where that is built in, or has no source.

    It covers the module that the target names and those that the class and its bases are defined in, whole,
    and all modules of the same packages, and beside them, that these import, and so on. A part of a module
    would not do: what is defined may be registered, wrapped or changed anywhere in it. Comments, docstrings
    and layout do not count. Files that a module reads are not found, nor modules that it imports by a text.

    Args:
        target: `package.module.Name`.
        found: the class or function that it names.
    """
    bases = [base.__module__ for base in getattr(found, "__mro__", ()) if not _is_installed(base.__module__)]
    wanted = [target.rpartition(".")[0], found.__module__, *bases]
    own = {name.partition(".")[0] for name in wanted} - {*BUILT_IN}
    homes = {home for name in own if (home := _home(name)) is not None}
    texts: dict[str, str] = {}
    while wanted:
        name = wanted.pop()
        if name in texts or name.partition(".")[0] in BUILT_IN or (spec := _spec(name)) is None:
            continue
        wanted.append(name.rpartition(".")[0])
        path = Path(spec.origin or "")
        beside = any(path.is_relative_to(home) for home in homes) and not is_installed(path)
        if path.suffix == ".py" and (beside or name.partition(".")[0] in own):
            source = _source(name, spec, path)
            texts[name] = source.text
            wanted += source.imports
        else:
            texts[name] = ""  # a folder without code of its own, or a module of others
    code = sorted((name, text) for name, text in texts.items() if text)
    return hashlib.sha256(repr(code).encode()).hexdigest()[:8] if code else None


def _is_installed(name: str) -> bool:
    spec = _spec(name)
    return spec is None or is_installed(Path(spec.origin or ""))


def _home(package: str) -> Path | None:
    """Return the folder that a package or module lies in."""
    spec = _spec(package)
    places = list(spec.submodule_search_locations or [spec.origin or ""]) if spec is not None else []
    return Path(places[0]).parent if places else None


def _spec(name: str) -> ModuleSpec | None:
    """Return where a module is, which is not imported for that; None of no module, and of one of Python's."""
    imported: ModuleSpec | None = getattr(sys.modules.get(name), "__spec__", None)
    if not name or name.partition(".")[0] in sys.stdlib_module_names:
        path = Path(getattr(imported, "origin", None) or "")
        return imported if path.suffix == ".py" and not is_installed(path) else None
    if imported is not None:
        return imported
    if name not in _found:
        parent, _, last = name.rpartition(".")
        above = _spec(parent) if parent else None
        folders = [*(above.submodule_search_locations or ())] if above is not None else []
        spec: ModuleSpec | None = None
        for finder in sys.meta_path if folders or not parent else ():
            # What finders of other packages raise is no fault of what is looked for.
            with suppress(Exception):
                spec = spec or finder.find_spec(name, folders if parent else None)
        if spec is None or spec.origin is None:
            # A folder without `__init__`: where it is Python says once it is imported.
            places = [Path(place or Path.cwd(), last) for place in (folders if parent else sys.path)]
            if places := [place for place in places if place.is_dir()]:
                spec = ModuleSpec(name, None, is_package=True)
                spec.submodule_search_locations = [str(place) for place in places]
        _found[name] = spec
    return _found[name]


def _source(name: str, spec: ModuleSpec, path: Path) -> Source:
    known = _sources.get(name)
    if known is None or known[0] is not spec:
        text, imports = "", list[str]()
        with suppress(OSError):  # it is in an archive, or was taken away since
            code = path.read_bytes()
            text = code.decode("utf-8", "replace")
            with suppress(SyntaxError, ValueError, RecursionError):  # too deep: as it stands
                tree = ast.parse(code)
                imports += _imports(tree, name if path.stem == "__init__" else name.rpartition(".")[0])
                text = ast.unparse(_Plain().visit(tree))
        known = _sources[name] = spec, Source(text, tuple(imports))
    return known[1]


def _imports(tree: ast.AST, package: str) -> Iterator[str]:
    """Yield the modules that code of a package imports, and what may be one: each name that it imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = package.split(".")[: 1 - node.level or None] if node.level and package else []
            module = ".".join([*above, *([node.module] if node.module else [])])
            yield module
            yield from (f"{module}.{alias.name}" for alias in node.names)


class _Plain(ast.NodeTransformer):
    """Takes texts away that stand for themselves: docstrings."""

    def visit_Expr(self, node: ast.Expr) -> ast.AST | None:
        is_text = isinstance(node.value, ast.Constant) and isinstance(node.value.value, str)
        return None if is_text else node

"""The source of other packages: which of it decides what a class of theirs does.

What seqbench's own classes do is known by the commit of a run, and by revisions. A class of another package
may be edited between two runs, and its name stays the same: a hash of its source tells the two apart.
"""

from __future__ import annotations

import ast
import hashlib
import sys
import sysconfig
from collections import defaultdict
from collections.abc import Callable, Iterator
from copy import copy
from importlib.machinery import ModuleSpec
from importlib.util import find_spec, resolve_name
from pathlib import Path
from typing import Any, NamedTuple

from seqbench.config.trust import BUILT_IN

IMPORTS = (ast.Import, ast.ImportFrom)
DEFINITIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef)
#: The folders of what is installed, whose source does not count unless it is asked for.
INSTALLED = tuple(Path(sysconfig.get_path(kind)).resolve() for kind in ("stdlib", "purelib", "platlib"))


def source_hash(found: Callable[..., Any]) -> str | None:
    """Return a hash of the source that decides what a class or function does; None for one of seqbench.

    It takes the definition, all that this names in its module, and what that names in turn; the same of other
    modules from which such names are imported, unless they are installed and of another package. Statements
    of these modules and of the packages above them that do more than define count too, since they may change
    what is defined. Comments, docstrings and layout do not count, nor what only a type checker or a script
    reads. What no name leads to is not found: files that are read, and what is looked up by a text.

    Args:
        found: what a `_target_` names.
    """
    module, name = found.__module__, found.__qualname__.partition(".")[0]
    package = module.partition(".")[0]
    if package in BUILT_IN:
        return None
    texts: set[str] = set()
    wanted: list[tuple[str, str | None]] = [(module, name)]
    known: set[tuple[str, str | None]] = set()
    while wanted:
        place = home, its = wanted.pop()
        if place in known or (source := _source(home, package)) is None:
            continue
        known.add(place)
        for statement in source.of(its):
            if not isinstance(statement, IMPORTS):
                texts.add(ast.unparse(statement))
            wanted += _named(statement, home, source, its)
        if its and its not in source.defined:
            wanted += [(f"{home}.{its}", None), *((star, its) for star in source.stars)]
        wanted.append((home.rpartition(".")[0], ""))
    return hashlib.sha256("\n".join(sorted(texts)).encode()).hexdigest()[:8] if texts else None


class Source(NamedTuple):
    """The statements of a module.

    Attributes:
        defined: those that define a name and do nothing else, by the name.
        others: all others but imports of everything.
        stars: modules from which everything is imported.
    """

    defined: dict[str, list[ast.stmt]]
    others: list[ast.stmt]
    stars: list[str]

    def of(self, name: str | None) -> list[ast.stmt]:
        """Return what decides the meaning of a name, or with None of all; `others` always do."""
        defined = (
            [statement for its in self.defined.values() for statement in its]
            if name is None
            else self.defined.get(name, [])
        )
        return [*defined, *self.others]


def _named(
    statement: ast.stmt, module: str, source: Source, name: str | None
) -> Iterator[tuple[str, str | None]]:
    """Yield what a statement names: modules with a name in each, or None for all that it holds.

    Args:
        statement: of the module.
        module: where it is.
        source: that of the module.
        name: the one that it is to define; of several imports in one statement the others do not count.
    """
    if isinstance(statement, IMPORTS) and name:
        statement = copy(statement)
        statement.names = [alias for alias in statement.names if name == _bound(alias)]
    for node in ast.walk(statement):
        if isinstance(node, ast.Name) and (node.id in source.defined or source.stars):
            yield module, node.id
        elif isinstance(node, ast.Import):
            for alias in node.names:
                yield alias.name, None
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                yield _imported(node, module), None if alias.name == "*" else alias.name


def _source(module: str, package: str) -> Source | None:
    """Return the statements of a module; None of one that is installed or built in, and of no module."""
    top = module.partition(".")[0]
    if top in BUILT_IN or top in sys.stdlib_module_names:
        return None
    try:
        spec = getattr(sys.modules.get(module), "__spec__", None) or find_spec(module)
        if spec is None or spec.origin is None or not spec.origin.endswith(".py"):
            return None
        path = Path(spec.origin).resolve()
        if top != package and any(map(path.is_relative_to, INSTALLED)):
            return None
        if _sources.get(module, (None,))[0] is not spec:
            _sources[module] = spec, _read(path, module)
        return _sources[module][1]
    except (ImportError, AttributeError, ValueError, OSError, SyntaxError):
        return None


#: Modules as they were when they were imported: an edit counts for the process that imports it.
_sources: dict[str, tuple[ModuleSpec, Source]] = {}


def _read(path: Path, module: str) -> Source:
    tree = _Plain().visit(ast.parse(path.read_bytes()))
    defined, others, stars = defaultdict(list), [], []
    for statement in tree.body:
        names = _defines(statement)
        if names is None:
            others.append(statement)
        elif names == ["*"]:
            stars.append(_imported(statement, module))
        for name in names or ():
            defined[name].append(statement)
    return Source(dict(defined), others, stars)


def _defines(statement: ast.stmt) -> list[str] | None:
    """Return the names that a statement defines and does nothing else; None if it does."""
    if isinstance(statement, DEFINITIONS):
        return [statement.name]
    if isinstance(statement, IMPORTS):
        return list(map(_bound, statement.names))
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    names = [target.id for target in targets if isinstance(target, ast.Name)]
    is_assigned = isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign)
    return names if is_assigned and len(names) == len(targets) else None


def _bound(alias: ast.alias) -> str:
    """Return the name that an import gives to what it imports; `*` for everything."""
    return alias.asname or (alias.name if alias.name == "*" else alias.name.partition(".")[0])


def _imported(statement: ast.ImportFrom, module: str) -> str:
    """Return the module from which a statement imports."""
    if not statement.level:
        return statement.module or ""
    spec = getattr(sys.modules.get(module), "__spec__", None)
    package = spec.parent if spec is not None and spec.parent else module.rpartition(".")[0]
    return resolve_name("." * statement.level + (statement.module or ""), package)


class _Plain(ast.NodeTransformer):
    """Takes away docstrings, and what only a type checker reads or only runs as a script."""

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_AsyncFunctionDef(self, node: ast.AsyncFunctionDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_ClassDef(self, node: ast.ClassDef) -> ast.AST:
        return self._without_docstring(node)

    def visit_Module(self, node: ast.Module) -> ast.AST:
        return self._without_docstring(node)

    def visit_If(self, node: ast.If) -> ast.AST | list[ast.stmt]:
        test = ast.unparse(node.test)
        if test in ("TYPE_CHECKING", "typing.TYPE_CHECKING", "__name__ == '__main__'"):
            return [self.visit(each) for each in node.orelse]
        return self.generic_visit(node)

    def _without_docstring(self, node: Any) -> ast.AST:
        if ast.get_docstring(node, clean=False) is not None:
            node.body = node.body[1:] or [ast.Pass()]
        return self.generic_visit(node)

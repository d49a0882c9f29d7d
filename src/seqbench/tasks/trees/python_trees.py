"""Python trees: classify the syntax trees of functions of Python's own library."""

from __future__ import annotations

import ast
import hashlib
import platform
import sysconfig
import warnings
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from itertools import islice
from pathlib import Path

import numpy as np

from seqbench.errors import ConfigError, DataError
from seqbench.tasks.specs import Classes
from seqbench.tasks.trees.base import MARKS, Node, TreeDataTask, nodes, written

#: The class is whether a node of this type is nested within another one.
ASKED = "Call"
#: The token of rare types.
OTHER = "<other>"
#: The fewest nodes of a function's tree.
FEWEST = 5
#: Folders of the library that are left out: tests, and installed packages.
LEFT_OUT = {"test", "tests", "idle_test", "site-packages", "dist-packages", "__pycache__"}
#: The greatest difference between the scores of a pair; the scores estimate classes that differ by 1.
NEAR = 0.02
#: The splits of two in ten pairs, by hash; the others are for training.
SPLITS = {0: "test", 1: "validation"}


class PythonTrees(TreeDataTask):
    """Decide from a function's syntax tree whether a call is nested within another call.

        def f(x):
            return g(h(x))        class 1

            [ FunctionDef [ arguments arg ] [ Return [ Call Name [ Call Name Name ] ] ] ]

        def f(x):
            g(x)
            return h(x)           class 0

            [ FunctionDef [ arguments arg ] [ Expr [ Call Name Name ] ] [ Return [ Call Name Name ] ] ]

    The trees are Python's `ast` of the functions and methods of its own library, without its tests. Tokens
    are the types of nodes, without names, constants and contexts. Functions with equal trees count once. The
    data need no download; they depend on the version of Python, which `variant` names.

    The class depends on the structure: all functions have at least two calls, and each function with a nested
    call is paired with one without, with as many calls and nearly the same score. The score is the best
    linear prediction of the class from the counts of the types (matching on propensity: Rosenbaum & Rubin,
    1983). So no weighting of the tokens separates the classes. Functions without a partner are left out.
    Pairs are split by hash: a tenth is for validation, a tenth for testing.

    The library is read on first use, which takes some seconds.

    Args:
        length: the most nodes of a tree; the fewest are 5.
        max_children: the most children of a node.
        types: the number of types with a token of their own, the most frequent ones; all others share one.
        folder: a folder of other Python files to read; None means Python's own library.

    Raises:
        ConfigError: a value is out of range.
        DataError: on first use, if there are no such files, or no pairs of functions in them.
    """

    title = "Python's functions"
    solved_when = "95 % right (no mark is published)"
    targets = Classes(2, per_step=False)

    def __init__(
        self,
        length: int = 100,
        max_children: int = 10,
        types: int = 60,
        folder: str | Path | None = None,
    ) -> None:
        for name, value, least in [
            ("length", length, FEWEST),
            ("max_children", max_children, 2),
            ("types", types, 1),
        ]:
            if value < least:
                raise ConfigError(f"task.{name}={value} is too few; give at least {least}.")
        self.length = length
        self.eval_lengths = (length,)
        self.max_children = max_children
        self.types = types
        self.folder = folder
        source = f"Python {platform.python_version()}" if folder is None else folder
        self.variant = f"nested calls, {source}"

    @cached_property
    def vocabulary(self) -> dict[str, int]:
        trees = [tree for found in self.examples.values() for tree, _ in found]
        types = {node.token for tree in trees for node in nodes(tree)} - {OTHER}
        return {token: number for number, token in enumerate([*MARKS, OTHER, *sorted(types)])}

    @cached_property
    def examples(self) -> dict[str, list[tuple[Node, int]]]:
        folder = Path(sysconfig.get_path("stdlib") if self.folder is None else self.folder)
        found = read_functions(folder, self.length, self.max_children, self.types)
        examples: dict[str, list[tuple[Node, int]]] = {"train": [], "validation": [], "test": []}
        for nested, flat in matched(found):
            tenth = int.from_bytes(digest(nested)[:4], "little") % 10
            examples[SPLITS.get(tenth, "train")] += [(nested, 1), (flat, 0)]
        for split, pairs in examples.items():
            if not pairs:
                raise DataError(
                    f"The Python files of {folder} have too few functions that differ only in nested calls,"
                    f" and the {split} set is empty; give task.folder more of them."
                )
        return examples

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= 0.95


@cache
def read_functions(folder: Path, most: int, children: int, types: int) -> tuple[Node, ...]:
    """Return the different trees of the functions in the Python files of a folder and its subfolders.

    Files that Python cannot parse are left out, and so are functions within functions, whose trees are part
    of the outer one.

    Args:
        folder: the folder of the files.
        most: the most nodes of a tree.
        children: the most children of a node.
        types: the number of types with a token of their own.

    Raises:
        DataError: there is no Python file.
    """
    files = sorted(folder.rglob("*.py"))
    paths = [path for path in files if not LEFT_OUT & {*path.relative_to(folder).parts}]
    if not paths:
        raise DataError(f"There is no Python file in {folder}; give task.folder one that has some.")
    found: dict[Node, None] = {}
    for path in paths:
        for function in functions_of(path):
            if FEWEST <= size_of(function, most) <= most:
                tree = tree_of(function)
                if all(len(node.children) <= children for node in nodes(tree)):
                    found[tree] = None
    counts = Counter(node.token for tree in found for node in nodes(tree))
    frequent = sorted(counts, key=lambda token: (-counts[token], token))[:types]
    return tuple(dict.fromkeys(renamed(tree, {*frequent, ASKED}) for tree in found))


def functions_of(path: Path) -> Iterator[ast.AST]:
    """Yield the functions and methods of a Python file that are not within others."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about syntax that is deprecated
            left: list[ast.AST] = [ast.parse(path.read_bytes())]
    except (SyntaxError, ValueError, OSError, RecursionError):
        return
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node
        elif not isinstance(node, ast.expr):
            left.extend(reversed([*ast.iter_child_nodes(node)]))


def size_of(node: ast.AST, enough: int) -> int:
    """Return the number of nodes of a tree, or `enough` + 1 if that is less.

    Contexts, which mark whether a name is read or set, do not count.
    """
    counted = (part for part in ast.walk(node) if not isinstance(part, ast.expr_context))
    return sum(1 for _ in islice(counted, enough + 1))


def tree_of(node: ast.AST) -> Node:
    """Return the tree of types, without contexts."""
    parts = [part for part in ast.iter_child_nodes(node) if not isinstance(part, ast.expr_context)]
    return Node(type(node).__name__, tuple(map(tree_of, parts)))


def renamed(tree: Node, kept: set[str]) -> Node:
    """Return the tree with `OTHER` in place of all types that are not kept."""
    token = tree.token if tree.token in kept else OTHER
    return Node(token, tuple(renamed(child, kept) for child in tree.children))


def is_nested(tree: Node) -> bool:
    """Return whether a call is nested within another one."""
    left = [(tree, False)]
    while left:
        node, within = left.pop()
        if node.token == ASKED and within:
            return True
        left.extend((child, within or node.token == ASKED) for child in node.children)
    return False


def digest(tree: Node) -> bytes:
    """Return a hash of a tree: the same on all machines."""
    return hashlib.sha256(" ".join(written(tree)[0]).encode()).digest()


def matched(trees: Sequence[Node]) -> list[tuple[Node, Node]]:
    """Return pairs of trees with equally many calls and nearly equal scores; the first has a nested call.

    Among the trees of one number of calls, both classes are sorted by score. The next tree of each form a
    pair if their scores are near enough; else the one of the lower score is left out.
    """
    counts = {tree: Counter(node.token for node in nodes(tree)) for tree in sorted(trees, key=digest)}
    counts = {tree: count for tree, count in counts.items() if count[ASKED] >= 2}
    score = scores(counts, [is_nested(tree) for tree in counts])
    groups: dict[int, tuple[list[Node], list[Node]]] = {}
    for tree in sorted(counts, key=lambda tree: score[tree]):
        groups.setdefault(counts[tree][ASKED], ([], []))[not is_nested(tree)].append(tree)
    pairs = []
    for nested, flat in groups.values():
        i = j = 0
        while i < len(nested) and j < len(flat):
            apart = score[nested[i]] - score[flat[j]]
            if abs(apart) <= NEAR:
                pairs.append((nested[i], flat[j]))
            i += apart <= NEAR
            j += apart >= -NEAR
    return pairs


def scores(counts: Mapping[Node, Counter[str]], classes: Sequence[bool]) -> dict[Node, float]:
    """Return the best linear prediction of each tree's class from its counts, with equal weight for classes.

    It is rounded, so that the order of summation has no effect.
    """
    if len(set(classes)) < 2:
        return dict.fromkeys(counts, 0.0)
    tokens = sorted(set().union(*counts.values()))
    X = np.array([[*(count[token] for token in tokens), 1] for count in counts.values()], dtype=np.float64)
    y = np.array(classes, dtype=np.float64)
    weighted = (X * np.where(y == 1, 0.5 / y.mean(), 0.5 / (1 - y.mean()))[:, None]).T
    w = np.linalg.solve(weighted @ X + np.eye(X.shape[1]), weighted @ y)
    return dict(zip(counts, np.round(X @ w, 6).tolist(), strict=True))

"""What Python objects hold, beside tensors and code, as something that is equal while nothing changes."""

from __future__ import annotations

import io
import pickle
import random
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import cached_property
from pathlib import Path
from types import BuiltinFunctionType, CodeType, FunctionType, MethodType, ModuleType
from typing import Any
from weakref import ReferenceType

import numpy as np
from torch import Tensor, nn

from seqbench.installed import STDLIB, is_installed
from seqbench.models.unfold.cell import Cell

#: Packages whose cells the tests hold against their loops.
TESTED = ("seqbench.", "torch.")
#: What every module has.
OWN = vars(nn.Module()).keys()
#: What counts by its name or place: code, and what belongs to the system.
BY_IDENTITY = (type, FunctionType, BuiltinFunctionType, ModuleType, ReferenceType, io.IOBase)
#: Up to so many bytes an array counts by its numbers wherever that is asked at each call.
SMALL = 10_000


class Held(pickle.Pickler):
    """Writes an object, and all that it holds, as bytes that nothing reads.

    Attributes:
        moves: whether there was an iterator, of which nobody can say where it stands.
    """

    def __init__(self, file: io.BytesIO, whole: bool) -> None:
        super().__init__(file, protocol=5)
        self.whole, self.moves = whole, False

    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, Tensor):
            return tuple, (("tensor", *value.shape),)
        if isinstance(value, np.ndarray) and not self.whole and value.nbytes > SMALL:
            return tuple, (("array", id(value), value.shape, str(value.dtype)),)
        if isinstance(value, BY_IDENTITY) and getattr(value, "__module__", "") != "builtins":
            return tuple, (("at", id(value)),)
        if isinstance(value, Iterator):
            self.moves = True
            return tuple, (("iterator", id(value)),)
        return NotImplemented


def held(value: Any, whole: bool = False) -> Any:
    """Return what a value holds, as bytes; what cannot be written, as it shows itself.

    Args:
        value: any object.
        whole: whether large arrays count by their numbers, and iterators as changed.
    """
    file = io.BytesIO()
    pickler = Held(file, whole)
    try:
        pickler.dump(value)
    except Exception:  # whatever a class of a user's, or of the system, says to being written
        try:
            return repr(value), repr(getattr(value, "__dict__", None))
        except Exception:
            return type(value), id(value)
    return object() if pickler.moves and whole else file.getvalue()


def held_by(cell: Cell) -> dict[str, Any]:
    """Return what a step of a cell might change, by what it is called: all but tensors.

    That is what its modules hold, and their classes; what functions of these classes have in closures and as
    attributes, and the global names that they use; and the generators of random numbers of Python and NumPy.
    """
    found: dict[str, Any] = {
        "the generator of random": random.getstate(),
        "the generator of numpy.random": held(np.random.get_state(), whole=True),
    }
    seen: set[int] = set()
    for place, module in cell.named_modules():
        for holder in (module, *type(module).__mro__):
            if holder is not module and f"{holder.__module__}.".startswith((*TESTED, "builtins.")):
                continue
            package = _package(type(module) if holder is module else holder)
            where = f"the cell's {place}{'.' * bool(place)}" if holder is module else f"{holder.__name__}."
            for name, value in vars(holder).items():
                if (function := _function(value)) is not None:
                    around = _around(function, package, seen)
                    found |= {of: held(its, whole=True) for of, its in around}
                elif name not in OWN and not name.startswith("__") and not isinstance(value, Tensor):
                    found[where + name] = held(value, whole=True)
    return found


@contextmanager
def generators_kept() -> Iterator[None]:
    """Leave the generators of Python and NumPy where they are, whatever draws from them within."""
    states = random.getstate(), np.random.get_state()
    try:
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])


def _function(value: Any) -> FunctionType | None:
    """Return the function of a method of any kind; None of anything else."""
    for part in ("__func__", "fget", "func", "__wrapped__"):
        if isinstance(value, (staticmethod, classmethod, property, cached_property, MethodType)):
            value = getattr(value, part, value)
    return value if isinstance(value, FunctionType) else None


def _around(function: FunctionType, package: str, seen: set[int]) -> Iterator[tuple[str, Any]]:
    """Yield what a function has beside its arguments: its attributes, closures and global names.

    Args:
        function: of a class of a user's, or one that it names.
        package: that of the class. Functions and classes of others that are installed are taken as they are.
        seen: functions that were looked at, by their place; changed.
    """
    if id(function) in seen:
        return
    seen.add(id(function))
    names = _names(function.__code__) & function.__globals__.keys()
    named = {f"{function.__module__}.{name}": function.__globals__[name] for name in names}
    for name, cell in zip(function.__code__.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # it has no value yet
            named[f"{function.__qualname__}.{name}"] = cell.cell_contents
    named |= {f"{function.__qualname__}.{name}": value for name, value in vars(function).items()}
    for name, value in named.items():
        if (inner := _function(value)) is not None:
            if _is_own(inner, package):
                yield from _around(inner, package, seen)
        elif isinstance(value, type):
            parts = vars(value).items() if _is_own(value, package) else ()
            yield from ((f"{name}.{part}", its) for part, its in parts if _is_counted(part, its))
        elif not isinstance(value, (ModuleType, Tensor)):
            yield name, value


def _is_counted(name: str, value: Any) -> bool:
    return not name.startswith("__") and _function(value) is None


def _is_own(thing: FunctionType | type, package: str) -> bool:
    """Whether a function or class is of a package, or of a module that is not installed."""
    path = Path(getattr(sys.modules.get(thing.__module__), "__file__", None) or STDLIB)
    tested = f"{thing.__module__}.".startswith(TESTED)
    return not tested and (_package(thing) == package or not is_installed(path))


def _package(thing: FunctionType | type) -> str:
    return thing.__module__.partition(".")[0]


def _names(code: CodeType) -> set[str]:
    """Return the names that code uses, that of functions within it too."""
    inner = (const for const in code.co_consts if isinstance(const, CodeType))
    return {*code.co_names}.union(*map(_names, inner))

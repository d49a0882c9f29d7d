"""Comparing a model with a reference: outputs and gradients, in double precision."""

from __future__ import annotations

import importlib.util
import sys
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from importlib import metadata
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from seqbench.models.unfold import Cell, unfold

#: How far outputs and gradients may be from the reference's, in parts of the largest.
TOLERANCE = 1e-10
#: Steps and rows of the sequences.
STEPS, ROWS = 37, 2


class AbsentError(Exception):
    """A reference is not installed."""


class Case(NamedTuple):
    """A model and its reference.

    package: of the reference, as it is installed.
    part: of the package, in words.
    cell: the model.
    reference: returns the same outputs (B, T, H) from the input (B, T, F).
    """

    package: str
    part: str
    cell: Cell
    reference: Callable[[Tensor], Tensor]


class Row(NamedTuple):
    """The largest difference of outputs and of gradients, in parts of the largest number there."""

    model: str
    reference: str
    version: str
    outputs: float
    gradients: float

    @property
    def agrees(self) -> bool:
        return self.outputs <= TOLERANCE and self.gradients <= TOLERANCE  # not where one is no number


def compared(model: str, make: Callable[[], Case]) -> Row:
    """Compare a model with its reference.

    Args:
        model: its name.
        make: makes the case.

    Raises:
        AbsentError: the reference is not installed.
    """
    with in_double_precision():
        try:
            case = make()
        except ImportError as error:
            raise AbsentError(f"its reference is not installed ({error})") from error
        x = torch.randn(ROWS, STEPS, case.cell.input_size, dtype=torch.float64, requires_grad=True)
        towards = torch.randn(ROWS, STEPS, case.cell.output_size, dtype=torch.float64)
        wanted = [x, *case.cell.parameters()]
        outputs, gradients = [], []
        for run in (lambda: unfold(case.cell, x)[0], lambda: case.reference(x)):
            outputs.append(run())
            gradients.append(torch.autograd.grad((outputs[-1] * towards).sum(), wanted))
    return Row(
        model,
        f"{case.package}, {case.part}",
        metadata.version(case.package),
        _apart(*outputs),
        largest(_apart(*pair) for pair in zip(*gradients, strict=True)),
    )


def drawn(cell: Cell, scale: float = 0.5) -> Cell:
    """Give a cell weights that are all random, in double precision."""
    for parameter in cell.parameters():
        nn.init.normal_(parameter, std=scale)
    return cell.double()


def file_of(package: str, path: str) -> ModuleType:
    """Load one file of an installed package by its path, without the package.

    Raises:
        ImportError: the package is not installed, or a package that the file imports.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"no package {package}")
    spec = importlib.util.spec_from_file_location(
        "_reference", Path(found.submodule_search_locations[0], path)
    )
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def module_of(package: str, name: str) -> ModuleType:
    """Import one module of an installed package, without what the package itself imports.

    Raises:
        ImportError: the package is not installed, or a package that the module imports.
    """
    found = importlib.util.find_spec(package)
    if found is None or not found.submodule_search_locations:
        raise ImportError(f"no package {package}")
    sys.modules.setdefault(package, importlib.util.module_from_spec(found))
    return importlib.import_module(f"{package}.{name}")


@contextmanager
def in_double_precision() -> Iterator[None]:
    """Keep references from rounding to single precision, which they do at their recurrences."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        with _NeverSingle():
            yield
    finally:
        torch.set_default_dtype(before)


class _NeverSingle(TorchFunctionMode):
    """What a reference calls single precision is double."""

    def __torch_function__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        single = func is Tensor.to and torch.float32 in (*args[1:], kwargs.get("dtype"))
        return args[0].double() if single or func is Tensor.float else func(*args, **kwargs)


def largest(values: Iterable[float]) -> float:
    """Return the largest of numbers, and none where one of them is none: `max` may pass it over."""
    return torch.tensor([*values], dtype=torch.float64).max().item()


def _apart(a: Tensor, b: Tensor) -> float:
    return ((a - b).abs().max() / b.abs().max().clamp(min=1e-30)).item()

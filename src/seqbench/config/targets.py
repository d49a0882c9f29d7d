"""Targets: what a `_target_` may name. It is known to make what its place asks for before it is called."""

from __future__ import annotations

import inspect
import re
import sys
import sysconfig
import traceback
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin, get_type_hints

from seqbench.config.trust import BUILT_IN
from seqbench.errors import ConfigError, one_line

#: What a node of each group makes.
KINDS = {
    "task": "seqbench.tasks.base.Task",
    "model": "seqbench.models.model.Model",
    "optim": "seqbench.training.optimisation.OptimizerConfig",
    "trainer": "seqbench.training.settings.TrainerSettings",
    "callbacks": "lightning.pytorch.Callback",
    "logger": "lightning.pytorch.loggers.Logger",
}
#: Where a `_target_` may point in the packages that are built in.
MODULES = (
    *("seqbench.models", "seqbench.tasks", "seqbench.training", "seqbench.results.summaries"),
    *("torch.nn", "torch.optim", "lightning.pytorch.callbacks", "lightning.pytorch.loggers"),
)

#: A class, or several: what a target makes must be an instance of one.
Kind = type | tuple[type, ...]


@cache
def kind_of(group: str) -> type:
    """Return the class of what a node of a group makes."""
    module, _, name = KINDS[group].rpartition(".")
    kind: type = getattr(import_module(module), name)
    return kind


def locate(target: str, where: str, kind: Kind, allowed: Sequence[str]) -> Callable[..., Any]:
    """Return what a `_target_` names: a class of a kind, or a function that is annotated to return one.

    Nothing is called, and only modules in `MODULES` and in the packages allowed are imported. Of torch and
    Lightning there are classes alone: their functions reach the shell, files and the network.

    Args:
        target: `package.module.Name`.
        where: the key or option that names it, for messages.
        kind: what it must make.
        allowed: packages that it may come from, besides the built-in ones.

    Raises:
        ConfigError: it is in no allowed package, does not exist, or makes something else.
    """
    module, _, name = target.rpartition(".")
    _check_module(module, f"{where}={target}", allowed)
    try:
        found: Callable[..., Any] = getattr(_import(module, allowed), name)
    except (Exception, SystemExit) as error:  # whatever the code of an allowed package raises
        raise ConfigError(f"{where}={target} {_obstacle(error, module, name)}.") from error
    if not _makes(found, kind):
        kinds = kind if isinstance(kind, tuple) else (kind,)
        raise ConfigError(
            f"{where}={target} makes no {' or '.join(k.__name__ for k in kinds)}: it is neither a class of "
            "that kind nor a function annotated to return one."
        )
    _check_module(found.__module__, f"{where}={target}", allowed)
    return found


def _obstacle(error: BaseException, module: str, name: str) -> str:
    """Return why nothing is named by a target: it is not there, or code that it needs has a fault."""
    frames = traceback.extract_tb(error.__traceback__)
    missing = isinstance(error, ModuleNotFoundError) and f"{module}.".startswith(f"{error.name}.")
    if missing or Path(frames[-1].filename) == Path(__file__):
        return f"cannot be found: {one_line(error)}"
    if isinstance(error, SyntaxError):  # which says where
        return f"cannot be imported: {one_line(error)}"
    package = module.partition(".")[0]
    own = [frame for frame in frames if _is_of(package, frame.filename)]
    place = f"{Path((own or frames)[-1].filename).name}, line {(own or frames)[-1].lineno}"
    return f"cannot be imported: {type(error).__name__} in {place}: {one_line(error)}"


def _is_of(package: str, file: str) -> bool:
    """Return whether a file is of a package, and not of a library in a folder that is called so."""
    parts = Path(file).with_suffix("").parts
    within = parts[len(parts) - parts[::-1].index(package) :] if package in parts else ("site-packages",)
    return "site-packages" not in within and not file.startswith(sysconfig.get_path("stdlib"))


def find(target: str) -> Callable[..., Any]:
    """Return what a `_target_` names, of a node that was checked: `locate` has returned it before."""
    module, _, name = target.rpartition(".")
    found: Callable[..., Any] = getattr(import_module(module), name)
    return found


def kinds_of(hint: Any, partial: bool) -> tuple[type, ...]:
    """Return the classes of which a parameter takes an instance.

    Args:
        hint: its annotation. Where it does not say, there are none.
        partial: return the classes of which it takes a maker instead: Cell for `Callable[[int, int], Cell]`.
    """
    if get_origin(hint) is Annotated:
        return kinds_of(get_args(hint)[0], partial)
    if get_origin(hint) in (Union, UnionType):
        return tuple(kind for part in get_args(hint) for kind in kinds_of(part, partial))
    if partial:
        made = get_args(hint)[-1:] if get_origin(hint) is Callable else ()
        return tuple(kind for part in made for kind in kinds_of(part, False))
    # Every class is an object, and many are a Hashable or a Sized: such a hint says nothing.
    says = inspect.isclass(hint) and hint.__module__.partition(".")[0] not in sys.stdlib_module_names
    return (hint,) if says else ()


def _check_module(module: str, what: str, allowed: Sequence[str]) -> None:
    """Raise a ConfigError where nothing of a module may be named."""
    package = module.partition(".")[0]
    if package in BUILT_IN:
        if not any(_inside(module, home) for home in MODULES):
            own = [name for name in MODULES if name.startswith(f"{package}.")]
            raise ConfigError(f"{what} cannot be built: of {package} only what is in {', '.join(own)} can.")
        return
    homes = [home for home in allowed if _inside(module, home)]
    if not homes:
        hint = f"; if you trust it, add its package with allowed_packages=[{package}]" if package else ""
        raise ConfigError(f"{what} is outside the packages allowed ({', '.join(BUILT_IN)}){hint}.")
    parts = module.removeprefix(homes[0]).split(".")
    if any(re.fullmatch(r"__main__|conftest|tests?|test_.*|.*_test", part) for part in parts):
        raise ConfigError(f"{what} is in a module for tests or to be run, which is not imported.")


def _inside(module: str, package: str) -> bool:
    return f"{module}.".startswith(f"{package}.")


def _import(module: str, allowed: Sequence[str]) -> Any:
    finder = _WorkingDirectory({package.partition(".")[0] for package in allowed})
    sys.meta_path.append(finder)
    try:
        return import_module(module)
    finally:
        sys.meta_path.remove(finder)


class _WorkingDirectory:
    """Finds allowed packages in the working directory, after all other places, and no other module there."""

    def __init__(self, packages: set[str]) -> None:
        self.packages = packages

    def find_spec(self, name: str, path: Any = None, target: Any = None) -> ModuleSpec | None:
        return PathFinder.find_spec(name, [str(Path.cwd())]) if name in self.packages else None


def _makes(found: Any, kind: Kind) -> bool:
    """Whether a class is of a kind, or a function returns one by its annotation."""
    made = found
    if inspect.isfunction(found) and found.__module__.partition(".")[0] not in BUILT_IN[1:]:
        try:
            made = get_type_hints(inspect.unwrap(found)).get("return")
        except (NameError, TypeError):
            return False
    try:
        return inspect.isclass(made) and issubclass(made, kind)
    except TypeError:  # a protocol, of which nothing is a subclass
        return False

"""Checked instantiation: what a configuration node describes is checked once and may then be made many times.

node = check({"_target_": "torch.optim.SGD", "_partial_": True, "momentum": 0.9}, "optim.optimizer", ())
optimizer = instantiate(node, "optim.optimizer")
"""

from __future__ import annotations

import inspect
from collections.abc import Collection, Sequence
from functools import cache
from importlib import import_module
from typing import Any, get_type_hints

from omegaconf import DictConfig, OmegaConf

from seqbench.config.fit import fit
from seqbench.config.refusal import refusal
from seqbench.errors import ConfigError, SeqbenchError, nearest_key, one_line

#: Packages that a `_target_` may come from, besides those of the key `allowed_packages`.
ALLOWED_PACKAGES = ("seqbench", "torch", "lightning")


def build(node: Any, where: str, allowed: Sequence[str], **given: Any) -> Any:
    """Check a configuration node and make the object that it describes.

    Args:
        node: `_target_` and values.
        where: the node's key, for messages.
        allowed: packages that a `_target_` may come from.
        given: arguments that are not configuration.

    Raises:
        ConfigError: the target is missing or not allowed, or a value does not fit.
    """
    return instantiate(check(node, where, allowed, given), where, **given)


def instantiate(checked: dict[str, Any], where: str, **given: Any) -> Any:
    """Make the object that a checked node describes.

    Args:
        checked: what `check` returned.
        where: the node's key, for messages.
        given: arguments that are not configuration.

    Raises:
        ConfigError: the target refuses a value, or needs a package that is missing.
    """
    import hydra
    from hydra.errors import InstantiationException

    try:
        # `given` must not pass through Hydra, which would build whatever in it has a _target_.
        return hydra.utils.instantiate(checked | {"_partial_": True}, _convert_="all")(**given)
    except SeqbenchError:
        raise
    except Exception as error:  # a class may raise any kind
        cause = error.__cause__ if isinstance(error, InstantiationException) else None
        raise refusal(cause if isinstance(cause, Exception) else error, checked, where) from error


def check(node: Any, where: str, allowed: Sequence[str], given: Collection[str] = ()) -> dict[str, Any]:
    """Return the node with its values as the target's signature has them; the same holds for nodes within it.

    Args:
        node: `_target_` and values.
        where: the node's key, for messages.
        allowed: packages that a `_target_` may come from.
        given: names of arguments that are not configuration.

    Raises:
        ConfigError: the target is missing or not allowed, or a value does not fit.
    """
    plain: Any = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else node
    target = plain.get("_target_") if isinstance(plain, dict) else None
    if not isinstance(target, str):
        raise ConfigError(f"{where} has no _target_: it does not say what to build.")
    hints, takes_any = signature_of(locate(target, where, allowed))
    checked = {}
    for key, value in plain.items():
        if key in ("_target_", "_partial_"):
            checked[key] = value
        elif key.startswith("_"):
            raise ConfigError(f"{where}.{key} is not allowed; name the arguments of {target}.")
        elif key in given or (key not in hints and not takes_any):
            others = sorted(f"{where}.{name}" for name in set(hints) - set(given))
            raise ConfigError(f"{where}.{key} is unknown to {target}.{nearest_key(f'{where}.{key}', others)}")
        elif isinstance(value, dict) and "_target_" in value:
            checked[key] = check(value, f"{where}.{key}", allowed)
        elif _holds_target(value):
            raise ConfigError(f"{where}.{key} has a _target_ deep within, where none is built.")
        else:
            checked[key] = fit(value, hints.get(key, Any), f"{where}.{key}")
    return checked


def _holds_target(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(map(_holds_target, value.values()))
    return isinstance(value, list) and any(map(_holds_target, value))


def locate(target: str, where: str, allowed: Sequence[str]) -> Any:
    """Return the class or function that a `_target_` names.

    Raises:
        ConfigError: it is in no allowed package, or does not exist.
    """
    package = target.split(".")[0]
    if package not in (*ALLOWED_PACKAGES, *allowed):
        raise ConfigError(
            f"{where}._target_={target} is outside the packages allowed ({', '.join(ALLOWED_PACKAGES)}); "
            f"add its package with allowed_packages=[{package}]."
        )
    module, _, name = target.rpartition(".")
    try:
        return getattr(import_module(module), name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"{where}._target_={target} cannot be found: {one_line(error)}.") from error


@cache
def signature_of(callable_: Any) -> tuple[dict[str, Any], bool]:
    """Return the annotation of every parameter by name, and whether any other name is taken (`**kwargs`)."""
    try:
        parameters = inspect.signature(callable_).parameters.values()
    except ValueError:  # of a function written in C
        return {}, True
    function = callable_.__init__ if inspect.isclass(callable_) else callable_
    try:
        hints = get_type_hints(inspect.unwrap(function))
    except (NameError, TypeError):
        hints = {}
    open_ended = (inspect.Parameter.VAR_POSITIONAL, inspect.Parameter.VAR_KEYWORD)
    named = {p.name: hints.get(p.name, Any) for p in parameters if p.kind not in open_ended}
    return named, any(p.kind is p.VAR_KEYWORD for p in parameters)

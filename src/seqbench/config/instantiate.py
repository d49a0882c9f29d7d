"""Checked instantiation: what a configuration node describes is checked once and may then be made many times.

node = check({"_target_": "torch.nn.Linear", "bias": "no"}, "model", nn.Module, (), given)
model = instantiate(node, "model", nn.Module, in_features=3, out_features=2)
"""

from __future__ import annotations

import copy
import inspect
from collections.abc import Collection, Sequence
from functools import cache, partial
from typing import Any, get_type_hints

from omegaconf import DictConfig, OmegaConf

from seqbench.config.fit import fit
from seqbench.config.refusal import refusal
from seqbench.config.targets import Kind, find, kinds_of, locate
from seqbench.errors import ConfigError, SeqbenchError, nearest_key


def build(node: Any, where: str, kind: type, allowed: Sequence[str], **given: Any) -> Any:
    """Check a configuration node and make the object that it describes.

    Args:
        node: `_target_` and values.
        where: the node's key, for messages.
        kind: the class of the object.
        allowed: packages that a `_target_` may come from, besides the built-in ones.
        given: arguments that are not configuration.

    Raises:
        ConfigError: the target is missing, not allowed or of another kind, or a value does not fit.
    """
    return instantiate(check(node, where, kind, allowed, given), where, kind, **given)


def instantiate(checked: dict[str, Any], where: str, kind: type, **given: Any) -> Any:
    """Make the object that a checked node describes.

    Args:
        checked: what `check` returned, and nothing else: its targets are called.
        where: the node's key, for messages.
        kind: the class of the object.
        given: arguments that are not configuration.

    Raises:
        ConfigError: the target refuses a value, needs a package that is missing, or makes something else than
            its annotation says.
    """
    try:
        made = _make(checked, given)
    except SeqbenchError:
        raise
    except Exception as error:  # a class may raise any kind
        raise refusal(error, checked, where) from error
    if not isinstance(made, kind):
        raise ConfigError(f"{where} makes a {type(made).__name__}, which is no {kind.__name__}.")
    return made


def _make(node: dict[str, Any], given: dict[str, Any]) -> Any:
    values = {key: value for key, value in node.items() if key not in ("_target_", "_partial_")}
    arguments = {
        key: _make(value, {}) if isinstance(value, dict) and "_target_" in value else copy.deepcopy(value)
        for key, value in values.items()
    }
    target = find(node["_target_"])
    return partial(target, **arguments) if node.get("_partial_") else target(**arguments, **given)


def check(
    node: Any,
    where: str,
    kind: Kind,
    allowed: Sequence[str],
    given: Collection[str] = (),
    partial: bool = False,
) -> dict[str, Any]:
    """Return the node with its values as the target's signature has them; the same holds for nodes within it.

    The kind of a node within it is what the annotation of its parameter says: with
    `cell: Callable[[int, int], Cell]` it must make a Cell.

    Args:
        node: `_target_` and values.
        where: the node's key, for messages.
        kind: the class of the object, or several, of which it must be one.
        allowed: packages that a `_target_` may come from, besides the built-in ones.
        given: names of arguments that are not configuration.
        partial: whether a function that makes the object is wanted, `_partial_: true`.

    Raises:
        ConfigError: the target is missing, not allowed or of another kind, or a value does not fit.
    """
    plain: Any = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else node
    target = plain.get("_target_") if isinstance(plain, dict) else None
    if not isinstance(target, str):
        raise ConfigError(f"{where} has no _target_: it does not say what to build.")
    if plain.get("_partial_", False) is not partial:
        raise ConfigError(
            f"{where}._partial_={plain.get('_partial_', False)} must be {str(partial).lower()}."
        )
    hints, takes_any = signature_of(locate(target, f"{where}._target_", kind, allowed))
    checked = {}
    for key, value in plain.items():
        if key in ("_target_", "_partial_"):
            checked[key] = value
        elif str(key).startswith("_"):
            raise ConfigError(f"{where}.{key} is not allowed; name the arguments of {target}.")
        elif key in given or (key not in hints and not takes_any):
            others = sorted(f"{where}.{name}" for name in set(hints) - set(given))
            raise ConfigError(f"{where}.{key} is unknown to {target}.{nearest_key(f'{where}.{key}', others)}")
        elif isinstance(value, dict) and "_target_" in value:
            checked[key] = _check_part(value, f"{where}.{key}", hints.get(key, Any), allowed)
        elif _holds_target(value):
            raise ConfigError(f"{where}.{key} has a _target_ deep within, where none is built.")
        else:
            checked[key] = fit(value, hints.get(key, Any), f"{where}.{key}")
    return checked


def _check_part(node: dict[str, Any], where: str, hint: Any, allowed: Sequence[str]) -> dict[str, Any]:
    """Check a node within a node: its kind is what the annotation of its parameter says."""
    set_ = node.get("_partial_", False) is True
    for wanted in (set_, not set_):
        if kinds := kinds_of(hint, wanted):
            return check(node, where, kinds, allowed, partial=wanted)
    raise ConfigError(f"{where}._target_={node['_target_']}: no annotation says what is built here.")


def _holds_target(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(map(_holds_target, value.values()))
    return isinstance(value, list) and any(map(_holds_target, value))


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

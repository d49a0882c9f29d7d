"""Configurations: composed from presets, checked before anything trains, built, and identified."""

from __future__ import annotations

import hashlib
import inspect
import json
import os
import re
from collections.abc import Collection, Iterator, Mapping
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args, get_origin

import yaml
from omegaconf import DictConfig, OmegaConf, open_dict
from omegaconf.errors import OmegaConfBaseException

from seqbench.errors import ConfigError, SeqbenchError, nearest

if TYPE_CHECKING:
    from collections.abc import Sequence

    from lightning.pytorch.loggers import Logger
    from pydantic import TypeAdapter
    from torch import nn

    from seqbench.tasks.base import Task
    from seqbench.training.optim import Recipe
    from seqbench.training.settings import TrainerSettings

#: The built-in presets: beside the package in a wheel, at the top of the tree in a checkout.
CONF_DIR = next(
    folder
    for folder in (Path(__file__).parent / "conf", Path(__file__).parents[2] / "conf")
    if (folder / "config.yaml").is_file()
)
#: The groups of presets that a run is composed of.
GROUPS = ("task", "model", "optim", "trainer", "logger", "experiment")
#: Packages that a `_target_` may come from, besides those of the key `allowed_packages`.
ALLOWED_PACKAGES = ("seqbench", "torch", "lightning")


def user_presets() -> Path | None:
    """Return the folder of the user's own presets: `$SEQBENCH_PRESETS`, else `./presets` if it is there."""
    named = os.environ.get("SEQBENCH_PRESETS")
    folder = Path(named) if named else Path("presets")
    if named and not folder.is_dir():
        raise ConfigError(f"SEQBENCH_PRESETS={named} is not a folder.")
    return folder.resolve() if folder.is_dir() else None


#: Keys that do not decide a run's numbers; `model.param_budget` counts by its outcome, the width.
INCIDENTAL = (
    *("seed", "n_seeds", "runs_dir", "data_dir", "logger", "allowed_packages", "preset"),
    *("task.data_dir", "model.engine", "model.param_budget"),
    *("trainer.devices", "trainer.accelerator", "trainer.strategy", "trainer.num_threads"),
    "trainer.seeds_together",
    *("trainer.checkpoint_seconds", "trainer.progress"),
)


# Composing


def compose(overrides: Sequence[str] = ()) -> DictConfig:
    """Compose a configuration from presets, as the command line does.

    Args:
        overrides: `key=value` and `group=preset`, as one would type them.

    Raises:
        ConfigError: a preset, key or value is wrong.
    """
    import hydra

    with hydra.initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        try:
            cfg = hydra.compose("config", overrides=list(overrides), return_hydra_config=True)
        except Exception as error:  # Hydra's, OmegaConf's, YAML's
            raise explain(error) from error
    choices = {group: cfg.hydra.runtime.choices.get(group) for group in GROUPS}
    with open_dict(cfg):
        del cfg["hydra"]
    return named(cfg, choices)


def named(cfg: DictConfig, choices: Mapping[str, Any]) -> DictConfig:
    """Return `cfg`, resolved, with the presets it was composed from under the key `preset`."""
    cfg = cfg.copy()
    with open_dict(cfg):
        cfg.preset = {group: choices.get(group) for group in GROUPS}
    try:
        OmegaConf.resolve(cfg)
        missing = sorted(OmegaConf.missing_keys(cfg))
    except OmegaConfBaseException as error:
        raise ConfigError(f"The configuration cannot be resolved: {_first_line(error)}") from error
    if isinstance(cfg.get("experiment"), DictConfig):
        raise ConfigError(
            f"The experiment preset {choices['experiment']!r} changes nothing: its first line must read "
            "'# @package _global_'."
        )
    for key in cfg:
        if key not in (*GROUPS, *OmegaConf.load(CONF_DIR / "config.yaml"), "preset"):
            raise _unknown_key(str(key))
    if missing:
        raise ConfigError(f"{missing[0]} has no value; give it one with {missing[0]}=….")
    for group in ("task", "model", "optim", "trainer"):
        if not isinstance(cfg.get(group), DictConfig):
            raise ConfigError(f"{group} is empty; choose a preset with {group}=… (seqbench ls {group}s).")
    return cfg


def explain(error: BaseException) -> SeqbenchError:
    """Put an error of Hydra or OmegaConf into one sentence, with the nearest valid name."""
    text = str(error)
    if isinstance(mark := getattr(error, "problem_mark", None), yaml.Mark):
        return ConfigError(
            f"{mark.name}, line {mark.line + 1}, is not YAML: {getattr(error, 'problem', '')}."
        )
    if "Ambiguous value" in text:
        return ConfigError(f"Several values make a sweep: put -m first. ({_first_line(error)})")
    if found := re.search(r"Could not find '(\S+)/([^/'\s]+)'", text):
        group, name = found.groups()
        valid = [option for option in re.findall(r"^\t(\S+)$", text, re.MULTILINE) if option[0] != "_"]
        return ConfigError(
            f"There is no preset {name!r} in {group}.{nearest(name, valid)} There are: {', '.join(valid)}."
        )
    if found := re.search(r"Could not override '([^']+)'|Key '([^']+)' is not in struct", text):
        key = found[1] or found[2]
        if (CONF_DIR / key).is_dir():
            return ConfigError(f"{key} wants the name of a preset; `seqbench ls {key}s` lists them.")
        full = re.search(r"full_key: (\S+)", text)
        return _unknown_key(full[1] if full and "." in full[1] else key)
    if re.search(
        r"[Ee]rror parsing override|mismatched input|no viable alternative|extraneous|token recog", text
    ):
        return ConfigError(
            f"An argument cannot be understood; it should read key=value. ({_first_line(error)})"
        )
    return ConfigError(_first_line(error))


def _unknown_key(key: str) -> ConfigError:
    known = [name for name in dict.fromkeys(_known_keys()) if name != key]
    guess = nearest(key, known) or nearest(key.split(".")[-1], [name.split(".")[-1] for name in known])
    return ConfigError(f"There is no key {key!r} here.{guess} `seqbench --cfg job` shows all there are.")


def _known_keys() -> Iterator[str]:
    """Yield every dotted key of the main configuration and of the built-in presets."""

    def walk(node: Any, prefix: str) -> Iterator[str]:
        for key in map(str, node) if isinstance(node, DictConfig) else ():
            if key not in ("defaults", "hydra") and not key.startswith("_"):
                yield f"{prefix}{key}"
                yield from walk(node._get_node(key), f"{prefix}{key}.")

    yield from walk(OmegaConf.load(CONF_DIR / "config.yaml"), "")
    for group in GROUPS[:-1]:
        yield group
        for path in (CONF_DIR / group).glob("*.yaml"):
            yield from walk(OmegaConf.load(path), f"{group}.")


def preset_names(group: str) -> list[str]:
    """Return the names of a group's presets, the user's own among them; names with `_` in front are parts."""
    folders = [CONF_DIR / group]
    if (own := user_presets()) is not None:
        folders.append(own / group)
    return sorted({p.stem for folder in folders for p in folder.glob("*.yaml") if not p.stem.startswith("_")})


def _first_line(error: BaseException) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return lines[0] if lines else type(error).__name__


# Building


def build(node: Any, where: str, allowed: Sequence[str], **given: Any) -> Any:
    """Make the object that a configuration node describes, its values checked against the signature.

    Args:
        node: `_target_` and values.
        where: the node's key, for messages.
        allowed: packages that a `_target_` may come from.
        given: arguments that are not configuration.

    Raises:
        ConfigError: the target is missing or not allowed, or a value does not fit.
    """
    from hydra.errors import InstantiationException
    from hydra.utils import instantiate

    plain: Any = OmegaConf.to_container(node, resolve=True) if isinstance(node, DictConfig) else node
    checked = check(plain, where, allowed, given)
    try:
        # `given` must not pass through Hydra, which would build whatever in it has a _target_.
        return instantiate(checked | {"_partial_": True}, _convert_="all")(**given)
    except InstantiationException as error:
        raise ConfigError(f"{where}: {_first_line(error.__cause__ or error)}") from error
    except (ValueError, TypeError, RuntimeError, OverflowError) as error:
        raise ConfigError(f"{where}: {_first_line(error)}") from error


def check(
    node: dict[str, Any], where: str, allowed: Sequence[str], given: Collection[str] = ()
) -> dict[str, Any]:
    """Return the node with its values as the target's signature wants them, nodes within it likewise.

    Args:
        node: `_target_` and values.
        where: the node's key, for messages.
        allowed: packages that a `_target_` may come from.
        given: arguments that are not configuration.

    Raises:
        ConfigError: the target is missing or not allowed, or a value does not fit.
    """
    target = node.get("_target_")
    if not isinstance(target, str):
        raise ConfigError(f"{where} has no _target_: it does not say what to build.")
    callable_ = _locate(target, where, allowed)
    hints = _hints(callable_)
    checked = {}
    for key, value in node.items():
        if key.startswith("_"):
            checked[key] = value
        elif hints is not None and (key not in hints or key in given):
            raise ConfigError(f"{where}.{key} is unknown to {target}.{nearest(key, set(hints) - set(given))}")
        elif isinstance(value, dict) and "_target_" in value:
            checked[key] = check(value, f"{where}.{key}", allowed)
        elif _holds_target(value):
            raise ConfigError(f"{where}.{key} has a _target_ deep within, where none is built.")
        else:
            checked[key] = value if hints is None else _fit(value, hints[key], f"{where}.{key}")
    return checked


def _holds_target(value: Any) -> bool:
    if isinstance(value, dict):
        return "_target_" in value or any(map(_holds_target, value.values()))
    return isinstance(value, list) and any(map(_holds_target, value))


def _locate(target: str, where: str, allowed: Sequence[str]) -> Any:
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
        raise ConfigError(f"{where}._target_={target} cannot be found: {_first_line(error)}.") from error


def _hints(callable_: Any) -> dict[str, Any] | None:
    """Return the annotation of every parameter by name; None where any name is taken."""
    from typing import get_type_hints

    parameters = inspect.signature(callable_).parameters.values()
    if any(p.kind is p.VAR_KEYWORD for p in parameters):
        return None
    function = callable_.__init__ if inspect.isclass(callable_) else callable_
    try:
        hints = get_type_hints(inspect.unwrap(function))
    except (NameError, TypeError):
        hints = {}
    return {p.name: hints.get(p.name, Any) for p in parameters}


def _fit(value: Any, hint: Any, where: str) -> Any:
    """Return `value` as the type `hint`; say what would fit if it cannot be."""
    from pydantic import ValidationError

    adapter = _adapter(hint)
    if adapter is None:
        return value
    if get_origin(hint) is Literal and str(value) in get_args(
        hint
    ):  # a variant 1997, which reads as a number
        return str(value)
    try:
        fitting = adapter.validate_python(value)
        return list(fitting) if isinstance(fitting, tuple) else fitting
    except ValidationError as error:
        wanted = error.errors()[0]["msg"].removeprefix("Input should be ").partition(", unable")[0]
        raise ConfigError(f"{where}={value} does not fit: it should be {wanted}.") from error


@cache
def _adapter(hint: Any) -> TypeAdapter[Any] | None:
    """Return what checks values against a type; None for a type of no configuration, such as a tensor."""
    from pydantic import ConfigDict, TypeAdapter
    from pydantic.errors import PydanticUserError

    try:
        return TypeAdapter(hint, config=ConfigDict(arbitrary_types_allowed=True))
    except PydanticUserError as error:
        if error.code != "type-adapter-config-unused":
            return None
        return TypeAdapter(hint)  # a model or dataclass, which has a configuration of its own
    except TypeError:
        return None


def _allowed(cfg: DictConfig) -> list[str]:
    packages = cfg.get("allowed_packages") or []
    return [packages] if isinstance(packages, str) else [str(package) for package in packages]


def build_task(cfg: DictConfig) -> Task:
    """Build the task of a configuration."""
    task: Task = build(cfg.task, "task", _allowed(cfg))
    return task


def build_model(cfg: DictConfig, task: Task) -> nn.Module:
    """Build the model of a configuration for a task; its weights are drawn from torch's global generator.

    With `model.param_budget` the width is the one whose parameter count is nearest.

    Raises:
        ConfigError: the model cannot take the task, or no width comes within 5 % of the budget.
    """
    node = _model_node(cfg)
    _check_fits(cfg, node, task)
    if cfg.model.get("param_budget") is not None:
        node["hidden_size"] = width_for_budget(cfg, task)
    model = _build_model(node, cfg, task)
    for name, module in model.named_modules():
        if hasattr(module, "check_length"):
            try:
                module.check_length(task.steps)
            except ValueError as error:
                raise ConfigError(f"{'model.cell' if name else 'model'}: {error}") from error
    return model


def _model_node(cfg: DictConfig) -> dict[str, Any]:
    node: dict[str, Any] = OmegaConf.to_container(cfg.model, resolve=True)  # type: ignore[assignment]
    node.pop("param_budget", None)
    return node


def _check_fits(cfg: DictConfig, node: dict[str, Any], task: Task) -> None:
    target = _locate(str(node["_target_"]), "model", _allowed(cfg)) if "_target_" in node else None
    accepts = getattr(target, "accepts", (task.kind,))
    if task.kind not in accepts:
        fit = [name for name in preset_names("model") if task.kind in _accepts(name)]
        raise ConfigError(
            f"The model {cfg.preset.model} takes {' and '.join(accepts)} tasks, "
            f"and {cfg.preset.task} is a {task.kind} task; models that take it: {', '.join(fit) or 'none'}."
        )


def _accepts(preset: str) -> tuple[str, ...]:
    """Return the kinds of task that a model preset takes; none of one that cannot be looked into."""
    try:
        found: tuple[str, ...] = getattr(_locate(_target(preset), "model", ()), "accepts", ("sequence",))
    except (SeqbenchError, OSError, yaml.YAMLError):
        return ()
    return found


def _target(preset: str) -> str:
    """Return the `_target_` of a model preset, or that of the first of those it is made of that has one."""
    folders = [folder for folder in (user_presets(), CONF_DIR) if folder is not None]
    path = next((p for f in folders if (p := f / "model" / f"{preset}.yaml").is_file()), None)
    node: Any = OmegaConf.load(path) if path else {}
    parts = [part for part in node.get("defaults", ()) if isinstance(part, str) and part != "_self_"]
    return str(node.get("_target_") or next(filter(None, map(_target, parts)), ""))


def _build_model(node: dict[str, Any], cfg: DictConfig, task: Task) -> nn.Module:
    told = task.model_arguments()
    if "_target_" in node:  # a model is told what it asks for
        asked = inspect.signature(_locate(str(node["_target_"]), "model", _allowed(cfg))).parameters
        if not any(p.kind is p.VAR_KEYWORD for p in asked.values()):
            told = {name: value for name, value in told.items() if name in asked}
    model: nn.Module = build(node, "model", _allowed(cfg), **told)
    return model


def width_for_budget(cfg: DictConfig, task: Task) -> int:
    """Return the width whose parameter count is nearest to `model.param_budget`.

    Raises:
        ConfigError: none is within 5 %.
    """
    import torch

    budget = int(cfg.model.param_budget)
    node = _model_node(cfg)

    def count(width: int) -> int:
        with torch.device("meta"):
            model = _build_model(node | {"hidden_size": width}, cfg, task)
        return sum(p.numel() for p in model.parameters())

    if budget < 1:
        raise ConfigError(f"model.param_budget={budget} must be at least 1.")
    low, high = 1, 2
    while count(high) < budget:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if count(middle) < budget else (low, middle)
    below, above = count(low), count(high)
    width, nearest_count = (low, below) if budget - below <= above - budget else (high, above)
    if abs(nearest_count - budget) > 0.05 * budget:
        raise ConfigError(
            f"model.param_budget={budget} is out of reach of {cfg.preset.model} on {cfg.preset.task}: "
            f"the nearest are {below} parameters (hidden_size={low}) and {above} (hidden_size={high})."
        )
    return width


def build_recipe(cfg: DictConfig) -> Recipe:
    """Build the optimisation recipe of a configuration."""
    recipe: Recipe = build(cfg.optim, "optim", _allowed(cfg))
    return recipe


def build_settings(cfg: DictConfig) -> TrainerSettings:
    """Build the trainer settings of a configuration."""
    settings: TrainerSettings = build(cfg.trainer, "trainer", _allowed(cfg))
    return settings


def build_logger(cfg: DictConfig, **given: Any) -> Logger | None:
    """Build the logger of a run."""
    logger: Logger | None = build(cfg.logger, "logger", _allowed(cfg), **given)
    return logger


def check_counts(cfg: DictConfig) -> None:
    """Raise a ConfigError where a top-level key that counts something does not."""
    for key, least in [("seed", 0), ("n_seeds", 1), ("batch_size", 1)]:
        value = cfg[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{key}={value} must be a whole number, at least {least}.")


# Identity


def settled(cfg: DictConfig, task: Task) -> DictConfig:
    """Return `cfg` with values of the right type, and all that follows from them written out."""
    cfg = cfg.copy()
    with open_dict(cfg):
        for group in ("task", "model", "optim", "trainer", "logger"):
            if cfg.get(group) is not None:
                plain: Any = OmegaConf.to_container(cfg[group], resolve=True)
                budget = {key: plain.pop(key) for key in ("param_budget",) if key in plain}
                cfg[group] = check(plain, group, _allowed(cfg)) | budget
        if cfg.model.get("param_budget") is not None:
            cfg.model.hidden_size = width_for_budget(cfg, task)
    return cfg


def identity(cfg: DictConfig) -> str:
    """Return the hash, 8 hex digits, of all that decides a run's numbers but its seed.

    In it: task, model, optim, the training protocol, batch size. Not in it: what `INCIDENTAL` lists.
    """
    plain: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    for dotted in INCIDENTAL:
        *path, last = dotted.split(".")
        node = plain
        for key in path:
            node = node.get(key, {})
        node.pop(last, None)
    text = json.dumps(plain, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]

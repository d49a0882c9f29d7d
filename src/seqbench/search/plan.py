"""The plan of a search: what was typed, checked, and what each model's part of it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import Override
from omegaconf import DictConfig, ListConfig, OmegaConf

from seqbench.config.compose import compose
from seqbench.config.fit import LARGEST, count, shown
from seqbench.config.overrides import parse, readable
from seqbench.config.refusal import made
from seqbench.config.shares import span_key
from seqbench.errors import ConfigError
from seqbench.search.node import node_of, value, values
from seqbench.search.settings import SearchSettings, settings_of
from seqbench.search.space import Space, arguments, space_of
from seqbench.sweeps.sweep import Settings

#: The keys of Hydra's that say how runs are launched.
LAUNCHER = "hydra.launcher."
#: Keys with a dot that a search sets itself, beside the key of the task's span.
FIXED = ("task.length", "trainer.max_steps", "trainer.max_epochs", "trainer.eval_every")
#: Keys that decide no number of a search.
INCIDENTAL = (
    *("seed", "n_seeds", "runs_dir", "data_dir", "callbacks", "logger", "allowed_packages", "preset"),
    *("trainer.progress", "trainer.checkpoint_every"),
)
#: What differs from model to model; all else is the same for each, so that the search is equal.
OF_A_MODEL = ("model", "search.space")


@dataclass(frozen=True)
class ModelPlan:
    """The part of one model.

    Attributes:
        model: its preset.
        typed: the arguments of every run of it.
        config: what they are composed to.
        settings: of the search.
        space: what is varied.
        span_key: the key that sets the span of the task, `length` of most.
        lengths: its values, at which each configuration is trained; None for a task without.
        steps: of the rungs.
    """

    model: str
    typed: list[str]
    config: DictConfig
    settings: SearchSettings
    space: Space
    span_key: str
    lengths: list[int | None]
    steps: list[int]

    def made_with(self) -> dict[str, Any]:
        """Return what decides the numbers of the search, by whole keys, and how they are compared."""
        plain: Any = OmegaConf.to_container(self.config)
        decides = {key: its for key, its in _leaves(plain) if not _is_any(key, INCIDENTAL)}
        space = {f"search.space.{key}": repr(varied) for key, varied in self.space.items()}
        names = ("n_seeds", "seed", "bracket", "rungs", "keep")
        own = {f"search.{name}": getattr(self.settings, name) for name in names}
        return {**space, **own, "search.lengths": self.lengths, **decides}

    def arguments(self, params: dict[str, Any]) -> list[str]:
        """Return what is typed for a point of the space."""
        return arguments(self.space, params, self.config)

    @property
    def runs(self) -> int:
        """How many runs a configuration has."""
        return len(self.lengths) * self.settings.n_seeds

    @property
    def most_steps(self) -> int:
        """The optimisation steps of all runs, if none ends early."""
        return self.settings.most_steps(self.steps, len(self.lengths))


@dataclass(frozen=True)
class SearchPlan:
    """A search.

    Attributes:
        typed: the arguments of every run, without the model.
        models: the part of each. Their budgets, seeds and lengths are equal.
        launcher: how runs are launched.
        folder: for all that the search writes.
    """

    typed: list[str]
    models: list[ModelPlan]
    launcher: Settings
    folder: Path


def plan(words: Sequence[str]) -> SearchPlan:
    """Return the search that is typed, `key=value` each.

    Raises:
        ConfigError: a key or value cannot be used, or the models would be searched unequally.
    """
    run: list[str] = []
    swept: list[Override] = []
    models: list[str] = []
    preset: str | None = None
    own: list[Override] = []
    launcher: dict[str, Any] = {}
    words = readable(words)
    for text, override in zip(words, parse(words), strict=True):
        key = str(override.key_or_group)
        if key == "search":
            preset = str(value(override))
        elif key.startswith("search."):
            own.append(override)
        elif key == "model":
            models = [str(name) for name in values(override)]
        elif key in (f"{LAUNCHER}n_jobs", f"{LAUNCHER}gpus_per_job"):
            launcher[key.removeprefix(LAUNCHER)] = value(override)
        elif key in ("seed", "n_seeds"):
            raise ConfigError(f"{text}: a search has seeds of its own; give search.{key}=….")
        elif key.startswith("hydra"):
            raise ConfigError(f"{text} does not go with a search, which runs on this machine.")
        elif override.is_sweep_override():
            swept.append(override)
        else:
            run.append(text)
    if swept:
        raise _one_value(swept[0], run)
    typed = {str(override.key_or_group): str(override.input_line) for override in parse(run)}
    if not models:
        models = [str(compose(run).preset.model)]
    parts = [_part(model, run, typed, preset, own) for model in dict.fromkeys(models)]
    _check_equal(parts)
    return SearchPlan(run, parts, made(Settings, launcher, "hydra.launcher"), _folder(parts[0]))


def _one_value(swept: Override, run: Sequence[str]) -> ConfigError:
    """Return the error for an argument with several values, by what else was typed."""
    key = str(swept.key_or_group)
    more = f"'search.space.{key}={{choices:[…]}}' tries several" if "." in key else "search again"
    if key.startswith("task.") and key == f"task.{span_key(compose(run))}":
        more = "search.lengths=[…] takes several"
    return ConfigError(f"{swept.input_line}: a search is of one {key}; {more}.")


def _part(
    model: str, run: Sequence[str], typed: dict[str, str], preset: str | None, own: Sequence[Override]
) -> ModelPlan:
    logger = [] if any(key.partition(".")[0] == "logger" for key in typed) else ["logger=none"]
    mine = [*run, f"model={model}", *logger]
    config = compose(mine)
    span = span_key(config)
    settings = _with_lengths(settings_of(node_of(model, preset, mine, own)), span, config, typed, own)
    lengths: list[int | None] = [*(settings.lengths or [config.task.get(span)])]
    space = {key: varied for key, varied in space_of(settings.space).items() if key not in typed}
    for override in own:  # what only a preset varies gives way to what is typed
        key = str(override.key_or_group).removeprefix("search.space.")
        both = [text for name, text in typed.items() if "." in name and f"{key}.".startswith(f"{name}.")]
        if both and not override.is_delete():
            raise ConfigError(f"{override.input_line} has no effect beside {both[0]}.")
    if fixed := [name for name in space if _is_fixed(name, span)]:
        raise ConfigError(
            f"search.space.{fixed[0]}: a search cannot vary {fixed[0]}; it is the same for all trials."
        )
    if not space:
        raise ConfigError(f"search.space of {model} is empty: every key of it is typed.")
    if config.trainer.get("max_epochs") is not None:
        raise ConfigError(
            f"trainer.max_epochs={config.trainer.max_epochs}: a search compares its trials at so many steps; "
            "give trainer.max_steps."
        )
    max_steps = count(config.trainer.max_steps, "trainer.max_steps", 1, LARGEST)
    eval_every = count(config.trainer.eval_every, "trainer.eval_every", 1, LARGEST)
    steps = settings.steps(max_steps, eval_every)
    if len(steps) > 1:
        _check_extends(config, steps[0], -(-steps[0] // eval_every))
    return ModelPlan(model, mine, config, settings, space, span, lengths, steps)


def _with_lengths(
    settings: SearchSettings, span: str, config: DictConfig, typed: dict[str, str], own: Sequence[Override]
) -> SearchSettings:
    """Return settings whose lengths are those that count: what is typed wins over what a preset says.

    Raises:
        ConfigError: the key of the span is typed beside them, or the task has none.
    """
    if settings.lengths is None:
        return settings
    named = f"search.lengths={shown(settings.lengths)}"
    if (its := typed.get(f"task.{span}")) is not None:
        if any(override.key_or_group == "search.lengths" for override in own):
            raise ConfigError(f"{its} has no effect beside {named}.")
        return replace(settings, lengths=None)
    if span not in config.task:
        raise ConfigError(
            f"{named} are values of task.{span}, which {config.preset.task} does not have; give "
            "search.lengths=null."
        )
    return settings


def _check_equal(parts: Sequence[ModelPlan]) -> None:
    """Raise a ConfigError where presets of the models would have them searched unequally."""
    first, *others = parts
    for other in others:
        one, its = _equal(first), _equal(other)
        if differ := [key for key in {**one, **its} if one.get(key) != its.get(key)]:
            raise ConfigError(
                f"{differ[0]} is {shown(one.get(differ[0]))} for {first.model} and "
                f"{shown(its.get(differ[0]))} for {other.model}, and a search is equal for all its models; "
                f"give one with {differ[0]}=…."
            )


def _equal(part: ModelPlan) -> dict[str, Any]:
    """Return what has to be equal in all parts, by whole keys."""
    budget = {"search.n_trials": part.settings.n_trials, "search.folder": part.settings.folder}
    return budget | {key: its for key, its in part.made_with().items() if not _is_any(key, OF_A_MODEL)}


def _check_extends(config: DictConfig, first: int, evaluations: int) -> None:
    """Raise a ConfigError where runs cannot go on after a rung, so that each would begin again.

    Args:
        config: of the runs.
        first: the step of the first rung.
        evaluations: those until then.
    """
    optim, rate = config.optim, config.trainer.get("teacher_forcing")
    changing = isinstance(rate, ListConfig) and len(set(rate)) > 1
    for key, given, obstacle in [
        ("optim.schedule", optim.get("schedule"), optim.get("schedule", "constant") != "constant"),
        ("optim.warmup_steps", optim.get("warmup_steps"), (optim.get("warmup_steps") or 0) >= first),
        ("trainer.teacher_forcing", rate, changing),
    ]:
        if obstacle:
            raise ConfigError(
                f"{key}={given} goes over the steps of a whole run, so that none can go on after a rung; "
                "give search.rungs=1."
            )
    patience = config.trainer.get("patience")
    if patience is not None and patience + 1 >= evaluations:
        raise ConfigError(
            f"trainer.patience={patience} ends no run before the first rung, step {first}, which is "
            f"evaluation {evaluations}; give less, or search.rungs=1."
        )


def _folder(part: ModelPlan) -> Path:
    """Return the folder of a search."""
    if part.settings.folder is not None:
        return Path(part.settings.folder).expanduser()
    lengths = "".join(f"-{length}" for length in part.lengths if length is not None)
    name = f"{part.config.preset.task}{lengths}".replace("/", ".")
    return Path(str(part.config.runs_dir)) / ".searches" / name


def _leaves(node: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if not isinstance(node, dict):
        return [(prefix.removesuffix("."), node)]
    return [leaf for key, its in node.items() for leaf in _leaves(its, f"{prefix}{key}.")]


def _is_fixed(key: str, span: str) -> bool:
    """Whether the search sets a key itself, or compares runs in which it is the same."""
    return ("." not in key and key != "batch_size") or key in (*FIXED, f"task.{span}")


def _is_any(key: str, of: Sequence[str]) -> bool:
    """Whether a dotted key is one of these, or lies under one."""
    return any(f"{key}.".startswith(f"{each}.") for each in of)

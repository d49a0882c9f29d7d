"""The plan of a search: what was typed, checked, and what each model's part of it is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Override
from omegaconf import DictConfig, ListConfig, OmegaConf

from seqbench.config.compose import compose
from seqbench.config.explain import no_preset
from seqbench.config.fit import LARGEST, count
from seqbench.config.overrides import parse, readable
from seqbench.config.presets import lineage, preset_names, preset_node
from seqbench.config.refusal import made
from seqbench.errors import ConfigError
from seqbench.search.settings import SearchSettings, settings_of
from seqbench.search.space import Space, arguments, space_of
from seqbench.sweeps.sweep import Settings

#: The keys of Hydra's that say how runs are launched.
LAUNCHER = "hydra.launcher."
#: Keys with a dot that a search sets itself.
FIXED = ("task.length", "trainer.max_steps", "trainer.eval_every")
#: Keys that decide no number of a search.
INCIDENTAL = (
    *("seed", "n_seeds", "runs_dir", "data_dir", "callbacks", "logger", "allowed_packages", "preset"),
    *("trainer.progress", "trainer.checkpoint_every"),
)


@dataclass(frozen=True)
class ModelPlan:
    """The part of one model.

    Attributes:
        model: its preset.
        typed: the arguments of every run of it.
        config: what they are composed to.
        settings: of the search.
        space: what is varied.
        lengths: `task.length` of the runs of each configuration; None for a task without.
        steps: of the rungs.
    """

    model: str
    typed: list[str]
    config: DictConfig
    settings: SearchSettings
    space: Space
    lengths: list[int | None]
    steps: list[int]

    def made_with(self) -> dict[str, Any]:
        """Return what decides the numbers of the search, by whole keys, and how they are compared."""
        plain: Any = OmegaConf.to_container(self.config)
        decides = {key: value for key, value in _leaves(plain) if not _is_incidental(key)}
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
        models: the part of each.
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
        ConfigError: a key or value cannot be used.
    """
    run: list[str] = []
    models: list[str] = []
    preset: str | None = None
    own: list[Override] = []
    launcher: dict[str, Any] = {}
    words = readable(words)
    for text, override in zip(words, parse(words), strict=True):
        key = str(override.key_or_group)
        if key == "search":
            preset = str(_value(override))
        elif key.startswith("search."):
            own.append(override)
        elif key == "model":
            models = [str(name) for name in _values(override)]
        elif key in (f"{LAUNCHER}n_jobs", f"{LAUNCHER}gpus_per_job"):
            launcher[key.removeprefix(LAUNCHER)] = _value(override)
        elif key in ("seed", "n_seeds"):
            raise ConfigError(f"{text}: a search has seeds of its own; give search.{key}=….")
        elif key.startswith("hydra"):
            raise ConfigError(f"{text} does not go with a search, which runs on this machine.")
        elif override.is_sweep_override():
            more = f"'search.space.{key}={{choices:[…]}}' tries several" if "." in key else "search again"
            more = "search.lengths=[…] takes several" if key == "task.length" else more
            raise ConfigError(f"{text}: a search is of one {key}; {more}.")
        else:
            run.append(text)
    typed = {str(override.key_or_group): str(override.input_line) for override in parse(run)}
    if not models:
        models = [str(compose(run).preset.model)]
    parts = [_part(model, run, typed, preset, own) for model in dict.fromkeys(models)]
    return SearchPlan(run, parts, made(Settings, launcher, "hydra.launcher"), _folder(parts[0]))


def _part(
    model: str, run: Sequence[str], typed: dict[str, str], preset: str | None, own: Sequence[Override]
) -> ModelPlan:
    logger = [] if any(key.partition(".")[0] == "logger" for key in typed) else ["logger=none"]
    mine = [*run, f"model={model}", *logger]
    config = compose(mine)
    settings = settings_of(_node(model, preset, own))
    if settings.lengths is not None and "task.length" in typed:
        raise ConfigError(f"{typed['task.length']} has no effect beside search.lengths={settings.lengths}.")
    lengths: list[int | None] = [*(settings.lengths or [config.task.get("length")])]
    space = {key: varied for key, varied in space_of(settings.space).items() if key not in typed}
    for override in own:  # what only a preset varies gives way to what is typed
        key = str(override.key_or_group).removeprefix("search.space.")
        both = [text for name, text in typed.items() if "." in name and f"{key}.".startswith(f"{name}.")]
        if both and not override.is_delete():
            raise ConfigError(f"{override.input_line} has no effect beside {both[0]}.")
    if fixed := [key for key in space if _is_fixed(key)]:
        raise ConfigError(
            f"search.space.{fixed[0]}: a search cannot vary {fixed[0]}; it is the same for all trials."
        )
    if not space:
        raise ConfigError(f"search.space of {model} is empty: every key of it is typed.")
    max_steps = count(config.trainer.max_steps, "trainer.max_steps", 1, LARGEST)
    eval_every = count(config.trainer.eval_every, "trainer.eval_every", 1, LARGEST)
    steps = settings.steps(max_steps, eval_every)
    if len(steps) > 1:
        _check_extends(config, steps[0])
    return ModelPlan(model, mine, config, settings, space, lengths, steps)


def _node(model: str, preset: str | None, own: Sequence[Override]) -> DictConfig:
    """Return the node `search` of a model: its preset, changed by what was typed.

    Raises:
        ConfigError: there is no preset, or a key that is to be removed.
    """
    known = preset_names("search")
    name = preset or next((each for each in lineage("model", model) if each in known), None)
    if name is None:
        raise ConfigError(
            f"There is no space for model={model}: write presets/search/{model}.yaml, or choose one with "
            f"search=…: {', '.join(known)}."
        )
    if name not in known:
        raise no_preset("search", name, known)
    node = preset_node("search", name)
    for override in own:
        key = str(override.key_or_group).removeprefix("search.")
        if not override.is_delete():
            several = override.is_sweep_override()
            OmegaConf.update(node, key, _values(override) if several else _value(override), merge=False)
            continue
        above, _, last = key.rpartition(".")
        holder = OmegaConf.select(node, above) if above else node
        if not isinstance(holder, DictConfig) or last not in holder:
            raise ConfigError(f"{override.input_line}: there is no key search.{key} to remove.")
        del holder[last]
    return node


def _values(override: Override) -> list[Any]:
    """Return the values of an argument, several or one.

    Raises:
        ConfigError: it does not list them.
    """
    if not override.is_sweep_override():
        value = _value(override)
        return value if isinstance(value, list) else [value]
    several = override.value()
    if not isinstance(several, ChoiceSweep):
        raise ConfigError(f"{override.input_line}: a search takes values that are listed: one,two,three.")
    return [override._convert_value(value) for value in several.list]


def _value(override: Override) -> Any:
    if override.is_sweep_override():
        raise ConfigError(f"{override.input_line} takes one value.")
    return override.value()


def _check_extends(config: DictConfig, first: int) -> None:
    """Raise a ConfigError where runs cannot go on after a rung, so that each would begin again."""
    optim, rate = config.optim, config.trainer.get("teacher_forcing")
    changing = isinstance(rate, ListConfig) and len(set(rate)) > 1
    for key, value, obstacle in [
        ("optim.schedule", optim.get("schedule"), optim.get("schedule", "constant") != "constant"),
        ("optim.warmup_steps", optim.get("warmup_steps"), (optim.get("warmup_steps") or 0) > first),
        ("trainer.teacher_forcing", rate, changing),
    ]:
        if obstacle:
            raise ConfigError(
                f"{key}={value} goes over the steps of a whole run, so that none can go on after a rung; "
                "give search.rungs=1."
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
    return [leaf for key, value in node.items() for leaf in _leaves(value, f"{prefix}{key}.")]


def _is_fixed(key: str) -> bool:
    """Whether the search sets a key itself, or compares runs in which it is the same."""
    return ("." not in key and key != "batch_size") or key in FIXED


def _is_incidental(key: str) -> bool:
    return any(f"{key}.".startswith(f"{each}.") for each in INCIDENTAL)

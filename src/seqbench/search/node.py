"""The node `search` of a model: what its own preset says, then the other presets, then the command line."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hydra.core.override_parser.types import ChoiceSweep, Override
from omegaconf import DictConfig, OmegaConf

from seqbench.config.explain import explain, no_preset
from seqbench.config.hydra_api import composed
from seqbench.config.presets import lineage, preset_names, preset_node
from seqbench.errors import ConfigError


def node_of(model: str, preset: str | None, typed: Sequence[str], own: Sequence[Override]) -> DictConfig:
    """Return the node `search` of a model; of two that set a key, the later in this list counts.

    Args:
        model: its preset.
        preset: of `conf/search`, in place of that of the model.
        typed: the arguments of a run of it. A preset among them may have a node `search`, such as
            `experiment=fair_comparison`.
        own: what was typed with `search.`.

    Raises:
        ConfigError: there is no preset, or no key that is to be removed.
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
    node = OmegaConf.merge(preset_node("search", name), _of_presets(typed))
    assert isinstance(node, DictConfig)
    for override in own:
        key = str(override.key_or_group).removeprefix("search.")
        if not override.is_delete():
            several = override.is_sweep_override()
            OmegaConf.update(node, key, values(override) if several else value(override), merge=False)
            continue
        above, _, last = key.rpartition(".")
        holder = OmegaConf.select(node, above) if above else node
        if not isinstance(holder, DictConfig) or last not in holder:
            raise ConfigError(f"{override.input_line}: there is no key search.{key} to remove.")
        del holder[last]
        while above and not holder:  # a node of the space that is empty says nothing
            above, _, last = above.rpartition(".")
            holder = OmegaConf.select(node, above) if above else node
            if last != "space":
                del holder[last]
    return node


def _of_presets(typed: Sequence[str]) -> DictConfig:
    """Return the node `search` of the presets of a run; empty where they have none."""
    try:
        config = composed(typed)
    except Exception as error:  # Hydra's, OmegaConf's, YAML's
        raise explain(error, typed) from error
    if config.hydra.sweeper.get("params"):
        name = config.hydra.runtime.choices.experiment
        raise ConfigError(f"experiment={name} is a sweep; type its keys in its place.")
    node = config.get("search")
    if node is None:
        return OmegaConf.create()
    if not isinstance(node, DictConfig):
        raise ConfigError(f"A preset sets search={node}; it holds keys of a search, as n_trials: 16.")
    return node


def values(override: Override) -> list[Any]:
    """Return the values of an argument, several or one.

    Raises:
        ConfigError: it does not list them.
    """
    if not override.is_sweep_override():
        one = value(override)
        return one if isinstance(one, list) else [one]
    several = override.value()
    if not isinstance(several, ChoiceSweep):
        raise ConfigError(f"{override.input_line}: a search takes values that are listed: one,two,three.")
    return [override._convert_value(each) for each in several.list]


def value(override: Override) -> Any:
    """Return the value of an argument.

    Raises:
        ConfigError: it has several.
    """
    if override.is_sweep_override():
        raise ConfigError(f"{override.input_line} takes one value.")
    return override.value()

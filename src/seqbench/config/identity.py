"""Identity: the hash by which a run is found again."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any

from omegaconf import DictConfig, OmegaConf, open_dict

from seqbench.config.build import ModelFactory, allowed_packages, nodes
from seqbench.config.instantiate import check
from seqbench.config.presets import LISTS

#: Keys that do not decide a run's numbers. A `model.param_budget` counts by its outcome, the width.
INCIDENTAL = (
    *("seed", "n_seeds", "runs_dir", "data_dir", "callbacks", "logger", "allowed_packages", "preset"),
    *("task.data_dir", "model.engine", "model.param_budget"),
    *("trainer.devices", "trainer.accelerator", "trainer.strategy", "trainer.num_threads"),
    *("trainer.seeds_together", "trainer.accumulate", "trainer.log_spectrum"),
    *("trainer.checkpoint_seconds", "trainer.progress"),
)


def resolve(cfg: DictConfig, make_model: ModelFactory) -> DictConfig:
    """Return `cfg` with every value in the type of its parameter, and the width that a budget leads to.

    Two configurations that mean the same, such as `lr=1` and `lr=1.0`, are then equal.

    Args:
        cfg: a configuration.
        make_model: the factory of its models, which has checked the model and searched the width.

    Raises:
        ConfigError: a value does not fit.
    """
    allowed = allowed_packages(cfg)
    resolved = cfg.copy()
    with open_dict(resolved):
        for group in ("task", "optim", "trainer"):
            resolved[group] = check(cfg[group], group, allowed)
        resolved.model = make_model.node | {
            key: value for key, value in cfg.model.items() if key == "param_budget"
        }
        for group in LISTS:
            given = ("info",) if group == "logger" else ()
            resolved[group] = {
                name: check(node, f"{group}.{name}", allowed, given)
                for name, node in nodes(cfg, group).items()
            }
    return resolved


def identity(cfg: DictConfig) -> str:
    """Return the hash, 8 hex digits, of all that decides a run's numbers but its seed.

    It covers the task, the model, optimisation, the training protocol and the batch size, and leaves out what
    `INCIDENTAL` lists. A class of seqbench enters by its name alone, so that a run is found again after the
    class has moved to another module; the class of another package enters by its full path.
    """
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    for dotted in INCIDENTAL:
        *path, last = dotted.split(".")
        node = plain
        for key in path:
            node = node.get(key, {})
        node.pop(last, None)
    text = json.dumps(_with_public_names(plain), sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()[:8]


def _with_public_names(value: Any) -> Any:
    """Return a configuration with the name of the class for each `_target_` in seqbench."""
    if isinstance(value, list):
        return [_with_public_names(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    named = {key: _with_public_names(item) for key, item in value.items()}
    target = named.get("_target_")
    if isinstance(target, str) and target.startswith("seqbench."):
        named["_target_"] = target.rpartition(".")[2]
    return named

"""Identity: the hash by which a run is found again.

It is the hash of the canonical configuration: values that equal a *frozen* default are left out. So a new
option changes no hash, as long as its default does what was done before; and a default that is changed in the
code makes other runs, because the frozen one stays what it was. The frozen defaults are in
`frozen_defaults.json`, by class and parameter. An entry is written when its parameter is new and is never
edited.
"""

from __future__ import annotations

import dataclasses
import hashlib
import inspect
import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

from omegaconf import DictConfig, OmegaConf, open_dict

from seqbench.config.build import ModelFactory, nodes
from seqbench.config.instantiate import check
from seqbench.config.presets import LISTS
from seqbench.config.source import source_hash
from seqbench.config.targets import find, kind_of
from seqbench.config.trust import BUILT_IN, allowed_packages

#: Keys that do not decide a run's numbers. Some count by their outcome: `model.param_budget` by the width,
#: and those of how a run is executed by the execution mode.
INCIDENTAL = (
    *("seed", "n_seeds", "runs_dir", "data_dir", "callbacks", "logger", "allowed_packages", "preset"),
    *("model.engine", "model.param_budget"),
    *("trainer.devices", "trainer.accelerator", "trainer.strategy", "trainer.num_threads"),
    *("trainer.seeds_together", "trainer.log_spectrum"),
    *("trainer.checkpoint_every", "trainer.progress"),
    *("trainer.lightning.profiler", "trainer.lightning.detect_anomaly"),
)
#: Keys that say where data are. They do not count either, where the data do, by their fingerprint.
PLACES = (
    *("task.data_dir", "task.dataset", "task.hub_id", "task.folder"),
    *("task.path", "task.name", "task.revision", "task.separator", "task.header"),
    *("task.validation_path", "task.test_path", "task.column"),
)
#: The keys of a component's revisions, and of the hash of its source, in a canonical configuration.
REVISIONS, SOURCE = "revisions", "_source_"


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
            resolved[group] = check(cfg[group], group, kind_of(group), allowed)
        resolved.model = make_model.node | {
            key: value for key, value in cfg.model.items() if key == "param_budget"
        }
        for group in LISTS:
            given = ("info",) if group == "logger" else ()
            resolved[group] = {
                name: check(node, f"{group}.{name}", kind_of(group), allowed, given)
                for name, node in nodes(cfg, group).items()
            }
    return resolved


class Identity(NamedTuple):
    """What a run is.

    digest: 64 hex digits, a hash of all that decides a run's numbers but its seed.
    revisions: key of the configuration to the revision of its effect, `optim.omega: 2`, where there is one.
    code: node of the configuration to the hash of the source of its class, `model.cell: 1234abcd`, where that
        is of another package.
    """

    digest: str
    revisions: dict[str, int]
    code: dict[str, str]

    @property
    def hash(self) -> str:
        """The part of the digest that names folders."""
        return self.digest[:8]


def identity(
    cfg: DictConfig, data: str | None = None, execution: Mapping[str, Any] | None = None
) -> Identity:
    """Return what a run is.

    It covers the task and its data, the model, optimisation, the training protocol, the batch size and the
    execution mode, and leaves out what `INCIDENTAL` lists. A class of seqbench enters by its name alone, so
    that a run is found again after the class has moved to another module; the class of another package enters
    by its full path and its source.
    What a component has corrected enters by the number of the revision, see `canonical`.

    Args:
        cfg: a configuration that `resolve` returned.
        data: the fingerprint of the task's data; None where the configuration alone makes them.
        execution: what is not plain in the execution mode: engine, threads, devices, whether seeds are
            vectorised.
    """
    plain: Any = OmegaConf.to_container(cfg, resolve=True)
    for dotted in INCIDENTAL if data is None else (*INCIDENTAL, *PLACES):
        *path, last = dotted.split(".")
        node = plain
        for key in path:
            node = node.get(key, {})
        node.pop(last, None)
    found = canonical(plain) | ({} if data is None else {"data": data})
    found |= {"execution": dict(execution)} if execution else {}
    text = json.dumps(found, sort_keys=True, separators=(",", ":"))
    parts = dict(_nodes(found))
    revisions = {
        f"{place}.{name}": number
        for place, node in parts.items()
        for name, number in node.get(REVISIONS, {}).items()
    }
    code = {place: node[SOURCE] for place, node in parts.items() if SOURCE in node}
    return Identity(hashlib.sha256(text.encode()).hexdigest(), revisions, code)


def _nodes(node: Mapping[str, Any], place: str = "") -> Iterator[tuple[str, Mapping[str, Any]]]:
    """Yield the nodes of a canonical configuration by their whole keys."""
    for key, value in node.items():
        if isinstance(value, Mapping) and key != REVISIONS:
            its = f"{place}.{key}" if place else key
            yield its, value
            yield from _nodes(value, its)


def canonical(value: Any) -> Any:
    """Return a configuration without what equals a frozen default, with revisions and the hash of source.

    A class that was corrected says so by an attribute `revisions`, from the parameter whose effect changed to
    the number of the revision. It counts where the parameter differs from its frozen default. `name=value`
    stands for that value of a parameter alone, and `_target_` for the whole class.

    Args:
        value: a configuration that was checked, or a part of it.
    """
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    node = {key: canonical(item) for key, item in value.items() if key != "_partial_"}
    if not isinstance(target := node.get("_target_"), str):
        return node
    node["_target_"], found = public_name(target), find(target)
    frozen = frozen_defaults().get(node["_target_"], {})
    given = {key: value for key, value in current_defaults(found).items() if key in frozen} | node
    node = {key: value for key, value in given.items() if key not in frozen or value != frozen[key]}
    revisions = {key: n for key, n in getattr(found, "revisions", {}).items() if _has(node, key)}
    source = None if target.partition(".")[0] in BUILT_IN else source_hash(target, found)
    return node | ({REVISIONS: revisions} if revisions else {}) | ({SOURCE: source} if source else {})


def _has(node: Mapping[str, Any], key: str) -> bool:
    name, equals, value = key.partition("=")
    return name in node and (not equals or str(node[name]) == value)


def public_name(target: str) -> str:
    """Return the name by which a class is known: that of the class in seqbench, else its full path."""
    return target.rpartition(".")[2] if target.startswith("seqbench.") else target


def with_defaults(value: Any) -> Any:
    """Return a configuration with the frozen defaults in the place of what it leaves out."""
    if isinstance(value, list):
        return [with_defaults(item) for item in value]
    if not isinstance(value, Mapping):
        return value
    node = {key: with_defaults(item) for key, item in value.items()}
    target = node.get("_target_")
    return frozen_defaults().get(public_name(target), {}) | node if isinstance(target, str) else node


@cache
def frozen_defaults() -> dict[str, dict[str, Any]]:
    """Return the frozen defaults: by the public name of a class, its parameters with their values."""
    text = Path(__file__).with_name("frozen_defaults.json").read_text(encoding="utf-8")
    found: dict[str, dict[str, Any]] = json.loads(text)
    return found


@cache
def current_defaults(callable_: Any) -> dict[str, Any]:
    """Return the defaults that the code has now, as a configuration would give them."""
    fields: Any = dataclasses.fields(callable_) if _is_dataclass(callable_) else ()
    made = {field.name: field.default_factory for field in fields if callable(field.default_factory)}

    def plain(name: str, default: Any) -> Any:
        if name in made:
            default = made[name]()
        if callable(default):  # a class or function, which a node would name
            path = f"{default.__module__}.{default.__qualname__}"
            return {"_target_": public_name(path)}
        return list(default) if isinstance(default, tuple) else default

    try:
        parameters = inspect.signature(callable_).parameters.values()
    except ValueError:  # of a function written in C
        return {}
    return {p.name: plain(p.name, p.default) for p in parameters if p.default is not p.empty}


def _is_dataclass(callable_: Any) -> bool:
    return isinstance(callable_, type) and dataclasses.is_dataclass(callable_)

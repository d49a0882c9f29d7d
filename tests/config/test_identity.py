"""Identity: which configurations are the same run.

python -m tests.config.test_identity      adds what is missing to the frozen defaults, and to `hashes.json`
"""

from __future__ import annotations

import importlib
import inspect
import json
import pkgutil
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import pytest
import torch
from omegaconf import OmegaConf

import seqbench
from seqbench.config import identity as module
from seqbench.config.build import ModelFactory, build_optimizer_config, build_settings
from seqbench.config.identity import (
    INCIDENTAL,
    canonical,
    current_defaults,
    frozen_defaults,
    identity,
    resolve,
)
from seqbench.config.presets import CONF_DIR, preset_names
from seqbench.config.targets import find
from seqbench.errors import ConfigError
from seqbench.models.feedback import Feedback
from seqbench.models.model import Model
from seqbench.models.unfold import Cell, StateOf
from seqbench.models.unfold.tokens import Projected
from seqbench.tasks.base import Task
from seqbench.training.execution_mode import execution_mode
from seqbench.training.seed_stack import ELEMENTWISE

BASE = ["task=latch", "task.length=6", "model=gru", "model.hidden_size=4"]
LEDGER = Path(module.__file__).with_name("frozen_defaults.json")
#: The hashes of presets, as of when each was new.
HASHES = Path(__file__).with_name("hashes.json")
#: Cells and models that are made by others and not named by a configuration.
HELPERS = (Model, Feedback, Projected, StateOf)
#: Every frozen default, as of when it was new: a line is added and never changed.
FROZEN = Path(__file__).with_name("frozen_defaults.txt")
#: Defaults that the code has changed since they were frozen: Class.parameter -> the default now.
CHANGED: dict[str, Any] = {}


def identity_of(*overrides: str) -> module.Identity:
    """Return the identity of a run on a CPU; data do not count."""
    cfg = seqbench.compose(overrides)
    make_model = ModelFactory(cfg, seqbench.build_task(cfg))
    with torch.device("meta"):
        model = make_model()
    mode = execution_mode(
        model, build_optimizer_config(cfg), build_settings(cfg), processes=max(1, cfg.trainer.devices)
    )
    return identity(resolve(cfg, make_model), None, mode.canonical)


def hash_of(*overrides: str) -> str:
    return identity_of(*BASE, *overrides).hash


@pytest.mark.parametrize(
    "same",
    [
        ["seed=3", "n_seeds=2", "runs_dir=x", "trainer.num_threads=1", "trainer.devices=1"],
        ["trainer.log_spectrum=true", "trainer.checkpoint_every=7", "trainer.seeds_together=false"],
        ["+trainer.lightning.profiler=simple", "+trainer.lightning.detect_anomaly=true"],
        ["logger=none", "callbacks=none"],
        ["logger=[csv,wandb]", "logger.wandb.project=mine"],
        ["logger=none", "+callbacks.rate._target_=lightning.pytorch.callbacks.LearningRateMonitor"],
        ["optim.clip_norm=1", "optim.weight_decay=0", "trainer.stop_when_solved=yes"],
        ["+optim.optimizer.eps=1e-8", "optim.optimizer.betas=[0.9,0.999]"],
    ],
)
def test_what_decides_no_number_is_not_in_the_hash(same):
    assert hash_of(*same) == hash_of()


def test_what_decides_a_number_is():
    differing = [
        [],
        ["optim.lr=0.1"],
        ["model.hidden_size=5"],
        ["model=rnn"],
        ["batch_size=3"],
        ["task.length=7"],
        ["trainer.eval_every=50"],
        ["trainer.patience=3"],
        ["optim.optimizer.betas=[0.9,0.99]"],
        ["model.engine=loop"],
        ["trainer.num_threads=2"],
        ["trainer.devices=2"],
        ["trainer.precision=bf16-mixed"],
    ]
    assert len({hash_of(*overrides) for overrides in differing}) == len(differing)


def test_an_engine_counts_by_what_it_resolves_to():
    leaky = [*BASE, "model=clockwork_rnn"]
    assert identity_of(*leaky, "model.engine=fused") == identity_of(*leaky)
    assert identity_of(*leaky, "model.engine=loop") != identity_of(*leaky)
    assert identity_of(*leaky, "trainer.seeds_together=false") == identity_of(*leaky)
    cfg = seqbench.compose(BASE)
    cfg = resolve(cfg, ModelFactory(cfg, seqbench.build_task(cfg)))
    modes = ({}, {"engine": "loop"}, {"engine": "loop", "vectorized": True}, {"engine": "loop", "threads": 2})
    assert len({identity(cfg, None, mode).digest for mode in modes}) == len(modes)


def test_data_count_by_their_fingerprint():
    cfg = seqbench.compose(BASE)
    cfg = resolve(cfg, ModelFactory(cfg, seqbench.build_task(cfg)))
    assert len({identity(cfg, data).digest for data in (None, "a", "b")}) == 3


def test_the_place_of_data_does_not_count_where_their_content_does():
    cfg = seqbench.compose(["task=mnist_rows"])
    there = seqbench.compose(
        ["task=mnist_rows", "data_dir=elsewhere", "task.dataset=copy", "task.hub_id=me/mine"]
    )
    assert identity(cfg, "a") == identity(there, "a")
    assert identity(cfg) != identity(there)  # a task that reads data and has no fingerprint of them


def test_a_budget_counts_by_its_width():
    budget = ["model.hidden_size=null", "model.param_budget=5000"]
    cfg = seqbench.compose([*BASE, *budget])
    width = ModelFactory(cfg, seqbench.build_task(cfg)).width
    assert hash_of(*budget) == hash_of(f"model.hidden_size={width}") != hash_of()


class Old:
    """A component of which the tests below have other versions."""

    def __init__(self, width: int, depth: int = 1) -> None: ...


class WithNewOption:
    def __init__(self, width: int, depth: int = 1, skip: bool = False) -> None: ...


class WithOtherDefault:
    def __init__(self, width: int, depth: int = 2) -> None: ...


class Corrected(Old):
    revisions: ClassVar = {"depth": 2, "skip=True": 5}


class CorrectedWhole(Old):
    revisions: ClassVar = {"_target_": 3}


@pytest.fixture
def version(monkeypatch):
    """Make the canonical form of a component in one of its versions."""

    def of(kind, **given):
        frozen = {"depth": 1, "skip": False}
        monkeypatch.setattr(module, "frozen_defaults", lambda: {"Old": frozen})
        monkeypatch.setattr(module, "find", lambda _: kind)
        return canonical({"model": {"_target_": "seqbench.Old", "width": 3, **given}})["model"]

    return of


def test_an_upgrade_that_changes_no_number_changes_no_identity(version):
    plain = {"_target_": "Old", "width": 3}
    assert version(Old) == version(Old, depth=1) == plain
    assert version(WithNewOption) == version(WithNewOption, skip=False) == plain
    assert version(WithNewOption, skip=True) == plain | {"skip": True}


def test_a_changed_default_makes_other_runs_and_finds_the_old_ones(version):
    plain = {"_target_": "Old", "width": 3}
    assert version(WithOtherDefault) == version(Old, depth=2) == plain | {"depth": 2}
    assert version(WithOtherDefault, depth=1) == plain


def test_a_revision_counts_where_its_parameter_is_given(version):
    plain = {"_target_": "Old", "width": 3}
    assert version(Corrected) == plain
    assert version(Corrected, depth=4) == plain | {"depth": 4, "revisions": {"depth": 2}}
    assert version(Corrected, skip=True)["revisions"] == {"skip=True": 5}
    assert "revisions" not in version(Corrected, skip="no")
    assert version(CorrectedWhole) == plain | {"revisions": {"_target_": 3}}


def test_revisions_are_named_by_the_whole_key(monkeypatch):
    monkeypatch.setattr(find("seqbench.models.cells.gru.GRU"), "revisions", {"_target_": 2}, False)
    after = identity_of(*BASE, "model.cell._target_=seqbench.models.cells.gru.GRU")
    assert after.revisions == {"model.cell._target_": 2}


# The ledger


def targets(node: Any) -> Iterator[str]:
    """Yield every `_target_` in a node."""
    for key in node if OmegaConf.is_dict(node) else ():
        value = node._get_node(key)
        if key == "_target_" and isinstance(node[key], str):
            yield node[key]
        yield from targets(value)


def components() -> dict[str, Any]:
    """Return all that a configuration may build, by public name: of seqbench, and torch's optimisers."""
    found = {}
    for group in ("task", "model", "optim", "trainer"):
        for path in (CONF_DIR / group).rglob("*.yaml"):
            for target in targets(OmegaConf.load(path)):
                found[module.public_name(target)] = find(target)
    found |= {f"torch.optim.{kind.__name__}": kind for kind in ELEMENTWISE}
    for package in (seqbench.tasks, seqbench.models):
        for info in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            for name, kind in vars(importlib.import_module(info.name)).items():
                if isinstance(kind, type) and issubclass(kind, (Task, Model, Cell)):
                    found |= {} if inspect.isabstract(kind) or kind in HELPERS else {name: kind}
    for kind in list(found.values()):  # a class may be the default of a parameter
        for default in current_defaults(kind).values():
            if isinstance(default, dict) and "_target_" in default:
                values = [parameter.default for parameter in inspect.signature(kind).parameters.values()]
                found |= {v.__name__: v for v in values if getattr(v, "__name__", "") == default["_target_"]}
    return dict(sorted(found.items()))


#: Parameters that decide no number, and those of torch's optimisers that decide speed alone or that seqbench
#: gives.
UNFROZEN = {dotted.rpartition(".")[2] for dotted in (*INCIDENTAL, "task.data_dir")}
UNFROZEN_OF_TORCH = {"lr", "weight_decay", "foreach", "fused", "capturable", "differentiable", "maximize"}


def missing() -> dict[str, dict[str, Any]]:
    """Return the defaults that are not frozen yet."""
    found = {}
    for name, kind in components().items():
        known = {*UNFROZEN, *frozen_defaults().get(name, {})}
        known |= UNFROZEN_OF_TORCH if name.startswith("torch.") else set()
        new = {key: value for key, value in current_defaults(kind).items() if key not in known}
        if new or name not in frozen_defaults():
            found[name] = new
    return found


def frozen_lines() -> list[str]:
    return sorted(
        f"{name}.{key} = {json.dumps(value, sort_keys=True)}"
        for name, frozen in frozen_defaults().items()
        for key, value in frozen.items()
    )


def test_a_frozen_default_is_never_edited():
    """With an edit the default of old runs would be taken for that of new ones, and no hash would change."""
    assert frozen_lines() == FROZEN.read_text().splitlines(), "run `python -m tests.config.test_identity`"


def test_every_default_is_frozen():
    assert missing() == {}, "run `python -m tests.config.test_identity`"


def test_a_default_that_the_code_has_changed_is_noted_and_stays_frozen():
    now = {name: current_defaults(kind) for name, kind in components().items()}
    changed = {
        f"{name}.{key}": now[name][key]
        for name, frozen in frozen_defaults().items()
        for key, value in frozen.items()
        if name in now and key in now[name] and now[name][key] != value
    }
    assert changed == CHANGED


def hashes_of_models() -> Iterator[tuple[str, str]]:
    """Yield the hash of every model preset on a task that it takes, and of every optimiser."""
    for model in preset_names("model"):
        for task in ("latch", "stories", "listops", "reverse"):
            try:
                yield f"task={task} model={model}", identity_of(f"task={task}", f"model={model}").hash
                break
            except ConfigError:
                continue
    for optim in preset_names("optim"):
        yield f"optim={optim}", identity_of("task=latch", "model=rnn", f"optim={optim}").hash


def hashes_of_tasks() -> Iterator[tuple[str, str]]:
    """Yield the hash of every task preset that needs no data."""
    for task in preset_names("task"):
        for model in ("gru", "seq2seq", "recursive_net"):
            try:
                cfg = seqbench.compose([f"task={task}", f"model={model}"])
                if find(cfg.task._target_).fingerprint is Task.fingerprint:
                    yield f"task={task} model={model}", identity_of(f"task={task}", f"model={model}").hash
                break
            except ConfigError:
                continue


@pytest.mark.slow
def test_the_hashes_of_models_stay_what_they_were():
    """A hash that changes orphans every run of it: only where its numbers are others now may it."""
    found = dict(hashes_of_models())
    frozen = json.loads(HASHES.read_text())
    assert found == {name: frozen.get(name) for name in found}


@pytest.mark.slow
def test_the_hashes_of_tasks_stay_what_they_were_and_no_other_is_frozen():
    assert dict([*hashes_of_models(), *hashes_of_tasks()]) == json.loads(HASHES.read_text())


def test_a_class_of_seqbench_may_move_and_that_of_another_package_not(monkeypatch):
    monkeypatch.setattr(module, "find", lambda _: object)

    def moved(old: str, new: str) -> bool:
        cfg = OmegaConf.create({"model": {"_target_": old, "cell": {"_target_": "torch.nn.GRU"}}})
        there = OmegaConf.create({"model": {"_target_": new, "cell": {"_target_": "torch.nn.GRU"}}})
        return identity(cfg) == identity(there)

    assert moved("seqbench.models.cells.gru.GRU", "seqbench.models.gated.GRU")
    assert not moved("seqbench.models.cells.gru.GRU", "seqbench.models.cells.gru.LSTM")
    assert not moved("seqbench.models.cells.gru.GRU", "mine.models.GRU")
    assert not moved("mine.models.GRU", "mine.cells.GRU") and not moved("seqbench.GRU", "seqbenchmark.GRU")


def test_class_names_of_components_are_unique():
    found = defaultdict(set)
    for path in CONF_DIR.rglob("*.yaml"):
        for target in targets(OmegaConf.load(path)):
            found[module.public_name(target)].add(find(target))
    assert len(found) > 40
    assert {name: classes for name, classes in found.items() if len(classes) > 1} == {}


if __name__ == "__main__":
    ledger = frozen_defaults()
    for name, defaults in missing().items():
        ledger[name] = ledger.get(name, {}) | defaults
        print(name, defaults)
    LEDGER.write_text(json.dumps(dict(sorted(ledger.items())), indent=1) + "\n")
    frozen_defaults.cache_clear()
    before = FROZEN.read_text().splitlines() if FROZEN.exists() else []
    if edited := sorted({*before} - {*frozen_lines()}):
        raise SystemExit(f"Never edit the ledger: {edited[0]}.")
    FROZEN.write_text("".join(f"{line}\n" for line in frozen_lines()))
    known = json.loads(HASHES.read_text()) if HASHES.exists() else {}
    HASHES.write_text(json.dumps(dict([*hashes_of_models(), *hashes_of_tasks()]) | known, indent=1) + "\n")

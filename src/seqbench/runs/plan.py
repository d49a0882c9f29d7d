"""The plan of a job: a configuration, checked, and all that its runs need.

Nothing after the plan reads configuration.
"""

from __future__ import annotations

import copy
import uuid
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import lightning as L
import torch
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf

from seqbench.config.build import (
    ModelFactory,
    build_callbacks,
    build_optimizer_config,
    build_settings,
    build_task,
)
from seqbench.config.compose import fitted
from seqbench.config.fit import shown
from seqbench.config.identity import Identity, identity, resolve
from seqbench.config.loggers import LoggerFactory
from seqbench.config.refusal import refusal
from seqbench.errors import ConfigError
from seqbench.models.model import Model
from seqbench.models.unfold import Cell
from seqbench.models.unfold.engines import obstacle_to_sharing
from seqbench.models.unfold.fused import is_tested
from seqbench.processes import one_thread
from seqbench.runs.devices import accelerator, device_name, world_size
from seqbench.runs.effects import check_effects
from seqbench.runs.epochs import in_steps
from seqbench.runs.generators import generators_kept, initial_model
from seqbench.runs.memory import seeds_at_once
from seqbench.runs.store import run_folder
from seqbench.runs.task_trial import try_own_task
from seqbench.runs.trial import try_omega, try_own_code
from seqbench.tasks.base import Task
from seqbench.training.callbacks import Observer, check_is_heard, check_observes
from seqbench.training.execution_mode import ExecutionMode, execution_mode
from seqbench.training.loggers.base import RunInfo, run_label
from seqbench.training.omega import check_omega
from seqbench.training.optimisation import GroupRates, OptimizerConfig
from seqbench.training.settings import TrainerSettings

#: A callback, which is copied for each seed; or a function that makes one for a seed.
CallbackOrFactory = L.Callback | Callable[[int], L.Callback]


@dataclass(frozen=True)
class Plan:
    """What the runs of one configuration, one for each seed, have in common.

    Attributes:
        task: prepared once, before the first seed trains.
        make_model: draws a model's weights from torch's global generator.
        optimizer: how models are optimised.
        settings: the training protocol.
        config: the resolved configuration, as it is stored with a run.
        identity: what the runs are, but for their seed.
        identify: the identity that they would have with another number of steps, `trainer.max_steps`.
        data: the fingerprint of the task's data; None where the configuration alone makes them.
        seeds: the runs.
        batch_size: sequences of one optimisation step, all devices together.
        runs_dir: where runs are stored.
        mode: how passes are executed.
        at_once: seeds that train together, at most.
        make_loggers: the loggers of one run.
        make_callbacks: the user's callbacks of one seed.
        label: what was varied, `lstm length=100`, for people; no part of the identity.
    """

    task: Task
    make_model: ModelFactory
    optimizer: OptimizerConfig
    settings: TrainerSettings
    config: dict[str, Any]
    identity: Identity
    identify: Callable[[int], Identity]
    data: str | None
    seeds: range
    batch_size: int
    runs_dir: Path
    mode: ExecutionMode
    at_once: int
    make_loggers: Callable[[dict[str, Any]], Iterator[Logger]]
    make_callbacks: Callable[[int], list[L.Callback]]
    label: str

    @property
    def world_size(self) -> int:
        """Processes that share each batch."""
        return self.mode.devices

    @property
    def device(self) -> str:
        """The name of the device that it trains on here, or of several."""
        return device_name(torch.device(accelerator(self.settings)), self.world_size)

    @property
    def parameters(self) -> int:
        """Live parameters of a model."""
        return self.make_model.sized().live_parameters()

    @property
    def hash(self) -> str:
        """The part of the identity that names folders."""
        return self.identity.hash

    @property
    def task_name(self) -> str:
        """The task preset."""
        return str(self.config["preset"]["task"])

    @property
    def model_name(self) -> str:
        """The model preset."""
        return str(self.config["preset"]["model"])

    @property
    def group(self) -> str:
        """`<task>/<model>-<hash>`."""
        return run_folder(self.task_name, self.model_name, self.hash).as_posix()

    def folder(self, seed: int) -> Path:
        """Return the run folder of a seed."""
        return self.runs_dir / self.group / f"seed-{seed}"

    def config_of(self, seed: int) -> dict[str, Any]:
        """Return the configuration of one run."""
        return self.config | {"seed": seed, "n_seeds": 1}

    def model(self, seed: int) -> Model:
        """Return a seed's model with its initial weights, see `initial_model`."""
        return initial_model(self.make_model, seed)

    def logger_id(self, seed: int) -> str:
        """Return a new id for a run's loggers."""
        return f"{self.hash}-{seed}-{uuid.uuid4().hex[:6]}"

    def loggers(self, seed: int, id: str) -> Iterator[Logger]:
        """Start the loggers of a run, and yield each."""
        info = RunInfo(
            *(self.group, seed, id, self.runs_dir, [self.task_name, self.model_name], self.config_of(seed)),
            *(self.label, self.task, self.batch_size),
        )
        return self.make_loggers(info.arguments())


@one_thread()
def plan(cfg: DictConfig, callbacks: Sequence[CallbackOrFactory] = (), label: str = "") -> Plan:
    """Check a configuration and build what does not depend on the seed.

    Args:
        cfg: from `seqbench.compose`.
        callbacks: more callbacks than the configuration names.
        label: what was varied, `lstm length=100`; the model and the task where nothing is said.

    Raises:
        ConfigError: something in it cannot be used.
    """
    cfg = fitted(cfg)
    settings = build_settings(cfg)
    processes = world_size(settings)
    _check_parts(cfg.batch_size, processes, settings.accumulate)
    optimizer = build_optimizer_config(cfg)
    task = build_task(cfg)
    cfg, settings = in_steps(cfg, settings, task)
    make_model = ModelFactory(cfg, task)
    cfg = resolve(cfg, make_model)
    model = make_model.sized()
    _check_optimizer(optimizer, model, cfg.optim)
    check_effects(cfg, settings, optimizer, task, model)
    if model.solves_readout and processes > 1:
        raise ConfigError(f"{cfg.preset.model} solves for its readout on one device; give trainer.devices=1.")
    config: Any = OmegaConf.to_container(cfg, resolve=True)
    try_own_task(task, cfg.batch_size)
    draws = try_own_code(model, task, make_model, cfg.batch_size)
    data = task.fingerprint()
    observers = _checked([*build_callbacks(cfg), *_listed(callbacks)])
    for callback in observers if not cfg.logger else ():
        check_is_heard(callback)
    at_once = seeds_at_once(model, task, config, trains_here=accelerator(settings) == "cpu")
    if not is_tested(model):  # whether a user's cell is compiled depends on its numbers too
        with generators_kept():
            model = make_model()
        if processes > 1:
            _check_sharing(model, processes)
        if optimizer.omega:
            try_omega(model, task, cfg.batch_size, optimizer.omega)
    mode = execution_mode(
        *(model, optimizer, settings),
        device=accelerator(settings),
        processes=processes,
        observed=bool(observers),
        name=cfg.preset.model,
    )
    # Each seed has its own callbacks; and one that draws has the generators for itself.
    if processes > 1 or observers or draws or not model.vectorizable or settings.seeds_together is False:
        at_once = 1
    return Plan(
        task=task,
        make_model=make_model,
        optimizer=optimizer,
        settings=settings,
        config=config,
        identity=identity(cfg, data, mode.canonical),
        identify=partial(_identity_at, cfg, data, mode),
        data=data,
        seeds=range(cfg.seed, cfg.seed + cfg.n_seeds),
        batch_size=cfg.batch_size,
        runs_dir=Path(str(cfg.runs_dir)),
        mode=mode,
        at_once=at_once,
        make_loggers=LoggerFactory(cfg),
        make_callbacks=partial(_observers, observers, cfg.n_seeds == 1),
        label=run_label(label, str(cfg.preset.model), str(cfg.preset.task)),
    )


def _identity_at(cfg: DictConfig, data: str | None, mode: ExecutionMode, max_steps: int) -> Identity:
    other = cfg.copy()
    other.trainer.max_steps = max_steps
    return identity(other, data, mode.canonical)


def _listed(callbacks: Sequence[CallbackOrFactory]) -> Sequence[CallbackOrFactory]:
    if isinstance(callbacks, L.Callback) or not isinstance(callbacks, Sequence):
        raise ConfigError("callbacks must be a list: seqbench.train(cfg, callbacks=[…]).")
    return callbacks


def _checked(callbacks: Sequence[CallbackOrFactory]) -> list[CallbackOrFactory]:
    """Return callbacks that observe, or functions that make some; anything else is a ConfigError."""
    for callback in callbacks:
        if isinstance(callback, L.Callback):
            check_observes(callback)
        elif not callable(callback):
            raise ConfigError(f"callbacks holds {callback!r}, which is no Lightning Callback.")
    return list(callbacks)


def _observers(callbacks: Sequence[CallbackOrFactory], single: bool, seed: int) -> list[L.Callback]:
    """Return the callbacks of a seed: each seed has its own, and a single one has the very instances."""
    return [Observer(_of_seed(callback, single, seed)) for callback in callbacks]


def _of_seed(callback: CallbackOrFactory, single: bool, seed: int) -> L.Callback:
    if isinstance(callback, L.Callback):
        try:
            return callback if single else copy.deepcopy(callback)
        except Exception as error:  # whatever it holds: a file, a generator, a lock
            raise ConfigError(
                f"The callback {type(callback).__name__} cannot be copied for each seed ({error}); give a "
                "function that makes one."
            ) from error
    try:
        made = callback(seed)
    except TypeError as error:
        raise ConfigError(f"A function in callbacks must take a seed: {error}.") from error
    if not isinstance(made, L.Callback):
        raise ConfigError(f"A function in callbacks made {made!r}, which is no Lightning Callback.")
    return made


def _check_parts(batch_size: int, processes: int, accumulate: int) -> None:
    """Raise a ConfigError if there is not a sequence for each part of a batch."""
    if batch_size >= processes * accumulate:
        return
    parts = {"trainer.devices": processes, "trainer.accumulate": accumulate}
    by = [f"{key}={count}" for key, count in parts.items() if count > 1]
    raise ConfigError(
        f"batch_size={batch_size} is too small for {' with '.join(by)}, as each part needs a sequence; "
        f"give at least {processes * accumulate}."
    )


def _check_sharing(model: Model, processes: int) -> None:
    """Raise a ConfigError where a user's cell does what devices that share batches cannot."""
    for cell in (module for module in model.modules() if isinstance(module, Cell)):
        if (why := obstacle_to_sharing(cell)) is not None:
            raise ConfigError(
                f"trainer.devices={processes}: devices share the rows of each batch, which "
                f"{type(cell).__name__} does not allow: it has {why}; give trainer.devices=1."
            )


def _check_optimizer(optimizer: OptimizerConfig, model: Model, node: DictConfig) -> None:
    """Raise a ConfigError where the model cannot be optimised so."""
    options: Any = OmegaConf.to_container(node.optimizer, resolve=True)
    try:
        GroupRates(optimizer.build(model.parameters()), optimizer)
        moves = all(map(optimizer.moves, {p.dtype for p in model.parameters()} or {torch.float32}))
    except (ValueError, TypeError, RuntimeError) as error:
        if "closure" in str(error):
            raise ConfigError(
                f"optim.optimizer._target_={options['_target_']} takes a closure; no step has one."
            ) from error
        raise refusal(error, options, "optim.optimizer") from error
    if not moves:
        given = {key: node[key] for key in ("lr", "weight_decay")} | {
            f"optimizer.{key}": value for key, value in options.items() if not key.startswith("_")
        }
        raise ConfigError(
            f"{', '.join(f'optim.{key}={shown(value)}' for key, value in given.items())}: two steps end in a "
            "number that is not finite."
        )
    if optimizer.omega:
        try:
            check_omega(model)
        except ValueError as error:
            raise ConfigError(f"optim.omega={optimizer.omega}: {error}") from error

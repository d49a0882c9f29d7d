"""The runs of a configuration: one for each seed, trained, or read where they are done."""

from __future__ import annotations

import logging
import platform
import sys
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

import lightning as L
import torch
from filelock import FileLock, Timeout
from lightning.pytorch.loggers import Logger
from omegaconf import DictConfig, OmegaConf
from torch import nn

from seqbench.config import (
    build_logger,
    build_model,
    build_recipe,
    build_settings,
    build_task,
    check_counts,
    identity,
    settled,
)
from seqbench.errors import ConfigError, SeqbenchError, StoreError
from seqbench.processes import is_first_process
from seqbench.results.store import Result, read_result, write_atomically, write_result
from seqbench.tasks.base import Task, generator
from seqbench.training import loggers
from seqbench.training.data import STEPS_PER_CALL, TaskData, TrainingStream
from seqbench.training.machine import (
    commit,
    device_name,
    keep_freed_memory,
    peak_memory,
    release_freed_memory,
    reset_peak_memory,
)
from seqbench.training.module import SequenceLearner
from seqbench.training.omega import check_omega
from seqbench.training.optim import Recipe
from seqbench.training.progress import ProgressLine
from seqbench.training.recorder import Record, Recorder, save_atomically
from seqbench.training.seeds import ELEMENTWISE, SeedStack, run
from seqbench.training.settings import TrainerSettings
from seqbench.training.ways import Way


@dataclass(frozen=True)
class Plan:
    """A configuration, checked: what its runs have in common."""

    cfg: DictConfig
    task: Task
    recipe: Recipe
    settings: TrainerSettings
    hash: str

    @property
    def group(self) -> str:
        """`<task>/<model>-<hash>`."""
        return f"{self.cfg.preset.task}/{self.cfg.preset.model}-{self.hash}"

    def folder(self, seed: int) -> Path:
        """Return the run folder of a seed."""
        return Path(str(self.cfg.runs_dir)) / self.group / f"seed-{seed}"


def plan(cfg: DictConfig) -> Plan:
    """Check a configuration and build what does not depend on the seed.

    Raises:
        ConfigError: something in it cannot be used.
    """
    check_counts(cfg)
    settings = build_settings(cfg)
    world_size = _trainer(settings).world_size
    if cfg.batch_size % world_size:
        raise ConfigError(
            f"batch_size={cfg.batch_size} does not divide by the {world_size} devices that share it."
        )
    recipe = build_recipe(cfg)
    task = build_task(cfg)
    cfg = settled(cfg, task)
    with torch.device("meta"):
        model = build_model(cfg, task)
    try:
        recipe.build(model.parameters())
    except (ValueError, TypeError) as error:
        raise ConfigError(f"optim.optimizer: {error}") from error
    _check_recipe(recipe, model)
    if getattr(model, "solves_readout", False) and world_size > 1:
        raise ConfigError(f"{cfg.preset.model} solves for its readout on one device; give trainer.devices=1.")
    return Plan(cfg, task, recipe, settings, identity(cfg))


def _check_recipe(recipe: Recipe, model: nn.Module) -> None:
    """Raise a ConfigError where the model cannot be optimised so."""
    if recipe.omega:
        try:
            check_omega(model)
        except ValueError as error:
            raise ConfigError(f"optim.omega={recipe.omega}: {error}") from error
    if recipe.truncate is not None:
        wants = f"optim.truncate={recipe.truncate} carries a state from piece to piece of a sequence, and "
        if "sequence" not in getattr(model, "accepts", ("sequence",)):
            raise ConfigError(f"{wants}{type(model).__name__} has none; give optim.truncate=null.")
        if getattr(model, "bidirectional", False):
            raise ConfigError(f"{wants}a bidirectional model has none to carry; give optim.truncate=null.")


def train(cfg: DictConfig, on_result: Callable[[Plan, Result, bool], None] | None = None) -> list[Result]:
    """Train every seed of a configuration, and return how each ended.

    A run that has a result is read, not trained; one that was stopped goes on from its last checkpoint; one
    that failed is tried again. Seeds that begin at the same step take their steps side by side.

    Args:
        cfg: from `seqbench.compose`.
        on_result: called after each seed with the plan, the result, and whether it was trained just now.

    Raises:
        SeqbenchError: the configuration, the data or the run folder cannot be used.
    """
    common = plan(cfg)
    results: dict[int, Result] = {}

    def note(seed: int, result: Result, trained: bool) -> None:
        results[seed] = result
        if on_result is not None:
            on_result(common, result, trained)

    missing = []
    for seed in range(cfg.seed, cfg.seed + cfg.n_seeds):
        if (done := _done(common, seed)) is not None:
            note(seed, done, False)
        else:
            missing.append(seed)
    alone = bool(missing) and _trainer(common.settings).world_size > 1
    if missing:
        common.task.prepare(common.cfg.batch_size)
    while missing:
        with ExitStack() as locks:
            # Processes that share batches must agree on which seed they train.
            wanted = missing[:1] if alone else missing
            mine = [seed for seed in wanted if _lock(common, seed, locks)]
            if not mine:  # other processes have them all: wait for the first
                folder = common.folder(missing[0])
                print(f"{folder} is being trained by another process; waiting for it.", file=sys.stderr)
                _lock(common, missing[0], locks, wait=True)
                mine = missing[:1]
            missing = [seed for seed in missing if seed not in mine]
            todo = []
            for seed in mine:
                # The process that was waited for may have finished it.
                if (done := _done(common, seed)) is not None:
                    note(seed, done, False)
                else:
                    todo.append(seed)
            for seed, result in _train_seeds(common, todo):
                note(seed, result, True)
    return [results[seed] for seed in sorted(results)]


def _done(common: Plan, seed: int) -> Result | None:
    result = read_result(common.folder(seed))
    return None if result is None or result.status == "failed" else result


def _lock(common: Plan, seed: int, locks: ExitStack, wait: bool = False) -> bool:
    """Take the lock of a run's folder until `locks` ends; say whether it could be had."""
    if not is_first_process():
        return True
    folder = common.folder(seed)
    lock = FileLock(folder / ".lock", timeout=-1 if wait else 0)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire()
    except Timeout:
        return False
    except OSError as error:
        raise StoreError(
            f"cannot write in {folder}: {error.strerror}. Choose another place with runs_dir=…."
        ) from error
    locks.callback((folder / ".lock").unlink, missing_ok=True)
    locks.callback(lock.release)
    return True


def _train_seeds(common: Plan, seeds: Sequence[int]) -> Iterator[tuple[int, Result]]:
    """Train seeds whose folders are locked; yield each with its result, when that is written."""
    records = {seed: _record(common, seed) for seed in seeds}
    for record in records.values():
        record.load()
    groups: dict[Any, list[int]] = {}
    for seed, record in records.items():  # seeds that have ended lack nothing but their test
        groups.setdefault((record.ended, record.step, record.way), []).append(seed)
    for group in (part for whole in groups.values() for part in _parts(common, whole)):
        if is_first_process():
            for seed in group:
                seeded = OmegaConf.merge(common.cfg, {"seed": seed, "n_seeds": 1})
                write_atomically(common.folder(seed) / "config.yaml", OmegaConf.to_yaml(seeded))
        way = records[group[0]].way
        results = _run(common, {seed: records[seed] for seed in group})
        if (len(group) > 1 or way is not None) and any(result.status == "failed" for result in results):
            # One seed's trouble, or that of a way chosen elsewhere, is not to be another's: each by itself.
            results = []
            for seed in group:
                record = _record(common, seed)
                record.logger_id = records[seed].logger_id
                record.load()
                record.way = None
                results += _run(common, {seed: record})
        yield from zip(group, results, strict=True)


def _parts(common: Plan, seeds: list[int]) -> list[list[int]]:
    """Cut seeds into groups that can go side by side, each with the numbers that it gets alone."""
    settings = common.settings
    can = (
        len(seeds) > 1
        and settings.seeds_together is not False
        and _trainer(settings).world_size == 1
        and isinstance(common.recipe.build([nn.Parameter(torch.zeros(1))]), ELEMENTWISE)
        and _goes_beside_others(common)
    )
    return [seeds] if can else [[seed] for seed in seeds]


def _goes_beside_others(common: Plan) -> bool:
    """Say whether a pass of the model changes nothing but its outputs.

    Random numbers come from one generator for all models, and vmap forgets what a pass does to a buffer.
    """
    try:
        with torch.random.fork_rng(), torch.no_grad():
            model = _model(common, 0)
            if not getattr(model, "vectorizable", False):
                return False
            batch = next(common.task.train_batches(0, 2))
            generator_before = torch.get_rng_state()
            buffers = {name: buffer.clone() for name, buffer in model.named_buffers()}
            run(model, batch)
            same = all(torch.equal(buffers[name], now) for name, now in model.named_buffers())
            return same and torch.equal(generator_before, torch.get_rng_state())
    except Exception:  # a model that wants another device, or that fails; training will say which
        return False


def _run(common: Plan, records: dict[int, Record]) -> list[Result]:
    """Train seeds side by side and test them; an error of the runs' own makes their status `failed`."""
    results = {seed: _blank(common, seed) for seed in records}
    learner = None
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng():
            torch.set_num_threads(common.settings.num_threads or threads)
            keep_freed_memory()
            release_freed_memory()
            reset_peak_memory()
            for seed, record in records.items():
                record.logger = _logger(common, seed, record.logger_id)
            models = [_model(common, seed) for seed in records]
            settings, way = common.settings, next(iter(records.values())).way
            learner = SequenceLearner(
                *(models, common.task, common.recipe, settings.max_steps),
                way=None if way is None else Way(*way),
                together=settings.seeds_together,
            )
            _fit_and_test(common, records, learner, results)
    except (SeqbenchError, KeyboardInterrupt):
        for record in records.values():
            loggers.finish(record.logger, {}, failed=True)
        raise
    except Exception:
        if not is_first_process():
            raise  # the first process records how a run ended; what is wrong here shows on this one's output
        for seed, result in results.items():
            result.status = "failed"
            result.error = traceback.format_exc()
            result.steps = learner.step if learner is not None else 0
            result.wall_time_s = round(records[seed].wall_seconds, 3)
    finally:
        torch.set_num_threads(threads)
    for seed, result in results.items():
        result.finished_at = datetime.now(UTC).isoformat(timespec="seconds")
        if is_first_process():
            write_result(common.folder(seed), result)
            if result.status != "failed":
                records[seed].path.unlink(missing_ok=True)
    for seed, result in results.items():
        loggers.finish(records[seed].logger, _summary(result), failed=result.status == "failed")
    return list(results.values())


def _blank(common: Plan, seed: int) -> Result:
    return Result(
        task=common.cfg.preset.task,
        model=common.cfg.preset.model,
        hash=common.hash,
        seed=seed,
        status="failed",
        config=_plain_config(common.cfg, seed),
        metric=common.task.metric,
        best=common.task.direction,
        criterion=common.task.solved_when,
        device=platform.processor() or platform.machine(),
        versions={name: version(name) for name in ("seqbench", "torch", "lightning")}
        | {"python": platform.python_version()},
        commit=commit(),
    )


def _record(common: Plan, seed: int) -> Record:
    return Record(
        common.task,
        common.folder(seed),
        common.settings.stop_when_solved,
        f"{common.hash}-{seed}-{uuid.uuid4().hex[:6]}",
    )


def _model(common: Plan, seed: int) -> nn.Module:
    torch.manual_seed(generator("weights", seed).initial_seed())
    model = build_model(common.cfg, common.task)
    torch.manual_seed(generator("training", seed).initial_seed())
    return model


def _logger(common: Plan, seed: int, id: str) -> Logger | None:
    if not is_first_process() or common.cfg.logger is None:
        return None
    info = loggers.RunInfo(
        group=common.group,
        seed=seed,
        id=id,
        runs_dir=Path(str(common.cfg.runs_dir)),
        tags=[str(common.cfg.preset[group]) for group in ("task", "model") if common.cfg.preset[group]],
        config=_plain_config(common.cfg, seed),
    )
    return build_logger(common.cfg, info=info)


def _fit_and_test(
    common: Plan, records: dict[int, Record], learner: SequenceLearner, results: dict[int, Result]
) -> None:
    settings, task = common.settings, common.task
    models = list(learner.stack.models)
    first = next(iter(records.values()))
    learner.step = first.step
    learner.resumed = [r.checkpoint for r in records.values() if r.checkpoint is not None]
    recorder = Recorder(list(records.values()), settings.checkpoint_seconds, settings.log_spectrum)
    callbacks: list[L.Callback] = [recorder]
    if settings.progress and is_first_process() and ProgressLine.wanted():
        seeds = "–".join(str(seed) for seed in sorted({min(records), max(records)}))
        title = f"{common.cfg.preset.task} {common.cfg.preset.model} seed{'s' * (len(records) > 1)} {seeds}"
        callbacks.append(ProgressLine(title, task.metric))
    trainer = _trainer(settings, callbacks, [r.logger for r in records.values() if r.logger is not None])
    stream = TrainingStream(
        task,
        list(records),
        common.cfg.batch_size,
        learner.step,
        settings.eval_every,
        settings.max_steps,
        # A process that shares its batches must meet the others after every one.
        steps_per_call=STEPS_PER_CALL if trainer.world_size == 1 else 1,
        forcing=settings.forcing_at,
    )
    learner.stream = stream
    data = TaskData(task, stream)
    if learner.step < settings.max_steps and not first.ended:
        with _interruptible(trainer):
            trainer.fit(learner, data)
    _test(common, records, models, learner, trainer, data)
    for (seed, record), model in zip(records.items(), models, strict=True):
        _fill(common, record, results[seed], model)
        results[seed].way = None if learner.way is None else str(learner.way)
        results[seed].peak_memory_bytes = peak_memory(trainer)
        results[seed].device = device_name(trainer)


def _test(
    common: Plan,
    records: dict[int, Record],
    models: list[nn.Module],
    learner: SequenceLearner,
    trainer: L.Trainer,
    data: TaskData,
) -> None:
    """Measure each seed's best weights on the test sets."""
    tested = [
        (record, model) for record, model in zip(records.values(), models, strict=True) if record.best_step
    ]
    if not tested:
        return
    learner.stack = SeedStack([model for _, model in tested])
    learner.best_weights = [record.best_weights for record, _ in tested]
    with _interruptible(trainer):
        trainer.test(learner, data, verbose=False)
    for (record, _), metrics in zip(tested, learner.tested, strict=True):
        record.tested = metrics
        if trainer.is_global_zero:
            save_atomically(record.best_weights, record.folder / "checkpoints" / "best.pt")


def _fill(common: Plan, record: Record, result: Result, model: nn.Module) -> None:
    """Put what came out into a run's result."""
    task = common.task
    result.status = record.status
    result.solved_at_step = record.solved_at_step
    result.steps = record.step
    result.sequences = record.step * common.cfg.batch_size
    result.best_step = record.best_step
    result.validation = dict(record.best_metrics)
    lengths = task.eval_lengths
    result.test = {str(n): dict(m) for n, m in zip(lengths, record.tested, strict=False)}
    result.baseline_loss = {str(n): task.baseline_loss(n) for n in lengths}
    result.parameters = sum(p.numel() for p in model.parameters())
    result.state_size = getattr(model, "state_size", None)
    result.wall_time_s = round(record.wall_seconds, 3)
    if record.train_seconds > 0:
        result.sequences_per_s = round(result.sequences / record.train_seconds, 1)


def _trainer(
    settings: TrainerSettings, callbacks: Sequence[L.Callback] = (), loggers: Sequence[Logger] = ()
) -> L.Trainer:
    """Return Lightning's trainer; a device or precision that it cannot serve is a ConfigError."""
    logging.getLogger("lightning.pytorch").setLevel(logging.ERROR)
    warnings.filterwarnings("ignore", module="lightning.*")
    precision: Any = settings.precision
    try:
        return L.Trainer(
            accelerator=settings.accelerator,
            devices=settings.devices,
            strategy=settings.strategy,
            precision=precision,
            logger=list(loggers) or False,
            callbacks=list(callbacks),
            max_epochs=-1,
            num_sanity_val_steps=0,
            enable_checkpointing=False,
            enable_progress_bar=False,
            enable_model_summary=False,
            use_distributed_sampler=False,
            **settings.lightning,
        )
    except Exception as error:  # Lightning's own are of many kinds
        raise ConfigError(f"trainer: {str(error).strip().splitlines()[0]}") from error


def _plain_config(cfg: DictConfig, seed: int) -> dict[str, Any]:
    plain: dict[str, Any] = OmegaConf.to_container(cfg, resolve=True)  # type: ignore[assignment]
    return plain | {"seed": seed, "n_seeds": 1}


def _summary(result: Result) -> dict[str, Any]:
    """Return the figures of a result that sum it up, flat."""
    keys = ("status", "solved_at_step", "steps", "parameters", "state_size", "wall_time_s", "sequences_per_s")
    summary = {key: getattr(result, key) for key in keys}
    for length, metrics in result.test.items():
        summary |= {f"test/{length}/{name}": value for name, value in metrics.items()}
    return summary


@contextmanager
def _interruptible(trainer: L.Trainer) -> Iterator[None]:
    """Turn the SystemExit that Lightning makes of Ctrl-C back into what it was."""
    try:
        yield
    except SystemExit as end:
        if trainer.interrupted:
            raise KeyboardInterrupt from end
        raise

"""The runs of a configuration: one for each seed, trained, or read where they are done."""

from __future__ import annotations

import logging
import platform
import resource
import subprocess
import sys
import traceback
import uuid
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache
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
    identity,
    settled,
)
from seqbench.errors import ConfigError, SeqbenchError, StoreError
from seqbench.processes import is_first_process
from seqbench.results.store import Result, read_result, write_atomically, write_result
from seqbench.tasks.base import Task, generator
from seqbench.training import loggers
from seqbench.training.data import STEPS_PER_CALL, TaskData, TrainingStream
from seqbench.training.module import SequenceLearner
from seqbench.training.optim import Recipe
from seqbench.training.progress import ProgressLine
from seqbench.training.recorder import Recorder, save_atomically
from seqbench.training.settings import TrainerSettings


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
        return Path(self.cfg.runs_dir) / self.group / f"seed-{seed}"


def plan(cfg: DictConfig) -> Plan:
    """Check a configuration and build what does not depend on the seed.

    Raises:
        ConfigError: something in it cannot be used.
    """
    for key, least in [("seed", 0), ("n_seeds", 1), ("batch_size", 1)]:
        value = cfg[key]
        if not isinstance(value, int) or isinstance(value, bool) or value < least:
            raise ConfigError(f"{key}={value} must be a whole number, at least {least}.")
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
    return Plan(cfg, task, recipe, settings, identity(cfg))


def train(cfg: DictConfig, on_result: Callable[[Plan, Result, bool], None] | None = None) -> list[Result]:
    """Train every seed of a configuration, and return how each ended.

    A run that has a result is read, not trained; one that was stopped goes on from its last checkpoint; one
    that failed is tried again.

    Args:
        cfg: from `seqbench.compose`.
        on_result: called after each seed with the plan, the result, and whether it was trained just now.

    Raises:
        SeqbenchError: the configuration, the data or the run folder cannot be used.
    """
    common = plan(cfg)
    results = []
    for seed in range(cfg.seed, cfg.seed + cfg.n_seeds):
        result, trained = _train_seed(common, seed)
        if on_result is not None:
            on_result(common, result, trained)
        results.append(result)
    return results


def _train_seed(common: Plan, seed: int) -> tuple[Result, bool]:
    folder = common.folder(seed)
    done = read_result(folder)
    if done is not None and done.status != "failed":
        return done, False
    common.task.prepare(common.cfg.batch_size)
    if not is_first_process():
        return _run(common, seed), True
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock = FileLock(folder / ".lock")
        try:
            lock.acquire(timeout=0)
        except Timeout:
            print(f"{folder} is being trained by another process; waiting for it.", file=sys.stderr)
            lock.acquire()
    except OSError as error:
        raise StoreError(
            f"cannot write in {folder}: {error.strerror}. Choose another place with runs_dir=…."
        ) from error
    try:
        with lock:
            done = read_result(folder)  # the process that was waited for may have finished it
            if done is not None and done.status != "failed":
                return done, False
            seeded = OmegaConf.merge(common.cfg, {"seed": seed, "n_seeds": 1})
            write_atomically(folder / "config.yaml", OmegaConf.to_yaml(seeded))
            result = _run(common, seed)
            write_result(folder, result)
            if result.status != "failed":
                (folder / "checkpoints" / "last.pt").unlink(missing_ok=True)
            return result, True
    finally:
        (folder / ".lock").unlink(missing_ok=True)


def _run(common: Plan, seed: int) -> Result:
    """Train one seed and test it; an error of the run's own becomes a result with status `failed`."""
    result = Result(
        task=common.cfg.preset.task,
        model=common.cfg.preset.model,
        hash=common.hash,
        seed=seed,
        status="failed",
        config=_plain_config(common.cfg, seed),
        metric=common.task.metric,
        best=common.task.best,
        criterion=common.task.criterion,
        device=platform.processor() or platform.machine(),
        versions={name: version(name) for name in ("seqbench", "torch", "lightning")}
        | {"python": platform.python_version()},
        commit=_commit(),
    )
    logger = learner = None
    recorder = _recorder(common, seed)
    threads = torch.get_num_threads()
    try:
        with torch.random.fork_rng():
            torch.set_num_threads(common.settings.num_threads or threads)
            _reset_peak_memory()
            learner = SequenceLearner(
                _model(common, seed), common.task, common.recipe, common.settings.max_steps
            )
            recorder.load(learner)
            logger = _logger(common, seed, recorder.logger_id)
            _fit_and_test(common, seed, learner, recorder, logger, result)
    except (SeqbenchError, KeyboardInterrupt):
        loggers.finish(logger, {}, failed=True)
        raise
    except Exception:
        if not is_first_process():
            raise  # the first process records how a run ended; what is wrong here shows on this one's output
        result.status = "failed"
        result.error = traceback.format_exc()
        result.steps = learner.step if learner is not None else 0
        result.wall_time_s = round(recorder.wall_seconds, 3)
    finally:
        torch.set_num_threads(threads)
    result.finished_at = datetime.now(UTC).isoformat(timespec="seconds")
    loggers.finish(logger, _summary(result), failed=result.status == "failed")
    return result


def _recorder(common: Plan, seed: int) -> Recorder:
    return Recorder(
        common.task,
        common.folder(seed),
        common.settings.checkpoint_seconds,
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
        runs_dir=Path(common.cfg.runs_dir),
        tags=[str(common.cfg.preset[group]) for group in ("task", "model") if common.cfg.preset[group]],
        config=_plain_config(common.cfg, seed),
    )
    return build_logger(common.cfg, info=info)


def _fit_and_test(
    common: Plan,
    seed: int,
    learner: SequenceLearner,
    recorder: Recorder,
    logger: Logger | None,
    result: Result,
) -> None:
    settings, task = common.settings, common.task
    callbacks: list[L.Callback] = [recorder]
    if settings.progress and is_first_process() and ProgressLine.wanted():
        title = f"{common.cfg.preset.task} {common.cfg.preset.model} seed {seed}"
        callbacks.append(ProgressLine(title, task.metric))
    trainer = _trainer(settings, callbacks, logger)
    stream = TrainingStream(
        task,
        seed,
        common.cfg.batch_size,
        learner.step,
        settings.eval_every,
        settings.max_steps,
        # A process that shares its batches must meet the others after every one.
        steps_per_call=STEPS_PER_CALL if trainer.world_size == 1 else 1,
    )
    data = TaskData(task, stream)
    if learner.step < settings.max_steps and not recorder.ended:
        with _interruptible(trainer):
            trainer.fit(learner, data)
    if recorder.best_step is not None:
        learner.model.load_state_dict(recorder.best_weights)
        with _interruptible(trainer):
            trainer.test(learner, data, verbose=False)
        if trainer.is_global_zero:
            save_atomically(recorder.best_weights, common.folder(seed) / "checkpoints" / "best.pt")
    parameters = list(learner.model.parameters())
    result.status = recorder.status
    result.solved_at_step = recorder.solved_at_step
    result.steps = learner.step
    result.sequences = learner.step * common.cfg.batch_size
    result.best_step = recorder.best_step
    result.validation = dict(recorder.best_metrics)
    lengths = task.eval_lengths
    result.test = {str(n): dict(m) for n, m in zip(lengths, learner.tested, strict=False)}
    result.baseline_loss = {str(n): task.baseline_loss(n) for n in lengths}
    result.parameters = sum(p.numel() for p in parameters)
    result.state_size = getattr(learner.model, "state_size", None)
    result.wall_time_s = round(recorder.wall_seconds, 3)
    if recorder.train_seconds > 0:
        result.sequences_per_s = round(result.sequences / recorder.train_seconds, 1)
    result.peak_memory_bytes = _peak_memory(trainer)
    result.device = _device(trainer)


def _trainer(
    settings: TrainerSettings, callbacks: Sequence[L.Callback] = (), logger: Logger | None = None
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
            logger=logger if logger is not None else False,
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


def _reset_peak_memory() -> None:
    if torch.cuda.is_available():
        torch.cuda.reset_peak_memory_stats()
    with suppress(OSError):  # Linux alone has it
        Path("/proc/self/clear_refs").write_text("5")


def _peak_memory(trainer: L.Trainer) -> int:
    """Return the most bytes held at once: on a GPU by tensors, else by the process."""
    if trainer.strategy.root_device.type == "cuda":
        return int(torch.cuda.max_memory_allocated())
    with suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


def _device(trainer: L.Trainer) -> str:
    device = trainer.strategy.root_device
    name = torch.cuda.get_device_name(device) if device.type == "cuda" else _processor()
    return name if trainer.world_size == 1 else f"{trainer.world_size} × {name}"


@cache
def _processor() -> str:
    with suppress(OSError):
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


@cache
def _commit() -> str | None:
    """Return the commit of the checkout that the code runs from, with + where it has changes."""
    git = ["git", "-C", str(Path(__file__).parent)]
    mine = ["ls-files", "--error-unmatch", Path(__file__).name]  # not a repository that this is installed in
    try:
        _, commit, changes = (
            subprocess.run([*git, *args], capture_output=True, text=True, check=True).stdout.strip()
            for args in (mine, ["rev-parse", "HEAD"], ["status", "--porcelain", "-uno"])
        )
    except (OSError, subprocess.CalledProcessError):
        return None
    return commit + ("+" if changes else "")

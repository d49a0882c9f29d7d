"""The arguments of `lightning.Trainer`: those that `trainer.lightning` may hold, and keys for the others."""

from __future__ import annotations

import inspect
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import lightning as L
from lightning.pytorch.profilers import AdvancedProfiler, Profiler, SimpleProfiler

from seqbench.errors import ConfigError, nearest

#: What may be passed on, with the values that have an effect. They observe a run or choose among kernels;
#: none decides how long a run is, what it learns from, or what is kept of it.
ALLOWED: dict[str, tuple[Any, ...]] = {
    "profiler": ("simple", "advanced"),
    "detect_anomaly": (True,),
    "deterministic": (True, "warn"),
    "benchmark": (True,),
}
PROFILERS: dict[str, type[Profiler]] = {"simple": SimpleProfiler, "advanced": AdvancedProfiler}
DEFAULTS = {name: parameter.default for name, parameter in inspect.signature(L.Trainer).parameters.items()}
#: The name of a profiler's files.
REPORT = "report"

_STEPS = "trainer.max_steps sets how many optimisation steps a run has"
_EVALUATIONS = "trainer.eval_every sets how often a run is evaluated"
_EVALUATED = "task.eval_size sets how many sequences are evaluated"
_DRAWN = "batch_size and trainer.max_steps set how many sequences are trained on"
#: Seqbench's own key or reason, for every other argument.
INSTEAD = {
    "accelerator": "give trainer.accelerator",
    "strategy": "give trainer.strategy",
    "devices": "give trainer.devices",
    "num_nodes": "give the devices of all machines together as trainer.devices, and start them with torchrun",
    "precision": "give trainer.precision",
    "logger": "choose loggers with logger=[…]",
    "callbacks": "choose callbacks with callbacks=[…]",
    "fast_dev_run": _STEPS,
    "max_epochs": "trainer.max_epochs sets how many epochs a run has",
    "min_epochs": _STEPS,
    "max_steps": _STEPS,
    "min_steps": f"{_STEPS}, and trainer.stop_when_solved=false keeps it from ending sooner",
    "max_time": f"{_STEPS}, and no clock ends it",
    "limit_train_batches": _DRAWN,
    "limit_val_batches": _EVALUATED,
    "limit_test_batches": _EVALUATED,
    "limit_predict_batches": "seqbench does not predict",
    "overfit_batches": _DRAWN,
    "val_check_interval": _EVALUATIONS,
    "check_val_every_n_epoch": _EVALUATIONS,
    "num_sanity_val_steps": _EVALUATIONS,
    "log_every_n_steps": f"{_EVALUATIONS}, and each evaluation is logged",
    "enable_checkpointing": "trainer.checkpoint_every sets how often a checkpoint is written",
    "enable_progress_bar": "give trainer.progress",
    "enable_model_summary": "a result holds the number of parameters",
    "accumulate_grad_batches": "give trainer.accumulate",
    "gradient_clip_val": "give optim.clip_norm or optim.clip_value",
    "gradient_clip_algorithm": "give optim.clip_norm or optim.clip_value",
    "inference_mode": "no evaluation keeps what a gradient needs",
    "use_distributed_sampler": "the devices that trainer.devices asks for share each batch",
    "barebones": "choose no logger with logger=none and no progress line with trainer.progress=false",
    "plugins": "give trainer.precision or trainer.devices",
    "sync_batchnorm": "seqbench does not synchronise batch normalisation over trainer.devices",
    "reload_dataloaders_every_n_epochs": "every step has sequences of its own, of which there are batch_size",
    "default_root_dir": "runs_dir sets where results go",
    "enable_autolog_hparams": "loggers always get the configuration; choose none with logger=none",
    "model_registry": "runs_dir sets where the best weights go",
}


def check_arguments(given: Mapping[str, Any]) -> None:
    """Raise a ConfigError for an argument that is not passed on, or a value that has no effect."""
    for name, value in given.items():
        where = f"trainer.lightning.{name}"
        if name in INSTEAD:
            raise ConfigError(f"{where} is not passed to Lightning: {INSTEAD[name]}.")
        if name not in ALLOWED:
            raise ConfigError(f"{where} is no argument of lightning.Trainer.{nearest(name, ALLOWED)}")
        # 1 and True are equal, and not the same setting.
        if not any(value == allowed and type(value) is type(allowed) for allowed in ALLOWED[name]):
            valid = " or ".join(str(allowed).lower() for allowed in ALLOWED[name])
            raise ConfigError(f"{where}={value} must be {valid}, or be left out.")


def arguments(given: Mapping[str, Any], folder: str) -> dict[str, Any]:
    """Return every argument of `lightning.Trainer`: those given, and the defaults of all others.

    An argument that is left out would be read from the environment (`PL_TRAINER_MAX_STEPS`).

    Args:
        given: from `trainer.lightning`.
        folder: an empty folder. It is the trainer's root: no checkpoint of another job is found there, as it
            might be in the working directory. A profiler's reports are written there.
    """
    profiler = PROFILERS[given["profiler"]](folder, REPORT) if "profiler" in given else None
    return DEFAULTS | dict(given) | {"profiler": profiler, "default_root_dir": folder}


def reports(folder: str) -> list[str]:
    """Return what a profiler has written: of training, and then of the test."""
    return [path.read_text() for path in sorted(Path(folder).glob(f"*-{REPORT}*"))]

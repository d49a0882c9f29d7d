"""Lightning's trainer as the plan of a job wants it, and how it ends."""

from __future__ import annotations

import signal
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import lightning as L
from lightning.fabric.plugins.environments.lightning import LightningEnvironment
from lightning.fabric.plugins.environments.torchelastic import TorchElasticEnvironment
from lightning.pytorch.loggers import Logger

from seqbench.errors import ConfigError, one_line
from seqbench.processes import machines, started_by_torchrun
from seqbench.runs import devices
from seqbench.runs.plan import Plan
from seqbench.signals import Stopped, are_handled
from seqbench.training.lightning_arguments import arguments


def lightning_trainer(
    job: Plan, callbacks: Sequence[L.Callback], loggers: Sequence[Logger], scratch: str
) -> L.Trainer:
    """Return Lightning's trainer; what it cannot serve is a ConfigError.

    How many processes there are, and which this is, the plan says and not the environment, which Lightning
    would ask.
    """
    settings, several = job.settings, job.world_size > 1
    torchrun = several and started_by_torchrun(job.world_size)
    number = machines(job.world_size)
    own = {
        "accelerator": devices.accelerator(settings),
        "devices": job.world_size // number,
        "num_nodes": number,
        "strategy": "ddp" if several and settings.strategy == "auto" else settings.strategy,
        "plugins": [TorchElasticEnvironment() if torchrun else LightningEnvironment()],
        "precision": settings.precision,
        "logger": list(loggers) or False,
        "callbacks": list(callbacks),
        "max_epochs": -1,
        "num_sanity_val_steps": 0,
        "enable_checkpointing": False,
        "enable_progress_bar": False,
        "enable_model_summary": False,
        "use_distributed_sampler": False,
    }
    try:
        trainer = L.Trainer(**arguments(settings.lightning, scratch) | own)
    except Exception as error:  # Lightning's own are of many kinds
        raise ConfigError(f"trainer: {one_line(error)}.") from error
    if are_handled():  # Lightning's handler of SIGTERM would come before, and stop later
        connector: Any = trainer._signal_connector
        connector.register_signal_handlers = lambda: None
    return trainer


@contextmanager
def ends_of(trainer: L.Trainer) -> Iterator[None]:
    """Give back the ends that Lightning makes another SystemExit of: Ctrl-C, and the exit code of SIGTERM."""
    try:
        yield
    except Stopped:
        raise
    except SystemExit as end:
        if trainer.received_sigterm:
            raise SystemExit(128 + signal.SIGTERM) from end
        if trainer.interrupted:
            raise KeyboardInterrupt from end
        raise

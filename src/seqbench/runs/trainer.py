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
from torch import distributed

from seqbench.errors import ConfigError, one_line
from seqbench.processes import exchanging, is_first_process, loss, machines, started_by_torchrun
from seqbench.runs import devices
from seqbench.runs.launcher import SharedBatches
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
    unused = settings.strategy == "ddp_find_unused_parameters_true"
    torchrun = several and started_by_torchrun(job.world_size)
    number = machines(job.world_size)
    own = {
        "accelerator": devices.accelerator(settings),
        "devices": job.world_size // number,
        "num_nodes": number,
        "strategy": SharedBatches(find_unused_parameters=unused) if several else "auto",
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
    # Lightning's handler of SIGTERM stops later; in one of several processes it begins an exchange with the
    # others, in the midst of another one.
    if are_handled() or several:
        connector: Any = trainer._signal_connector
        connector.register_signal_handlers = lambda: None
    return trainer


@contextmanager
def ends_of(trainer: L.Trainer) -> Iterator[None]:
    """Say how training ends: Lightning makes another SystemExit of Ctrl-C, and none has the code of SIGTERM.

    Where an exchange with another process fails, it is that process that has ended.

    Raises:
        ProcessError: so in the first process; the others end without a word.
    """
    try:
        with exchanging():
            yield
    except Stopped:
        raise
    except SystemExit as end:
        if trainer.received_sigterm:
            raise SystemExit(128 + signal.SIGTERM) from end
        if trainer.interrupted:
            raise KeyboardInterrupt from end
        raise
    except Exception as error:
        if not isinstance(error, distributed.DistError) and "gloo" not in str(error):
            raise
        if not is_first_process():
            raise SystemExit(1) from error
        if (lost := loss(seconds=5)) is not None:
            raise lost from error
        raise

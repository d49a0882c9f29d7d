"""Epochs: a budget of them becomes one of optimisation steps, once, before anything else reads it.

So a run of N epochs is the run of as many steps: it has the same identity, and goes on from fewer.
"""

from __future__ import annotations

from dataclasses import replace

from omegaconf import DictConfig, open_dict

from seqbench.config.fit import LARGEST
from seqbench.errors import ConfigError
from seqbench.tasks.base import Task
from seqbench.training.settings import TrainerSettings


def in_steps(cfg: DictConfig, settings: TrainerSettings, task: Task) -> tuple[DictConfig, TrainerSettings]:
    """Return a configuration and its settings with `trainer.max_steps` in the place of `trainer.max_epochs`.

    Raises:
        ConfigError: the task has no epochs, or a batch takes more than there is.
        DataError: the data are missing or malformed.
    """
    epochs = settings.max_epochs
    if epochs is None:
        return cfg, settings
    key = f"trainer.max_epochs={epochs}"
    steps = epochs * epoch_steps(cfg, task, key, "trainer.max_steps")
    if steps > LARGEST:
        raise ConfigError(f"{key} are {steps} steps, more than {LARGEST}; give fewer.")
    cfg = cfg.copy()
    with open_dict(cfg):
        cfg.trainer.max_steps, cfg.trainer.max_epochs = steps, None
    return cfg, replace(settings, max_steps=steps, max_epochs=None)


def epoch_steps(cfg: DictConfig, task: Task, key: str, instead: str) -> int:
    """Return the optimisation steps of an epoch.

    Args:
        cfg: the configuration.
        task: of it.
        key: the setting that counts epochs, `trainer.max_epochs=3`.
        instead: what a task without epochs could be given.

    Raises:
        ConfigError: the task has no epochs, or a batch takes more than there is.
        DataError: the data are missing or malformed.
    """
    steps = task.epoch_steps(cfg.batch_size)
    if steps is None:
        raise ConfigError(
            f"{key} counts epochs, and task={cfg.preset.task} draws its sequences afresh; give {instead}."
        )
    task.prepare(cfg.batch_size)
    return steps

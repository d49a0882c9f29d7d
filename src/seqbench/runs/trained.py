"""A trained run, opened again: its configuration, its task and its model."""

from __future__ import annotations

from pathlib import Path
from pickle import UnpicklingError
from typing import NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from seqbench.config.build import build_model, build_task
from seqbench.errors import ConfigError, StoreError, one_line
from seqbench.tasks.base import Task


class TrainedRun(NamedTuple):
    """A trained run.

    name: `<model>-<hash>`, the same for every seed.
    cfg: the run's own configuration.
    task: prepared for use.
    model: with the weights of the best evaluation.
    """

    name: str
    cfg: DictConfig
    task: Task
    model: nn.Module


def load_run(folder: Path) -> TrainedRun:
    """Open the folder `<runs_dir>/<task>/<model>-<hash>/seed-<n>` of a trained run.

    Torch's global generator is left as it was.

    Raises:
        StoreError: the folder is not that of a trained run, or its weights are damaged.
        ConfigError: the weights do not fit the run's configuration.
    """
    name, path = folder.resolve().parent.name, folder / "checkpoints" / "best.pt"
    try:
        cfg = OmegaConf.load(folder / "config.yaml")
        weights = torch.load(path, map_location="cpu", weights_only=True)
    except OSError as error:
        raise StoreError(
            f"{folder} is not the folder of a trained run: {error.filename} cannot be read."
        ) from error
    except (RuntimeError, UnpicklingError, EOFError) as error:
        raise StoreError(f"{path} is not a file of weights that a run wrote.") from error
    assert isinstance(cfg, DictConfig)
    task = build_task(cfg)
    task.prepare(cfg.batch_size)
    with torch.random.fork_rng():
        model = build_model(cfg, task)
    try:
        model.load_state_dict(weights)
    except RuntimeError as error:
        raise ConfigError(f"{name}: {one_line(error)}.") from error
    return TrainedRun(name, cfg, task, model)

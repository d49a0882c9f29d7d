"""A trained run, opened again: its configuration, its task and its model."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from torch import nn

from seqbench.config.build import build_model, build_task
from seqbench.config.trust import allow
from seqbench.errors import StoreError, one_line
from seqbench.runs.files import DamagedFileError, from_bytes, read_checked
from seqbench.runs.store import BEST_WEIGHTS, RESULT_FILE, read_result
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


def load_run(folder: Path, allowed_packages: Sequence[str] = ()) -> TrainedRun:
    """Open the folder `<runs_dir>/<task>/<model>-<hash>/seed-<n>` of a trained run.

    Torch's global generator is left as it was.

    Args:
        folder: of the run.
        allowed_packages: packages that may be used, besides seqbench and those of the user's file
            (`seqbench.config.trust`). What the run's configuration allows does not count.

    Raises:
        StoreError: the folder is not that of a trained run, a file is damaged, the data are others than those
            that the run was trained with, or its weights do not fit the model.
        ConfigError: the configuration cannot be used.
    """
    result = read_result(folder)
    if result is None:
        raise StoreError(f"{folder} is not the folder of a trained run: it has no {RESULT_FILE}.")
    if BEST_WEIGHTS not in result.sha256:
        imported = result.status in ("solved", "finished")
        reason = (
            "the run was imported, and weights do not travel"
            if imported
            else f"the run has the status {result.status}"
        )
        raise StoreError(f"{folder} has no weights: {reason}.")
    try:
        content = read_checked(folder / BEST_WEIGHTS, result.sha256[BEST_WEIGHTS])
    except FileNotFoundError as error:
        raise StoreError(f"{folder} is not the folder of a trained run: {error} is missing.") from error
    weights = from_bytes(content, folder / BEST_WEIGHTS)
    cfg = OmegaConf.create(result.config)
    assert isinstance(cfg, DictConfig)
    cfg.allowed_packages = allow(allowed_packages)
    task = build_task(cfg)
    task.prepare(cfg.batch_size)
    if result.data != task.fingerprint():
        raise StoreError(f"{folder} was trained with other data than those that the task reads now.")
    with torch.random.fork_rng():
        model = build_model(cfg, task)
    try:
        _check_fits(weights, model)
        model.load_state_dict(weights)
    except (RuntimeError, ValueError, AttributeError, TypeError) as error:
        reason = one_line(error)
        raise DamagedFileError(
            f"{folder / BEST_WEIGHTS} does not fit the run's configuration: {reason}."
        ) from error
    return TrainedRun(folder.resolve().parent.name, cfg, task, model)


def _check_fits(weights: dict[str, torch.Tensor], model: nn.Module) -> None:
    """Raise a ValueError where weights have other names, shapes or types than those of a model."""
    if not isinstance(weights, dict):
        raise ValueError("it is no set of weights")
    expected = model.state_dict()
    if differing := sorted({*weights} ^ {*expected}):
        raise ValueError(f"{differing[0]} is in one of them alone")
    for name, value in expected.items():
        theirs = weights[name]
        if theirs.shape != value.shape:
            raise ValueError(f"{name} has the shape {tuple(theirs.shape)} and not {tuple(value.shape)}")
        if theirs.dtype.is_floating_point != value.dtype.is_floating_point:
            raise ValueError(f"{name} has the type {theirs.dtype} and not {value.dtype}")

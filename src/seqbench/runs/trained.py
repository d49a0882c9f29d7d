"""A trained run, opened again: its configuration, its task and its model."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor
from torch.utils._pytree import tree_map_only

from seqbench.config.build import build_model, build_task
from seqbench.config.source import source_hash
from seqbench.config.targets import find
from seqbench.config.trust import allow
from seqbench.errors import DataError, StoreError, one_line, say_once
from seqbench.models.model import Model
from seqbench.runs.files import DamagedFileError, from_bytes, read_checked
from seqbench.runs.generators import generators_kept, initial_model
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
    model: Model

    def predict(self, sequences: Sequence[Any]) -> list[Tensor]:
        """Return what the model makes of new sequences.

            run = seqbench.load_run("runs/latch/lstm-1234abcd/seed-0")
            (probabilities,) = run.predict([[1.0, 1.0, 1.0, 0.3, -0.5]])    # (2,), of the two classes

        Args:
            sequences: each a text of tokens, a list of tokens by name or by number, or numbers (T, F); see
                `seqbench.tasks.reading.as_tensor`. Their lengths may differ.

        Returns:
            For each sequence its outputs on the scale of the targets, see `Target.probabilities`: (O,), or
            (T, O) if there is one at each step. Of classes from a `RidgeReadout` only the order counts.

        Raises:
            DataError: a sequence is none that the task could have, or there is none.
        """
        return self.outputs(self.task.read(sequences))

    def outputs(self, given: Mapping[str, Any]) -> list[Tensor]:
        """Return what `predict` does for sequences that were read: by `task.read`, or by `task.read_file`.

        Args:
            given: the arguments of the model's `forward`, by name.
        """
        wanted = inspect.signature(self.model.forward).parameters
        if self.cfg.trainer.precision == "64-true":
            given = tree_map_only(Tensor, lambda p: p.double() if p.is_floating_point() else p, dict(given))
        training = self.model.training
        self.model.eval()
        try:
            with torch.no_grad():
                outputs, _ = self.model(**{name: part for name, part in given.items() if name in wanted})
        finally:
            self.model.train(training)
        outputs = outputs[0] if isinstance(outputs, tuple) else outputs  # a story's answer, and its facts
        found = self.task.targets.probabilities(outputs)
        steps = given["inputs"].shape[1]
        if "lengths" not in given or found.ndim < 3 or found.shape[1] != steps:
            return list(found)
        return [each[:length] for each, length in zip(found, given["lengths"], strict=True)]

    def answer(self, sequences: Sequence[Any]) -> list[str]:
        """Return what the model makes of new sequences in words: the likeliest classes or tokens by name."""
        return [self.task.in_words(outputs) for outputs in self.predict(sequences)]


def load_model(folder: str | Path, allowed_packages: Sequence[str] = ()) -> Model:
    """Return the model of a trained run, with the weights of its best evaluation, in evaluation mode.

    Args:
        folder: `<runs_dir>/<task>/<model>-<hash>/seed-<n>`.
        allowed_packages: as for `load_run`.

    Raises:
        StoreError, DataError, ConfigError: as for `load_run`.
    """
    return load_run(folder, allowed_packages).model.eval()


def load_run(folder: str | Path, allowed_packages: Sequence[str] = ()) -> TrainedRun:
    """Open the folder `<runs_dir>/<task>/<model>-<hash>/seed-<n>` of a trained run.

    Nothing in the folder is executed: weights are read as tensors alone, and the configuration builds what
    it could build in training. The global generators are left as they were. The model is in training mode, in
    which torch's kernels on a GPU have gradients; `load_model` gives one to be used.

    Args:
        folder: of the run.
        allowed_packages: packages that may be used, besides seqbench and those of the user's file
            (`seqbench.config.trust`). What the run's configuration allows does not count.

    Raises:
        StoreError: the folder is not that of a trained run, a file is damaged or of another schema, the data
            are others than those that the run was trained with, or its weights do not fit the model.
        DataError: the task reads data that are missing.
        ConfigError: the configuration cannot be used.
    """
    folder = Path(folder)
    result = read_result(folder)
    if result is None:
        raise StoreError(f"{folder} is not the folder of a trained run: {_lacking(folder)}.")
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
    try:
        task.prepare(cfg.batch_size)
    except DataError as error:
        raise DataError(
            f"{error} A run is used with the data that it was trained with, where they were: start from the "
            "folder in which it was started."
        ) from error
    if result.data != task.fingerprint():
        raise StoreError(f"{folder} was trained with other data than those that the task reads now.")
    with generators_kept():  # of the run, for what a model draws and does not keep among its weights
        model = initial_model(lambda: build_model(cfg, task), result.seed)
    if cfg.trainer.precision == "64-true":
        model.double()
    try:
        _check_fits(weights, model)
        model.load_state_dict(weights)
    except (RuntimeError, ValueError, AttributeError, TypeError) as error:
        reason = one_line(error)
        raise DamagedFileError(
            f"{folder / BEST_WEIGHTS} does not fit the run's configuration: {reason}."
        ) from error
    for place, trained in result.code.items():
        target = OmegaConf.select(cfg, f"{place}._target_")
        if source_hash(target, find(target)) != trained:
            say_once(
                f"{folder}: {target} was changed since the run was trained, and may put out other numbers."
            )
    return TrainedRun(folder.resolve().parent.name, cfg, task, model)


def _lacking(folder: Path) -> str:
    """Return why a folder without a result is not that of a trained run."""
    if folder.is_file():
        return "it is a file"
    if not folder.is_dir():
        return "it is not there"
    if (folder / "config.yaml").exists():
        return f"it has no {RESULT_FILE}, so that the run has not ended; the same command goes on with it"
    seeds = sorted(
        found for pattern in ("seed-*", "*/seed-*", "*/*/seed-*") for found in folder.glob(pattern)
    )
    return f"it has no {RESULT_FILE}" + (f"; give that of a seed, such as {seeds[0]}" if seeds else "")


def _check_fits(weights: dict[str, torch.Tensor], model: Model) -> None:
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

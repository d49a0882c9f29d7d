"""What is accepted has its effect: settings that were given and would do nothing are refused.

A class refuses in its constructor what can have no effect in it. Here is what only the whole configuration
shows.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from typing import Any

from omegaconf import DictConfig, OmegaConf
from torch import nn

from seqbench.config.presets import default_preset, preset_node
from seqbench.config.refusal import refusal
from seqbench.errors import ConfigError
from seqbench.models.body import Stack
from seqbench.models.cells.short_convolution import ShortConvolution
from seqbench.models.cells.tcn import TCNBlock
from seqbench.models.model import Model
from seqbench.models.unfold import Cell
from seqbench.runs.devices import accelerator
from seqbench.runs.epochs import epoch_steps
from seqbench.tasks.base import Task
from seqbench.training.optimisation import OptimizerConfig
from seqbench.training.settings import TrainerSettings

#: What makes convolutions over time, by the parameter that says over how many steps.
TAPS: dict[str, type[nn.Module]] = {"conv_width": ShortConvolution, "kernel_size": TCNBlock}


def check_effects(
    cfg: DictConfig, settings: TrainerSettings, optimizer: OptimizerConfig, task: Task, model: Model
) -> None:
    """Raise a ConfigError for a setting that was given, that is, differs from its default, and has no effect.

    Args:
        cfg: the configuration.
        settings: what its `trainer` describes.
        optimizer: what its `optim` describes.
        task: what its `task` describes.
        model: what its `model` describes; it may be without memory, on the device `meta`.
    """
    if model.solves_readout:
        _check_nothing_optimised(cfg)
    if optimizer.omega and model.dropout_masks is not None:
        raise ConfigError(
            f"optim.omega={optimizer.omega} is of the whole network, and with model.dropout="
            f"{model.dropout_masks.rate} a step trains a part of it; give one of them."
        )
    _check_steps(settings, optimizer)
    _check_epochs(cfg, settings, optimizer, task)
    _check_streams(cfg, optimizer, task, model)
    _check_truncation(cfg, optimizer, task, model)
    _check_taps(cfg, task, model)
    _check_teacher_forcing(settings, cfg, model)
    if optimizer.omega and settings.teacher_forcing != 1:
        raise ConfigError(
            f"optim.omega={optimizer.omega} is of true inputs, and with trainer.teacher_forcing="
            f"{settings.teacher_forcing} some are the model's own outputs; give one of them."
        )
    if settings.log_spectrum and not model.recurrent_matrices():
        raise ConfigError(
            f"trainer.log_spectrum=true has no effect: {cfg.preset.model} has no recurrent matrix; leave it "
            "out."
        )
    if settings.lightning.get("benchmark") and accelerator(settings) != "cuda":
        raise ConfigError(
            "trainer.lightning.benchmark=true chooses among the kernels of a GPU, and this run has none; "
            "leave it out."
        )


def _check_nothing_optimised(cfg: DictConfig) -> None:
    """Refuse what says how to follow a gradient, where the readout is solved for."""
    default = default_preset("optim")
    because = f"has no effect: {cfg.preset.model} solves for its readout, without a gradient; leave it out."
    if cfg.preset.optim != default:
        raise ConfigError(f"optim={cfg.preset.optim} {because}")
    usual = preset_node("optim", default)
    for key, value in _leaves(cfg.optim):
        if value != OmegaConf.select(usual, key):
            raise ConfigError(f"optim.{key}={value} {because}")


def _leaves(node: DictConfig, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Yield the values of a node and of those within it, by dotted key."""
    for name, value in node.items():
        key = prefix + str(name)
        if isinstance(value, DictConfig):
            yield from _leaves(value, f"{key}.")
        else:
            yield key, value


def _check_steps(settings: TrainerSettings, optimizer: OptimizerConfig) -> None:
    """Refuse a learning rate over time, or a patience, for which there are too few steps."""
    steps, warmup = settings.max_steps, optimizer.warmup_steps
    if warmup >= steps:
        raise ConfigError(
            f"optim.warmup_steps={warmup} is as long as the run, trainer.max_steps={steps}, which never "
            "trains at the rate optim.lr; give fewer."
        )
    evaluations = -(-steps // settings.eval_every)
    if settings.patience is not None and settings.patience + 1 >= evaluations:
        raise ConfigError(
            f"trainer.patience={settings.patience} has no effect: trainer.max_steps={steps} has no more than "
            f"{evaluations} evaluation{'s' * (evaluations > 1)}; give null, or more steps."
        )
    _check_plateau(settings, optimizer, evaluations)
    if warmup == 1 and optimizer.schedule == "constant":
        raise ConfigError(
            "optim.warmup_steps=1 has no effect: a warm-up of one step takes it at the rate optim.lr; give "
            "0, or at least 2."
        )
    if optimizer.schedule in ("linear", "cosine") and steps - warmup < 2:
        raise ConfigError(
            f"optim.schedule={optimizer.schedule} has no effect: trainer.max_steps={steps} leaves no second "
            "step after the warm-up, at which the rate has fallen; give constant, or more steps."
        )


def _check_plateau(settings: TrainerSettings, optimizer: OptimizerConfig, evaluations: int) -> None:
    """Refuse a rate that would fall after the run has ended."""
    if optimizer.patience is None:
        return
    named = f"optim.schedule=plateau has no effect: optim.patience={optimizer.patience}"
    if optimizer.patience + 1 >= evaluations:
        raise ConfigError(
            f"{named} is not over before the last of {evaluations} evaluation{'s' * (evaluations > 1)}; give "
            "less, or more steps."
        )
    if settings.patience is not None and settings.patience <= optimizer.patience:
        raise ConfigError(
            f"{named} is no less than trainer.patience={settings.patience}, which ends the run; give less."
        )


def _check_epochs(cfg: DictConfig, settings: TrainerSettings, optimizer: OptimizerConfig, task: Task) -> None:
    """Refuse a learning rate by epochs where there are none, or too few."""
    if optimizer.schedule != "step":
        return
    steps = epoch_steps(cfg, task, "optim.schedule=step", "optim.schedule=linear or cosine")
    assert optimizer.decay_after
    if settings.max_steps <= steps * optimizer.decay_after:
        raise ConfigError(
            f"optim.schedule=step has no effect: optim.decay_after={optimizer.decay_after} epochs of {steps} "
            f"steps are no fewer than trainer.max_steps={settings.max_steps}; give more steps or less of it."
        )


def _check_streams(cfg: DictConfig, optimizer: OptimizerConfig, task: Task, model: Model) -> None:
    """Refuse what cannot go through streams, whose state is carried from one step to the next."""
    if not task.streams:
        return
    name = cfg.preset.model
    streams = f"task={cfg.preset.task} carries the state of a model from step to step"
    if not model.carries_state:
        raise ConfigError(
            f"{streams}, and {name} has none to carry; give a model that reads in one direction."
        )
    if model.solves_readout:
        raise ConfigError(f"{streams}, and {name} solves for its readout; give a model that is trained.")
    if optimizer.omega:
        raise ConfigError(
            f"{streams}, and optim.omega={optimizer.omega} begins each from zero; give optim.omega=0."
        )


def _check_truncation(cfg: DictConfig, optimizer: OptimizerConfig, task: Task, model: Model) -> None:
    if optimizer.truncate is None:
        return
    if not model.carries_state:
        raise ConfigError(
            f"optim.truncate={optimizer.truncate} carries a state from slice to slice of a sequence, and "
            "this model has none to carry; give optim.truncate=null."
        )
    if optimizer.truncate >= task.steps:
        raise ConfigError(
            f"optim.truncate={optimizer.truncate} has no effect: a sequence has at most {task.steps} steps; "
            "give fewer, or null."
        )
    chunks = [cell.chunk_size or 0 for cell in model.modules() if isinstance(cell, Cell)]
    if (longest := max(chunks, default=0)) > optimizer.truncate:
        said = (
            f"is longer than a slice of optim.truncate={optimizer.truncate} steps; give at most that, or null"
        )
        node: Any = OmegaConf.to_container(cfg.model, resolve=True)
        raise refusal(ValueError(f"chunk_size={longest} {said}"), node, "model")


def _check_taps(cfg: DictConfig, task: Task, model: Model) -> None:
    """Refuse a convolution over more steps than a sequence has; a stream carries those before it.

    The last layers of a convolutional network often reach beyond a sequence, and are dilated to do so.
    """
    if task.streams:
        return
    usual = preset_node("model", cfg.preset.model)
    for key, value in _leaves(cfg.model):
        kind = TAPS.get(key.rpartition(".")[2])
        if (
            kind is not None
            and any(isinstance(module, kind) for module in model.modules())
            and value != OmegaConf.select(usual, key)
            and value > (steps := task.steps if kind is TCNBlock else _steps_at_once(task, model))
        ):
            has = "a training sequence has" if steps == task.steps else "a dilated layer takes at once"
            raise ConfigError(
                f"model.{key}={value} is of more steps than {has}, and "
                f"{value - steps} of its taps are never trained; give at most {steps}."
            )


def _steps_at_once(task: Task, model: Model) -> int:
    """Return how many steps of a training sequence a layer takes at once, at the largest dilation."""
    dilations = [module.dilations[-1] for module in model.modules() if isinstance(module, Stack)]
    return math.ceil(task.steps / max(dilations, default=1))


def _check_teacher_forcing(settings: TrainerSettings, cfg: DictConfig, model: Model) -> None:
    rate = settings.teacher_forcing
    if isinstance(rate, int | float):
        if rate == 1:
            return
    elif settings.teacher_rates[0] == settings.teacher_rates[1]:
        raise ConfigError(
            f"trainer.teacher_forcing={list(rate)} does not change from the first step to the last; give one "
            "number."
        )
    elif settings.max_steps == 1:
        raise ConfigError(
            f"trainer.teacher_forcing={list(rate)} goes from one rate to another, and trainer.max_steps=1 "
            "has one step; give one number."
        )
    if model.solves_readout or not model.is_fed_outputs:
        raise ConfigError(
            f"trainer.teacher_forcing={rate if isinstance(rate, int | float) else list(rate)} has no effect: "
            f"{cfg.preset.model} is fed no output for which {cfg.preset.task} has the truth; leave it out."
        )

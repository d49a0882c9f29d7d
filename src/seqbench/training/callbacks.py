"""The user's Lightning callbacks: they observe a run, and must not change it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any

import lightning as L
import torch
from lightning.pytorch import callbacks as lightning_callbacks
from torch import Tensor

from seqbench.errors import ConfigError

#: Lightning's own callbacks that act on training, and seqbench's key or reason in their place.
ACTING = {
    "EarlyStopping": "trainer.stop_when_solved and trainer.max_steps end a run",
    "Timer": "trainer.max_steps ends a run",
    "ModelCheckpoint": "seqbench keeps the best weights and the last checkpoint itself",
    "GradientAccumulationScheduler": "batch_size sets the size of a batch",
    "LearningRateFinder": "optim.lr sets the learning rate",
    "BatchSizeFinder": "batch_size sets the size of a batch",
    "StochasticWeightAveraging": "it changes the weights",
    "WeightAveraging": "it changes the weights",
    "EMAWeightAveraging": "it changes the weights",
    "ModelPruning": "it changes the weights",
    "BaseFinetuning": "it changes which weights are trained",
    "ProgressBar": "trainer.progress shows the progress",
}
HOOKS = [name for name in vars(L.Callback) if name.startswith(("on_", "setup", "teardown"))]


def observing(callback: L.Callback) -> L.Callback:
    """Return the callback with every hook that it defines checked: it may read all, and change nothing.

    Raises:
        ConfigError: the callback is one of Lightning's that act on training; or, when it is called, it stops
            training or changes weights, gradients or learning rates.
    """
    name = type(callback).__name__
    for acting, instead in ACTING.items():
        kind = getattr(lightning_callbacks, acting, None)
        if kind is not None and isinstance(callback, kind):
            raise ConfigError(f"The callback {name} acts on training, and callbacks observe: {instead}.")
    for hook in HOOKS:
        if getattr(type(callback), hook) is not getattr(L.Callback, hook):
            setattr(callback, hook, _checked(getattr(callback, hook), name))
    return callback


def _checked(hook: Callable[..., Any], name: str) -> Callable[..., Any]:
    @wraps(hook)
    def call(trainer: L.Trainer, module: L.LightningModule, *args: Any, **kwargs: Any) -> Any:
        before = _state(trainer, module)
        result = hook(trainer, module, *args, **kwargs)
        after = _state(trainer, module)
        for what, old in before.items():
            if not _same(old, after[what]):
                raise ConfigError(
                    f"The callback {name} {what} in {hook.__name__}; a callback may observe a run and not "
                    "change it."
                )
        return result

    return call


def _state(trainer: L.Trainer, module: L.LightningModule) -> dict[str, list[Any]]:
    parameters = list(module.parameters())
    groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
    return {
        "stops training": [trainer.should_stop],
        "changes weights": [parameter.detach().clone() for parameter in parameters],
        "changes gradients": [None if p.grad is None else p.grad.detach().clone() for p in parameters],
        "changes learning rates": [group["lr"] for group in groups],
    }


def _same(old: list[Any], new: list[Any]) -> bool:
    return len(old) == len(new) and all(
        torch.equal(a.nan_to_num(), b.nan_to_num())
        if isinstance(a, Tensor) and isinstance(b, Tensor)
        else type(a) is type(b) and a == b
        for a, b in zip(old, new, strict=True)
    )

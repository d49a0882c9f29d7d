"""The user's Lightning callbacks: they observe a run, and must not change it."""

from __future__ import annotations

from functools import cache
from inspect import get_annotations, signature
from types import FunctionType
from typing import Any

import lightning as L
import torch
from lightning.pytorch import callbacks as lightning_callbacks
from lightning.pytorch.callbacks import DeviceStatsMonitor, LearningRateMonitor
from torch import Tensor
from torch.utils._pytree import tree_leaves

from seqbench.errors import ConfigError
from seqbench.models.unfold.fused.held import generators_kept
from seqbench.tasks.batch import Batch

#: Lightning's own callbacks that act on training, and seqbench's key or reason in their place.
ACTING = {
    "EarlyStopping": "trainer.patience, trainer.stop_when_solved and trainer.max_steps end a run",
    "Timer": "trainer.max_steps ends a run",
    "ModelCheckpoint": "seqbench keeps the best weights and the last checkpoint itself",
    "GradientAccumulationScheduler": "batch_size sets the size of a batch, trainer.accumulate its parts",
    "LearningRateFinder": "optim.lr sets the learning rate",
    "BatchSizeFinder": "batch_size sets the size of a batch",
    "StochasticWeightAveraging": "it changes the weights",
    "WeightAveraging": "it changes the weights",
    "EMAWeightAveraging": "it changes the weights",
    "ModelPruning": "it changes the weights",
    "BaseFinetuning": "it changes which weights are trained",
    "ProgressBar": "trainer.progress shows the progress",
}
#: Hooks of a torch module, which could change what it computes.
MODULE_HOOKS = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
HOOKS = [name for name in vars(L.Callback) if name.startswith(("on_", "setup", "teardown"))]


def check_observes(callback: L.Callback) -> None:
    """Raise a ConfigError for a callback of Lightning's that acts on training."""
    for acting, instead in ACTING.items():
        kind = getattr(lightning_callbacks, acting, None)
        if kind is not None and isinstance(callback, kind):
            name = type(callback).__name__
            raise ConfigError(f"The callback {name} acts on training, and callbacks observe: {instead}.")


def check_is_heard(callback: object) -> None:
    """Raise a ConfigError for a callback that does nothing but log; there is no logger."""
    if isinstance(callback, LearningRateMonitor | DeviceStatsMonitor):
        name = type(callback).__name__
        raise ConfigError(f"The callback {name} writes to a logger, and there is none; give logger=csv.")


class Observer(L.Callback):
    """Calls the hooks of a callback, which may read everything and change nothing.

    A hook runs with random numbers of its own, and whether modules train or evaluate is put back after it.
    After each hook that the callback defines, the following must be as before: weights, the best ones too,
    buffers, gradients, which weights are trained, the settings of the model and the hooks of its modules, the
    task, its settings and its data, the batch and those that are still to come, what was measured, the state
    and the settings of the optimiser, settings of torch, the number of steps, and whether training continues.

    Raises:
        ConfigError: the callback acts on training; or, when a hook runs, it changed something.
        RuntimeError: a hook raised StopIteration, which would end a loop of Lightning's without a word.
    """

    def __init__(self, callback: L.Callback) -> None:
        check_observes(callback)
        self.callback = callback
        self.name = type(callback).__name__

    def call(
        self, hook: str, trainer: L.Trainer, module: L.LightningModule, *args: Any, **kwargs: Any
    ) -> Any:
        """Call a hook and check that it changed nothing."""
        function = getattr(self.callback, hook)
        if getattr(function, "__func__", None) is getattr(L.Callback, hook):
            return None
        before = _state(trainer, module, (args, kwargs))
        training = [(part, part.training) for part in module.modules()]
        vars(self.callback).update(log=module.log, log_dict=module.log_dict)  # as Lightning does
        try:
            with torch.random.fork_rng(), generators_kept():
                result = function(trainer, module, *args, **kwargs)
        except StopIteration as error:
            raise RuntimeError(f"The callback {self.name} raises StopIteration in {hook}.") from error
        finally:
            for part, mode in training:  # one that looked at an output may have left the model in eval()
                part.training = mode
            for name in ("log", "log_dict"):
                vars(self.callback).pop(name, None)
        after = _state(trainer, module, (args, kwargs))
        for what, old in before.items():
            if not _same(old, after[what]):
                raise ConfigError(
                    f"The callback {self.name} {what} in {hook}; a callback may observe a run and not "
                    "change it."
                )
        return result


def _forward(hook: str) -> Any:
    def call(self: Observer, trainer: L.Trainer, module: L.LightningModule, *args: Any, **kwargs: Any) -> Any:
        return self.call(hook, trainer, module, *args, **kwargs)

    call.__name__ = hook
    return call


for _hook in HOOKS:
    setattr(Observer, _hook, _forward(_hook))


#: What a setting is that an object keeps as a plain attribute.
PLAIN = (bool, int, float, str, tuple)


def _state(trainer: L.Trainer, module: L.LightningModule, given: Any) -> dict[str, Any]:
    """Return what a callback must not change; `given` is what its hook is given."""
    task: Any = getattr(module, "task", None)
    passes: Any = getattr(module, "passes", [])
    parameters = list(module.parameters())
    groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
    optimizer_state = tree_leaves([optimizer.state_dict()["state"] for optimizer in trainer.optimizers])
    return {
        "stops training": [trainer.should_stop],
        "changes the number of steps": [getattr(module, name, None) for name in ("step", "max_steps")],
        "changes the task": [id(task)],
        "changes settings of the task": {
            (place, name): its
            for (place, name), its in _settings(task, *_kinds(task)).items()
            if place or name in _settings_of(task.__class__)  # and not what a task counts for itself
        },
        "changes what was measured": [
            *(list(its.items()) for its in getattr(module, "evaluation", [])),
            *(part.clone() for its in passes for part in tree_leaves(its.sums) if isinstance(part, Tensor)),
        ],
        "changes settings of torch": [
            torch.is_grad_enabled(),
            torch.get_default_dtype(),
            torch.get_num_threads(),
            torch.get_float32_matmul_precision(),
            torch.are_deterministic_algorithms_enabled(),
        ],
        "takes or changes training batches": _settings(getattr(module, "stream", None)),
        "changes how the models are trained": _settings(*passes, *(its.config for its in passes)),
        "changes the best weights": [
            part.clone()
            for part in tree_leaves(getattr(module, "best_weights", []))
            if isinstance(part, Tensor)
        ],
        "changes weights": [parameter.detach().clone() for parameter in parameters],
        "changes buffers": [buffer.detach().clone() for buffer in module.buffers()],
        "changes gradients": [None if p.grad is None else p.grad.detach().clone() for p in parameters],
        "changes learning rates": [group["lr"] for group in groups],
        "changes settings of the optimiser": [
            (name, value) for group in groups for name, value in group.items() if name != "params"
        ],
        "changes which weights are trained": [parameter.requires_grad for parameter in parameters],
        # By its numbers: what is written through `.data` or NumPy leaves a tensor's version as it was.
        "changes a batch": [part.clone() for part in tree_leaves(given) if isinstance(part, Tensor)],
        "changes data": _data(task, *_listed(trainer.val_dataloaders), *_listed(trainer.test_dataloaders)),
        "changes settings of the model": _settings(
            *(part for part in module.modules() if part is not module)
        ),
        "registers hooks": [len(getattr(part, name)) for part in module.modules() for name in MODULE_HOOKS],
        "changes the optimiser's state": [
            part.clone() if isinstance(part, Tensor) else part for part in optimizer_state
        ],
    }


def _settings(*parts: Any) -> dict[tuple[int, str], Any]:
    """Return the plain attributes of objects and their classes, by the place of the object and the name.

    A method counts, too, for one that is put in its place would be called.
    """
    return {
        (place, name): value
        for place, part in enumerate(parts)
        for name, value in (_of_class(part.__class__) | getattr(part, "__dict__", {})).items()
        if isinstance(value, (*PLAIN, FunctionType)) and not isinstance(value, Batch) and name != "training"
    }


@cache
def _of_class(kind: type) -> dict[str, Any]:
    """Return the plain attributes and the methods of a class and those that it is made from."""
    return {
        name: value
        for each in reversed(kind.__mro__)
        for name, value in vars(each).items()
        if isinstance(value, (*PLAIN, FunctionType)) and not name.startswith("__")
    }


def _kinds(task: Any) -> list[Any]:
    """Return of which kind a task's inputs and targets are."""
    return [getattr(task, name, None) for name in ("inputs", "targets")]


@cache
def _settings_of(kind: type) -> set[str]:
    """Return the names of a task's settings: what a class has or is made with. A counter is none."""
    made_with = [
        name for each in kind.__mro__ if "__init__" in vars(each) for name in signature(each).parameters
    ]
    return {*made_with, *_of_class(kind), *(name for each in kind.__mro__ for name in get_annotations(each))}


def _data(*holders: Any) -> dict[tuple[int, str, int], int]:
    """Return how often each tensor was written to that a task, or a set for evaluation, holds."""
    return {
        (place, name, k): 0 if part.is_inference() else part._version
        for place, holder in enumerate(holders)
        for name, value in getattr(holder, "__dict__", {}).items()
        if isinstance(value, Tensor | Batch) or name == "_parts"  # of an `EvaluationSet`
        for k, part in enumerate(tree_leaves(value))
        if isinstance(part, Tensor)
    }


def _listed(loaders: Any) -> list[Any]:
    return loaders if isinstance(loaders, list) else [loaders]


def _same(old: Any, new: Any) -> bool:
    if isinstance(old, dict):  # what came new is what is computed once, when it is asked for
        return all(name in new and (new[name] is its or bool(new[name] == its)) for name, its in old.items())
    return len(old) == len(new) and all(
        torch.equal(a.nan_to_num(), b.nan_to_num())
        if isinstance(a, Tensor) and isinstance(b, Tensor)
        else type(a) is type(b) and a == b
        for a, b in zip(old, new, strict=True)
    )

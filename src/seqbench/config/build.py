"""Building: the parts of a run, each from its group of the configuration."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from functools import cache
from itertools import chain
from typing import TYPE_CHECKING, Any

from omegaconf import DictConfig, OmegaConf

from seqbench.config.fit import count
from seqbench.config.instantiate import build, check, instantiate
from seqbench.config.presets import model_accepts, preset_names, preset_node
from seqbench.config.refusal import largest, refusal
from seqbench.config.shares import span_key
from seqbench.config.targets import kind_of, locate
from seqbench.config.trust import allowed_packages
from seqbench.errors import ConfigError
from seqbench.processes import one_thread

if TYPE_CHECKING:
    from lightning.pytorch import Callback

    from seqbench.models.model import Model
    from seqbench.tasks.base import Task
    from seqbench.training.optimisation import OptimizerConfig
    from seqbench.training.settings import TrainerSettings

#: How far, as a share, the number of parameters may be from `model.param_budget`.
BUDGET_TOLERANCE = 0.05
#: The most symbols, classes or numbers of a step that a task may have.
LARGEST_SIZE = 10**9
#: The most parameters that a model may be given.
LARGEST_BUDGET = 10**9


def nodes(cfg: DictConfig, group: str) -> dict[str, Any]:
    """Return the nodes of a group that may hold several, without those set to null."""
    nodes: Any = OmegaConf.to_container(cfg.get(group) or OmegaConf.create(), resolve=True)
    return {name: node for name, node in nodes.items() if node is not None}


@one_thread()  # what a task measures of its data does not depend on the cores
def build_task(cfg: DictConfig) -> Task:
    """Build the task of a configuration.

    Raises:
        ConfigError: a value does not fit, or the class names another key than the task as that of its span.
    """
    task: Task = build(cfg.task, "task", kind_of("task"), allowed_packages(cfg))
    if (span := task.span) is not None and span.key != (known := span_key(cfg)):
        raise ConfigError(
            f"{cfg.task._target_} says that task.{span.key} sets its span, and has span_key = {known!r}; set "
            f"it to {span.key!r} in the class."
        )
    return task


def build_optimizer_config(cfg: DictConfig) -> OptimizerConfig:
    """Build the optimizer config of a configuration."""
    config: OptimizerConfig = build(cfg.optim, "optim", kind_of("optim"), allowed_packages(cfg))
    return config


def build_settings(cfg: DictConfig) -> TrainerSettings:
    """Build the trainer settings of a configuration."""
    settings: TrainerSettings = build(cfg.trainer, "trainer", kind_of("trainer"), allowed_packages(cfg))
    return settings


def build_model(cfg: DictConfig, task: Task) -> Model:
    """Build one model of a configuration for a task. Its weights are drawn from torch's global generator.

    Several models of one configuration are made faster by one `ModelFactory`.

    Raises:
        ConfigError: as for `ModelFactory`.
    """
    return ModelFactory(cfg, task)()


class ModelFactory:
    """Makes the models of a configuration for a task; checks and searches once, when it is created.

        make_model = ModelFactory(cfg, task)
        models = [make_model() for _ in seeds]    # weights are drawn from torch's global generator

    With `model.param_budget` the width is the one whose number of live parameters (see
    `Model.live_parameters`) is nearest to the budget.

    Args:
        cfg: a configuration.
        task: its task, which names the sizes that the model's constructor asks for.

    Attributes:
        node: the checked configuration of the model, with the width that the budget leads to.

    Raises:
        ConfigError: the model does not accept the task, a value does not fit, no width comes within 5 % of
            the budget, or another width than the budget's was given.
    """

    def __init__(self, cfg: DictConfig, task: Task) -> None:
        self._task = task
        node: Any = OmegaConf.to_container(cfg.model, resolve=True)
        budget, given = node.pop("param_budget", None), node.get("hidden_size")
        self._kind, allowed = kind_of("model"), allowed_packages(cfg)
        self._given: dict[str, Any] = {}
        if "_target_" in node:
            target = locate(str(node["_target_"]), "model._target_", self._kind, allowed)
            _check_accepts(cfg, target, task)
            offered = task.model_arguments()
            if any(isinstance(size, int) and size > LARGEST_SIZE for size in offered.values()):
                sizes: Any = OmegaConf.to_container(cfg.task, resolve=True)
                raise ConfigError(f"{largest({'task': sizes})} is larger than any memory; give less.")
            self._given = asked_for(target, offered)
        if budget is None:
            self.node = check(node, "model", self._kind, allowed, self._given)
        else:
            budget = count(budget, "model.param_budget", 1, LARGEST_BUDGET)
            self.node = check(node | {"hidden_size": 1}, "model", self._kind, allowed, self._given)
            width = width_for_budget(budget, self._parameters_at, cfg.preset)
            if given not in (None, width, preset_node("model", cfg.preset.model).get("hidden_size", given)):
                raise ConfigError(
                    f"model.hidden_size={given} has no effect beside model.param_budget={budget}, which "
                    f"leads to {width}; give model.hidden_size=null or model.param_budget=null."
                )
            self.node["hidden_size"] = width

    @property
    def width(self) -> int | None:
        """The width of the models, `hidden_size`; None for a model that has no such parameter."""
        return self.node.get("hidden_size")

    def __call__(self) -> Model:
        """Make a model.

        Raises:
            ConfigError: the model's class refuses a value, or the length of the task's sequences.
        """
        model = self._made(self.node)
        for module in model.modules():
            check_length: Any = getattr(module, "check_length", None)
            if check_length is not None:
                try:
                    check_length(self._task.steps)
                except ValueError as error:
                    raise refusal(error, self.node, "model") from error
        return model

    def _parameters_at(self, width: int) -> int:
        """Return the number of live parameters of a model with that width, see `sized`."""
        return self._sized(lambda: self._made(self.node | {"hidden_size": width})).live_parameters()

    def sized(self) -> Model:
        """Return a model of which the sizes alone are wanted: on the device `meta`, where it takes no memory.

        A user's model whose constructor reads numbers cannot be made there, and has memory. No generator of
        torch's moves.
        """
        return self._sized(self)

    def _sized(self, make: Callable[[], Model]) -> Model:
        import torch

        with torch.random.fork_rng(devices=()):
            try:
                with torch.device("meta"):
                    return make()
            except ConfigError as error:
                if "meta" not in str(error).lower():
                    raise
            return make()

    def _made(self, node: dict[str, Any]) -> Model:
        from torch.nn.parameter import is_lazy

        model: Model = instantiate(node, "model", self._kind, **self._given)
        for name, parameter in chain(model.named_parameters(), model.named_buffers()):
            if is_lazy(parameter):
                place, _, its = name.rpartition(".")
                kind = type(model.get_submodule(place)).__name__
                raise ConfigError(
                    f"model: {place or 'it'} is a {kind}, whose {its} has no shape before its first call; "
                    "use a module that is given its sizes."
                )
        return model


def width_for_budget(budget: int, parameters_at: Callable[[int], int], preset: Mapping[str, Any]) -> int:
    """Return the width whose number of parameters is nearest to a budget.

    Args:
        budget: the number of parameters wanted, the value of `model.param_budget`.
        parameters_at: returns the number of parameters at a width. It must grow with the width.
        preset: the names of the model and the task, for messages.

    Raises:
        ConfigError: none comes within 5 % of the budget.
    """
    parameters = cache(parameters_at)
    low, high = 1, 2
    if parameters(low) == parameters(high):
        raise ConfigError(
            f"model.param_budget={budget} has no effect on {preset['model']}: its number of parameters does "
            "not depend on hidden_size. Give model.param_budget=null."
        )
    while parameters(high) < budget:
        low, high = high, high * 2
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (middle, high) if parameters(middle) < budget else (low, middle)
    width = low if budget - parameters(low) <= parameters(high) - budget else high
    if abs(parameters(width) - budget) > BUDGET_TOLERANCE * budget:
        raise ConfigError(
            f"model.param_budget={budget} is out of reach of {preset['model']} on {preset['task']}: the "
            f"nearest are {parameters(low)} parameters (hidden_size={low}) and {parameters(high)} "
            f"(hidden_size={high})."
        )
    return width


def _check_accepts(cfg: DictConfig, target: Any, task: Task) -> None:
    accepts = getattr(target, "accepts", (task.kind,))
    if task.kind not in accepts:
        fit = [
            name for name in preset_names("model") if task.kind in model_accepts(name, allowed_packages(cfg))
        ]
        raise ConfigError(
            f"The model {cfg.preset.model} takes {' and '.join(accepts)} tasks, "
            f"and {cfg.preset.task} is a {task.kind} task; models that take it: {', '.join(fit) or 'none'}."
        )


def asked_for(target: Any, offered: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments that the signature of `target` names; all of them if it takes any name."""
    parameters = inspect.signature(target).parameters
    if any(p.kind is p.VAR_KEYWORD for p in parameters.values()):
        return dict(offered)
    return {name: value for name, value in offered.items() if name in parameters}


def build_callbacks(cfg: DictConfig) -> list[Callback]:
    """Build the callbacks of one run, one for each node of the group `callbacks`.

    Raises:
        ConfigError: a node is no Lightning Callback, a value does not fit, or a package is missing.
    """
    kind, allowed = kind_of("callbacks"), allowed_packages(cfg)
    return [build(node, f"callbacks.{name}", kind, allowed) for name, node in nodes(cfg, "callbacks").items()]

"""How a model is optimised: the optimiser, its learning rate over time, and clipping."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor, nn

from seqbench.errors import ConfigError
from seqbench.training.seed_stack import ELEMENTWISE, aligned

#: Arguments that say how an optimiser executes; and what is given to those that can take all parameters in
#: one call.
EXECUTION = {"fused", "foreach", "capturable", "differentiable"}
FUSED: dict[Any, dict[str, bool]] = {kind: {"fused": True} for kind in (torch.optim.Adam, torch.optim.AdamW)}


class OptimizerConfig:
    """An optimiser with its learning-rate schedule and gradient clipping.

    Args:
        optimizer: makes the optimiser: `optimizer(parameters, lr=…, weight_decay=…)`.
        lr: learning rate after the warm-up.
        weight_decay: passed to the optimiser.
        clip_norm: the largest norm of a gradient; a longer gradient is scaled to it (Pascanu et al., 2013).
            None does not clip.
        clip_value: the largest absolute value of a component (of a complex one its real and its imaginary
            part), clipped before `clip_norm`. None does not clip.
        schedule: after the warm-up the learning rate is constant, or falls linearly or by half a cosine, to
            zero after the last step; or it falls by steps, at the start of epochs; or at a plateau, where
            evaluations stop to improve.
        decay: with schedule=step or plateau what the rate is multiplied by.
        decay_after: with schedule=step the epochs before it falls for the first time.
        decay_every: with schedule=step the epochs from then on before it falls again.
        patience: with schedule=plateau the evaluations in a row without a new best one before it falls; they
            are counted anew after each fall.
        warmup_steps: steps over which the learning rate grows from zero.
        omega: weight of the regulariser Ω, which penalises steps that change the norm of the gradient, on
            average over steps and rows (Pascanu et al., 2013; see `seqbench.training.omega`).
        truncate: the most steps that a gradient is propagated back (truncated back-propagation through time):
            a sequence is learnt in slices of so many steps, and the state is carried over. None propagates
            back to the start.

    Raises:
        ConfigError: a value out of its range, or two that exclude each other.
    """

    #: Ω is a mean, with a gradient in the recurrent matrices, since its second revision; its sums are those
    #: of compiled cells since its third.
    revisions: ClassVar[dict[str, int]] = {"omega": 3}

    def __init__(
        self,
        optimizer: Callable[..., torch.optim.Optimizer],
        lr: float,
        weight_decay: float = 0.0,
        clip_norm: float | None = 1.0,
        clip_value: float | None = None,
        schedule: Literal["constant", "linear", "cosine", "step", "plateau"] = "constant",
        warmup_steps: int = 0,
        omega: float = 0.0,
        truncate: int | None = None,
        decay: float | None = None,
        decay_after: int | None = None,
        decay_every: int = 1,
        patience: int | None = None,
    ) -> None:
        if not lr > 0:
            raise ConfigError(f"optim.lr={lr} must be above 0.")
        for name in ("lr", "weight_decay"):
            if name in getattr(optimizer, "keywords", {}):
                raise ConfigError(f"optim.optimizer.{name} would be ignored; set optim.{name}.")
        if weight_decay < 0:
            raise ConfigError(f"optim.weight_decay={weight_decay} must be 0 or more.")
        for name, value in [("clip_norm", clip_norm), ("clip_value", clip_value)]:
            if value is not None and not value > 0:
                raise ConfigError(f"optim.{name}={value} must be above 0; null does not clip.")
        if warmup_steps < 0:
            raise ConfigError(f"optim.warmup_steps={warmup_steps} must be 0 or more.")
        if omega < 0:
            raise ConfigError(f"optim.omega={omega} must be 0 or more; 0 turns it off.")
        if truncate is not None and truncate < 1:
            raise ConfigError(f"optim.truncate={truncate} must be at least 1, or null.")
        if omega and truncate is not None:
            raise ConfigError("optim.omega needs whole sequences, and optim.truncate cuts them: choose one.")
        self.omega = omega
        self.truncate = truncate
        self.optimizer = optimizer
        self.lr = lr
        self.weight_decay = weight_decay
        self.clip_norm = clip_norm
        self.clip_value = clip_value
        self.schedule = schedule
        self.decay, self.decay_after, self.decay_every = decay, decay_after, decay_every
        self.patience = patience
        self._check_decay()
        self.warmup_steps = warmup_steps

    def _check_decay(self) -> None:
        """Raise a ConfigError where a key of a falling rate is missing, out of range or without effect."""
        every = None if self.decay_every == 1 else self.decay_every
        for key, value, schedules, unit in (
            ("decay", self.decay, ("step", "plateau"), ""),
            ("decay_after", self.decay_after, ("step",), "epoch"),
            ("decay_every", every, ("step",), "epoch"),
            ("patience", self.patience, ("plateau",), "evaluation"),
        ):
            if self.schedule not in schedules:
                if value is not None:
                    raise ConfigError(
                        f"optim.{key}={value} has no effect with optim.schedule={self.schedule}; give "
                        f"optim.schedule={' or '.join(schedules)}."
                    )
            elif value is None:
                if key != "decay_every":
                    raise ConfigError(f"optim.schedule={self.schedule} needs optim.{key}, which is null.")
            elif unit and value < 1:
                raise ConfigError(f"optim.{key}={value} must be at least 1 {unit}.")
            elif not unit and not 0 < value < 1:
                raise ConfigError(f"optim.{key}={value} must lie between 0 and 1.")

    @property
    def elementwise(self) -> bool:
        """Whether the optimiser treats every number of a parameter by itself.

        It is known of torch's own. A subclass, or a function that returns one of them, may well do otherwise,
        and group the parameters by their shapes.
        """
        return getattr(self.optimizer, "func", self.optimizer) in ELEMENTWISE

    def build(self, parameters: Iterable[nn.Parameter]) -> torch.optim.Optimizer:
        """Return the optimiser of a model's parameters.

        One that can take all parameters in one call does so, unless the configuration says how it executes:
        the overhead of a call for each is a large part of a small model's step.
        """
        parameters = list(parameters)
        given = getattr(self.optimizer, "keywords", {})
        chosen = FUSED.get(getattr(self.optimizer, "func", None), {})
        if EXECUTION & given.keys() or any(parameter.is_complex() for parameter in parameters):
            chosen = {}
        return self.optimizer(parameters, lr=self.lr, weight_decay=self.weight_decay, **chosen)

    def moves(self, dtype: torch.dtype = torch.float32) -> bool:
        """Whether two steps, from 0 along a gradient of 1, end in a finite number.

        Args:
            dtype: of the parameter.

        Raises:
            ConfigError, ValueError: see `GroupRates`.
        """
        parameter = nn.Parameter(torch.zeros(1, dtype=dtype))
        optimizer = self.build([parameter])
        rates = GroupRates(optimizer, self)
        for _ in range(2):
            parameter.grad = torch.ones(1, dtype=dtype)
            rates.set(self.lr)
            try:
                optimizer.step()
            except RuntimeError as error:
                if "overflow" in str(error):
                    return False
                raise
            rates.check()
        return bool(parameter.isfinite())

    def clip(self, gradients: list[Tensor], lead: int = 0) -> Tensor:
        """Clip the gradients of a model in place; of stacked models, (W, …), each by itself.

        Args:
            gradients: of the parameters.
            lead: 1 for stacked models.

        Returns:
            The norm, () or (W,), before `clip_norm`.
        """
        if self.clip_value is not None:
            for gradient in gradients:
                parts = torch.view_as_real(gradient) if gradient.is_complex() else gradient
                parts.clamp_(-self.clip_value, self.clip_value)
        if lead:
            norms = [torch.linalg.vector_norm(aligned(g.reshape(len(g), -1)), dim=1) for g in gradients]
        else:
            norms = list(torch._foreach_norm(gradients))
        norm: Tensor = torch.linalg.vector_norm(torch.stack(norms), dim=0)
        if self.clip_norm is not None:
            scale = (self.clip_norm / (norm + 1e-6)).clamp_max(1)
            if lead:
                for gradient in gradients:
                    gradient.mul_(scale.view(-1, *[1] * (gradient.ndim - 1)))
            else:
                torch._foreach_mul_(gradients, scale)
        return norm

    def lr_at(self, step: int, max_steps: int, epoch_steps: int | None = None, plateaus: int = 0) -> float:
        """Return the learning rate of an optimisation step, counted from 0.

        Args:
            step: its number.
            max_steps: steps of the run.
            epoch_steps: steps of an epoch, which schedule=step needs.
            plateaus: those of the evaluations so far, at which schedule=plateau has fallen.
        """
        if step < self.warmup_steps:
            return self.lr * (step + 1) / self.warmup_steps
        if self.schedule == "step":
            assert epoch_steps and self.decay and self.decay_after
            falls = (step // epoch_steps - self.decay_after) // self.decay_every + 1
            return self.lr * float(self.decay) ** max(0, falls)
        if self.schedule == "plateau":
            assert self.decay
            return self.lr * float(self.decay) ** plateaus
        if self.schedule == "constant":
            return self.lr
        done = (step - self.warmup_steps) / max(1, max_steps - self.warmup_steps)
        return self.lr * ((1 - done) if self.schedule == "linear" else (1 + math.cos(math.pi * done)) / 2)


class GroupRates:
    """The learning rates of an optimiser's groups of parameters.

    A group that is made with another rate than `optim.lr` keeps its share of it: with a tenth of it, it has a
    tenth of what the schedule gives at every step.

    Args:
        optimizer: as it is made, before its first step.
        config: what it was made by.

    Raises:
        ConfigError: a schedule has nothing to set, as the groups have no rate.
    """

    def __init__(self, optimizer: torch.optim.Optimizer, config: OptimizerConfig) -> None:
        self._kind = type(optimizer).__name__
        self._optimizer = optimizer  # whose groups are others once it has loaded a state
        groups = optimizer.param_groups
        rates = [group.get("lr") for group in groups]
        self._shares = [None if rate is None else float(rate) / config.lr for rate in rates]
        if None in self._shares and (config.schedule != "constant" or config.warmup_steps):
            key = "warmup_steps" if config.schedule == "constant" else "schedule"
            raise ConfigError(
                f"optim.optimizer, {self._kind}, has no 'lr' in its groups of parameters, so that "
                f"optim.{key}={getattr(config, key)} could change no learning rate; put it there, or leave "
                f"optim.{key} out."
            )

    def set(self, lr: float) -> None:
        """Give each group its share of a rate."""
        for group, rate in self._rates(lr):
            group["lr"] = rate
        self._lr = lr

    def check(self) -> None:
        """Raise a ValueError if the optimiser's step has changed a rate: the next one would lose that."""
        for group, rate in self._rates(self._lr):
            if group["lr"] != rate:
                raise ValueError(
                    f"{self._kind} changes the learning rate in its step, from {rate:g} to "
                    f"{float(group['lr']):g}, and optim.schedule sets it anew before each step; give "
                    "optim.schedule and optim.warmup_steps, or keep the factor elsewhere than in 'lr'"
                )

    def _rates(self, lr: float) -> Iterator[tuple[dict[str, Any], float]]:
        # A group that a step has added has no share: its rate is its own.
        for group, its in zip(self._optimizer.param_groups, self._shares, strict=False):
            if its is not None:
                yield group, its * lr

"""The training protocol, and the machine it runs on."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from seqbench.errors import ConfigError


@dataclass(frozen=True)
class TrainerSettings:
    """The keys of `conf/trainer`.

    Attributes:
        max_steps: optimisation steps, at most.
        eval_every: steps between evaluations on the validation set.
        stop_when_solved: end at the first evaluation that meets the task's criterion.
        precision: as Lightning names it: 32-true, bf16-mixed, 64-true, …
        devices: how many devices share each batch, which must divide by it; -1 takes all there are.
        seeds_together: whether one pass goes through the models of all seeds (True) or each has its own, one
            after the other; auto measures which is faster. False also runs one seed after another.
        accelerator: auto, cpu, gpu, mps, …
        strategy: as Lightning names it.
        num_threads: threads of one process on a CPU; None leaves torch its own choice.
        checkpoint_seconds: shortest time between checkpoints.
        progress: show a progress line where the output is a terminal.
        lightning: further arguments of `lightning.Trainer`.
    """

    max_steps: int = 2000
    eval_every: int = 100
    stop_when_solved: bool = True
    precision: str | int = "32-true"
    devices: int = 1
    seeds_together: bool | Literal["auto"] = "auto"
    accelerator: str = "auto"
    strategy: str = "auto"
    num_threads: int | None = 1
    checkpoint_seconds: float = 10.0
    progress: bool = True
    lightning: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if str(self.precision) in ("16", "16-mixed"):
            raise ConfigError(
                f"trainer.precision={self.precision} scales the loss, which clipping and checkpoints do not "
                "know of; use bf16-mixed."
            )
        for name in ("max_steps", "eval_every"):
            if getattr(self, name) < 1:
                raise ConfigError(f"trainer.{name}={getattr(self, name)} must be at least 1.")
        if self.devices == 0 or self.devices < -1:
            raise ConfigError(f"trainer.devices={self.devices} must be at least 1, or -1 for all.")
        if self.num_threads is not None and self.num_threads < 1:
            raise ConfigError(f"trainer.num_threads={self.num_threads} must be at least 1, or null.")

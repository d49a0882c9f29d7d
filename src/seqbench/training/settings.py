"""The training protocol, and the machine it runs on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

from seqbench.errors import ConfigError
from seqbench.training.lightning_arguments import check_arguments

#: The types of numbers, as Lightning names them.
PRECISIONS = ("32-true", "64-true", "bf16-mixed", "bf16-true", "16-true")
#: How several devices share batches: DDP, also for models with parameters that a step does not use.
STRATEGIES = ("auto", "ddp", "ddp_find_unused_parameters_true")

#: The budget of a run for which none is given.
MAX_STEPS = 2000
#: More threads than any machine has cores.
MOST_THREADS = 1024


@dataclass(frozen=True)
class TrainerSettings:
    """The keys of `conf/trainer`.

    Attributes:
        max_steps: optimisation steps, at most.
        max_epochs: the budget in passes over the training data, in the place of `max_steps`, for a task whose
            data are finite. The plan counts it in steps; None leaves it to `max_steps`.
        eval_every: steps between evaluations on the validation set.
        stop_when_solved: end at the first evaluation at which the task is solved.
        patience: end after so many evaluations in a row without a new best one; None goes on.
        teacher_forcing: the rate at which a model that is fed its previous output (`feedback`, or a task that
            predicts its next input) is fed the true one in training. A pair is the rate at the first step and
            at the last, linear in between (scheduled sampling: Bengio, Vinyals, Jaitly & Shazeer, 2015).
        log_spectrum: log the largest spectral radius and singular value of the recurrent matrices at each
            evaluation.
        precision: one of `PRECISIONS`.
        accumulate: parts in which a device takes its share of each batch, one after another: less memory, and
            the same numbers up to rounding, as gradients are added up before a step.
        devices: number of devices that share each batch, on all machines together; -1 takes all that this
            machine has.
        seeds_together: whether one pass is vectorised over the models of several seeds. auto does so on a GPU
            where that can be and cells have no kernel of torch's own; True wherever it can be; False trains
            one seed after another.
        accelerator: auto, cpu, gpu, mps, …
        strategy: one of `STRATEGIES`, for several devices; auto is ddp.
        num_threads: threads that share an operation on a CPU. Several seeds take as many cores as there are,
            so many threads each.
        checkpoint_every: steps between checkpoints; each is written at an evaluation.
        progress: show a progress line if the output is a terminal.
        lightning: further arguments of `lightning.Trainer`, see `seqbench.training.lightning_arguments`.
    """

    #: Since the second, pieces of a truncated sequence begin with what is due, the truth or the model's own
    #: output, and x(1) is the true one; and mixed precision computes with the weights of the last step, not
    #: with those of up to twenty steps before. Since the third of mixed precision, and the second of half,
    #: the angles of rotary positions and the decays of several cells have single precision. Since the third
    #: of half precision the clock of the clockwork RNN does, too.
    revisions: ClassVar[dict[str, int]] = {
        "teacher_forcing": 2,
        "precision=bf16-mixed": 3,
        "precision=bf16-true": 3,
        "precision=16-true": 3,
    }

    max_steps: int = MAX_STEPS
    max_epochs: int | None = None
    eval_every: int = 100
    stop_when_solved: bool = True
    patience: int | None = None
    teacher_forcing: float | Sequence[float] = 1.0
    log_spectrum: bool = False
    precision: str | int = "32-true"
    accumulate: int = 1
    devices: int = 1
    seeds_together: bool | Literal["auto"] = "auto"
    accelerator: str = "auto"
    strategy: str = "auto"
    num_threads: int = 1
    checkpoint_every: int = 100
    progress: bool = True
    lightning: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.precision == "16-mixed":
            raise ConfigError(
                "trainer.precision=16-mixed scales the loss, which clipping and checkpoints do not support; "
                "use bf16-mixed."
            )
        for name, known in (("precision", PRECISIONS), ("strategy", STRATEGIES)):
            if getattr(self, name) not in known:
                raise ConfigError(f"trainer.{name}={getattr(self, name)} must be one of {', '.join(known)}.")
        check_arguments(self.lightning)
        ends = self.teacher_rates
        if len(ends) != 2 or not all(0 <= end <= 1 for end in ends):
            raise ConfigError(
                f"trainer.teacher_forcing={self.teacher_forcing} must lie in [0, 1], as one number or a pair."
            )
        for name in ("max_steps", "eval_every", "checkpoint_every", "accumulate"):
            if getattr(self, name) < 1:
                raise ConfigError(f"trainer.{name}={getattr(self, name)} must be at least 1.")
        if self.max_epochs is not None:
            if self.max_epochs < 1:
                raise ConfigError(f"trainer.max_epochs={self.max_epochs} must be at least 1, or null.")
            if self.max_steps != MAX_STEPS:
                raise ConfigError(
                    f"trainer.max_epochs={self.max_epochs} and trainer.max_steps={self.max_steps} are two "
                    "budgets; give one of them."
                )
        if self.patience is not None and self.patience < 1:
            raise ConfigError(f"trainer.patience={self.patience} must be at least 1, or null.")
        if not 1 <= self.num_threads <= MOST_THREADS:
            raise ConfigError(f"trainer.num_threads={self.num_threads} must be from 1 to {MOST_THREADS}.")
        if self.devices == 0 or self.devices < -1:
            raise ConfigError(f"trainer.devices={self.devices} must be at least 1, or -1 for all.")

    @property
    def teacher_rates(self) -> tuple[float, ...]:
        """The rate of teacher forcing at the first step and at the last."""
        rate = self.teacher_forcing
        return (rate, rate) if isinstance(rate, int | float) else tuple(rate)

    def teacher_rate_at(self, step: int) -> float:
        """Return the rate of teacher forcing at an optimisation step, counted from 0."""
        first, last = self.teacher_rates
        return first + (last - first) * step / max(1, self.max_steps - 1)

"""What a task is: the specs of its inputs and targets, its data, its exact baseline, when it is solved.

A task knows nothing of models; a model sees only the specs. That is why any sequence model meets any sequence
task.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Direction, Measures, Metric
from seqbench.tasks.specs import Target, Tokens, Vectors


def generator(split: str, *key: int) -> torch.Generator:
    """Return the random stream of one split; `key` tells streams of a split apart.

    The lowest bit of the seed is 0 for training and 1 otherwise, so that no training stream can be an
    evaluation stream (the Mersenne twister of torch takes the low 32 bits of a seed).
    """
    digest = hashlib.sha256(repr((split, *key)).encode()).digest()
    seed = int.from_bytes(digest[:4], "little")
    return torch.Generator().manual_seed((seed & ~1) | (split != "train"))


class Task(ABC):
    """A learning problem over sequences.

    Subclasses set `inputs`, `targets`, `length`, `eval_lengths` and `variant` in `__init__`, and draw one
    example in their docstring.
    """

    #: What kind of data the task has; a model says which kinds it accepts.
    kind: ClassVar[str] = "sequence"
    #: The name of the metric that tables show and that picks the best evaluation.
    metric: ClassVar[str] = "accuracy"
    #: When a run counts as solved, in words, with the source.
    solved_when: str

    inputs: Tokens | Vectors
    targets: Target
    length: int
    eval_lengths: tuple[int, ...]
    variant: str
    #: Above 0 where the target of a step is the input of the next one: how many steps ahead a model is to
    #: predict in closed loop, where from its last true input on each output is the next input. So many steps
    #: at the end of an evaluation sequence are gone so too.
    horizon: int = 0

    @property
    def steps(self) -> int:
        """Steps of the longest training sequence: `length`, unless that counts something else."""
        return self.length

    def prepare(self, batch_size: int) -> None:  # noqa: B027 - most tasks have nothing to get ready
        """Get ready to be trained on.

        Raises:
            DataError: the data are not to be had.
            ConfigError: there are fewer of them than a batch takes.
        """

    @abstractmethod
    def train_batches(self, seed: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        """Yield the training batches of the run `seed` without end, from its `start`-th optimisation step."""

    @abstractmethod
    def validation(self) -> Batch:
        """Return the validation set: the same for every model and seed."""

    @abstractmethod
    def test(self, length: int) -> Batch:
        """Return the test set of one of `eval_lengths`: the same for every model and seed."""

    @abstractmethod
    def baseline_loss(self, length: int) -> float:
        """Return the exact expected loss of the best predictor that ignores the input."""

    @abstractmethod
    def solved(self, metrics: Mapping[str, float]) -> bool:
        """Say whether the metrics of an evaluation meet `solved_when`."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics that an evaluation gives, but for those of the other loop and the gap between loops."""
        return self.targets.metrics

    def metric_of(self, name: str) -> Metric:
        """Return the metric of a name, `open_…`, `closed_…` and `gap_…` of the declared ones among them.

        Raises:
            KeyError: the task declares no such metric.
        """
        declared = {metric.name: metric for metric in self.metrics}
        loop, _, rest = name.partition("_")
        if name in declared:
            return declared[name]
        if loop == "gap":
            return declared[rest].gap()
        if loop in ("open", "closed"):
            return declared[rest].in_loop(loop)
        raise KeyError(name)

    @property
    def direction(self) -> Direction:
        """Whether the headline metric is better larger (max) or smaller (min)."""
        return self.metric_of(self.metric).direction

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return what a reader calls the tokens of the inputs, and those (or the classes) of the targets."""
        return [str(i) for i in range(self.inputs.size)], [str(i) for i in range(self.targets.size)]

    def model_arguments(self) -> dict[str, Any]:
        """Return what the constructor of a model may ask for, by name."""
        return self.inputs.arguments() | self.targets.arguments() | {"predicts": self.horizon > 0}

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        """Return what is measured at each target; subclasses add measures of their own."""
        return self.targets.measure(outputs, batch)

    def measure_closed(self, outputs: Tensor, batch: Batch) -> Measures:
        """Return what is measured where a model went its last `horizon` steps in closed loop.

        Of these the first still has a true input, and looks one step ahead; the last looks `horizon` ahead.
        The outputs (B, T, O) are of all steps, and so is the batch, which is the true one.
        """
        steps = outputs.shape[1]
        ahead = batch.time_slice(steps - self.horizon, steps, per_step=True)
        measures = self.measure(outputs[:, -self.horizon :], ahead)
        return {f"closed_{name}": both for name, both in measures.items()}

    def summary(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return an evaluation's metrics, with what is a function of the means, such as a root, added."""
        return metrics

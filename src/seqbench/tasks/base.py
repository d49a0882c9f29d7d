"""What a task is: the shape of its inputs and targets, its data, its exact baseline, its solved criterion.

A task knows nothing of models; a model sees only the specs below. That is what lets any sequence model
meet any sequence task.
"""

from __future__ import annotations

import hashlib
import math
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Collection, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import ClassVar, Literal, NamedTuple

import torch
from jaxtyping import Bool, Float, Int
from torch import Tensor
from torch.nn import functional as F

from seqbench.errors import ConfigError

#: Optimisation steps whose batches are drawn at once; the i-th batch of a run depends on it.
STEPS_PER_DRAW = 16

#: Name -> (value of each target, weight of each target); a metric is the weighted mean.
Measures = dict[str, tuple[Tensor, Tensor]]


class Batch(NamedTuple):
    """Sequences of one batch, padded on the right to a common length T.

    inputs: tokens (B, T) of int64, or vectors (B, T, F) of float32.
    targets: one per step, (B, T) or (B, T, F), or one per sequence, (B,) or (B, F), as the task's spec says.
    mask: (B, T), true where a step's target counts; None where all do. For targets at every step only.
    lengths: (B,), how many steps of each row are valid; None where all are.
    forced: (B, T), true where a model that is fed its previous output gets the true one, false where it gets
        its own (teacher forcing, Fig. 10.6); None where all are true. Tasks leave it to training to fill in.
    facts: (B, K), which sentences of a story its answer rests on, in the order of reasoning, numbered from 0
        and filled up with −1; None where nothing is known of that, or where there are no stories.
    types: (B,), which of the task's types a row is of; None where there are none.
    parents: (B, T), for inputs that are trees: the place of each token's parent; −1 at the root, −2 where a
        token is no node, as a bracket or padding.
    references: (B, A, T), for targets that are sequences: all answers that are right, the target first, and
        that again where there are fewer than A.

    Those of K seeds side by side have one dimension more, (K, B, …).
    """

    inputs: Tensor
    targets: Tensor
    mask: Bool[Tensor, "B T"] | None = None
    lengths: Int[Tensor, " B"] | None = None
    forced: Bool[Tensor, "B T"] | None = None
    facts: Int[Tensor, "B K"] | None = None
    types: Int[Tensor, " B"] | None = None
    parents: Int[Tensor, "B T"] | None = None
    references: Int[Tensor, "B A T"] | None = None

    def of_seed(self, k: int) -> Batch:
        """Return the batch of the k-th of the seeds side by side."""
        return self.each(lambda part: part[k])

    def rows(self, start: int, stop: int) -> Batch:
        """Return rows `start` to `stop` of the batch."""
        return self.each(lambda part: part[start:stop])

    def each(self, function: Callable[[Tensor], Tensor]) -> Batch:
        """Return the batch with a function applied to every part that it has."""
        inputs, targets, *others = self
        return Batch(
            function(inputs),
            function(targets),
            *(None if part is None else function(part) for part in others),
        )

    def piece(self, start: int, stop: int, per_step: bool, dim: int = 1) -> Batch:
        """Return steps `start` to `stop`, of dimension `dim`; targets are those of steps or of sequences."""

        def cut(part: Tensor | None) -> Tensor | None:
            return None if part is None else part.narrow(dim, start, stop - start)

        targets = self.targets.narrow(dim, start, stop - start) if per_step else self.targets
        lengths = None if self.lengths is None else (self.lengths - start).clamp(0, stop - start)
        inputs = self.inputs.narrow(dim, start, stop - start)
        return self._replace(
            inputs=inputs, targets=targets, mask=cut(self.mask), lengths=lengths, forced=cut(self.forced)
        )

    def split(self, size: int) -> list[Batch]:
        """Return the batch cut into pieces of `size` rows (the last may be smaller)."""
        return [self.rows(i, i + size) for i in range(0, len(self.inputs), size)]


@dataclass(frozen=True)
class Tokens:
    """Input spec: one of `size` symbols at each step."""

    size: int


@dataclass(frozen=True)
class Vectors:
    """Input spec: a vector of `size` real numbers at each step."""

    size: int


@dataclass(frozen=True)
class Target(ABC):
    """Target spec: what a model puts out, `size` numbers `per_step` or once per sequence, and its loss."""

    size: int
    per_step: bool

    @abstractmethod
    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        """Return `loss`, and what else is measured, for each target of the batch."""

    @abstractmethod
    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        """Return the loss of each target of the batch."""

    def loss(self, outputs: Tensor, batch: Batch) -> Float[Tensor, ""]:
        """Return the mean loss over the targets that count: [9]–[11] of the chapter by their number."""
        losses = self.losses(outputs, batch)
        if not self.per_step or batch.mask is None:
            return losses.mean()
        weights = self.weights(losses, batch)
        return (losses * weights).sum() / weights.sum()

    def weights(self, values: Tensor, batch: Batch) -> Tensor:
        """Return 1 for every target that counts and 0 for the rest, in the shape of `values`."""
        if self.per_step and batch.mask is not None:
            return batch.mask.to(values.dtype)
        return torch.ones_like(values)


class Classes(Target):
    """One of `size` classes. The outputs are unnormalised log-probabilities; the loss is in nats."""

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        loss = F.cross_entropy(outputs.flatten(0, -2), batch.targets.flatten(), reduction="none")
        return loss.view(batch.targets.shape)

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        loss = self.losses(outputs, batch)
        weights = self.weights(loss, batch)
        correct = (outputs.argmax(-1) == batch.targets).to(loss.dtype)
        return {"loss": (loss, weights), "accuracy": (correct, weights)}


class Values(Target):
    """A vector of `size` real numbers. The loss is the mean squared error over its components."""

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return (outputs - batch.targets).square().mean(-1)

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        loss = self.losses(outputs, batch)
        return {"loss": (loss, self.weights(loss, batch))}


class Bits(Target):
    """A vector of `size` bits at every step. The outputs are their log-odds; the loss is in nats for a bit.

    Also measured, for each sequence and not for each step: `bits`, what it costs to tell all of the bits that
    count, and `bit_errors`, how many of them are taken for their opposite.
    """

    def losses(self, outputs: Tensor, batch: Batch) -> Tensor:
        return F.binary_cross_entropy_with_logits(outputs, batch.targets, reduction="none").mean(-1)

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        loss = self.losses(outputs, batch)
        weights = self.weights(loss, batch)
        wrong = ((outputs > 0) != (batch.targets > 0.5)).sum(-1)
        bits = (loss * weights).sum(1) * (self.size / math.log(2))
        errors = (wrong * weights).sum(1)
        each = torch.ones_like(bits)
        return {"loss": (loss, weights), "bits": (bits, each), "bit_errors": (errors, each)}


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
    #: The measure that tables show and that picks the best evaluation; `best` says which end of it is good.
    metric: ClassVar[str] = "accuracy"
    best: ClassVar[Literal["max", "min"]] = "max"
    #: The published criterion of `solved`, in words, with its source.
    criterion: str

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
        """Say whether the metrics of an evaluation meet `criterion`."""

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        """Return what is measured at each target; subclasses add measures of their own."""
        return self.targets.measure(outputs, batch)

    def measure_closed(self, outputs: Tensor, batch: Batch) -> Measures:
        """Return what is measured where a model went its last `horizon` steps in closed loop.

        Of these the first still has a true input, and looks one step ahead; the last looks `horizon` ahead.
        The outputs (B, T, O) are of all steps, and so is the batch, which is the true one.
        """
        steps = outputs.shape[1]
        ahead = batch.piece(steps - self.horizon, steps, per_step=True)
        measures = self.measure(outputs[:, -self.horizon :], ahead)
        return {f"closed_{name}": both for name, both in measures.items()}

    def summary(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return an evaluation's metrics, with what is a function of the means, such as a root, added."""
        return metrics


class SyntheticTask(Task):
    """A task whose sequences are drawn at will: training never sees a batch twice."""

    def __init__(
        self, *, length: int, eval_lengths: Sequence[int] | None, eval_size: int, min_length: int
    ) -> None:
        """Check and keep what every such task has.

        Args:
            length: steps of a training sequence.
            eval_lengths: lengths at which the test set is read; None means `length` alone.
            eval_size: sequences of the validation set, and of the test set at each length.
            min_length: the shortest sequence on which the task makes sense.
        """
        self.length = length
        self.eval_lengths = tuple(eval_lengths) if eval_lengths else (length,)
        self.eval_size = eval_size
        for name, value in [("length", length), *(("eval_lengths", n) for n in self.eval_lengths)]:
            if value < min_length:
                raise ConfigError(
                    f"task.{name}={value} is too short for this task; it needs at least {min_length} steps."
                )
        if eval_size < 1:
            raise ConfigError(f"task.eval_size={eval_size} leaves nothing to evaluate on; give at least 1.")

    @abstractmethod
    def sample(self, generator: torch.Generator, batch_size: int, length: int) -> Batch:
        """Draw `batch_size` fresh sequences of `length` steps."""

    def sample_training(self, generator: torch.Generator, batch_size: int) -> Batch:
        """Draw sequences to train and validate on: of `length` steps, unless a task mixes lengths."""
        return self.sample(generator, batch_size, self.length)

    def train_batches(self, seed: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        draw, skip = divmod(start, STEPS_PER_DRAW)
        while True:
            drawn = self.sample_training(generator("train", seed, draw), STEPS_PER_DRAW * batch_size)
            yield from drawn.split(batch_size)[skip:]
            draw, skip = draw + 1, 0

    def validation(self) -> Batch:
        return self.sample_training(generator("validation"), self.eval_size)

    def test(self, length: int) -> Batch:
        return self.sample(generator("test", length), self.eval_size, length)


class DataTask(Task):
    """A task over a fixed data set, held in memory; an epoch is one pass in an order of its own."""

    @property
    @abstractmethod
    def train(self) -> Batch:
        """The training examples."""

    def prepare(self, batch_size: int) -> None:
        size = len(self.train.inputs)
        if batch_size > size:
            raise ConfigError(f"batch_size={batch_size} is more than the {size} training examples there are.")

    def train_batches(self, seed: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        self.prepare(batch_size)
        size = len(self.train.inputs)
        epoch, skip = divmod(start, size // batch_size)
        while True:
            order = torch.randperm(size, generator=generator("train", seed, epoch))
            for i in range(skip, size // batch_size):
                rows = order[i * batch_size : (i + 1) * batch_size]
                yield self.train.each(partial(torch.index_select, dim=0, index=rows))
            epoch, skip = epoch + 1, 0

    def check_whole(self, length: int, of: str, holds: str) -> None:
        """Raise a ConfigError where a test set that is read whole is asked for at another length."""
        if length != self.length:
            raise ConfigError(
                f"The test set of {of} is read whole, with {holds}, so there is none at {length}."
            )


class ReadOnUse(DataTask):
    """A data set of which not even the length is known before it is read, on first use."""

    @abstractmethod
    def longest(self) -> int:
        """Return the length of the longest example."""

    @property
    def length(self) -> int:  # type: ignore[override]  # elsewhere an attribute that can be set
        return self.longest()

    @property
    def eval_lengths(self) -> tuple[int, ...]:  # type: ignore[override]
        return (self.length,)


def loss_by_frequency(train: Iterable[Hashable], test: Collection[Hashable], number: int) -> float:
    """Return the cross-entropy of a test set's classes under the training set's frequencies, in nats.

    Every one of the `number` classes counts once more than it comes up, so that none is impossible.
    """
    known = Counter(train)
    total = known.total() + number
    return -math.fsum(math.log((known[class_] + 1) / total) for class_ in test) / len(test)

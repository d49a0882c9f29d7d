"""What a task is: the specs of its inputs and targets, its data, its exact baseline, when it is solved.

A task knows nothing of models, and a model sees only the specs. So any sequence model can be trained on any
sequence task.
"""

from __future__ import annotations

import hashlib
from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, ClassVar

import torch
from torch import Tensor

from seqbench.tasks import reading
from seqbench.tasks.batch import Batch
from seqbench.tasks.metrics import Direction, Measures, Metric
from seqbench.tasks.span import Span
from seqbench.tasks.specs import Classes, Input, Target, Tokens


def generator(split: str, *key: int) -> torch.Generator:
    """Return the random stream of one split; `key` distinguishes the streams of a split.

    The lowest bit of the seed is 0 for training and 1 otherwise. So no training stream can be an evaluation
    stream (torch's Mersenne twister uses the low 32 bits of a seed).
    """
    digest = hashlib.sha256(repr((split, *key)).encode()).digest()
    seed = int.from_bytes(digest[:4], "little")
    return torch.Generator().manual_seed((seed & ~1) | (split != "train"))


class Task(ABC):
    """A learning problem over sequences.

    Subclasses set `inputs`, `targets`, `length`, `eval_lengths` and `variant`, and show one example in their
    docstring.
    """

    #: The kind of data; a model declares which kinds it accepts.
    kind: ClassVar[str] = "sequence"
    #: The key that sets the span, see `span`. Knobs of memory may be shares of its value (`config.shares`).
    span_key: ClassVar[str] = "length"
    #: The name of the headline metric: tables show it, and it selects the best evaluation.
    metric: ClassVar[str] = "accuracy"
    #: Metrics that `measure` and `summary` add to those of the targets.
    extra_metrics: ClassVar[tuple[Metric, ...]] = ()
    #: When a run counts as solved, in words, with the source; None where no result counts as that.
    solved_when: str | None

    #: Whether a batch holds pieces of streams: its row b goes on where row b of the batch before ended, and
    #: so does the state of the model, except at the start of an epoch. No gradient leaves its piece. An
    #: evaluation goes through its whole set in this way, in pieces of `length` steps.
    streams: ClassVar[bool] = False
    #: What a token of a new sequence counts as that has no name, where there is a token of this name.
    unknown: ClassVar[str | None] = None

    inputs: Input
    targets: Target
    length: int
    eval_lengths: tuple[int, ...]
    variant: str
    #: Steps that a model predicts in closed loop at the end of an evaluation sequence, where each output is
    #: the next input. Above 0 only where the target of a step is the input of the next one.
    horizon: int = 0

    #: The most steps of a sequence whose targets count, where these are few; None where they are many.
    counted: int | None = None

    @property
    def steps(self) -> int:
        """Steps of the longest training sequence: `length`, unless that counts something else."""
        return self.length

    @property
    def span(self) -> Span | None:
        """What sets over how many steps something of a fixed size has to be kept; None if nothing does.

        Its key is `span_key`.
        """
        return None

    def prepare(self, batch_size: int) -> None:  # noqa: B027 - most tasks have nothing to prepare
        """Prepare for training, and check the data.

        Raises:
            DataError: the data are missing or malformed.
            ConfigError: there are fewer training examples than one batch needs.
        """

    def epoch_steps(self, batch_size: int) -> int | None:
        """Return the optimisation steps of an epoch, one pass over the training data; None if there is none.

        Sequences that are drawn afresh have no epochs.
        """
        return None

    def fingerprint(self) -> str | None:
        """Return a hash of the data that the task reads; None where the configuration alone makes them.

        Raises:
            DataError: the data are missing or malformed.
        """
        return None

    @abstractmethod
    def train_batches(self, seed: int, batch_size: int, start: int = 0) -> Iterator[Batch]:
        """Yield the training batches of the run `seed` without end, from optimisation step `start`."""

    @abstractmethod
    def validation(self) -> Batch:
        """Return the validation set: the same for every model and seed."""

    def parts(self, batch: Batch, size: int) -> list[Batch]:
        """Return an evaluation set in parts of `size` rows, which are measured one after the other.

        The rows may be in another order, and without padding that no row of their part needs: what is
        measured is the same, up to rounding.
        """
        return batch.split(size)

    def first_sequences(self, count: int) -> Batch:
        """Return the first `count` sequences of the validation set, or fewer if there are fewer."""
        return self.validation().rows(0, count)

    @abstractmethod
    def test(self, length: int) -> Batch:
        """Return the test set of one of `eval_lengths`: the same for every model and seed."""

    @abstractmethod
    def baseline_loss(self, length: int) -> float:
        """Return the exact expected loss of the best predictor that ignores the input."""

    def chance(self, length: int) -> dict[str, float]:
        """Return metrics other than the loss of the best predictor that ignores the input, those it knows."""
        return {}

    @property
    def solved_metric(self) -> str:
        """The name of the metric that `solved_when` is about."""
        return self.metric

    @abstractmethod
    def solved(self, metrics: Mapping[str, float]) -> bool:
        """Return whether the metrics of an evaluation meet `solved_when`."""

    @property
    def metrics(self) -> tuple[Metric, ...]:
        """The metrics of an evaluation, except those of the other loop and the gap between loops."""
        return *self.targets.metrics, *self.extra_metrics

    def metric_of(self, name: str) -> Metric:
        """Return the metric of a name; `open_…`, `closed_…` and `gap_…` of the declared ones are included.

        Raises:
            KeyError: the task declares no such metric.
        """
        declared = {metric.name: metric for metric in self.metrics}
        loop, _, rest = name.partition("_")
        if name in declared:
            return declared[name]
        if loop == "gap" and rest in declared:
            return declared[rest].gap()
        if loop in ("open", "closed") and rest in declared:
            return declared[rest].in_loop(loop)
        raise KeyError(f"{type(self).__name__} measures {name!r} and does not declare it in `metrics`.")

    @property
    def direction(self) -> Direction:
        """Whether a larger (max) or a smaller (min) headline metric is better."""
        return self.metric_of(self.metric).direction

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        """Return what a reader calls the tokens of the inputs, and those (or the classes) of the targets."""
        return [str(i) for i in range(self.inputs.size)], [str(i) for i in range(self.targets.size)]

    def read(self, sequences: Sequence[Any]) -> dict[str, Any]:
        """Return new sequences as the arguments of a model's `forward`, by name: `inputs`, `lengths`, ….

        Args:
            sequences: each as `reading.as_tensor` takes it. Shorter ones are padded on the right.

        Raises:
            DataError: one is none that the task could have, or there is none.
        """
        names = self.token_names()[0]
        found = reading.as_tensors(sequences, self.inputs, names, self.normalised, self.unknown)
        return reading.padded(found)

    def normalised(self, sequence: Any) -> Any:
        """Return a new sequence with its tokens as `token_names` has them.

        Raises:
            DataError: it is none that the task could have.
        """
        return sequence

    def read_file(self, path: Path) -> reading.NewSequences:
        """Return the new sequences of a file: one a line, see `reading.lines`.

        Raises:
            DataError: the file cannot be read, or a line is no sequence that the task could have.
        """
        sequences = reading.lines(path, isinstance(self.inputs, Tokens))
        given = self.read(sequences)
        count, longest = given["inputs"].shape[:2]
        lengths = given["lengths"].tolist() if "lengths" in given else [longest] * count
        steps = [list(map(str, range(length))) for length in lengths]
        return reading.NewSequences(given, list(map(str, range(count))), steps, ("sequence", "step"))

    def in_words(self, outputs: Tensor) -> str:
        """Return a model's outputs for one sequence in a reader's words: the likeliest of tokens or classes.

        Args:
            outputs: (O,), or (T, O) if there is one at each step. Of targets that are numbers they are these.
        """
        if not isinstance(self.targets, Classes):
            return " ".join(self.targets.shown(outputs))
        names = self.token_names()[1]
        return " ".join(names[i] for i in outputs.argmax(-1).reshape(-1).tolist())

    def about(self) -> dict[str, str]:
        """Return what a reader should know of the data that the task has read, in words, by what it is about.

        Raises:
            DataError: the data are missing or malformed.
        """
        return {}

    def picture(self, inputs: Tensor) -> Tensor | None:
        """Return the image (H, W) that the inputs (T, F) of one sequence are; None if they are none."""
        return None

    def model_arguments(self) -> dict[str, Any]:
        """Return the arguments that a model's constructor may ask for, by name."""
        return (
            self.inputs.arguments()
            | self.targets.arguments()
            | {
                "predicts": self.horizon > 0,
                "counted": self.counted,
                "steps": self.steps,
            }
        )

    def measure(self, outputs: Tensor, batch: Batch) -> Measures:
        """Return the measures of each target; subclasses add their own."""
        return self.targets.measure(outputs, batch)

    def measure_closed(self, outputs: Tensor, batch: Batch) -> Measures:
        """Return the measures of a model that ran its last `horizon` steps in closed loop.

        The first of these steps still has a true input and predicts one step ahead; the last predicts
        `horizon` steps ahead. The outputs (B, T, O) cover all steps, and the batch is the true one.
        """
        steps = outputs.shape[1]
        ahead = batch.time_slice(steps - self.horizon, steps, per_step=True)
        measures = self.measure(outputs[:, -self.horizon :], ahead)
        return {f"closed_{name}": both for name, both in measures.items()}

    def summary(self, metrics: dict[str, float]) -> dict[str, float]:
        """Return an evaluation's metrics, with functions of the means, such as roots, added."""
        return metrics

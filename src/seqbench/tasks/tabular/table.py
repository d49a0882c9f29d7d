"""A task over a table: rows become sequences, sequences become splits, splits become batches."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor

from seqbench.data.tables import source
from seqbench.data.tables import splits as dividing
from seqbench.data.tables.file import TableFile
from seqbench.data.tables.sequences import Columns, Unit
from seqbench.data.tables.source import DataSetSource, FileSource, MirrorSource, TableSource
from seqbench.errors import ConfigError, DataError
from seqbench.tasks.batch import Batch
from seqbench.tasks.reading import NewSequences
from seqbench.tasks.specs import Input, Target, Tokens, Vectors
from seqbench.tasks.streams.bucketed import BucketTask
from seqbench.tasks.streams.fixed import LazyTask
from seqbench.tasks.tabular.about import about
from seqbench.tasks.tabular.encoding import Scale
from seqbench.tasks.tabular.new import new_sequences
from seqbench.tasks.tabular.pieces import padded
from seqbench.tasks.tabular.prepared import SHARES, Prepared, Settings, prepared_table
from seqbench.tasks.tabular.targets import Labels, Numbers, frequencies
from seqbench.tasks.tabular.wanted import NONE


class Table(LazyTask, BucketTask):
    """Sequences of a table of one's own, or of a data set of the hub, by its columns.

        patient  t   hr    bp   outcome          task.id=patient task.time=t task.inputs=[hr,bp]
        a        0   71.0  120  home             task.target=outcome
        a        1   74.0  118  home
        b        0   93.0   90  ward             two sequences, of two steps and of one; the target of each
                                                 is a label, read after the last step

    With `id` or `time` a row is a step, without both a sequence: its columns of numbers are the steps in
    their order (empty ones at the end: a shorter sequence), or columns of lists have an entry a step, or a
    column of texts is cut into words or characters.

    Numbers are standardised by the training sequences, which alone also say which labels, categories and
    tokens there are. Splits follow from a column, from the source, or from the hash of the ids. Sequences of
    similar lengths share a batch. `seqbench show task=table task.path=…` says what was made of a table.

    Args:
        path: a file (CSV, TSV, JSON lines, Parquet), a data set's id on the hub, or a folder in the hub's
            layout.
        name: of the data set's configuration on the hub.
        revision: of the data set on the hub.
        separator: of the columns of a text file; null: by its name.
        header: the names of the columns of a text file that has none of its own; null: its first line.
        id: the column that names the sequence of a row. null: each row is a sequence, or, if `time` is given,
            all rows are one.
        time: the column by which the rows of a sequence are ordered: numbers, or dates as in ISO 8601.
        inputs: the columns that a model reads; null for all that nothing else is said of.
        texts: those whose entries are texts, even where they read as numbers: codes, words of digits.
        target: the column that it puts out, or several of numbers.
        group: the column of what must not be divided between splits.
        split: the column that says train, validation or test.
        shares: of validation and test, where no column says it.
        each: what has a target, `step` or `sequence`; null: a sequence, if its rows agree in it.
        classes: whether the target is a label, and not a number; null: texts are, and whole numbers of which
            there are at most 20.
        class_weights: `balanced` lets each class count alike in the loss.
        ahead: steps from the last input to the target: forecasting.
        window: sequences are cut into stretches of at most so many steps.
        missing: `refuse` missing values. `ffill`: inputs are those of the step before; `mask`: they are the
            mean, and an input more says so. With both, steps without a target do not count.
        delta: whether the time since the step before is an input.
        unit: of a text: `word` or `char`.
        vocabulary: of tokens: the most that are known, those most frequent in training; null: all of these.
        solved_at: the accuracy that counts as solved, or the root of the mean squared error; null: none.
        dataset: in place of `path` the folder of a data set in `data_dir`.
        hub_id: the name on the hub of the data set in `dataset`.
        data_dir: the folder of the data sets.

    Raises:
        ConfigError: a setting is out of range, or has no effect.
        DataError: on first use, if the data are missing or are not what the settings say.
    """

    contents = "sequences of up to {} steps"

    def __init__(
        self,
        path: str | None = None,
        name: str | None = None,
        revision: str | None = None,
        separator: str | None = None,
        header: Sequence[str] | None = None,
        id: str | None = None,
        time: str | None = None,
        inputs: str | Sequence[str] | None = None,
        texts: str | Sequence[str] | None = None,
        target: str | Sequence[str] | None = None,
        group: str | None = None,
        split: str | None = None,
        shares: Sequence[float] = SHARES,
        each: Literal["step", "sequence"] | None = None,
        classes: bool | None = None,
        class_weights: Literal["balanced"] | None = None,
        ahead: int = 0,
        window: int | None = None,
        missing: Literal["refuse", "ffill", "mask"] = "refuse",
        delta: bool = False,
        unit: Unit = "word",
        vocabulary: int | None = None,
        solved_at: float | None = None,
        dataset: str | None = None,
        hub_id: str | None = None,
        data_dir: str | Path = "data",
    ) -> None:
        source.check(
            path,
            dataset,
            {"name": name, "revision": revision},
            {"separator": separator, "header": header},
        )
        if solved_at is not None and solved_at <= 0:
            raise ConfigError(f"task.solved_at={solved_at} must be above 0.")
        if inputs is not None and not _names(inputs):
            raise ConfigError("task.inputs=[] leaves nothing to read; null takes all that are left.")
        self.path, self.name, self.revision = path, name, revision
        self.texts = _names(texts) or ()
        # A shell passes `\t` on as two characters.
        self.separator = "\t" if separator == r"\t" else separator
        self.header = None if header is None else tuple(map(str, header))
        self.dataset, self.hub_id, self.data_dir = dataset, hub_id, data_dir
        self.variant = self.title = str(dataset or path or "no table yet")
        self.columns = Columns(
            *(_name(id), _name(time), _names(inputs), _names(target) or (), _name(group), _name(split)),
            *(ahead, unit, (*self.texts, *(_names(target) or () if classes else ()))),
        )
        self.classes = classes
        self.settings = Settings(
            *(self.columns, tuple(shares), each, classes, class_weights, window, missing, delta, vocabulary),
            own_splits=dataset is not None,
        )
        self.solved_at = solved_at

    # What the table turns out to be

    @property
    def source(self) -> TableSource:
        """Where the table is."""
        if self.dataset is not None:
            return MirrorSource(self.dataset, self.hub_id, self.data_dir)
        if not self.path:
            raise DataError(f"task.path is missing: give {source.PLACES}.")
        if not self.columns.target:
            raise DataError("task.target is missing: give the column that a model is to put out.")
        if not source.is_file(self.path):
            return DataSetSource(self.path, self.name, self.revision)
        its = self.columns
        names = [name for name in (its.id, its.group, its.split) if name is not None]
        return FileSource(self.file(self.path), [*names, *self.texts], its.target if self.classes else ())

    def file(self, path: str | Path) -> TableFile:
        """Return a file that is written as the task's own."""
        return TableFile(Path(path).expanduser(), self.separator, self.header)

    @cached_property
    def prepared(self) -> Prepared:
        """The sequences of the table."""
        found = prepared_table(self.source, self.settings, Path(self.data_dir) / ".cache")
        if isinstance(found.target, Labels) and self.solved_at is not None and self.solved_at > 1:
            raise ConfigError(
                f"task.solved_at={self.solved_at} must be at most 1: {self.columns.target[0]} is a label."
            )
        return found

    @property
    def inputs(self) -> Input:  # type: ignore[override]  # elsewhere a plain attribute
        its = self.prepared
        return Vectors(its.inputs.shape[1]) if its.code.tokens is None else Tokens(len(its.code.tokens))

    @property
    def targets(self) -> Target:  # type: ignore[override]
        return self.prepared.target

    @property
    def metric(self) -> str:  # type: ignore[override]
        if isinstance(self.prepared.target, Labels):
            return "accuracy"
        return "rmse" if len(self.prepared.target.names) == 1 else "loss"

    @property
    def solved_when(self) -> str | None:  # type: ignore[override]
        if self.solved_at is None:
            return None
        right, off = f"{100 * self.solved_at:g} % right", f"an error of at most {self.solved_at:g}"
        mark = {True: right, False: off, None: f"{right}, or of numbers {off}"}[self.classes]
        return f"{mark}, the mark of task.solved_at"

    def solved(self, metrics: Mapping[str, float]) -> bool:
        if self.solved_at is None:
            return False
        value = metrics[self.metric]
        return value >= self.solved_at if self.metric == "accuracy" else value <= self.solved_at

    def summary(self, metrics: dict[str, float]) -> dict[str, float]:
        target = self.prepared.target
        return target.in_units(metrics) if isinstance(target, Numbers) else metrics

    def longest(self) -> int:
        """Return the steps of the longest example."""
        return int(self.prepared.pieces.lengths.max())

    @property
    def steps(self) -> int:
        return int(self.prepared.pieces.of(dividing.TRAIN).lengths.max())

    def token_names(self) -> tuple[Sequence[str], Sequence[str]]:
        its = self.prepared
        inputs = its.code.names if its.code.tokens is None else its.code.tokens
        return inputs, its.target.names

    # Batches

    def read_split(self, split: str) -> Batch:
        prepared = self.prepared
        pieces = prepared.pieces.of(dividing.SPLITS.index(split))
        lengths = torch.from_numpy(pieces.lengths)
        longest = int(lengths.max())
        inputs = padded(prepared.inputs, pieces.start, pieces.lengths, longest)
        if not prepared.target.per_step:
            return Batch(inputs, torch.from_numpy(prepared.wanted[pieces.sequence]), lengths=lengths)
        wanted = padded(prepared.wanted, pieces.start + pieces.ahead, pieces.lengths, longest)
        mask = torch.arange(longest) < lengths[:, None]
        if isinstance(prepared.target, Labels):
            mask &= wanted != NONE
            wanted = wanted.clamp(min=0)
        else:
            mask &= ~wanted.isnan().any(-1)
            wanted = wanted.nan_to_num(0.0)
        return Batch(inputs, wanted, mask, lengths)

    def cut(self, batch: Batch, *size: int) -> Batch:
        return batch.time_slice(0, size[0], self.prepared.target.per_step)

    def fingerprint(self) -> str:
        """Return a hash of all examples, and of what their numbers and classes stand for."""
        prepared = self.prepared
        names = [[*prepared.code.categories.values()], prepared.code.tokens]
        scales = [*prepared.code.scales.values(), prepared.code.delta]
        if isinstance(prepared.target, Numbers):
            scales += map(Scale, prepared.target.mean, prepared.target.scale)
        else:
            names.append(prepared.target.names)
        rounded = [[f"{number:.6g}" for number in scale] for scale in scales if scale is not None]
        return hashlib.sha256(f"{super().fingerprint()} {names} {rounded}".encode()).hexdigest()[:16]

    def read_file(self, path: Path) -> NewSequences:
        return new_sequences(self, path)

    # What a predictor without input can do

    def baseline_loss(self, length: int) -> float:
        """Return the loss on the test set of what is best without the input, by the training set.

        Of labels these are their frequencies, each counted once more than it occurs; of numbers the means.
        """
        self.check_length(length)
        target, trained, tested = self.prepared.target, self.counting("train"), self.counting("test")
        if isinstance(target, Numbers):
            return float(tested.double().square().mean())
        weights = torch.tensor(target.class_weights or [1.0] * target.size, dtype=torch.float64)
        known = weights * (frequencies(trained, target.size) + 1)
        losses = weights * -(known / known.sum()).log()
        return float(losses[tested].mean())

    def chance(self, length: int) -> dict[str, float]:
        """Return what the most frequent label, or the means of the training set have on the test set."""
        self.check_length(length)
        target, trained, tested = self.prepared.target, self.counting("train"), self.counting("test")
        if isinstance(target, Labels):
            return {"accuracy": float((tested == frequencies(trained, target.size).argmax()).double().mean())}
        return target.errors(tested.double())

    def counting(self, split: str) -> Tensor:
        """Return the targets of a split that count."""
        batch = self.train if split == "train" else self.read_split(split)
        return batch.targets if batch.mask is None else batch.targets[batch.mask]

    def about(self) -> dict[str, str]:
        return about(self)


def _name(given: str | None) -> str | None:
    return None if given is None else str(given)  # a column called 0 comes as a number


def _names(given: str | Sequence[str] | None) -> tuple[str, ...] | None:
    if given is None:
        return None
    several = given if isinstance(given, Iterable) and not isinstance(given, str) else [given]
    return tuple(dict.fromkeys(map(str, several)))

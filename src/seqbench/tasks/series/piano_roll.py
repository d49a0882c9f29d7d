"""Polyphonic music: which keys of a piano sound at the next step."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional as F

from seqbench.data.jsb_chorales import FILE
from seqbench.data.piano_rolls import KEYS, LOWEST, Roll, read_piano_rolls
from seqbench.errors import ConfigError
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import LabelSet, Vectors
from seqbench.tasks.streams.bucketed import BucketTask
from seqbench.tasks.streams.fixed import LazyTask

NOTES = ("C", "C#", "D", "D#", "E", "F", "F#", "G", "G#", "A", "A#", "B")


class PianoRoll(LazyTask, BucketTask):
    """Predict the notes of each step of a piece from those before it.

        step     0              1              2              3
        input    C4 E4 G4 C5    C4 D4 G4 B4    A3 E4 A4 C5    G3 …
        target   C4 D4 G4 B4    A3 E4 A4 C5    G3 …           any of the 88 keys of a piano, at each step

    The loss is the field's: of a step the negative log-likelihood, in nats, of its 88 keys, each there or
    not; its mean over the steps of all pieces of a set. The first step of a piece is read and not predicted,
    as in Bai et al. (2018), who reach 8.10 with a TCN and 8.45 with an LSTM (JSB Chorales; from memory). The
    splits are those of the file.

    Source: N. Boulanger-Lewandowski, Y. Bengio and P. Vincent, ICML 2012.

    Args:
        path: of the file, see `read_piano_rolls`; null: that of JSB Chorales in `data_dir`.
        solved_at: the loss that counts as solved; null: none.
        data_dir: the folder of the data sets.

    Raises:
        ConfigError: a setting is out of range.
        DataError: on first use, if the file is missing or has another layout.
    """

    contents = "pieces of up to {} steps"
    metric: ClassVar[str] = "loss"
    inputs = Vectors(KEYS)
    targets = LabelSet(KEYS, per_step=True)

    def __init__(
        self,
        path: str | None = None,
        solved_at: float | None = None,
        data_dir: str | Path = "data",
    ) -> None:
        if solved_at is not None and solved_at <= 0:
            raise ConfigError(f"task.solved_at={solved_at} must be above 0.")
        self.path = Path(path).expanduser() if path is not None else Path(data_dir, "jsb_chorales", FILE)
        self.title = self.variant = self.path.stem
        self.solved_at = solved_at
        self.solved_when = (
            None
            if solved_at is None
            else f"a loss of at most {solved_at:g} nats a step, the mark of task.solved_at"
        )

    @cached_property
    def pieces(self) -> dict[str, list[Roll]]:
        """The pieces of each split."""
        return read_piano_rolls(self.path, "task.path")

    def longest(self) -> int:
        """Return the steps of the longest piece, but its last."""
        return max(len(piece) for pieces in self.pieces.values() for piece in pieces) - 1

    @property
    def steps(self) -> int:
        return max(map(len, self.pieces["train"])) - 1

    def token_names(self) -> tuple[list[str], list[str]]:
        names = [f"{NOTES[pitch % 12]}{pitch // 12 - 1}" for pitch in range(LOWEST, LOWEST + KEYS)]
        return names, names

    def in_words(self, outputs: Tensor) -> str:
        """Return the notes that are likelier than not at each step."""
        names = self.token_names()[1]
        steps = [[names[i] for i in step.nonzero().flatten().tolist()] for step in outputs.view(-1, KEYS) > 0]
        return " | ".join(" ".join(notes) or "–" for notes in steps)

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return self.solved_at is not None and metrics["loss"] <= self.solved_at

    def read_split(self, split: str) -> Batch:
        pieces = self.pieces[split]
        lengths = torch.tensor([len(piece) - 1 for piece in pieces])
        rolls = np.zeros((len(pieces), int(lengths.max()) + 1, KEYS), dtype=np.float32)
        for row, piece in zip(rolls, pieces, strict=True):
            row[: len(piece)] = piece
        mask = torch.arange(int(lengths.max())) < lengths[:, None]
        both = torch.from_numpy(rolls)
        return Batch(both[:, :-1] * mask[..., None], both[:, 1:].contiguous(), mask, lengths)

    def cut(self, batch: Batch, *size: int) -> Batch:
        return batch.time_slice(0, size[0], per_step=True)

    def baseline_loss(self, length: int) -> float:
        """Return the loss on the test set of how often each key sounds in training.

        Each key counts as once more there, and once more not there, than in training.
        """
        self.check_length(length)
        trained, tested = self._targets("train"), self._targets("test")
        known = (trained.sum(0) + 1) / (len(trained) + 2)
        return float(F.binary_cross_entropy(known.expand_as(tested), tested, reduction="none").sum(-1).mean())

    def chance(self, length: int) -> dict[str, float]:
        self.check_length(length)
        return {}

    def _targets(self, split: str) -> Float[Tensor, "N 88"]:
        """Return the targets of a split that count, in float64."""
        batch = self.train if split == "train" else self.read_split(split)
        return batch.targets[batch.mask].double()

    def about(self) -> dict[str, str]:
        lengths = np.array([len(piece) for pieces in self.pieces.values() for piece in pieces])
        sounding = np.concatenate([piece.sum(1) for piece in self.pieces["train"]])
        return {
            "examples": ", ".join(f"{len(pieces):,} {split}" for split, pieces in self.pieces.items()),
            "steps": f"{lengths.min()} to {lengths.max()}, median {np.median(lengths):g}",
            "notes": f"{sounding.mean():.2f} at a step of training, at most {sounding.max():g}",
        }

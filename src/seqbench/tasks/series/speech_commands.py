"""Spoken words as sequences of spectra, made once and mapped into memory."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqbench.data import recordings as reading
from seqbench.data.array_cache import Allocate, Made, Origin, code_of, made_once
from seqbench.data.loading import content, load
from seqbench.data.recordings import labels_of, recordings
from seqbench.errors import ConfigError, DataError
from seqbench.tasks.batch import Batch
from seqbench.tasks.series import log_mel as spectra
from seqbench.tasks.series.log_mel import BANDS, log_mel
from seqbench.tasks.specs import Classes, Vectors
from seqbench.tasks.streams.fixed import DataTask

COMMANDS = ("yes", "no", "up", "down", "left", "right", "on", "off", "stop", "go")
WORDS = (
    *(
        *COMMANDS,
        "zero",
        "one",
        "two",
        "three",
        "four",
        "five",
        "six",
        "seven",
        "eight",
        "nine",
        "bed",
        "bird",
    ),
    *("cat", "dog", "happy", "house", "marvin", "sheila", "tree", "wow", "backward", "forward", "follow"),
    *("learn", "visual"),
)
SPLITS = ("train", "validation", "test")
#: Frames in a second of sound.
FRAMES = 98


class SpeechCommands(DataTask):
    """Recognise a spoken word: 98 frames of 40 log-mel energies, then one of 10 or of 35 words.

        frame    0    1    2    …   97
        band 0   ▁    ▁    ▃        ▁         energies of 20 to 8,000 Hz, a frame each 10 ms
        …                                     target "stop"
        band 39  ▁    ▂    ▅        ▁

    Each band is standardised with its mean and standard deviation over the training frames. The splits are
    those of the data set, and recordings of anything but the words are left out.

    The spectra are made once, cached in DATA_DIR/.cache by the content of the data and of the code that makes
    them, and mapped into memory.

    Args:
        classes: 10, the commands alone, or 35, all words.
        dataset: the folder of the data set in `data_dir`.
        hub_id: its name on the hub, see `load_from_hub`.
        solved_at: the accuracy that counts as solved; null: none.
        data_dir: the folder of the data sets.

    Raises:
        ConfigError: a setting is out of range.
        DataError: on first use, if the data are missing or are no such recordings.
    """

    contents = "recordings of {} frames"
    inputs = Vectors(BANDS)
    length = FRAMES
    eval_lengths = (FRAMES,)

    def __init__(
        self,
        classes: int = 10,
        dataset: str = "speech_commands",
        hub_id: str = "google/speech_commands:v0.02@refs/convert/parquet",
        solved_at: float | None = None,
        data_dir: str | Path = "data",
    ) -> None:
        if classes not in (len(COMMANDS), len(WORDS)):
            raise ConfigError(f"task.classes={classes} must be {len(COMMANDS)} or {len(WORDS)}.")
        if solved_at is not None and not 0 < solved_at <= 1:
            raise ConfigError(f"task.solved_at={solved_at} must be a share above 0.")
        self.words = WORDS[:classes]
        self.targets = Classes(classes, per_step=False)
        self.title, self.variant = dataset, f"{classes} words"
        self.dataset, self.hub_id, self.data_dir = dataset, hub_id, Path(data_dir)
        self.solved_at = solved_at
        self.solved_when = (
            None if solved_at is None else f"{100 * solved_at:g} % right, the mark of task.solved_at"
        )

    def token_names(self) -> tuple[list[str], tuple[str, ...]]:
        return [f"band {i}" for i in range(BANDS)], self.words

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return self.solved_at is not None and metrics["accuracy"] >= self.solved_at

    def read_split(self, split: str) -> Batch:
        inputs, labels = self.arrays[f"{split}-inputs"], self.arrays[f"{split}-labels"]
        return Batch(torch.from_numpy(inputs), torch.from_numpy(labels))

    def about(self) -> dict[str, str]:
        return {"examples": ", ".join(f"{len(self.arrays[f'{split}-labels']):,} {split}" for split in SPLITS)}

    @cached_property
    def arrays(self) -> Mapping[str, NDArray[Any]]:
        """The spectra (N, 98, 40) and labels (N,) of each split: from the cache, or made and put there."""
        origin = Origin(
            kind="speech",
            places=[f"{self.dataset} {self.hub_id} {split}" for split in SPLITS],
            contents=[content(self.dataset, self.hub_id, split, self.data_dir) for split in SPLITS],
            code=code_of(reading, spectra, sys.modules[__name__]),
            settings=self.words,
        )
        return made_once(origin, self.data_dir / ".cache", self._make).arrays

    def _make(self, allocate: Allocate) -> Made:
        """Make the arrays."""
        made: dict[str, NDArray[Any]] = {}
        for split in SPLITS:
            rows = load(self.dataset, self.hub_id, split, self.data_dir)
            name = f"{self.dataset}, {split}"
            number = {word: i for i, word in enumerate(self.words)}
            labels = np.array([number.get(label, -1) for label in labels_of(rows, name)], dtype=np.int64)
            wanted = np.flatnonzero(labels >= 0)
            if not len(wanted):
                raise DataError(f"{name} has no recording of {', '.join(COMMANDS[:3])} or another word.")
            inputs = allocate(f"{split}-inputs", np.float32, (len(wanted), FRAMES, BANDS))
            for i, samples in enumerate(recordings(rows, wanted, name)):
                inputs[i] = log_mel(samples, FRAMES)
            made |= {f"{split}-inputs": inputs, f"{split}-labels": labels[wanted]}
        train = made["train-inputs"]
        mean = train.mean((0, 1), dtype=np.float64)
        std = np.sqrt(np.mean([np.square(each - mean).mean(0) for each in train], axis=0))
        for split in SPLITS:
            for each in made[f"{split}-inputs"]:
                each[:] = (each - mean) / np.where(std > 0, std, 1.0)
        return Made(made, {})

"""Spoken words as sequences of spectra, made once and mapped into memory."""

from __future__ import annotations

import hashlib
import json
import shutil
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from seqbench.data import recordings as reading
from seqbench.data.loading import content, fingerprint, load
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

#: The file of a folder of the cache with a hash of its arrays, and what reading a damaged one may raise.
DIGEST = "sha256"
DAMAGED = (OSError, ValueError, EOFError)


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
    def arrays(self) -> dict[str, NDArray[Any]]:
        """The spectra (N, 98, 40) and labels (N,) of each split: from the cache, or made and put there.

        A cache that cannot be written only costs time and memory.
        """
        cache = self.data_dir / ".cache"
        folder = cache / f"speech-{self._key()}"
        with suppress(*DAMAGED):
            return _mapped(folder)
        try:
            cache.mkdir(parents=True, exist_ok=True)
            scratch = Path(tempfile.mkdtemp(dir=cache, prefix=".speech-"))
            draft = scratch / "whole"
            draft.mkdir()  # which others may read, as the folder around it may not be
        except OSError:
            return self._make(None)
        try:
            made = self._make(draft)
            (draft / DIGEST).write_text(_digest(made), encoding="utf-8")
            shutil.rmtree(folder, ignore_errors=True)
            with suppress(OSError):  # another process was faster
                draft.rename(folder)
            with suppress(*DAMAGED):  # another process is just putting its own there
                return _mapped(folder)
            return made
        except OSError:  # the disk is full
            return self._make(None)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)

    def _key(self) -> str:
        """Return a hash of the data, the words, and the code that makes the spectra."""
        sources = [Path(str(module.__file__)) for module in (reading, spectra)] + [Path(__file__)]
        data = [content(self.dataset, self.hub_id, split, self.data_dir) for split in SPLITS]
        made_of = [*map(fingerprint, sources), *data, *self.words]
        return hashlib.sha256(json.dumps(made_of).encode()).hexdigest()[:16]

    def _make(self, folder: Path | None) -> dict[str, NDArray[Any]]:
        """Make the arrays; they lie in files of a folder, or in memory without one."""
        made: dict[str, NDArray[Any]] = {}
        for split in SPLITS:
            rows = load(self.dataset, self.hub_id, split, self.data_dir)
            name = f"{self.dataset}, {split}"
            number = {word: i for i, word in enumerate(self.words)}
            labels = np.array([number.get(label, -1) for label in labels_of(rows, name)], dtype=np.int64)
            wanted = np.flatnonzero(labels >= 0)
            if not len(wanted):
                raise DataError(f"{name} has no recording of {', '.join(COMMANDS[:3])} or another word.")
            shape = (len(wanted), FRAMES, BANDS)
            inputs: NDArray[Any]
            if folder is None:
                inputs = np.empty(shape, np.float32)
            else:
                file = folder / f"{split}-inputs.npy"
                inputs = np.lib.format.open_memmap(file, "w+", np.float32, shape)
            for i, samples in enumerate(recordings(rows, wanted, name)):
                inputs[i] = log_mel(samples, FRAMES)
            made |= {f"{split}-inputs": inputs, f"{split}-labels": labels[wanted]}
            if folder is not None:
                np.save(folder / f"{split}-labels.npy", labels[wanted])
        train = made["train-inputs"]
        mean = train.mean((0, 1), dtype=np.float64)
        std = np.sqrt(np.mean([np.square(each - mean).mean(0) for each in train], axis=0))
        for split in SPLITS:
            inputs = made[f"{split}-inputs"]
            for each in inputs:
                each[:] = (each - mean) / np.where(std > 0, std, 1.0)
            if isinstance(inputs, np.memmap):
                inputs.flush()
        return made


def _mapped(folder: Path) -> dict[str, NDArray[Any]]:
    """Return the arrays of a folder; a change of one would not reach its file.

    Raises:
        OSError, ValueError, EOFError: they are not those that were written.
    """
    names = [f"{split}-{part}" for split in SPLITS for part in ("inputs", "labels")]
    arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="c") for name in names}
    if _digest(arrays) != (folder / DIGEST).read_text(encoding="utf-8"):
        raise ValueError(f"{folder} was changed")
    return arrays


def _digest(arrays: Mapping[str, NDArray[Any]]) -> str:
    """Return a hash of arrays."""
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(f"{name} {arrays[name].shape} ".encode())
        digest.update(arrays[name].data)
    return digest.hexdigest()

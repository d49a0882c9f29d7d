"""Images as sequences: MNIST and data sets of its form, read by rows or by pixels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float, Integer, UInt8
from torch import Tensor

from seqbench.data import load_images
from seqbench.errors import ConfigError, DataError
from seqbench.tasks.base import generator
from seqbench.tasks.batch import Batch
from seqbench.tasks.specs import Classes, Vectors
from seqbench.tasks.streams.fixed import DataTask

SIZE = 28
CLASSES = 10


class ImageTask(DataTask):
    """Classify an image into one of ten classes after reading it as a sequence.

    Splits: the last `validation_size` training images are held out for validation; the test images are those
    of the data set. Inputs are standardised with the mean and standard deviation of all values of the
    remaining training images, so that validation and test leak nothing. This also removes the scale of the
    pixels, 0..255 or 0..1.

    The data are read on first use and kept in memory as the float32 sequences that `train_batches` slices
    (172 MB for 55 000 images of 28x28). Subclasses set `length`, the steps T, and `features`, the values F of
    a step.

    Args:
        dataset: the data set's folder in `data_dir`.
        hub_id: the data set's name on the hub.
        data_dir: the folder of the mirrored data sets.
        validation_size: training images held out.
        solved_at: the accuracy that counts as solved.

    Raises:
        ConfigError: a value is out of range.
        DataError: on first use, if the data set is missing or does not have MNIST's form.
    """

    contents = "images of {} steps"
    features: ClassVar[int]
    targets = Classes(CLASSES, per_step=False)

    def __init__(
        self,
        dataset: str = "mnist",
        hub_id: str = "ylecun/mnist",
        data_dir: str | Path = "data",
        validation_size: int = 5000,
        solved_at: float = 0.97,
    ) -> None:
        if validation_size < 1:
            raise ConfigError(
                f"task.validation_size={validation_size} leaves nothing to validate on; give at least 1."
            )
        if not 0 < solved_at <= 1:
            raise ConfigError(f"task.solved_at={solved_at} is no accuracy; give a number in (0, 1].")
        self.dataset = self.title = dataset
        self.hub_id = hub_id
        self.data_dir = data_dir
        self.validation_size = validation_size
        self.solved_at = solved_at
        # The literature calls no accuracy solved: presets take a published result and name it.
        self.solved_when = f"{100 * solved_at:g} % of the images right, the mark that the preset names"
        self.eval_lengths = (self.length,)
        self.inputs = Vectors(self.features)

    @abstractmethod
    def sequences(self, images: UInt8[Tensor, "N 28 28"]) -> Integer[Tensor, "N T F"]:
        """Return the images as sequences, before standardisation."""

    def picture(self, inputs: Float[Tensor, "T F"]) -> Float[Tensor, "H W"]:
        """Return the image that a sequence was made of."""
        return inputs

    def read_split(self, split: str) -> Batch:
        if split == "test":
            return self._batch(*self._read("test"))
        if split == "train":
            return self._batch(*self._training)
        images, labels = self._train_split
        return self._batch(images[-self.validation_size :], labels[-self.validation_size :])

    def baseline_loss(self, length: int) -> float:
        """Return the cross-entropy of the test labels under the training labels' frequencies, in nats.

        Without the input a predictor can learn only the frequencies of the classes in the training split;
        this is its exact loss on the test split.
        """
        self.check_length(length)
        known = frequencies(self._training[1])
        truth = frequencies(self._read("test")[1])
        return -float(torch.xlogy(truth, known).sum())

    def chance(self, length: int) -> dict[str, float]:
        """Return the accuracy on the test split of the class that is most frequent in the training split."""
        self.check_length(length)
        return {
            "accuracy": float(frequencies(self._read("test")[1])[frequencies(self._training[1]).argmax()])
        }

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= self.solved_at

    def _read(self, split: str) -> tuple[Tensor, Tensor]:
        """Return images (N, 28, 28) and labels (N,) of a split of the data set, both of uint8."""
        images, labels = load_images(self.dataset, self.hub_id, split, self.data_dir)
        if images.shape[1:] != (SIZE, SIZE) or labels.max() >= CLASSES:
            raise DataError(f"The data set {self.dataset} is not {SIZE}x{SIZE} images in {CLASSES} classes.")
        return torch.from_numpy(images), torch.from_numpy(labels)

    @cached_property
    def _train_split(self) -> tuple[Tensor, Tensor]:
        """The data set's training images and labels, including those held out."""
        images, labels = self._read("train")
        if len(images) <= self.validation_size:
            raise ConfigError(
                f"task.validation_size={self.validation_size} leaves none of the {len(images)} images of"
                f" {self.dataset} to train on."
            )
        return images, labels

    @property
    def _training(self) -> tuple[Tensor, Tensor]:
        images, labels = self._train_split
        return images[: -self.validation_size], labels[: -self.validation_size]

    @cached_property
    def _mean_and_std(self) -> tuple[float, float]:
        """Mean and standard deviation of the training split, from a histogram: equal on all machines."""
        counts = self.sequences(self._training[0]).flatten().bincount().double()
        values = torch.arange(len(counts), dtype=torch.float64)
        mean = (values * counts).sum() / counts.sum()
        variance = ((values - mean).square() * counts).sum() / counts.sum()
        return mean.item(), variance.sqrt().item()

    def _batch(self, images: Tensor, labels: Tensor) -> Batch:
        mean, std = self._mean_and_std
        return Batch(self.sequences(images).float().sub_(mean).div_(std), labels.long())


class ImageRows(ImageTask):
    """Read an image row by row, and classify it after the last.

        step  6   ····························
        step  7   ······:+++··················
        step  8   ······##############+·······       at each step the 28 pixels of a row;
        step  9   ······::::+##########+······       28 steps; target 7 after the last
        step 10   ············:·:::··##:······
        step 11   ··················:##·······
          ⋮
        step 26   ··········:##···············
        step 27   ····························

    Args:
        dataset: the data set's folder in `data_dir`.
        hub_id: the data set's name on the hub.
        data_dir: the folder of the mirrored data sets.
        validation_size: training images held out.
        solved_at: the accuracy that counts as solved.
    """

    variant = "rows"
    length = SIZE
    features = SIZE

    def sequences(self, images: UInt8[Tensor, "N 28 28"]) -> UInt8[Tensor, "N 28 28"]:
        return images


class ImagePixels(ImageTask):
    """Read an image pixel by pixel, row after row, and classify it after the last.

        · · · · · · · · · · · · · ·
        · · · : : · · · · · · · · ·   with downsample=2, 14 x 14 = 196 steps;
        · · · + + # # # # # + · · ·   steps 56 to 69 are this row, one pixel each;
        · · · · · · · · · + + · · ·   target 7 after the last
        · · · · · · · · · # · · · ·
        · · · · · · · · + : · · · ·
        ⋮

    Args:
        dataset: the data set's folder in `data_dir`.
        hub_id: the data set's name on the hub.
        data_dir: the folder of the mirrored data sets.
        validation_size: training images held out.
        solved_at: the accuracy that counts as solved.
        permuted: read the pixels in a fixed random order: `permutation`. It depends on the number of pixels
            alone, and is the same for all data sets, images, models and runs.
        downsample: replace k by k pixels by their mean first: (28/k)² steps in place of 784.
    """

    features = 1

    def __init__(
        self,
        dataset: str = "mnist",
        hub_id: str = "ylecun/mnist",
        data_dir: str | Path = "data",
        validation_size: int = 5000,
        solved_at: float = 0.97,
        permuted: bool = False,
        downsample: int = 1,
    ) -> None:
        divisors = [k for k in range(1, SIZE) if SIZE % k == 0]
        if downsample not in divisors:
            raise ConfigError(
                f"task.downsample={downsample} does not divide the {SIZE} pixels of a side; give one of"
                f" {', '.join(map(str, divisors))}."
            )
        side = SIZE // downsample
        self.length = side * side
        super().__init__(dataset, hub_id, data_dir, validation_size, solved_at)
        self.permuted = permuted
        self.downsample = downsample
        order = "permuted pixels" if permuted else "pixels"
        self.variant = order if downsample == 1 else f"{order}, {side}x{side}"

    def sequences(self, images: UInt8[Tensor, "N 28 28"]) -> Integer[Tensor, "N T 1"]:
        pixels = block_sums(images, self.downsample).flatten(1)
        if self.permuted:
            pixels = pixels.index_select(1, permutation(self.length))
        return pixels.unsqueeze(-1)

    def picture(self, inputs: Float[Tensor, "T 1"]) -> Float[Tensor, "H W"]:
        pixels = inputs[:, 0]
        if self.permuted:
            pixels = torch.empty_like(pixels).scatter(0, permutation(self.length), pixels)
        return pixels.view(SIZE // self.downsample, -1)


def block_sums(images: UInt8[Tensor, "N H W"], size: int) -> Integer[Tensor, "N h w"]:
    """Return the sum over each block of `size` by `size` pixels: the mean up to a scale, without rounding."""
    if size == 1:
        return images
    count, height, width = images.shape
    blocks = images.reshape(count, height // size, size, width // size, size)
    return blocks.sum(dim=(2, 4), dtype=torch.int32)


def permutation(length: int) -> Integer[Tensor, " T"]:
    """Return the fixed order of permuted pixels, which depends on the length alone."""
    return torch.randperm(length, generator=generator("permutation", length))


def frequencies(labels: Integer[Tensor, " N"]) -> Tensor:
    """Return the share of each class, (10,) of float64."""
    return labels.bincount(minlength=CLASSES).double() / len(labels)

"""Images as sequences: MNIST and data sets of its form, by rows or by pixels."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Integer, UInt8
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
    """Say which of ten classes an image belongs to, after reading it as a sequence.

    Splits: the last `validation_size` training images are held out for validation; the test images are the
    data set's own. Inputs are standardised with the mean and standard deviation of all values of the
    training split that is left, so that nothing of validation and test gets in. The scale of the pixels,
    0..255 or 0..1, drops out of that.

    The data are read on first use, and kept in memory as the float32 sequences that `train_batches` slices
    (172 MB for 55 000 images of 28x28).

    Args:
        dataset: the data set's folder in `data_dir`.
        hub_id: the data set's name on the hub.
        data_dir: where data sets are mirrored.
        validation_size: training images held out.
        solved_at: the accuracy that counts as solved.
        length: steps T.
        features: values per step F.

    Raises:
        ConfigError: a value is out of range.
        DataError: on first use, if the data set is missing or is not of MNIST's form.
    """

    def __init__(
        self,
        *,
        dataset: str,
        hub_id: str,
        data_dir: str | Path,
        validation_size: int,
        solved_at: float,
        length: int,
        features: int,
    ) -> None:
        if validation_size < 1:
            raise ConfigError(
                f"task.validation_size={validation_size} leaves nothing to validate on; give at least 1."
            )
        if not 0 < solved_at <= 1:
            raise ConfigError(f"task.solved_at={solved_at} is no accuracy; give a number in (0, 1].")
        self.dataset = dataset
        self.hub_id = hub_id
        self.data_dir = data_dir
        self.validation_size = validation_size
        self.solved_at = solved_at
        # The literature calls no accuracy solved: presets take a mark of somebody's, and name them.
        self.solved_when = f"{100 * solved_at:g} % of the images right, the mark that the preset names"
        self.length = length
        self.eval_lengths = (length,)
        self.inputs = Vectors(features)
        self.targets = Classes(CLASSES, per_step=False)

    @abstractmethod
    def sequences(self, images: UInt8[Tensor, "N 28 28"]) -> Integer[Tensor, "N T F"]:
        """Return the images as sequences, before standardisation."""

    @cached_property
    def train(self) -> Batch:
        """The training examples: inputs (N, T, F), targets (N,)."""
        return self._batch(*self._training)

    def validation(self) -> Batch:
        images, labels = self._train_split
        return self._batch(images[-self.validation_size :], labels[-self.validation_size :])

    def test(self, length: int) -> Batch:
        self._check(length)
        return self._batch(*self._read("test"))

    def baseline_loss(self, length: int) -> float:
        """Return the cross-entropy of the test labels under the training labels' frequencies, in nats.

        All that a predictor can learn without the input is how frequent the classes are in the training
        split; this is what it then loses on the test split, exactly.
        """
        self._check(length)
        known = frequencies(self._training[1])
        truth = frequencies(self._read("test")[1])
        return -float(torch.xlogy(truth, known).sum())

    def solved(self, metrics: Mapping[str, float]) -> bool:
        return metrics["accuracy"] >= self.solved_at

    def _check(self, length: int) -> None:
        if length != self.length:
            raise ConfigError(
                f"{self.dataset} is read in {self.length} steps, so there is no test at {length}."
            )

    def _read(self, split: str) -> tuple[Tensor, Tensor]:
        """Return images (N, 28, 28) and labels (N,) of a split of the data set, both of uint8."""
        images, labels = load_images(self.dataset, self.hub_id, split, self.data_dir)
        if images.shape[1:] != (SIZE, SIZE) or labels.max() >= CLASSES:
            raise DataError(f"The data set {self.dataset} is not {SIZE}x{SIZE} images in {CLASSES} classes.")
        return torch.from_numpy(images), torch.from_numpy(labels)

    @cached_property
    def _train_split(self) -> tuple[Tensor, Tensor]:
        """The data set's training images and labels, those held out among them."""
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
        """Mean and standard deviation over the training split, from a histogram: the same on any machine."""
        counts = self.sequences(self._training[0]).flatten().bincount().double()
        values = torch.arange(len(counts), dtype=torch.float64)
        mean = (values * counts).sum() / counts.sum()
        variance = ((values - mean).square() * counts).sum() / counts.sum()
        return mean.item(), variance.sqrt().item()

    def _batch(self, images: Tensor, labels: Tensor) -> Batch:
        mean, std = self._mean_and_std
        return Batch(self.sequences(images).float().sub_(mean).div_(std), labels.long())


class ImageRows(ImageTask):
    """Read an image row by row, and say what it shows after the last.

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
        data_dir: where data sets are mirrored.
        validation_size: training images held out.
        solved_at: the accuracy that counts as solved.
    """

    def __init__(
        self,
        dataset: str = "mnist",
        hub_id: str = "ylecun/mnist",
        data_dir: str | Path = "data",
        validation_size: int = 5000,
        solved_at: float = 0.97,
    ) -> None:
        super().__init__(
            dataset=dataset,
            hub_id=hub_id,
            data_dir=data_dir,
            validation_size=validation_size,
            solved_at=solved_at,
            length=SIZE,
            features=SIZE,
        )
        self.variant = "rows"

    def sequences(self, images: UInt8[Tensor, "N 28 28"]) -> UInt8[Tensor, "N 28 28"]:
        return images


class ImagePixels(ImageTask):
    """Read an image pixel by pixel, row after row, and say what it shows after the last.

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
        data_dir: where data sets are mirrored.
        validation_size: training images held out.
        solved_at: the accuracy that counts as solved.
        permuted: read the pixels in a random order instead. There is one order for each number of pixels,
            the same for every data set, image, model and run: `permutation`.
        downsample: pool k by k pixels to their mean first: (28/k)² steps in place of 784.
    """

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
        super().__init__(
            dataset=dataset,
            hub_id=hub_id,
            data_dir=data_dir,
            validation_size=validation_size,
            solved_at=solved_at,
            length=side * side,
            features=1,
        )
        self.permuted = permuted
        self.downsample = downsample
        order = "permuted pixels" if permuted else "pixels"
        self.variant = order if downsample == 1 else f"{order}, {side}x{side}"

    def sequences(self, images: UInt8[Tensor, "N 28 28"]) -> Integer[Tensor, "N T 1"]:
        pixels = block_sums(images, self.downsample).flatten(1)
        if self.permuted:
            pixels = pixels.index_select(1, permutation(self.length))
        return pixels.unsqueeze(-1)


def block_sums(images: UInt8[Tensor, "N H W"], size: int) -> Integer[Tensor, "N h w"]:
    """Return the sum over each block of `size` by `size` pixels: the mean, but for a scale and rounding."""
    if size == 1:
        return images
    count, height, width = images.shape
    blocks = images.reshape(count, height // size, size, width // size, size)
    return blocks.sum(dim=(2, 4), dtype=torch.int32)


def permutation(length: int) -> Integer[Tensor, " T"]:
    """Return the fixed order in which permuted pixels are read, seeded by its purpose and length alone."""
    return torch.randperm(length, generator=generator("permutation", length))


def frequencies(labels: Integer[Tensor, " N"]) -> Tensor:
    """Return the share of each class, (10,) of float64."""
    return labels.bincount(minlength=CLASSES).double() / len(labels)

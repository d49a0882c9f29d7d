"""Images as sequences."""

from __future__ import annotations

import math
from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from seqbench.data import hub
from seqbench.data.catalogue import CATALOGUE
from seqbench.data.images import write_images
from seqbench.errors import ConfigError, DataError
from seqbench.tasks.images.mnist import ImagePixels, ImageRows, block_sums, permutation
from seqbench.tasks.specs import Vectors

SIZES = {"train": 120, "test": 40}
HELD_OUT = 20

READINGS = [
    (ImageRows, {}),
    (ImagePixels, {}),
    (ImagePixels, {"permuted": True}),
    (ImagePixels, {"downsample": 2}),
    (ImagePixels, {"downsample": 4, "permuted": True}),
]


@pytest.fixture(scope="module")
def fake(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, tuple[np.ndarray, np.ndarray]]]:
    """A data folder with random images as MNIST, and these images and labels by split."""
    data_dir = tmp_path_factory.mktemp("data")
    (data_dir / "mnist").mkdir()
    rng = np.random.default_rng(0)
    splits = {}
    for split, rows in SIZES.items():
        images = rng.integers(256, size=(rows, 28, 28), dtype=np.uint8)
        labels = np.minimum(rng.integers(14, size=rows, dtype=np.uint8), 9)  # one class is frequent
        write_images(images, labels, "0123456789", data_dir / "mnist" / f"{split}.parquet")
        splits[split] = (images, labels)
    return data_dir, splits


def standardised(values: np.ndarray, training: np.ndarray) -> torch.Tensor:
    return torch.from_numpy((values - training.mean()) / training.std()).float()


@pytest.mark.parametrize(("kind", "options"), READINGS)
def test_splits_are_fixed_disjoint_and_standardised_by_training_alone(fake, kind, options):
    data_dir, splits = fake
    task = kind(data_dir=data_dir, validation_size=HELD_OUT, **options)
    validation, test = task.validation(), task.test(task.length)
    for batch, rows in ((task.train, 100), (validation, HELD_OUT), (test, 40)):
        assert batch.inputs.shape == (rows, task.length, task.inputs.size)
        assert batch.inputs.dtype == torch.float32 and batch.targets.dtype == torch.int64
        assert batch.mask is None and batch.lengths is None
    train_labels, test_labels = splits["train"][1], splits["test"][1]
    assert task.train.targets.tolist() == train_labels[:100].tolist()
    assert validation.targets.tolist() == train_labels[100:].tolist()
    assert test.targets.tolist() == test_labels.tolist()
    rows = {tuple(row) for row in task.train.inputs.flatten(1).tolist()}
    assert rows.isdisjoint(tuple(row) for row in validation.inputs.flatten(1).tolist())
    assert abs(task.train.inputs.mean().item()) < 1e-5
    assert abs(task.train.inputs.std(correction=0).item() - 1) < 1e-5
    again = kind(data_dir=data_dir, validation_size=HELD_OUT, **options)
    assert torch.equal(again.validation().inputs, validation.inputs)
    assert torch.equal(again.test(task.length).inputs, test.inputs)


def test_step_t_is_row_t(fake):
    data_dir, splits = fake
    task = ImageRows(data_dir=data_dir, validation_size=HELD_OUT)
    assert (task.length, task.eval_lengths, task.inputs) == (28, (28,), Vectors(28))
    images = splits["test"][0]
    expected = standardised(images, splits["train"][0][:100])
    for t in (0, 9, 27):
        torch.testing.assert_close(task.test(28).inputs[:, t], expected[:, t])


def test_pixels_are_read_row_after_row(fake):
    data_dir, splits = fake
    task = ImagePixels(data_dir=data_dir, validation_size=HELD_OUT)
    assert (task.length, task.eval_lengths, task.inputs) == (784, (784,), Vectors(1))
    expected = standardised(splits["test"][0], splits["train"][0][:100])
    torch.testing.assert_close(task.test(784).inputs[:, 3 * 28 + 5, 0], expected[:, 3, 5])


def test_permutation_is_fixed_and_a_bijection(fake):
    data_dir, _ = fake
    order = permutation(784)
    assert sorted(order.tolist()) == list(range(784))
    assert order[:10].tolist() == [426, 264, 470, 216, 542, 446, 24, 751, 440, 380]
    plain, permuted = (
        ImagePixels(data_dir=data_dir, validation_size=HELD_OUT, permuted=permuted).test(784)
        for permuted in (False, True)
    )
    assert torch.equal(permuted.inputs, plain.inputs[:, order])
    assert torch.equal(permuted.targets, plain.targets)


def test_downsampling_takes_means(fake):
    data_dir, splits = fake
    task = ImagePixels(data_dir=data_dir, validation_size=HELD_OUT, downsample=2)
    assert task.length == 196 and task.variant == "pixels, 14x14"

    def pooled(images: np.ndarray) -> np.ndarray:
        return images.astype(float).reshape(-1, 14, 2, 14, 2).mean((2, 4))

    expected = standardised(pooled(splits["test"][0]), pooled(splits["train"][0][:100]))
    torch.testing.assert_close(task.test(196).inputs.view(-1, 14, 14), expected)


def test_largest_blocks_do_not_overflow():
    images = torch.full((1, 28, 28), 255, dtype=torch.uint8)
    assert block_sums(images, 14).tolist() == [[[255 * 196] * 2] * 2]


def test_baseline_is_the_loss_of_the_training_frequencies_on_the_test_labels(fake):
    data_dir, splits = fake
    task = ImageRows(data_dir=data_dir, validation_size=HELD_OUT)
    counts = np.bincount(splits["train"][1][:100], minlength=10)
    outputs = torch.from_numpy(counts / 100).log().expand(40, 10)
    measured = task.targets.loss(outputs, task.test(28)).item()
    assert math.isclose(task.baseline_loss(28), measured, rel_tol=1e-6)


def test_training_batches_depend_on_the_seed_and_resume(fake):
    data_dir, _ = fake
    task = ImageRows(data_dir=data_dir, validation_size=HELD_OUT)
    batches = list(islice(task.train_batches(seed=1, batch_size=30), 7))
    resumed = list(islice(task.train_batches(seed=1, batch_size=30, start=4), 3))
    for batch, other in zip(batches[4:], resumed, strict=True):
        assert torch.equal(batch.inputs, other.inputs) and torch.equal(batch.targets, other.targets)
    assert not torch.equal(next(task.train_batches(2, 30)).inputs, batches[0].inputs)


def test_data_are_read_on_first_use(tmp_path, monkeypatch):
    import datasets

    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "cache")
    monkeypatch.setattr(hub, "answers", lambda hub_id: False)
    task = ImagePixels(data_dir=tmp_path, permuted=True, solved_at=0.82)
    assert (task.length, task.inputs, task.targets.size, task.variant) == (
        784,
        Vectors(1),
        10,
        "permuted pixels",
    )
    assert task.solved({"accuracy": 0.82}) and not task.solved({"accuracy": 0.81})
    assert task.solved_when.startswith("82 % of the images right")
    for use in (lambda: task.train, task.validation, lambda: task.baseline_loss(784)):
        with pytest.raises(DataError, match="seqbench data --get mnist"):
            use()


@pytest.mark.parametrize(
    ("kind", "options", "said"),
    [
        (ImagePixels, {"downsample": 3}, "task.downsample=3"),
        (ImagePixels, {"downsample": 0}, "task.downsample=0"),
        (ImageRows, {"validation_size": 0}, "task.validation_size=0"),
        (ImageRows, {"solved_at": 97.0}, "task.solved_at=97"),
    ],
)
def test_values_out_of_range(kind, options, said):
    with pytest.raises(ConfigError, match=said):
        kind(**options)


def test_values_that_do_not_fit_the_data(fake):
    data_dir, _ = fake
    with pytest.raises(ConfigError, match="validation_size=120"):
        ImageRows(data_dir=data_dir, validation_size=120).validation()
    with pytest.raises(ConfigError, match="28 steps"):
        ImageRows(data_dir=data_dir, validation_size=HELD_OUT).test(29)


@pytest.mark.parametrize("shape", [(5, 20, 20), (5, 28, 14)])
def test_images_of_another_form_are_an_error(tmp_path, shape):
    (tmp_path / "other").mkdir()
    for split in SIZES:
        path = tmp_path / "other" / f"{split}.parquet"
        write_images(np.zeros(shape, np.uint8), np.zeros(5, np.uint8), "0123456789", path)
    with pytest.raises(DataError, match="28x28"):
        ImageRows(dataset="other", data_dir=tmp_path, validation_size=1).validation()


@pytest.mark.parametrize(
    ("name", "steps", "length", "solved_at"),
    [
        ("mnist_rows", "rows", 28, 0.98),
        ("mnist_pixels", "pixels", 784, 0.97),
        ("psmnist", "permuted pixels", 784, 0.82),
        ("fashion_rows", "rows", 28, 0.888),
        ("fashion_pixels", "pixels", 784, 0.835),
    ],
)
def test_presets(make_task, name, steps, length, solved_at):
    task = make_task(f"task={name}", "task.data_dir=somewhere")
    dataset = "fashion_mnist" if name.startswith("fashion") else "mnist"
    assert (task.dataset, task.hub_id) == (dataset, CATALOGUE[dataset].hub_id)
    assert (task.variant, task.length, task.solved_at) == (steps, length, solved_at)
    assert task.data_dir == "somewhere"

"""Mirrors of made-up data."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from seqbench.data.images import write_images
from seqbench.data.mnist import SOURCE as MNIST
from seqbench.data.source import SPLITS, mirror_file


def fake_mirror(data_dir: Path, seed: int = 0, rows: int = 30) -> tuple[np.ndarray, np.ndarray]:
    """Mirror random images as MNIST and return those of the test split."""
    rng = np.random.default_rng(seed)
    for split in SPLITS:
        images = rng.integers(256, size=(rows, 28, 28), dtype=np.uint8)
        labels = rng.integers(10, size=rows, dtype=np.uint8)
        path = mirror_file("mnist", split, data_dir)
        path.parent.mkdir(parents=True, exist_ok=True)
        write_images(images, labels, MNIST.classes, path)
    return images, labels

"""Fashion-MNIST's package."""

from __future__ import annotations

import gzip
from pathlib import Path

import numpy as np

from seqbench.data import fashion_mnist


def test_idx_files_are_read_out_of_a_debian_package(monkeypatch, tmp_path):
    images = np.arange(2 * 28 * 28, dtype=np.uint8).reshape(2, 28, 28)
    labels = np.array([3, 9], np.uint8)

    def unpack(command: list[str], cwd: Path) -> None:
        folder = Path(command[-1]) / "usr/share/datasets/fashion-mnist"
        folder.mkdir(parents=True)
        for prefix in ("train", "t10k"):
            for name, array in (("images-idx3", images), ("labels-idx1", labels)):
                header = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
                (folder / f"{prefix}-{name}-ubyte.gz").write_bytes(gzip.compress(header + array.tobytes()))

    monkeypatch.setattr(fashion_mnist, "run", unpack)
    read = fashion_mnist.read(tmp_path / "fake.deb")
    for split in ("train", "test"):
        assert np.array_equal(read[split][0], images) and np.array_equal(read[split][1], labels)
    assert list(tmp_path.iterdir()) == []

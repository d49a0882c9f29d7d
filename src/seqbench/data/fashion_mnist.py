"""Fashion-MNIST, from a Debian package."""

from __future__ import annotations

import gzip
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from seqbench.data.images import ImageSource
from seqbench.data.packages import apt_download, run

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqbench.data.images import Images


def read(package: Path) -> Mapping[str, Images]:
    """Read the images and labels of the splits from the package's four IDX files."""
    with tempfile.TemporaryDirectory(dir=package.parent) as unpacked:
        run(["dpkg-deb", "-x", package.name, unpacked], cwd=package.parent)
        folder = Path(unpacked) / "usr/share/datasets/fashion-mnist"
        return {
            split: (
                read_idx(folder / f"{prefix}-images-idx3-ubyte.gz", dimensions=3),
                read_idx(folder / f"{prefix}-labels-idx1-ubyte.gz", dimensions=1),
            )
            for split, prefix in (("train", "train"), ("test", "t10k"))
        }


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """Read an IDX file: a header (magic number; one big-endian 32-bit size per dimension) and the bytes."""
    import numpy as np

    content = gzip.decompress(path.read_bytes())
    header = 4 * (1 + dimensions)
    shape = np.frombuffer(content[4:header], dtype=">u4")
    return np.frombuffer(content, dtype=np.uint8, offset=header).reshape(shape)


SOURCE = ImageSource(
    title="Fashion-MNIST",
    hub_id="zalando-datasets/fashion_mnist",
    package="the Debian package dataset-fashion-mnist 0.0~git20200523.55506a9-1",
    command=apt_download("dataset-fashion-mnist=0.0~git20200523.55506a9-1"),
    sha256="39e172fe32dd318ebb3e512220c3beea2fa47d7e20bab348fb4e0922d6beefc0",
    read=read,
    rows={"train": 60_000, "test": 10_000},
    classes=(
        *("T - shirt / top", "Trouser", "Pullover", "Dress", "Coat"),
        *("Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"),
    ),
    licence="MIT, copyright 2017 Zalando SE. Fashion-MNIST is by H. Xiao, K. Rasul and R. Vollgraf.",
)

"""Data sets of grey images in classes: their mirror has the hub's columns, `image` (PNG) and `label`."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from seqbench.data.source import PackageSource, megabytes
from seqbench.errors import DataError

if TYPE_CHECKING:
    import datasets
    import numpy as np
    from numpy.typing import NDArray

    #: Images (N, H, W) and their labels (N,), both of uint8.
    Images = tuple[NDArray[np.uint8], NDArray[np.uint8]]

#: Pixels of an image's side.
SIZE = 28
#: Images between two lines of progress.
REPORT_EVERY = 20_000


@dataclass(frozen=True)
class ImageSource(PackageSource):
    """Grey images of 28x28 pixels in classes.

    Attributes:
        read: reads the splits from the package file.
        classes: names of the labels, in order.
    """

    read: Callable[[Path], Mapping[str, Images]]
    classes: tuple[str, ...]

    @property
    def facts(self) -> dict[str, str]:
        return {"columns": "image (28x28 grey), label", "classes": ", ".join(self.classes)}

    @property
    def content(self) -> str:
        return f"images of 28x28 grey values in {len(self.classes)} classes"

    def write(self, package: Path, folder: Path, report: Callable[[str], None]) -> None:
        splits = self.read(package)
        for split, rows in self.rows.items():
            images, labels = splits[split]
            shapes = images.shape, labels.shape
            if shapes != ((rows, SIZE, SIZE), (rows,)) or labels.max() >= len(self.classes):
                raise DataError(f"{self.package} does not hold {rows} labelled images as its {split} split.")
            path = folder / f"{split}.parquet"
            write_images(images, labels, self.classes, path, report)
            report(f"{split}.parquet, {rows} images, {megabytes(path)}")


def write_images(
    images: NDArray[np.uint8],
    labels: NDArray[np.uint8],
    classes: Sequence[str],
    path: Path,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Write images and labels as a parquet file in the hub's columns.

    Args:
        images: grey values (N, 28, 28).
        labels: indices (N,) into `classes`.
        classes: names of the labels.
        path: the file to write.
        report: takes lines of progress.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    encoded = []
    for i, image in enumerate(images):
        if i and i % REPORT_EVERY == 0:
            report(f"{i} of {len(images)} images encoded")
        encoded.append({"bytes": png(image), "path": None})
    columns = {"image": encoded, "label": labels.tolist()}
    pq.write_table(pa.table(columns, schema=features(classes).arrow_schema), path)


def features(classes: Sequence[str]) -> datasets.Features:
    """Return the columns that the hub has."""
    import datasets

    return datasets.Features(image=datasets.Image(), label=datasets.ClassLabel(names=list(classes)))


def png(image: NDArray[np.uint8]) -> bytes:
    """Return a grey image (H, W) as the bytes of a PNG file."""
    from PIL import Image

    file = io.BytesIO()
    Image.fromarray(image).save(file, format="PNG")
    return file.getvalue()

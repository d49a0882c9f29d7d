"""Images as arrays: decoding takes seconds, so that it is done once for each version of the data."""

from __future__ import annotations

import contextlib
import io
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from seqbench.data.loading import fingerprint, load
from seqbench.data.source import is_mirrored, mirror_file
from seqbench.errors import DataError

if TYPE_CHECKING:
    import datasets

    from seqbench.data.images import Images


def load_images(name: str, hub_id: str, split: str, data_dir: str | Path) -> Images:
    """Return the images (N, H, W) and labels (N,) of a split, both of uint8.

    The arrays are cached in DATA_DIR/.cache, together with the fingerprint of the data they came from and of
    this code. Where either has changed, the data are decoded again. A folder that cannot be written only
    costs time.

    Args:
        name, hub_id, split, data_dir: as for `load`.

    Raises:
        DataError: as for `load`; or the columns are not `image`, all of one size, and `label`.
    """
    dataset = None
    if is_mirrored(name, data_dir):
        key = fingerprint(mirror_file(name, split, data_dir))  # avoids loading, which takes a second
    else:
        dataset = load(name, hub_id, split, data_dir)
        key = dataset._fingerprint
    key += fingerprint(Path(__file__))  # of this code, which may decode otherwise than before
    cache = Path(data_dir) / ".cache" / f"{name}-{split}.npz"
    images = _read_cache(cache, key)
    if images is None:
        images = _decode(load(name, hub_id, split, data_dir) if dataset is None else dataset, name)
        with contextlib.suppress(OSError):
            _write_cache(cache, key, images)
    return images


def _decode(dataset: datasets.Dataset, name: str) -> Images:
    import datasets
    import numpy as np
    from PIL import Image

    try:
        encoded = dataset.cast_column("image", datasets.Image(decode=False))["image"]
        images = np.stack([np.asarray(Image.open(io.BytesIO(image["bytes"]))) for image in encoded])
        labels = np.asarray(dataset["label"][:], dtype=np.uint8)
    except (KeyError, ValueError, TypeError, OSError) as error:
        raise DataError(
            f"The data set {name} is not read as images: it needs the columns `image`, all of one size, and"
            " `label`."
        ) from error
    if images.dtype != np.uint8 or images.ndim != 3:
        raise DataError(f"The images of the data set {name} are not 8-bit grey.")
    return images, labels


def _read_cache(path: Path, key: str) -> Images | None:
    """Return the arrays cached under the key, or None."""
    import zipfile

    import numpy as np

    try:
        with np.load(path) as kept:
            return (kept["images"], kept["labels"]) if kept["key"] == key else None
    except (OSError, KeyError, ValueError, EOFError, zipfile.BadZipFile):
        return None  # missing or damaged; decoding repairs both


def _write_cache(path: Path, key: str, images: Images) -> None:
    """Replace the cached arrays: another process sees the old file or the new one."""
    import numpy as np

    path.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
        draft = Path(scratch) / path.name
        np.savez(draft, key=np.array(key), images=images[0], labels=images[1])
        draft.replace(path)

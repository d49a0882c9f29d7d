"""MNIST's package: arrays alone are read from its pickle, and no pixel is rounded."""

from __future__ import annotations

import io
import pickle

import numpy as np
import pytest

from seqbench.data import mnist
from seqbench.errors import DataError


@pytest.mark.parametrize("content", [b"", b"not a pickle", pickle.dumps(np.array([print], dtype=object))])
def test_other_pickles_are_refused(content):
    with pytest.raises(DataError, match="not read"):
        mnist.unpickle_arrays(io.BytesIO(content))


@pytest.mark.parametrize("value", [0.3, 1.0, -1 / 256, float("nan")])
@pytest.mark.filterwarnings("ignore:invalid value encountered in cast")
def test_pixels_that_would_be_rounded_are_refused(value):
    pixels = np.zeros((1, 784), np.float32)
    pixels[0, 5] = value
    with pytest.raises(DataError, match="1/256"):
        mnist.to_bytes(pixels)

"""The global generators of random numbers that a run draws from: torch's, NumPy's and Python's.

What seqbench itself draws is torch's. A user's cell may draw from the others, in its constructor or its step.
"""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch

from seqbench.models.model import Model
from seqbench.models.unfold.fused.held import generators_kept as others_kept
from seqbench.tasks.base import generator

#: Seeds of NumPy's generator are below it.
NUMPY_SEEDS = 2**32


def initial_model(make: Callable[[], Model], seed: int) -> Model:
    """Return a seed's model with its initial weights; the generators go to the seed's own streams.

    Args:
        make: makes the model, with weights from these generators.
        seed: of the run.
    """
    _seed("weights", seed)
    model = make()
    _seed("training", seed)
    return model


@contextmanager
def generators_kept() -> Iterator[None]:
    """Leave the generators where they are, whatever draws from them within."""
    with torch.random.fork_rng(), others_kept():
        yield


def states() -> dict[str, Any]:
    """Return the states of the generators, as tensors and plain values."""
    _, keys, *rest = np.random.get_state(legacy=True)
    return {
        "rng": torch.get_rng_state(),
        "cuda_rng": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "numpy_rng": [torch.from_numpy(np.asarray(keys).astype(np.int64)), *rest],
        "python_rng": list(random.getstate()),
    }


def position() -> tuple[Any, ...]:
    """Return where the generators of the processor stand, to be compared: equal unless one was drawn from."""
    return bytes(torch.get_rng_state().numpy()), repr(np.random.get_state()), random.getstate()


def restore(kept: dict[str, Any]) -> None:
    """Go on from the states in a checkpoint; one of an earlier version has torch's alone."""
    torch.set_rng_state(kept["rng"])
    if kept["cuda_rng"]:
        torch.cuda.set_rng_state_all(kept["cuda_rng"])
    if "numpy_rng" in kept:
        keys, *rest = kept["numpy_rng"]
        np.random.set_state(("MT19937", keys.numpy().astype(np.uint32), *rest))
    if "python_rng" in kept:
        version, internal, following = kept["python_rng"]
        random.setstate((version, tuple(internal), following))


def _seed(stream: str, seed: int) -> None:
    number = generator(stream, seed).initial_seed()
    torch.manual_seed(number)
    np.random.seed(number % NUMPY_SEEDS)
    random.seed(number)

"""Eigenvalues and singular values of recurrent matrices: do they let gradients vanish, or explode?"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqbench.models import Cell
from seqbench.models.cells.clockwork import ClockworkRNN
from seqbench.models.cells.gru import GRU
from seqbench.models.cells.lru import LRU
from seqbench.models.cells.lstm import LSTM
from seqbench.models.cells.mgu import MGU
from seqbench.models.cells.mut1 import MUT1

#: The letters of matrices that a state is multiplied with.
RECURRENT = ("W", "D", "S")
#: What the blocks of W are for, in their order; an LSTM says itself which it has.
BLOCKS: dict[type[Cell], tuple[str, ...]] = {
    GRU: ("r", "u", "candidate"),
    MGU: ("f", "candidate"),
    MUT1: ("r", "candidate"),
}


class Spectrum(NamedTuple):
    """Of a square matrix: the largest absolute value of its eigenvalues, and its largest singular value.

    In an RNN a gradient that goes back n steps is multiplied n times with Wᵀ and with slopes of at most 1:
    with a largest singular value below 1 it must vanish, and it can explode only with one above 1 (Pascanu
    et al., 2013). The spectral radius says the same of a linear network in the limit of many steps.
    """

    spectral_radius: float
    largest_singular_value: float


def spectra(model: nn.Module) -> dict[str, Spectrum]:
    """Return the spectrum of every square block of every recurrent matrix of a model's cells.

        layers.0.W              of an RNN
        layers.0.W[f]           of an LSTM: the block of its forget gate
        layers.0.W[0]           of a cell whose blocks have no names here

    That of an LRU is of its eigenvalues, `layers.0.λ`.

    A matrix with a number that is not finite has a spectrum of nan.
    """
    return {
        f"{where}.{name}" if where else name: _spectrum(matrix.detach().cpu())
        for where, cell in model.named_modules()
        if isinstance(cell, Cell)
        for name, matrix in _matrices(cell).items()
    }


def largest(model: nn.Module) -> dict[str, float]:
    """Return `spectral_radius` and `largest_singular_value`, each the largest over the blocks of a model.

    Without a recurrent matrix there is neither.
    """
    found = torch.tensor(list(spectra(model).values()))  # whose maximum, unlike Python's, is nan where one is
    return dict(zip(Spectrum._fields, found.amax(0).tolist(), strict=True)) if len(found) else {}


def _matrices(cell: Cell) -> dict[str, Tensor]:
    """Return the square blocks (H, H) that the cell multiplies its state with, by name."""
    if isinstance(cell, LRU):
        return {"λ": torch.diag(cell.eigenvalues)}
    found: dict[str, Tensor] = {}
    for name, weight in cell.named_parameters(recurse=False):
        if name not in RECURRENT or weight.ndim != 2 or len(weight) % weight.shape[1]:
            continue
        matrix = cell.heard * weight if isinstance(cell, ClockworkRNN) else weight
        blocks = matrix.chunk(len(weight) // weight.shape[1])
        labels = _labels(cell, name, len(blocks))
        found |= {f"{name}{label}": block for label, block in zip(labels, blocks, strict=True)}
    return found


def _labels(cell: Cell, name: str, count: int) -> list[str]:
    if count == 1:
        return [""]
    known = cell.parts if isinstance(cell, LSTM) else BLOCKS.get(type(cell), ())
    return [f"[{known[i] if name == 'W' and len(known) == count else i}]" for i in range(count)]


def _spectrum(matrix: Tensor) -> Spectrum:
    if not torch.isfinite(torch.view_as_real(matrix) if matrix.is_complex() else matrix).all():
        return Spectrum(float("nan"), float("nan"))
    matrix = matrix.to(torch.promote_types(matrix.dtype, torch.float32))  # half precision has no eigenvalues
    return Spectrum(
        float(torch.linalg.eigvals(matrix).abs().max()), float(torch.linalg.matrix_norm(matrix, ord=2))
    )

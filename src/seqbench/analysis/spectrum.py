"""Eigenvalues and singular values of recurrent matrices: can gradients vanish or explode?"""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor, nn

from seqbench.models.model import Model, recurrent_matrices


class Spectrum(NamedTuple):
    """Of a square matrix: the largest absolute value of its eigenvalues, and its largest singular value.

    In an RNN a gradient that goes back n steps is multiplied n times by Wᵀ and by slopes of at most 1. With a
    largest singular value below 1 it must vanish; it can explode only with one above 1 (Pascanu et al.,
    2013). The spectral radius says the same of a linear network in the limit of many steps.
    """

    spectral_radius: float
    largest_singular_value: float


def spectra(model: nn.Module) -> dict[str, Spectrum]:
    """Return the spectrum of every recurrent matrix of a model.

        layers.0.W              an RNN
        layers.0.W[f]           the forget gate of an LSTM
        layers.0.λ              an LRU: the diagonal matrix of its eigenvalues

    The letters are those of the cell's docstring. The spectrum of a matrix that is not finite is nan.
    """
    matrices = model.recurrent_matrices() if isinstance(model, Model) else recurrent_matrices(model)
    return {name: _spectrum(matrix.detach().cpu()) for name, matrix in matrices.items()}


def largest(model: nn.Module) -> dict[str, float]:
    """Return `spectral_radius` and `largest_singular_value`, each the largest over a model's matrices.

    Empty if the model has no recurrent matrix.
    """
    found = torch.tensor(list(spectra(model).values()))  # unlike max(), amax gives nan if any value is nan
    return dict(zip(Spectrum._fields, found.amax(0).tolist(), strict=True)) if len(found) else {}


def _spectrum(matrix: Tensor) -> Spectrum:
    if not torch.isfinite(torch.view_as_real(matrix) if matrix.is_complex() else matrix).all():
        return Spectrum(float("nan"), float("nan"))
    matrix = matrix.to(torch.promote_types(matrix.dtype, torch.float32))  # half precision has no eigenvalues
    return Spectrum(
        float(torch.linalg.eigvals(matrix).abs().max()), float(torch.linalg.matrix_norm(matrix, ord=2))
    )

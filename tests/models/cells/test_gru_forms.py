"""The GRU's other forms."""

from __future__ import annotations

import numpy as np
import torch

from seqbench.models import unfold
from seqbench.models.cells import GRU
from tests.models.cells.formulas import close, sigmoid, step, stirred


def blocks(weights):
    return {name: np.split(weights[name], 3) for name in ("b", "U", "W")}


def test_before_resets_the_state_before_the_product():
    cell = GRU(3, 4, form="before")
    w = blocks(stirred(cell))
    rng = np.random.default_rng(0)
    x, h = rng.normal(size=3), rng.normal(size=4)
    r, u = (sigmoid(w["b"][i] + w["U"][i] @ x + w["W"][i] @ h) for i in (0, 1))
    after = u * h + (1 - u) * np.tanh(w["b"][2] + w["U"][2] @ x + w["W"][2] @ (r * h))
    found, (state,) = step(cell, x, h)
    close(found, after)
    close(state, after)


def test_as_printed_is_30_to_33_to_the_letter():
    cell = GRU(3, 4, form="as_printed")
    w = blocks(stirred(cell))
    xs = np.random.default_rng(0).normal(size=(5, 3))
    h = np.zeros(4)
    r, u = (sigmoid(w["b"][i]) for i in (0, 1))  # the gates before the first step, with nothing to see
    for t, x in enumerate(xs):
        before = h
        h = u * before + (1 - u) * sigmoid(w["b"][2] + w["U"][2] @ x + w["W"][2] @ (r * before))  # [30], [31]
        u = sigmoid(w["b"][1] + w["U"][1] @ x + w["W"][1] @ before)  # [32]
        r = sigmoid(w["b"][0] + w["U"][0] @ x + w["W"][0] @ before)  # [33]
        outputs, state = unfold(cell, torch.from_numpy(xs[None, : t + 1]))
        close(outputs[0, -1].detach().numpy(), h)
        for found, expected in zip(state, (h, r, u), strict=True):
            close(found[0].detach().numpy(), expected)


def test_other_forms_have_no_bias_d_and_no_kernel():
    assert GRU(3, 4).has_native and GRU(3, 4).d is not None
    for form in ("before", "as_printed"):
        cell = GRU(3, 4, form=form)
        assert not cell.has_native and cell.d is None

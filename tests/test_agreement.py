"""Models agree with public implementations, where these are installed."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from agreements.cases import CASES
from agreements.compare import AbsentError, compared
from seqbench.config.presets import preset_names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "case"), [(model, case) for model, cases in CASES.items() for case in cases], ids=str
)
def test_a_model_agrees_with_its_reference(model, case):
    torch.manual_seed(0)
    try:
        row = compared(model, case)
    except AbsentError as absent:
        pytest.skip(str(absent))
    assert row.agrees, row


def test_every_agreement_is_of_a_preset():
    assert {*CASES} <= {*preset_names("model")}

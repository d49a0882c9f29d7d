"""Models agree with public implementations, where these are installed."""

from __future__ import annotations

import math
import sys
from pathlib import Path

import pytest
import torch

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from agreements import command
from agreements.cases import CASES
from agreements.compare import AbsentError, Row, compared, largest
from seqbench.config.presets import preset_names


@pytest.mark.slow
@pytest.mark.parametrize(
    ("model", "case"),
    [(model, case) for model, cases in CASES.items() for case in cases],
    ids=lambda part: getattr(part, "__name__", None),  # of a function its address would differ by process
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


def test_rows_of_some_models_go_into_a_page(tmp_path, monkeypatch, capsys):
    found = {"error": 1e-16}
    monkeypatch.setattr(
        command, "compared", lambda model, case: Row(model, case.__name__, "1.0", found["error"], 2e-15)
    )
    page = tmp_path / "page.md"
    assert command.main("", ["--out", str(page)]) == 0
    whole = page.read_text().splitlines()
    assert [line.split("`")[1] for line in whole if line.startswith("| `")] == [
        model for model, cases in CASES.items() for _ in cases
    ]
    found["error"] = 1e-9
    assert command.main("", ["gated_delta_net", "s4d", "--out", str(page)]) == 1
    changed = [
        line for line, before in zip(page.read_text().splitlines(), whole, strict=True) if line != before
    ]
    assert [line.split(" | ")[0] for line in changed] == [
        "| `s4d`",
        "| `gated_delta_net`",
        "| `gated_delta_net`",
    ]
    assert all("| 1e-09 | 2e-15 |" in line for line in changed)
    page.write_text(page.read_text().replace(f"torch {torch.__version__}", "torch 1.0"))
    with pytest.raises(SystemExit):
        command.main("", ["s5", "--out", str(page)])
    assert "make all rows anew" in capsys.readouterr().err


def test_what_is_no_number_agrees_with_nothing():
    none = float("nan")
    assert Row("m", "r", "1", 1e-15, 1e-15).agrees
    assert not Row("m", "r", "1", 1e-15, none).agrees and not Row("m", "r", "1", none, 1e-15).agrees
    assert math.isnan(largest([1e-15, none, 0.0])) and largest([1e-15, 2e-15]) == 2e-15

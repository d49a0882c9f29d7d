"""The benchmark beside public forms: they compute what seqbench does. No times are asserted."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from torch import nn

sys.path.insert(0, str(Path(__file__).parents[1] / "scripts"))

from benchmark import heirs
from benchmark.command import parsed
from benchmark.measure import Point, Settings
from benchmark.public_forms import FORMS
from benchmark.public_forms.form import Form
from seqbench.config.presets import CONF_DIR
from seqbench.config.targets import find
from seqbench.models import unfold
from seqbench.models.cells.s4d import S4D
from seqbench.models.unfold import Cell

POINT, QUICK = Point(batch=2, length=7, width=4), Settings(rounds=1, quick=True)


def absent(width: int) -> nn.Module:
    raise ImportError("No module named 'nowhere'")


def test_every_parallel_model_is_measured() -> None:
    from omegaconf import OmegaConf

    cells = {
        path.stem: find(target)
        for path in (CONF_DIR / "model").glob("*.yaml")
        if (target := OmegaConf.select(OmegaConf.load(path), "cell._target_")) is not None
    }
    parallel = {name: kind for name, kind in cells.items() if getattr(kind, "has_scan", False)}
    del parallel["output_rnn"]  # a cell without a state
    assert parallel == heirs.CELLS and {*FORMS} == {*parallel}


@pytest.mark.slow
@pytest.mark.parametrize(
    "form",
    [pytest.param(form, id=f"{name}, {form.part}") for name, forms in FORMS.items() for form in forms],
)
def test_a_public_form_is_causal_and_equals_the_cell_that_it_stands_in(form: Form) -> None:
    torch.manual_seed(0)
    try:
        layer = form.make(8)
    except ImportError as error:
        pytest.skip(str(error))
    x = torch.randn(2, 128, 8, requires_grad=True)
    found = layer(x)
    assert found.shape == x.shape
    later = torch.cat([x[:, :100], torch.ones(2, 28, 8)], dim=1)
    torch.testing.assert_close(layer(later)[:, :100], found[:, :100])
    for cell in (part for part in layer.modules() if isinstance(part, Cell)):
        expected = unfold(cell, x)[0]
        torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-5)
        gradients = [torch.autograd.grad(y.square().mean(), x)[0] for y in (found, expected)]
        torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-6)


def test_a_row_has_the_fastest_form_that_is_there(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    times = {"seqbench": 3.0, "FFT": 2.0, "slow": 4.0}
    monkeypatch.setattr(
        heirs,
        "steps_in_turn",
        lambda steps, _: {key: times[getattr(key, "part", key)] for key in steps},
    )
    monkeypatch.setattr(heirs, "HOPELESS", float("inf"))
    (convolution,) = FORMS["s4d"]
    forms = (Form("nowhere", "none", absent), *(convolution._replace(part=part) for part in ("slow", "FFT")))
    row = heirs.row_of("s4d", S4D, forms, POINT, QUICK)
    assert (
        "s4d: none of nowhere is left out, as it is not installed (No module named" in capsys.readouterr().out
    )
    assert row == {
        "model": "s4d",
        "engine": "scan",
        "seqbench": 3.0,
        "fastest public form": "torch, FFT",
        "version": torch.__version__,
        "its": 2.0,
        "public forms": "2 of 3",
        "to the fastest": 1.5,
        "mark, the fastest": 1.5,
        "reached, the fastest": "yes",
    }
    row = heirs.row_of("s4d", S4D, forms[:1], POINT, QUICK)
    assert row["public forms"] == "0 of 1" and row["to the fastest"] is row["its"] is None


def test_a_step_has_all_gradients() -> None:
    layer = heirs.Layer(S4D(4, 4))
    x, targets = torch.randn(2, 2, 7, 4)
    loss = heirs.step_of(layer, x, targets)()
    torch.testing.assert_close(loss, (unfold(layer.cell, x)[0] - targets).square().mean())
    assert all(parameter.grad is not None for parameter in layer.parameters())


def test_public_forms_are_those_of_a_cpu(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parsed("", ["heirs", "--device", "cuda"])
    assert "--device cuda is not for the part `heirs`" in capsys.readouterr().err

"""What all tests share: checked types and shapes, one thread, no network, an empty folder, a fixed seed."""

from __future__ import annotations

import functools
import os
from collections.abc import Callable
from pathlib import Path

from jaxtyping import install_import_hook

# Must come before the first import of seqbench. In the tower of PEP 484 an int will do for a float.
install_import_hook("seqbench", "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))")
# Presets are listed while tests are collected, so that this cannot wait for a fixture.
os.environ.pop("SEQBENCH_PRESETS", None)
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"

import pytest  # noqa: E402
import torch  # noqa: E402
from torch import Tensor, nn  # noqa: E402

from seqbench import build_model, build_task, compose  # noqa: E402
from seqbench.models import Cell, unfold  # noqa: E402
from seqbench.tasks.base import Task  # noqa: E402

torch.set_num_threads(1)

compose_once = functools.cache(lambda *overrides: compose(overrides))


def pytest_configure(config: pytest.Config) -> None:
    """Silence what beartype says of the bases of OmegaConf's classes."""
    config.addinivalue_line("filterwarnings", "ignore::beartype.roar.BeartypeDecorHintPep585DeprecationWarning")


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every test from one seed, in an empty folder, which holds no presets and may be written to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQBENCH_PRESETS", raising=False)
    torch.manual_seed(0)


@pytest.fixture
def make_task() -> Callable[..., Task]:
    """Build a task from what one types: `make_task("task=adding", "task.length=20")`."""
    return lambda *overrides: build_task(compose_once(*overrides))


@pytest.fixture
def make_model() -> Callable[..., tuple[nn.Module, Task]]:
    """Build a model and its task from what one types, with random weights, so that no bias is zero."""

    def make(*overrides: str) -> tuple[nn.Module, Task]:
        cfg = compose_once(*overrides)
        task = build_task(cfg)
        model = build_model(cfg, task)
        with torch.no_grad():
            for parameter in model.parameters():
                parameter += 0.2 * torch.randn_like(parameter)
        return model, task

    return make


@pytest.fixture
def assert_parity() -> Callable[..., None]:
    """Compare a cell with torch's own module, in what they put out and in every gradient."""
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-12}

    def check(cell: Cell, theirs: nn.RNNBase, recurrent_bias: Tensor, engine: str, dtype: torch.dtype) -> None:
        """The module's weights come from the cell; `recurrent_bias` is its second bias, which a cell may lack."""
        for parameter in cell.parameters():
            nn.init.uniform_(parameter, -0.5, 0.5)
        cell, theirs = cell.to(dtype), theirs.to(dtype)
        with torch.no_grad():
            for name, values in zip(("weight_ih_l0", "weight_hh_l0", "bias_ih_l0"), (cell.U, cell.W, cell.b)):
                theirs.get_parameter(name).copy_(values)
            theirs.bias_hh_l0.zero_()
            theirs.bias_hh_l0[len(theirs.bias_hh_l0) - len(recurrent_bias) :] = recurrent_bias

        x = torch.randn(3, 9, cell.input_size, dtype=dtype, requires_grad=True)
        state = tuple(torch.randn_like(part).requires_grad_() for part in cell.initial_state(3))
        weights = torch.randn(3, 9, cell.hidden_size, dtype=dtype) / 27

        ours, last = unfold(cell, x, state, engine=engine)
        hidden = tuple(part[None] for part in state)
        expected, end = theirs(x, hidden if len(hidden) > 1 else hidden[0])
        ends = end if isinstance(end, tuple) else (end,)

        def gradients(outputs: Tensor, last: tuple[Tensor, ...], parameters: list[Tensor]) -> list[Tensor]:
            loss = (outputs * weights).sum() + sum(part.square().mean() for part in last)
            return list(torch.autograd.grad(loss, [x, *state, *parameters]))

        own = [cell.U, cell.W, cell.b, *([recurrent_bias] if len(recurrent_bias) else [])]
        found = gradients(ours, last, own)
        wanted = gradients(expected, ends, list(theirs.parameters()))
        wanted[-1] = wanted[-1][len(wanted[-1]) - len(recurrent_bias) :]
        pairs = [(ours, expected), *zip(last, ends, strict=True), *zip(found, wanted, strict=False)]
        for a, b in pairs:
            torch.testing.assert_close(a, b.view(a.shape), rtol=0, atol=tolerance[dtype])

    return check

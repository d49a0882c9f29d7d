"""What all tests share: one thread, no network, an empty folder, a fixed seed."""

from __future__ import annotations

import functools
import itertools
import os
import signal
import sys
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from jaxtyping import install_import_hook

# Must come before the first import of seqbench. Checked code takes twice as long, so that most tests go
# without; tests/test_shapes.py runs some with it. In the tower of PEP 484 an int will do for a float.
if "SEQBENCH_CHECK_SHAPES" in os.environ:
    install_import_hook(
        ["seqbench.analysis", "seqbench.models", "seqbench.tasks", "seqbench.training"],
        "beartype.beartype(conf=beartype.BeartypeConf(is_pep484_tower=True))",
    )
# Presets are listed while tests are collected, so that this cannot wait for a fixture.
os.environ.pop("SEQBENCH_PRESETS", None)
os.environ["WANDB_MODE"] = "offline"
os.environ["WANDB_SILENT"] = "true"

import pytest
import torch
from omegaconf import DictConfig, OmegaConf
from torch import Tensor, nn
from torch.func import functional_call

from seqbench import build_model, build_task, compose
from seqbench.config import trust
from seqbench.config.presets import GROUPS, SUBGROUPS
from seqbench.data.cmudict import columns
from seqbench.data.source import mirror_file
from seqbench.data.table_packages import write_table
from seqbench.errors import say_once
from seqbench.models import Cell, unfold
from seqbench.tasks.base import Task

torch.set_num_threads(1)
# A shell that starts the tests in the background lets them ignore Ctrl-C, which some of them send.
signal.signal(signal.SIGINT, signal.default_int_handler)

_compose_once = functools.cache(lambda *overrides: compose(overrides))


def _configure(overrides: Iterable[str]) -> DictConfig:
    """Compose from presets, once for each choice of them, then set the keys: composing is what is slow."""
    groups = [override for override in overrides if override.split("=")[0] in (*GROUPS, *SUBGROUPS)]
    keys = OmegaConf.from_dotlist([override for override in overrides if override not in groups])
    return OmegaConf.merge(_compose_once(*groups), keys)


@pytest.fixture(autouse=True)
def _surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Start every test from one seed, in an empty folder, which holds no presets and may be written to."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("SEQBENCH_PRESETS", raising=False)
    monkeypatch.setenv("SEQBENCH_CONFIG_DIR", "")  # which a command sets that has --config-dir
    say_once.cache_clear()
    torch.manual_seed(0)


@pytest.fixture
def dictionary() -> None:
    """Put a small dictionary where CMUdict's mirror would lie, data/cmudict."""
    sounds = dict(zip("abdins", ("AE1", "B", "D", "IH0", "N", "S"), strict=True))
    words = ["".join(letters) for n in (2, 3, 4) for letters in itertools.product(sounds, repeat=n)]
    entries = [(word, " ".join(sounds[letter] for letter in word)) for word in words]
    for split, its in (("train", entries[::2] + entries[1::4]), ("test", entries[3::4])):
        path = mirror_file("cmudict", split, "data")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(columns(its), path)


@pytest.fixture
def treebank() -> None:
    """Put a small text where the Penn Treebank's mirror would lie, data/ptb."""
    rows = [f"{a} {b} {a}{b} N" for a, b in itertools.product("abcdefghij", "klmnopqrstuvwxyz")] * 6
    for split in ("train", "validation", "test"):
        path = mirror_file("ptb", split, "data")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table({"sentence": rows if split == "train" else rows[:60]}, path)


@pytest.fixture
def tagged() -> None:
    """Put a few sentences where the Brown corpus's mirror would lie, data/brown."""
    tags = {"a": "at", "dog": "nn", "runs": "vbz", "far": "rb"}
    rows = [[*words] for n in (2, 3, 4) for words in itertools.permutations(tags, n)]
    for split in ("train", "validation", "test"):
        path = mirror_file("brown", split, "data")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table({"words": rows, "tags": [[tags[word] for word in row] for row in rows]}, path)


@pytest.fixture
def series() -> None:
    """Put a few labelled series where the mirror of the archive UCR would lie, data/ucr, as its set FordA."""
    its = {"signal": [[0.5 * i, 1.0, float(i % 2)] for i in range(40)], "label": ["1", "2"] * 20}
    for split in ("train", "test"):
        path = mirror_file("ucr/FordA", split, "data")
        path.parent.mkdir(parents=True, exist_ok=True)
        write_table(its, path)


@pytest.fixture
def make_task() -> Callable[..., Task]:
    """Build a task from what one types: `make_task("task=adding", "task.length=20")`."""
    return lambda *overrides: build_task(_configure(overrides))


@pytest.fixture
def make_model() -> Callable[..., tuple[nn.Module, Task]]:
    """Build a model and its task from what one types.

    Unless it is to be `fresh` its weights are stirred, so that no bias is zero.
    """

    def make(*overrides: str, fresh: bool = False) -> tuple[nn.Module, Task]:
        cfg = _configure(overrides)
        task = build_task(cfg)
        model = build_model(cfg, task)
        with torch.no_grad():
            for parameter in model.parameters() if not fresh else ():
                parameter += 0.2 * torch.randn_like(parameter)
        return model, task

    return make


@pytest.fixture
def assert_parity() -> Callable[..., None]:
    """Compare a cell with torch's own module: outputs, last state, and every gradient."""
    tolerance = {torch.float32: 1e-6, torch.float64: 1e-12}

    def check(
        cell: Cell,
        theirs: nn.RNNBase,
        copied: Callable[[], Iterable[Tensor]],
        engine: str,
        dtype: torch.dtype,
    ) -> None:
        """`copied` gives the module's two weights and two biases, made of the cell's parameters."""
        for parameter in cell.to(dtype).parameters():
            nn.init.uniform_(parameter, -0.5, 0.5)
        x = torch.randn(3, 9, cell.input_size, dtype=dtype, requires_grad=True)
        state = tuple(torch.randn_like(part).requires_grad_() for part in cell.initial_state(3))
        towards = torch.randn(3, 9, cell.hidden_size, dtype=dtype)

        def run(outputs: Tensor, last: tuple[Tensor, ...]) -> list[Tensor]:
            loss = (outputs - towards).square().mean() + sum(part.square().mean() for part in last)
            return [outputs, *last, *torch.autograd.grad(loss, [x, *state, *cell.parameters()])]

        ours = run(*unfold(cell, x, state, engine=engine))
        names = ("weight_ih_l0", "weight_hh_l0", "bias_ih_l0", "bias_hh_l0")
        weights = dict(zip(names, copied(), strict=True))
        hidden = tuple(part[None] for part in state)
        outputs, last = functional_call(theirs, weights, (x, hidden if len(hidden) > 1 else hidden[0]))
        expected = run(outputs, tuple(part[0] for part in last) if len(hidden) > 1 else (last[0],))
        for a, b in zip(ours, expected, strict=True):
            torch.testing.assert_close(a, b, rtol=0, atol=tolerance[dtype])

    return check


@pytest.fixture
def nothing_runs(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[None]:
    """Trust no package at first. At the end forget the modules of the test, and see that no payload ran."""
    monkeypatch.setattr(trust, "_allowed", set())
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    yield
    for name, module in list(sys.modules.items()):
        if str(getattr(module, "__file__", "")).startswith(str(tmp_path)):
            del sys.modules[name]
    assert not Path("ran").exists()

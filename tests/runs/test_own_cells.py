"""Cells of users, of all kinds: a run belongs to its configuration, and is read back as it was measured."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs.plan import plan
from seqbench.runs.store import read_result
from seqbench.training.passes import Pass

CELLS = '''
import random

import numpy as np
import torch
from torch import nn
from torch.nn.utils import parametrizations

from seqbench.models import SequenceModel
from seqbench.models.cells.rnn import RNN


class Drawn(RNN):
    """Its constructor draws from all generators, and keeps not all of it among its weights."""

    def __init__(self, *args):
        super().__init__(*args)
        self.scale = random.uniform(0.5, 1.5)
        self.mask = torch.rand(self.hidden_size)
        with torch.no_grad():
            self.W.copy_(torch.from_numpy(np.random.normal(0, 0.3, self.W.shape)))

    def step(self, projected, state):
        h, end = super().step(self.scale * projected, state)
        return h * self.mask, end


class Dice(RNN):
    """Its step draws from NumPy's generator and from Python's."""

    def step(self, projected, state):
        return super().step(projected + 0.3 * np.random.normal() + random.uniform(-0.3, 0.3), state)


class Noisy(RNN):
    def step(self, projected, state):
        return super().step(projected + torch.rand_like(projected), state)


class Meaned(RNN):
    def __init__(self, *args):
        super().__init__(*args)
        self.register_buffer("mean", torch.zeros(self.hidden_size))

    def step(self, projected, state):
        if self.training:
            self.mean = 0.9 * self.mean + 0.1 * projected.detach().mean(0)
        return super().step(projected - self.mean, state)


class Hidden(RNN):
    """A module in a plain list is none of the cell's."""

    def __init__(self, *args):
        super().__init__(*args)
        self.parts = [nn.Linear(self.hidden_size, self.hidden_size)]

    def step(self, projected, state):
        return super().step(self.parts[0](projected), state)


class Late(RNN):
    """It has a buffer from its first evaluation on."""

    def step(self, projected, state):
        if not self.training and "seen" not in self._buffers:
            self.register_buffer("seen", torch.zeros(1))
        return super().step(projected, state)


class LazyNorm(RNN):
    def __init__(self, *args):
        super().__init__(*args)
        self.norm = nn.LazyBatchNorm1d(affine=False)

    def step(self, projected, state):
        return super().step(self.norm(projected), state)


class Orthogonal(RNN):
    """Its constructor reads numbers, which weights on the device meta do not have."""

    def __init__(self, *args):
        super().__init__(*args)
        self.turn = parametrizations.orthogonal(nn.Linear(self.hidden_size, self.hidden_size, bias=False))
        with torch.no_grad():
            self.W /= float(torch.linalg.eigvals(self.W).abs().max())

    def step(self, projected, state):
        return super().step(self.turn(projected), state)


class OwnOutput(RNN):
    """Its output is not the state, as that of the base is."""

    def step(self, projected, state):
        h, state = super().step(projected, state)
        return 3 * h.square(), state


class Doubled(SequenceModel):
    def forward(self, inputs, lengths=None):
        outputs, state = super().forward(inputs, lengths)
        return 2 * outputs, state
'''
TINY = [
    "task=latch",
    "task.length=6",
    "task.eval_size=20",
    "model=rnn",
    "model.hidden_size=5",
    "batch_size=4",
]
TINY += ["trainer.max_steps=4", "trainer.eval_every=2", "trainer.checkpoint_every=2", "logger=none"]


@pytest.fixture(autouse=True)
def _package() -> Iterator[None]:
    Path("ownlab3.py").write_text(CELLS)
    importlib.invalidate_caches()
    yield
    sys.modules.pop("ownlab3", None)


def of(cell: str, *overrides: str) -> list[str]:
    Path("presets/model").mkdir(parents=True, exist_ok=True)
    Path("presets/model/own.yaml").write_text(
        f"defaults: [_sequence, _self_]\ncell:\n  _target_: ownlab3.{cell}\n  _partial_: true\n"
    )
    return [*TINY, "model=own", "allowed_packages=[ownlab3]", *overrides]


def trained(cell: str, *overrides: str) -> list[seqbench.Result]:
    return seqbench.train(seqbench.compose(of(cell, *overrides)))


@pytest.mark.parametrize("cell", ["Drawn", "Dice", "Noisy"])
def test_what_is_drawn_from_any_generator_follows_from_the_seed(cell: str) -> None:
    (alone,) = trained(cell, "seed=1", "runs_dir=a")
    company = trained(cell, "n_seeds=2", "runs_dir=b")[1]
    trained(cell, "seed=1", "runs_dir=c", "trainer.max_steps=2")
    (gone_on,) = trained(cell, "seed=1", "runs_dir=c")
    assert gone_on.continued_from is not None
    for other in (company, gone_on):
        assert (other.hash, other.validation, other.test) == (alone.hash, alone.validation, alone.test)
    (apart,) = trained(cell, "seed=2", "runs_dir=d")
    assert apart.validation != alone.validation


def test_a_run_is_read_back_as_it_was_measured() -> None:
    (result,) = trained("Drawn", "seed=3")
    (folder,) = Path("runs").glob("*/*/seed-3")
    assert read_result(folder) is not None
    run = seqbench.load_run(folder, ["ownlab3"])
    its = Pass([run.model.eval()], run.task, plan(run.cfg).optimizer, max_steps=1)
    with torch.inference_mode():
        its.measure(run.task.validation(), 0)
    ((metrics,),) = its.take_metrics(lambda total: total)
    assert metrics["loss"] == pytest.approx(result.validation["loss"], rel=1e-6)


@pytest.mark.parametrize(
    ("cell", "overrides", "told"),
    [
        ("Hidden", [], "depend on a parameter that is none of the model's"),
        ("Late", [], "adds or removes body.layers.0.seen"),
        ("LazyNorm", [], "body.layers.0.norm is a LazyBatchNorm1d, whose running_mean has no shape"),
        (
            "Noisy",
            ["trainer.devices=2"],
            "Noisy does not allow: it has a step or a project that draws",
        ),
        ("Meaned", ["trainer.devices=2"], "Meaned does not allow: it has a step that changes a tensor"),
    ],
)
def test_what_would_have_other_numbers_elsewhere_is_refused(
    cell: str, overrides: list[str], told: str
) -> None:
    given = [*overrides, "trainer.accelerator=cpu"] if overrides else []
    with pytest.raises(ConfigError, match=told):
        plan(seqbench.compose(of(cell, *given)))


def test_with_omega_the_loss_of_the_model_itself_is_minimised() -> None:
    plain, alike = ["optim=sgd", "optim.clip_norm=null"], ["optim=sgd_omega", "optim.clip_norm=null"]
    (without,) = trained("OwnOutput", *plain)
    (with_it,) = trained("OwnOutput", *alike, "optim.omega=1e-9")
    assert with_it.hash != without.hash
    assert with_it.validation["loss"] == pytest.approx(without.validation["loss"], rel=1e-6)
    Path("presets/model/doubled.yaml").write_text("defaults: [rnn, _self_]\n_target_: ownlab3.Doubled\n")
    doubled = [*of("Noisy"), "model=doubled"]
    plan(seqbench.compose(doubled))
    with pytest.raises(ConfigError, match=r"optim.omega=2.0: Doubled puts out other numbers than its layers"):
        plan(seqbench.compose([*doubled, "optim.omega=2"]))


def test_a_constructor_may_read_numbers() -> None:
    budget = ["model.hidden_size=null", "model.param_budget=300"]
    (result,) = trained("Orthogonal", *budget)
    assert abs(result.parameters - 300) <= 15 and result.status in ("finished", "solved")
    assert plan(seqbench.compose(of("Noisy", "trainer.devices=1"))).parameters > 0


class Halving(torch.optim.SGD):
    """Its rate falls by half at its third step."""

    taken = 0

    def step(self, closure=None):
        super().step(closure)
        self.taken += 1
        for group in self.param_groups if self.taken == 3 else ():
            group["lr"] *= 0.5


def test_an_optimizer_that_changes_its_rate_late_fails_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    job = plan(seqbench.compose([*TINY, "model=rnn"]))
    monkeypatch.setattr(job.optimizer, "optimizer", Halving)
    with pytest.raises(ValueError, match="Halving changes the learning rate in its step"):
        its = Pass([job.model(0)], job.task, job.optimizer, max_steps=4)
        stream = job.task.train_batches(0, 4)
        its.train([next(stream) for _ in range(4)], 0)

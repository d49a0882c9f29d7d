"""Many seeds in one job: each has the numbers that it has alone, and in a stack those that it has in any."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from pathlib import Path

import pytest
import torch
from omegaconf import DictConfig

import seqbench
from seqbench.config.build import build_optimizer_config
from seqbench.config.presets import preset_names
from seqbench.runs import plan as plans
from seqbench.runs.differences import differences
from seqbench.tasks.base import Task
from seqbench.training.execution_mode import ExecutionMode
from seqbench.training.seed_stack import (
    ELEMENTWISE,
    WIDTH,
    OneModel,
    SeedStack,
    optimizer_of_one,
    optimizer_of_stack,
    stack_batches,
)
from seqbench.training.updates import GradientDescent
from tests.models.test_presets import SMALL as SMALL_MODELS
from tests.models.test_presets import accepts

SMALL = ["task=temporal_order", "task.length=12", "task.eval_size=60", "model.hidden_size=8", "batch_size=8"]
SMALL += ["logger=none", "trainer.precision=64-true"]
#: Another task for models that read stories alone. Models of trees cannot go under vmap.
STORIES = ["task=stories", "task.length=4", "task.eval_lengths=null", "task.types=[one_fact]"]
REVERSE = ["task=reverse", "task.length=4"]
#: One of each way to step: gates, a scan, dilation, a memory. The others are in the slow suite.
QUICK = ("gru", "lru", "dilated_rnn", "memn2n")
every_preset = pytest.mark.parametrize(
    "preset",
    [
        pytest.param(preset, marks=() if preset in QUICK else pytest.mark.slow)
        for preset in preset_names("model")
        if {"sequence", "story", "two-sequence"} & {*accepts(preset)}
    ],
)


def train(*overrides: str) -> list[seqbench.Result]:
    return seqbench.train(seqbench.compose([*SMALL, *overrides]))


def curves(runs_dir: str, seed: int) -> list[list[float]]:
    (path,) = Path(runs_dir).glob(f"*/*/seed-{seed}/metrics.csv")
    return [[float(x) for x in line.split(",")[:-1]] for line in path.read_text().splitlines()[1:]]


@pytest.fixture
def vectorized(monkeypatch: pytest.MonkeyPatch) -> None:
    """Train in stacks, as on a GPU."""
    monkeypatch.setattr(plans, "execution_mode", lambda *_, **__: ExecutionMode("loop", vectorized=True))


def folder(runs_dir: str, seed: int) -> Path:
    (found,) = Path(runs_dir).glob(f"*/*/seed-{seed}")
    return found


@contextmanager
def interrupted_at_40(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Train within, and be stopped by Ctrl-C at step 40."""
    from seqbench.training.learner import SequenceLearner

    step = SequenceLearner.training_step

    def stop_later(learner: SequenceLearner, batches: list[object], index: int) -> None:
        if learner.step >= 40:
            raise KeyboardInterrupt
        step(learner, batches, index)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SequenceLearner, "training_step", stop_later)
        yield


@cache
def configured(preset: str) -> tuple[DictConfig, Task]:
    kinds = {"sequence": SMALL, "story": STORIES, "two-sequence": REVERSE}
    task_overrides = next(overrides for kind, overrides in kinds.items() if kind in accepts(preset))
    cfg = seqbench.compose(
        [*task_overrides, "model.hidden_size=8", f"model={preset}", *SMALL_MODELS.get(preset, ())]
    )
    return cfg, seqbench.build_task(cfg)


def curves_of(preset: str, seeds: Sequence[int], stacked: bool) -> torch.Tensor:
    """Return loss and norm of the gradient in 50 steps of float64, (50, 2, K).

    In float64 rounding is not enough to send a run another way.
    """
    cfg, task = configured(preset)
    config = build_optimizer_config(cfg)
    models = []
    for seed in seeds:
        torch.manual_seed(seed)
        models.append(seqbench.build_model(cfg, task).double())
    together = SeedStack(models) if stacked else OneModel(*models)
    update = GradientDescent(together, task.targets, config)
    optimizer = config.build(together.parameters())
    streams = [task.train_batches(seed, 8) for seed in seeds]
    found = []
    for _ in range(50):
        batches = [next(stream) for stream in streams]
        batch = stack_batches(batches) if stacked else batches[0]
        found.append(update.step(batch, optimizer, torch.autograd.backward))
    return torch.stack(found).view(50, 2, -1)[..., : len(seeds)]


@every_preset
def test_seeds_of_a_stack_are_each_alone(preset: str) -> None:
    alone = torch.cat([curves_of(preset, [seed], False) for seed in (4, 0)], dim=-1)
    torch.testing.assert_close(curves_of(preset, [4, 0], True), alone, rtol=1e-7, atol=1e-7)
    assert (alone[-1, 0, 0] - alone[-1, 0, 1]).abs() > 1e-6


@pytest.mark.slow
@pytest.mark.parametrize(
    "optim",
    [
        pytest.param(optim, marks=() if optim == "adam" else pytest.mark.slow)
        for optim in preset_names("optim")
        if optim != "sgd_omega"
    ],
)
def test_the_platform_trains_a_stack_as_its_seeds_alone(
    optim: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    args = [f"optim={optim}", "optim.schedule=cosine", "optim.warmup_steps=3", "trainer.max_steps=60"]
    args += ["trainer.eval_every=20", "model=leaky_rnn", "trainer.stop_when_solved=false"]
    alone = train(*args, "n_seeds=2", "runs_dir=alone")
    request.getfixturevalue("vectorized")
    ours = train(*args, "n_seeds=2", "runs_dir=together")
    assert {result.mode for result in ours} == {"seeds vectorized, engine loop"}
    for result, other in zip(ours, alone, strict=True):
        assert other.hash != result.hash and other.best_step == result.best_step
        assert result.test["12"] == pytest.approx(other.test["12"], rel=1e-6)
        for a, b in zip(curves("together", result.seed), curves("alone", result.seed), strict=True):
            assert a == pytest.approx(b, rel=1e-6)


@pytest.mark.slow
@pytest.mark.usefixtures("vectorized")
@pytest.mark.parametrize("task", [["task=latch", "task.length=7"], pytest.param([], marks=pytest.mark.slow)])
def test_the_company_in_a_stack_changes_nothing(task: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Alone, among three, among more than a stack holds, after others have ended, resumed."""
    args = [*task, "model=leaky_rnn", "model.hidden_size=7", "trainer.max_steps=60", "trainer.eval_every=20"]
    args += ["trainer.precision=32-true", "trainer.checkpoint_every=1", "optim.lr=0.01"]
    train(*args, "seed=2", "runs_dir=alone")
    train(*args, "n_seeds=3", "runs_dir=three")
    train(*args, f"n_seeds={WIDTH + 2}", "runs_dir=many")
    with interrupted_at_40(monkeypatch):
        train(*args, "n_seeds=4", "runs_dir=stopped")
    train(*args, "seed=2", "runs_dir=stopped")
    for company in ("three", "many", "stopped"):
        assert differences(folder("alone", 2), folder(company, 2)) == [], company


@pytest.mark.usefixtures("vectorized")
@pytest.mark.slow
def test_a_seed_that_ends_leaves_the_others_of_its_stack() -> None:
    args = ["optim.lr=0.02", "trainer.max_steps=400", "trainer.eval_every=10", "model=gru"]
    ours = train(*args, "n_seeds=4", "runs_dir=together")
    assert len({result.steps for result in ours}) >= 3, "this test wants seeds that end at different steps"
    train(*args, "seed=3", "runs_dir=alone")
    assert differences(folder("alone", 3), folder("together", 3)) == []


@pytest.mark.slow
def test_a_seed_that_diverges_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqbench.training.batches import TrainingStream

    through = TrainingStream.__iter__

    def spoilt(stream: TrainingStream):
        for batches in through(stream):
            if stream.step == 40 and len(batches) == 3:
                batches[1] = [b._replace(inputs=b.inputs * torch.nan) for b in batches[1]]
            yield batches

    args = ["task=adding", "task.length=5", "task.eval_size=60", "trainer.max_steps=80"]
    args += ["trainer.eval_every=20"]
    train(*args, "n_seeds=3", "runs_dir=clean")
    with monkeypatch.context() as patch:
        patch.setattr(TrainingStream, "__iter__", spoilt)
        ours = train(*args, "n_seeds=3")
    assert [result.status for result in ours] == ["finished", "diverged", "finished"]
    assert ours[1].steps == 40 and ours[1].best_step == 20
    for k in (0, 2):
        assert differences(folder("clean", k), folder("runs", k)) == []


@pytest.mark.slow
def test_seeds_that_were_killed_go_on_bit_for_bit() -> None:
    args = ["optim.lr=0.01", "trainer.eval_every=20", "trainer.checkpoint_every=1", "model=leaky_rnn"]
    args += ["trainer.max_steps=300", "n_seeds=3"]
    train(*args, "runs_dir=whole", "trainer.stop_when_solved=false")
    process = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "seqbench",
            *SMALL,
            *args,
            "runs_dir=killed",
            "trainer.stop_when_solved=false",
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.time() + 60
    while len(list(Path("killed").glob("*/*/*/checkpoints/last.pt"))) < 3 and time.time() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert not list(Path("killed").glob("*/*/*/result.json"))
    train(*args, "runs_dir=killed", "trainer.stop_when_solved=false")
    for seed in range(3):
        assert differences(folder("killed", seed), folder("whole", seed)) == []
        assert len(curves("whole", seed)) == 15
    assert not list(Path("killed").glob("*/*/*/checkpoints/previous.pt"))


@pytest.mark.slow
def test_frozen_and_scalar_parameters(
    monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest
) -> None:
    from torch import nn

    from seqbench.models import SequenceModel

    init, forward = SequenceModel.__init__, SequenceModel.forward

    def with_more(model: SequenceModel, *args, **kwargs) -> None:
        init(model, *args, **kwargs)
        model.temperature = nn.Parameter(torch.tensor(1.5))
        model.frozen = nn.Parameter(torch.ones(3), requires_grad=False)

    def scaled(model: SequenceModel, inputs, lengths=None):
        outputs, state = forward(model, inputs, lengths)
        return outputs * model.temperature * model.frozen.mean(), state

    monkeypatch.setattr(SequenceModel, "__init__", with_more)
    monkeypatch.setattr(SequenceModel, "forward", scaled)
    args = ["trainer.max_steps=20", "trainer.eval_every=20", "optim=adamw", "optim.weight_decay=0.5"]
    alone = train(*args, "n_seeds=2", "runs_dir=alone")
    request.getfixturevalue("vectorized")
    together = train(*args, "n_seeds=2", "runs_dir=together")
    for seed, result in enumerate(together):
        assert result.mode == "seeds vectorized, engine loop"
        assert result.validation == pytest.approx(alone[seed].validation, rel=1e-9)
        weights = torch.load(next(Path("together").glob(f"*/*/seed-{seed}/checkpoints/best.pt")))
        assert weights["frozen"].tolist() == [1, 1, 1] and weights["temperature"] != 1.5


@pytest.mark.slow
def test_models_that_draw_random_numbers_train_one_by_one(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqbench.models.cells.affine import AffineCell
    from seqbench.models.sequence import SequenceModel

    forward = SequenceModel.forward

    def random(model: SequenceModel, inputs, lengths=None):
        outputs, state = forward(model, inputs, lengths)
        return outputs + 1e-3 * torch.rand_like(outputs), state

    monkeypatch.setattr(SequenceModel, "forward", random)
    monkeypatch.setattr(AffineCell, "vectorizable", False)
    args = ["trainer.max_steps=40", "trainer.eval_every=20", "model=rnn"]
    results = train(*args, "n_seeds=2", "runs_dir=both")
    assert [result.status for result in results] == ["finished", "finished"]
    for seed, result in enumerate(results):
        (alone,) = train(*args, f"seed={seed}", "runs_dir=alone")
        assert result.validation == alone.validation


@pytest.mark.slow
def test_each_seed_has_its_share_of_the_time() -> None:
    started = time.perf_counter()
    results = train("trainer.max_steps=200", "n_seeds=4", "trainer.stop_when_solved=false")
    elapsed = time.perf_counter() - started
    assert 0 < sum(result.wall_time_s for result in results) <= elapsed
    assert max(r.wall_time_s for r in results) == pytest.approx(min(r.wall_time_s for r in results))


@pytest.mark.parametrize("optimizer", ELEMENTWISE)
def test_an_optimisers_state_comes_apart_and_together(optimizer: type[torch.optim.Optimizer]) -> None:
    """The optimiser of stacked parameters does what one for each seed does, and so does its state."""
    start = torch.randn(WIDTH, 4, 2)
    start[3:] = start[2]
    stacked = [torch.nn.Parameter(start.clone()), torch.nn.Parameter(start[:, 0, 0].clone())]
    rows = [
        [torch.nn.Parameter(start[k].clone()), torch.nn.Parameter(start[k, 0, 0].clone())] for k in range(3)
    ]
    options = {"momentum": 0.9} if optimizer is torch.optim.SGD else {}
    ours, theirs = optimizer(stacked, **options), [optimizer(row, **options) for row in rows]
    for _ in range(3):
        for i, parameter in enumerate(stacked):
            parameter.grad = torch.randn_like(parameter)
            parameter.grad[3:] = parameter.grad[2]
            for k in range(3):
                rows[k][i].grad = parameter.grad[k].clone()
        for each in (ours, *theirs):
            each.step()
    for k in range(3):
        torch.testing.assert_close(stacked[0][k], rows[k][0])
        mine, alone = optimizer_of_one(ours.state_dict(), k)["state"], theirs[k].state_dict()["state"]
        torch.testing.assert_close(mine, alone)
    joined = optimizer_of_stack([each.state_dict() for each in theirs])
    torch.testing.assert_close(joined["state"], ours.state_dict()["state"])


def test_results_say_how_they_were_trained() -> None:
    train("trainer.max_steps=20", "n_seeds=2", "model=leaky_rnn", "model.engine=loop")
    data = json.loads(next(Path("runs").glob("*/*/seed-1/result.json")).read_text())
    assert data["mode"] == "engine loop" and data["config"]["n_seeds"] == 1

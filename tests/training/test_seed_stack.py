"""Many seeds in one job: each has the numbers that it has alone."""

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
from seqbench.tasks.base import Task
from seqbench.training.batches import stack_batches
from seqbench.training.seed_stack import ELEMENTWISE, SeedStack, optimizer_of_all, optimizer_of_one
from seqbench.training.updates import GradientDescent
from tests.models.test_presets import SMALL as SMALL_MODELS
from tests.models.test_presets import accepts

SMALL = ["task=temporal_order", "task.length=12", "task.eval_size=60", "model.hidden_size=8", "batch_size=8"]
SMALL += ["logger=none", "trainer.precision=64-true"]
#: Another task for models that read stories alone. Models of trees cannot go under vmap.
STORIES = ["task=stories", "task.length=4", "task.eval_lengths=null", "task.types=[one_fact]"]
every_preset = pytest.mark.parametrize(
    "preset", [preset for preset in preset_names("model") if {"sequence", "story"} & {*accepts(preset)}]
)


def train(*overrides: str) -> list[seqbench.Result]:
    return seqbench.train(seqbench.compose([*SMALL, *overrides]))


def curves(runs_dir: str, seed: int) -> list[list[float]]:
    (path,) = Path(runs_dir).glob(f"*/*/seed-{seed}/metrics.csv")
    return [[float(x) for x in line.split(",")[:-1]] for line in path.read_text().splitlines()[1:]]


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
    task_overrides = SMALL if "sequence" in accepts(preset) else [*STORIES, "model.hidden_size=8"]
    cfg = seqbench.compose([*task_overrides, f"model={preset}", *SMALL_MODELS.get(preset, ())])
    return cfg, seqbench.build_task(cfg)


def curves_of(preset: str, seeds: Sequence[int], vectorized: bool, steps: int = 50) -> torch.Tensor:
    """Return loss and norm of the gradient in steps of float64, (steps, 2, K).

    In float64 rounding is not enough to send a run another way.
    """
    cfg, task = configured(preset)
    config = build_optimizer_config(cfg)
    models = []
    for seed in seeds:
        torch.manual_seed(seed)
        models.append(seqbench.build_model(cfg, task).double())
    stack = SeedStack(models)
    if len(seeds) > 1:
        stack.stack_parameters()
        stack.set_mode(vectorized, "auto")
    update = GradientDescent(stack, task.targets, config)
    optimizer = config.build(stack.trainable())
    streams = [task.train_batches(seed, 8) for seed in seeds]
    found = []
    for _ in range(steps):
        batch = stack_batches([next(stream) for stream in streams])
        found.append(update.step(batch, optimizer, torch.autograd.backward))
    return torch.stack(found)


@every_preset
def test_three_seeds_are_each_alone_vectorised_and_in_sequence(preset: str) -> None:
    alone = torch.cat([curves_of(preset, [seed], False) for seed in (4, 0, 2)], dim=-1)
    for vectorized, steps in ((True, 50), (False, 10)):  # in sequence each runs the code that it runs alone
        together = curves_of(preset, [4, 0, 2], vectorized, steps)
        torch.testing.assert_close(together, alone[:steps], rtol=1e-7, atol=1e-7)
    assert (alone[-1, 0, 0] - alone[-1, 0, 1]).abs() > 1e-6


@pytest.mark.parametrize(
    ("optim", "together"),
    [
        *((optim, "true") for optim in preset_names("optim") if optim != "sgd_omega"),
        *(("adam", "auto"), ("sgd_omega", "auto")),
    ],
)
def test_the_platform_trains_seeds_side_by_side_as_alone(optim: str, together: str) -> None:
    args = [f"optim={optim}", "optim.schedule=cosine", "optim.warmup_steps=3", "trainer.max_steps=60"]
    args += ["trainer.eval_every=20", "model=leaky_rnn", "trainer.stop_when_solved=false"]
    ours = train(*args, "n_seeds=3", "runs_dir=together", f"trainer.seeds_together={together}")
    assert [result.seed for result in ours] == [0, 1, 2]
    for seed, result in enumerate(ours):
        (alone,) = train(*args, f"seed={seed}", "runs_dir=alone")
        assert alone.hash == result.hash and alone.best_step == result.best_step
        assert result.test["12"] == pytest.approx(alone.test["12"], rel=1e-6)
        for a, b in zip(curves("together", seed), curves("alone", seed), strict=True):
            assert a == pytest.approx(b, rel=1e-6)
    if together == "true":
        assert {result.mode for result in ours} == {"seeds vectorized, engine auto"}
    if optim == "sgd_omega":  # Ω takes models one by one
        assert {result.mode for result in ours} == {"seeds sequential, engine auto"}


def test_a_seed_that_ends_leaves_the_others_as_they_would_be_alone() -> None:
    args = ["optim.lr=0.02", "trainer.max_steps=400", "trainer.eval_every=10", "model=gru"]
    ours = train(*args, "n_seeds=4", "runs_dir=together", "trainer.seeds_together=true")
    alone = [train(*args, f"seed={seed}", "runs_dir=alone")[0] for seed in range(4)]
    assert len({result.steps for result in ours}) >= 3, "this test wants seeds that end at different steps"
    for a, b in zip(ours, alone, strict=True):
        assert (a.status, a.steps, a.solved_at_step, a.sequences) == (
            *(b.status, b.steps, b.solved_at_step, b.sequences),
        )
        assert a.test["12"] == pytest.approx(b.test["12"], rel=1e-4)


def test_a_seed_that_diverges_leaves_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqbench.training.batches import TrainingStream

    through = TrainingStream.__iter__

    def spoilt(stream: TrainingStream):
        for batches in through(stream):
            if stream.step == 40 and len(batches[0].inputs) == 3:
                batches[-1].inputs[1] = torch.nan
            yield batches

    args = ["task=adding", "task.length=5", "task.eval_size=60", "trainer.max_steps=80"]
    args += ["trainer.eval_every=20", "trainer.seeds_together=true"]
    clean = train(*args, "n_seeds=3", "runs_dir=clean")
    with monkeypatch.context() as patch:
        patch.setattr(TrainingStream, "__iter__", spoilt)
        ours = train(*args, "n_seeds=3")
    assert [result.status for result in ours] == ["finished", "diverged", "finished"]
    assert ours[1].steps == 40 and ours[1].best_step == 20
    for k in (0, 2):
        assert ours[k].validation == pytest.approx(clean[k].validation, rel=1e-9)


def test_seeds_that_were_killed_go_on_bit_for_bit() -> None:
    args = ["optim.lr=0.01", "trainer.eval_every=20", "trainer.checkpoint_every=1", "model=leaky_rnn"]
    args += ["trainer.max_steps=600", "n_seeds=3", "trainer.seeds_together=true"]
    whole = train(*args, "runs_dir=whole", "trainer.stop_when_solved=false")
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
    resumed = train(*args, "runs_dir=killed", "trainer.stop_when_solved=false")
    for seed in range(3):
        assert curves("killed", seed) == curves("whole", seed) and len(curves("whole", seed)) == 30
        assert resumed[seed].test == whole[seed].test
    assert not list(Path("killed").glob("*/*/*/checkpoints/previous.pt"))


def test_more_seeds_join_those_that_are_done_or_begun(monkeypatch: pytest.MonkeyPatch) -> None:
    args = [
        "trainer.max_steps=60",
        "trainer.eval_every=20",
        "trainer.checkpoint_every=1",
        "model=leaky_rnn",
    ]
    args += ["trainer.seeds_together=true", "trainer.stop_when_solved=false"]
    train(*args, "seed=3")
    with interrupted_at_40(monkeypatch):
        train(*args, "n_seeds=2")
    results = train(*args, "n_seeds=5")
    whole = train(*args, "n_seeds=5", "runs_dir=whole")
    assert [result.seed for result in results] == [0, 1, 2, 3, 4]
    for a, b in zip(results, whole, strict=True):
        assert a.steps == b.steps == 60 and a.validation == pytest.approx(b.validation, rel=1e-9)


def test_one_seed_of_several_goes_on_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    args = ["trainer.max_steps=60", "trainer.eval_every=20", "trainer.checkpoint_every=1", "model=rnn"]
    args += ["trainer.stop_when_solved=false"]
    with interrupted_at_40(monkeypatch):
        train(*args, "n_seeds=2", "trainer.seeds_together=true")
    (whole,) = train(*args, "runs_dir=whole")
    (result,) = train(*args)
    assert result.status == "finished" and result.steps == 60
    assert result.validation == pytest.approx(whole.validation, rel=1e-9)


def test_frozen_and_scalar_parameters(monkeypatch: pytest.MonkeyPatch) -> None:
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
    together = train(*args, "n_seeds=2", "trainer.seeds_together=true", "runs_dir=together")
    for seed, result in enumerate(together):
        (alone,) = train(*args, f"seed={seed}", "runs_dir=alone")
        assert result.mode == "seeds vectorized, engine auto"
        assert result.validation == pytest.approx(alone.validation, rel=1e-9)
        weights = torch.load(next(Path("together").glob(f"*/*/seed-{seed}/checkpoints/best.pt")))
        assert weights["frozen"].tolist() == [1, 1, 1] and weights["temperature"] != 1.5


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
        assert result.validation == pytest.approx(alone.validation, rel=1e-9)


def test_each_seed_has_its_share_of_the_time() -> None:
    started = time.perf_counter()
    results = train("trainer.max_steps=200", "n_seeds=4", "trainer.stop_when_solved=false")
    elapsed = time.perf_counter() - started
    assert 0 < sum(result.wall_time_s for result in results) <= elapsed
    assert max(r.wall_time_s for r in results) == pytest.approx(min(r.wall_time_s for r in results))


@pytest.mark.parametrize("optimizer", ELEMENTWISE)
def test_an_optimisers_state_comes_apart_and_together(optimizer: type[torch.optim.Optimizer]) -> None:
    """The optimiser of stacked parameters does what one for each seed does, and so does its state."""
    start = torch.randn(3, 4, 2)
    stacked = [torch.nn.Parameter(start.clone()), torch.nn.Parameter(start[:, 0, 0].clone())]
    rows = [
        [torch.nn.Parameter(start[k].clone()), torch.nn.Parameter(start[k, 0, 0].clone())] for k in range(3)
    ]
    options = {"momentum": 0.9} if optimizer is torch.optim.SGD else {}
    ours, theirs = optimizer(stacked, **options), [optimizer(row, **options) for row in rows]
    for _ in range(3):
        for i, parameter in enumerate(stacked):
            parameter.grad = torch.randn_like(parameter)
            for k in range(3):
                rows[k][i].grad = parameter.grad[k].clone()
        for each in (ours, *theirs):
            each.step()
    for k in range(3):
        torch.testing.assert_close(stacked[0][k], rows[k][0])
        mine, alone = optimizer_of_one(ours.state_dict(), k)["state"], theirs[k].state_dict()["state"]
        torch.testing.assert_close(mine, alone)
    joined = optimizer_of_all([each.state_dict() for each in theirs])
    torch.testing.assert_close(joined["state"], ours.state_dict()["state"])


def test_results_say_how_they_were_trained() -> None:
    train("trainer.max_steps=20", "n_seeds=2", "trainer.seeds_together=true", "model=rnn")
    data = json.loads(next(Path("runs").glob("*/*/seed-1/result.json")).read_text())
    assert data["mode"] == "seeds vectorized, engine auto" and data["config"]["n_seeds"] == 1


@pytest.mark.slow
@pytest.mark.usefixtures("unchecked")
def test_compiled_seeds_that_end_go_along_and_do_not_count() -> None:
    args = ["optim.lr=0.02", "trainer.max_steps=400", "trainer.eval_every=10", "model=leaky_rnn"]
    args += ["task.length=24", "trainer.precision=32-true"]
    ours = train(*args, "n_seeds=3", "runs_dir=c", "trainer.seeds_together=true", "model.engine=compile")
    assert {result.mode for result in ours} == {"seeds vectorized, engine compile"}
    alone = [train(*args, f"seed={seed}", "runs_dir=alone")[0] for seed in range(3)]
    assert len({result.steps for result in ours}) > 1
    assert [r.status for r in ours] == [r.status for r in alone] == ["solved"] * 3
    for result in ours:
        assert result.steps == result.solved_at_step == len(curves("c", result.seed)) * 10

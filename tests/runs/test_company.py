"""Company changes nothing: the numbers of a seed are the same, bit for bit, whoever trains beside it."""

from __future__ import annotations

import csv
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
import torch

import seqbench
from seqbench.config.presets import preset_names
from seqbench.errors import StoreError
from seqbench.runs import differences as module
from seqbench.runs import plan as plans
from seqbench.runs.differences import differences
from tests.models.test_presets import SMALL as SMALL_MODELS
from tests.models.test_presets import accepts

PROTOCOL = ["logger=none", "trainer.progress=false", "trainer.stop_when_solved=false"]
PROTOCOL += ["trainer.max_steps=6", "trainer.eval_every=2", "trainer.checkpoint_every=1", "batch_size=5"]
#: A small task for each kind that a model may take; sizes are odd, so that vectorised loops have a tail.
TASKS = {
    "sequence": ["task=temporal_order", "task.length=10", "task.eval_size=21"],
    "story": ["task=stories", "task.length=4", "task.eval_lengths=null", "task.types=[one_fact]"],
    "tree": ["task=listops", "task.eval_size=11"],
    "two-sequence": ["task=reverse", "task.length=5", "task.eval_size=11"],
}
FAST = ("gru", "ntm")
#: What else a step may do, on models whose steps differ in kind.
STEPS = {
    "one input and one output": ["task=latch", "task.length=7", "model=rnn"],
    "ragged and truncated": ["task=embedded_reber", "task.length=16", "model=lstm", "optim.truncate=5"],
    "in parts": ["task=adding", "task.length=7", "model=gru", "trainer.accumulate=3"],
    "teacher forcing": [
        *("task=copy_memory", "task.length=3", "task.symbols=2", "model=output_rnn"),
        "trainer.teacher_forcing=0.5",
    ],
    "closed loop": ["task=mackey_glass", "task.length=100", "model=gru", "trainer.teacher_forcing=0.5"],
    "half precision": ["task=adding", "task.length=7", "model=lstm", "trainer.precision=bf16-mixed"],
    "omega": ["task=adding", "task.length=7", "model=rnn", "optim=sgd_omega"],
    "solved readout": ["task=narma10", "task.length=40", "model=echo_state"],
    "both directions": ["task=adding", "task.length=7", "model=gru", "model.bidirectional=true"],
}


def arguments(preset: str) -> list[str]:
    kinds = accepts(preset)
    task = next(TASKS[kind] for kind in TASKS if kind in kinds)
    wide = [] if "sequence" not in kinds else ["model.hidden_size=7"]
    return [*PROTOCOL, *task, f"model={preset}", *wide, *SMALL_MODELS.get(preset, ())]


def train(*overrides: str) -> list[seqbench.Result]:
    results = seqbench.train(seqbench.compose(overrides))
    assert not [result.error for result in results if result.error]
    return results


def folder(runs_dir: str, seed: int) -> Path:
    (found,) = Path(runs_dir).glob(f"*/*/seed-{seed}")
    return found


@contextmanager
def stopped_at(step: int, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Train within, and be stopped by Ctrl-C at a step."""
    from seqbench.training.learner import SequenceLearner

    through = SequenceLearner.training_step

    def stop(learner: SequenceLearner, batches: list[object], index: int) -> None:
        if learner.step >= step:
            raise KeyboardInterrupt
        through(learner, batches, index)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SequenceLearner, "training_step", stop)
        yield


def check_company(args: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Train seed 2 alone, among four, added later, resumed alone and resumed among others."""
    train(*args, "seed=2", "runs_dir=alone")
    train(*args, "n_seeds=4", "runs_dir=four")
    train(*args, "seed=3", "runs_dir=later")
    train(*args, "seed=1", "n_seeds=3", "runs_dir=later")
    with stopped_at(4, monkeypatch):
        train(*args, "seed=2", "runs_dir=stopped")
    train(*args, "seed=0", "n_seeds=3", "runs_dir=stopped")
    with stopped_at(2, monkeypatch):
        train(*args, "n_seeds=4", "runs_dir=left", "trainer.seeds_together=auto")
    train(*args, "seed=2", "runs_dir=left", "trainer.num_threads=1")
    for company in ("four", "later", "stopped", "left"):
        assert differences(folder("alone", 2), folder(company, 2)) == [], company


@pytest.mark.parametrize("preset", FAST)
def test_a_seed_is_the_same_in_any_company(preset: str, monkeypatch: pytest.MonkeyPatch) -> None:
    check_company(arguments(preset), monkeypatch)


@pytest.mark.slow
@pytest.mark.parametrize("preset", [name for name in preset_names("model") if name not in FAST])
def test_a_seed_of_every_preset_is_the_same_in_any_company(
    preset: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    check_company(arguments(preset), monkeypatch)


@pytest.mark.parametrize("name", STEPS)
def test_so_it_is_whatever_a_step_does(name: str) -> None:
    args = [*PROTOCOL, "task.eval_size=9", "model.hidden_size=5", *STEPS[name]]
    train(*args, "seed=1", "runs_dir=alone")
    train(*args, "n_seeds=3", "runs_dir=three")
    assert differences(folder("alone", 1), folder("three", 1)) == []


@pytest.mark.slow
def test_seeds_that_end_leave_the_others_as_they_are_alone() -> None:
    args = ["task=temporal_order", "task.length=12", "task.eval_size=60", "model=gru", "model.hidden_size=8"]
    args += ["logger=none", "optim.lr=0.02", "trainer.max_steps=400", "trainer.eval_every=10", "batch_size=8"]
    together = train(*args, "n_seeds=4", "runs_dir=together")
    assert len({result.steps for result in together}) >= 3, "this test wants seeds that end one by one"
    for result in together:
        train(*args, f"seed={result.seed}", "runs_dir=alone")
        assert differences(folder("alone", result.seed), folder("together", result.seed)) == []


@pytest.mark.slow
@pytest.mark.parametrize("threads", [1, pytest.param(2, marks=pytest.mark.slow)])
def test_the_number_of_workers_changes_nothing(threads: int, monkeypatch: pytest.MonkeyPatch) -> None:
    args = [*PROTOCOL, "task=adding", "task.length=50", "task.eval_size=50", "model=lstm", "n_seeds=3"]
    for cores in (1, 2, 6):
        monkeypatch.setattr(os, "sched_getaffinity", lambda pid, n=cores: range(n), raising=False)
        train(*args, f"runs_dir={cores}", f"trainer.num_threads={threads}")
    for seed in range(3):
        for cores in (2, 6):
            assert differences(folder("1", seed), folder(str(cores), seed)) == []


def test_neither_does_a_lack_of_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    train(*arguments("gru"), "n_seeds=3", "runs_dir=usual")
    monkeypatch.setattr(plans, "seeds_at_once", lambda *args, **options: 2)
    train(*arguments("gru"), "n_seeds=3", "runs_dir=other")
    for seed in range(3):
        assert differences(folder("usual", seed), folder("other", seed)) == []


@pytest.mark.slow
def test_nor_what_the_machine_does_else_or_has_set(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads beside the run multiply matrices, and the program around it has set another number."""
    args = [*PROTOCOL, "task=adding", "task.length=50", "model=lstm", "model.hidden_size=37", "n_seeds=2"]
    train(*args, "runs_dir=idle")
    end = threading.Event()

    def load() -> None:
        matrix = torch.full((300, 300), 0.5)
        while not end.is_set():
            matrix @ matrix

    beside = [threading.Thread(target=load) for _ in range(2)]
    for thread in beside:
        thread.start()
    torch.set_num_threads(2)
    try:
        train(*args, "runs_dir=busy")
    finally:
        torch.set_num_threads(1)
        end.set()
        for thread in beside:
            thread.join()
    for seed in range(2):
        assert differences(folder("idle", seed), folder("busy", seed)) == []


def test_what_differs_is_found(tmp_path: Path) -> None:
    args = [*arguments("rnn"), "n_seeds=2"]
    train(*args)
    one, other = folder("runs", 0), folder("runs", 1)
    assert differences(one, one) == []
    found = differences(one, other)
    expected = {"result.json: seed", "metrics.csv: loss at step 2", "checkpoints/best.pt: readout.weight"}
    assert expected <= {*found}
    assert not [line for line in found if "seconds" in line or "wall_time_s" in line]
    with pytest.raises(StoreError, match="has no result to compare"):
        differences(one, tmp_path)


def test_the_list_names_what_there_is() -> None:
    train(*arguments("rnn"))
    with (folder("runs", 0) / "metrics.csv").open() as file:
        assert {*module.OF_METRICS} < {*(csv.DictReader(file).fieldnames or ())}
    assert {*module.OF_RESULT} < {field.name for field in module.fields(module.Result)}

"""Runs: what is stored, what is read again, and that a run that was stopped equals one that was not."""

from __future__ import annotations

import csv
import hashlib
import json
import math
import os
import random
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from lightning.pytorch.loggers import CSVLogger

import seqbench
from seqbench.errors import ConfigError
from seqbench.runs import devices, schedule
from seqbench.runs.differences import OF_RESULT, differences
from seqbench.runs.files import load_sealed
from seqbench.runs.plan import plan
from seqbench.runs.record import Record

TINY = ["task=temporal_order", "task.length=10", "task.eval_size=100", "model.hidden_size=8", "batch_size=8"]
QUICK = [*TINY, "trainer.max_steps=60", "trainer.eval_every=20", "logger=none"]


def numbers(result: seqbench.Result) -> dict[str, object]:
    """Return all of a result that must not depend on the clock."""
    may_differ = {*OF_RESULT} - {"continued_from", "error"}
    plain = {name: value for name, value in vars(result).items() if name not in may_differ}
    plain["config"] = {k: v for k, v in result.config.items() if k not in ("runs_dir", "n_seeds")}
    return plain


def train(*overrides: str) -> list[seqbench.Result]:
    return seqbench.train(seqbench.compose(overrides))


def test_seeds_are_what_they_are_alone() -> None:
    together = train(*QUICK, "n_seeds=3", "runs_dir=together")
    alone = [train(*QUICK, f"seed={seed}", "runs_dir=alone")[0] for seed in (2, 0, 1)]
    assert [r.seed for r in together] == [0, 1, 2]
    for ours, theirs in zip(together, sorted(alone, key=lambda r: r.seed), strict=True):
        assert numbers(ours) == numbers(theirs)
    assert len({r.validation["loss"] for r in together}) == 3


@pytest.mark.slow
def test_hundreds_of_seeds_need_no_more_open_files_than_some(monkeypatch) -> None:
    together = train(*QUICK, "n_seeds=3", "runs_dir=together")
    monkeypatch.setattr(schedule, "MOST_HELD", 2)
    held = []
    found = seqbench.train(
        seqbench.compose([*QUICK, "n_seeds=3"]),
        on_result=lambda *_: held.append(len(list(Path("runs").glob("*/*/*/.lock")))),
    )
    assert held == [2, 2, 1]
    assert [*map(numbers, found)] == [*map(numbers, together)]


def test_training_lowers_the_loss_and_stops_when_solved() -> None:
    (result,) = train(*TINY, "model.hidden_size=32", "optim.lr=0.01", "trainer.eval_every=50", "logger=none")
    assert result.status == "solved" and result.solved_at_step == result.steps < 2000
    assert result.test["10"]["accuracy"] > 0.97
    assert result.sequences == 8 * result.steps
    (on,) = train(
        *[*TINY, "model.hidden_size=32", "optim.lr=0.01", "trainer.eval_every=50", "logger=none"],
        *["trainer.stop_when_solved=false", f"trainer.max_steps={result.steps + 50}"],
    )
    assert on.status == "solved" and on.solved_at_step == result.steps and on.steps == result.steps + 50


def test_of_evaluations_alike_that_with_the_lowest_loss_is_the_best(tmp_path: Path) -> None:
    task, model = seqbench.build_task(seqbench.compose(QUICK)), torch.nn.Linear(1, 1)
    record = Record(task, tmp_path, "run", stop_when_solved=False)
    for step, accuracy, loss in [(1, 0.5, 0.9), (2, 1.0, 0.4), (3, 1.0, 0.2), (4, 1.0, 0.3), (5, 0.9, 0.1)]:
        metrics = {"accuracy": accuracy, "loss": loss}
        record.add({"step": step, **metrics}, metrics, model)
    assert record.best_step == 3 and record.best_metrics == {"accuracy": 1.0, "loss": 0.2}


def test_a_logger_that_draws_moves_no_generator(tmp_path: Path) -> None:
    class Draws(CSVLogger):
        def log_metrics(self, metrics: dict[str, float], step: int | None = None) -> None:
            found.append((torch.rand(()).item(), np.random.rand(), random.random()))

    found: list[tuple[float, float, float]] = []
    task, model = seqbench.build_task(seqbench.compose(QUICK)), torch.nn.Linear(1, 1)
    record = Record(task, tmp_path, "run")
    record.loggers = [Draws(tmp_path)]
    metrics = {"accuracy": 0.1, "loss": 1.0}
    record.add({"step": 1, **metrics}, metrics, model)
    record.add({"step": 2, **metrics}, metrics, model)
    assert len(found) == 2 and found[0] == found[1]


def test_a_metric_that_is_no_number_is_worse_than_every_other(tmp_path: Path) -> None:
    """It is neither larger nor smaller than any, so that it would stay the best for ever."""
    task, model = seqbench.build_task(seqbench.compose(QUICK)), torch.nn.Linear(1, 1)
    record = Record(task, tmp_path, "run", stop_when_solved=False, patience=2, plateau=1)
    for step, accuracy in enumerate([math.nan, math.nan, 0.5, math.nan, 0.7], 1):
        metrics = {"accuracy": accuracy, "loss": 1 / step}
        record.add({"step": step, **metrics}, metrics, model)
    assert record.best_step == 5 and record.best_metrics["accuracy"] == 0.7
    assert not record.ended and record.plateaus == 1  # of the one after 0.5


def test_the_weights_tested_are_those_of_the_best_evaluation() -> None:
    (result,) = train(*QUICK, "optim.lr=0.5", "optim.clip_norm=null", "trainer.stop_when_solved=false")
    rows = [line.split(",") for line in Path("runs").glob("*/*/*/metrics.csv").__next__().read_text().split()]
    accuracy = {int(row[0]): float(row[rows[0].index("accuracy")]) for row in rows[1:]}
    assert list(accuracy) == [20, 40, 60]
    assert accuracy[result.best_step] == max(accuracy.values()) == result.validation["accuracy"]

    cfg = seqbench.compose([*QUICK, "optim.lr=0.5", "optim.clip_norm=null", "trainer.stop_when_solved=false"])
    task = seqbench.build_task(cfg)
    model = seqbench.build_model(cfg, task)
    model.load_state_dict(torch.load(next(Path("runs").glob("*/*/*/checkpoints/best.pt"))))
    test = task.test(10)
    with torch.no_grad():
        outputs, _ = model(test.inputs)
    assert (outputs.argmax(-1) == test.targets).float().mean().item() == pytest.approx(
        result.test["10"]["accuracy"]
    )


@pytest.mark.slow
def test_a_run_that_was_killed_goes_on_bit_for_bit(tmp_path: Path) -> None:
    args = [*TINY, "optim=adam", "trainer.eval_every=20", "trainer.checkpoint_every=1", "logger=none"]
    args += ["trainer.max_steps=400", "trainer.stop_when_solved=false", "optim.schedule=cosine"]
    (whole,) = train(*args, "runs_dir=whole")

    process = subprocess.Popen(
        [sys.executable, "-m", "seqbench", *args, "runs_dir=killed"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )
    deadline = time.time() + 60
    while not list(Path("killed").glob("*/*/*/checkpoints/last.pt")) and time.time() < deadline:
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.wait()
    (folder,) = Path("killed").glob("*/*/seed-0")
    assert not (folder / "result.json").exists()
    step = load_sealed(folder / "checkpoints" / "last.pt")["record"]["step"]
    assert 0 < step < 400

    (resumed,) = train(*args, "runs_dir=killed")
    assert numbers(resumed) == numbers(whole)
    assert differences(next(Path("whole").glob("*/*/*")), folder) == []
    assert len((folder / "metrics.csv").read_text().splitlines()) == 21


def test_a_run_that_raises_keeps_what_it_had(monkeypatch: pytest.MonkeyPatch) -> None:
    from seqbench.training.learner import SequenceLearner

    step = SequenceLearner.training_step

    def fail_later(learner: SequenceLearner, batches: list[object], index: int) -> None:
        if learner.step >= 40:
            raise ZeroDivisionError("on purpose")
        step(learner, batches, index)

    args = [*QUICK, "trainer.checkpoint_every=1", "trainer.stop_when_solved=false"]
    (whole,) = train(*args, "runs_dir=whole")
    with monkeypatch.context() as broken:
        broken.setattr(SequenceLearner, "training_step", fail_later)
        (failed,) = train(*args)
    assert failed.status == "failed" and failed.steps == 40 and "on purpose" in str(failed.error)
    assert next(Path("runs").glob("*/*/*/checkpoints/last.pt")).exists()
    (again,) = train(*args)
    assert numbers(again) == numbers(whole)


@pytest.fixture
def stopped(monkeypatch: pytest.MonkeyPatch) -> tuple[list[str], seqbench.Result, Path]:
    """A run that raised at step 60: how it is made, what it gives, its checkpoints of steps 40 and 60."""
    from seqbench.training.learner import SequenceLearner

    step = SequenceLearner.training_step

    def fail_later(learner: SequenceLearner, batches: list[object], index: int) -> None:
        if learner.step >= 60:
            raise ZeroDivisionError("on purpose")
        step(learner, batches, index)

    args = [*QUICK, "trainer.max_steps=80", "trainer.checkpoint_every=1", "trainer.stop_when_solved=false"]
    (whole,) = train(*args, "runs_dir=whole")
    with monkeypatch.context() as broken:
        broken.setattr(SequenceLearner, "training_step", fail_later)
        train(*args)
    (folder,) = Path("runs").glob("*/*/seed-0")
    return args, whole, folder / "checkpoints"


def flip(path: Path) -> None:
    content = path.read_bytes()
    path.write_bytes(content[:700] + bytes([content[700] ^ 8]) + content[701:])


@pytest.mark.slow
def test_a_flipped_bit_is_found_and_the_checkpoint_before_taken(
    stopped: tuple[list[str], seqbench.Result, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    args, whole, checkpoints = stopped
    steps = [load_sealed(checkpoints / name)["record"]["step"] for name in ("last.pt", "previous.pt")]
    assert steps == [60, 40]
    flip(checkpoints / "last.pt")
    (again,) = train(*args)
    assert numbers(again) == numbers(whole)
    err = capsys.readouterr().err
    assert err.count("last.pt is damaged: it is not what the run wrote.") == 1 and "previous" not in err


def test_with_no_checkpoint_intact_the_run_starts_anew(
    stopped: tuple[list[str], seqbench.Result, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    args, whole, checkpoints = stopped
    for name in ("last.pt", "previous.pt"):
        flip(checkpoints / name)
    (again,) = train(*args)
    assert numbers(again) == numbers(whole)
    assert capsys.readouterr().err.count("is damaged: it is not what the run wrote.") == 2


@pytest.mark.slow
def test_the_checkpoint_of_another_run_is_not_taken(
    stopped: tuple[list[str], seqbench.Result, Path], capsys: pytest.CaptureFixture[str]
) -> None:
    args, _, checkpoints = stopped
    (whole,) = train(*args, "seed=1", "runs_dir=whole")
    shutil.copytree(checkpoints, checkpoints.parents[1] / "seed-1" / "checkpoints")
    (other,) = train(*args, "seed=1")
    assert numbers(other) == numbers(whole)
    assert "last.pt is the checkpoint of another run, temporal_order/lstm-" in capsys.readouterr().err


@pytest.mark.slow
def test_a_run_that_went_on_under_other_code_says_so(
    stopped: tuple[list[str], seqbench.Result, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    args, whole, _ = stopped
    monkeypatch.setattr(devices, "commit", lambda: "f" * 40)
    devices.made_with.cache_clear()
    (again,) = train(*args)
    devices.made_with.cache_clear()
    assert again.commit == ", ".join([*([whole.commit] if whole.commit else []), "f" * 40])


@pytest.mark.slow
def test_a_run_that_went_on_on_another_processor_says_so(
    stopped: tuple[list[str], seqbench.Result, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    args, whole, _ = stopped
    monkeypatch.setattr(devices, "processor", lambda: "another")
    (again,) = train(*args)
    assert again.device == f"{whole.device}, another"


@pytest.mark.slow
def test_nothing_is_left_lying(stopped: tuple[list[str], seqbench.Result, Path]) -> None:
    args, _, checkpoints = stopped
    for name in ("../.result.json.77.part", ".last.pt.77.part", "../.lock"):
        (checkpoints / name).touch()
    train(*args)
    found = {str(path.relative_to(checkpoints.parent)) for path in checkpoints.parent.rglob("*")}
    assert found == {
        *("checkpoints", "checkpoints/best.pt", "checkpoints/last.pt"),
        *("config.yaml", "metrics.csv", "result.json"),
    }
    for name in ("../.result.json.77.part", "../.lock"):  # in the folder of a run that is done
        (checkpoints / name).touch()
    train(*args)
    assert found == {str(path.relative_to(checkpoints.parent)) for path in checkpoints.parent.rglob("*")}


def test_a_result_holds_what_the_design_says() -> None:
    (result,) = train(*QUICK, "task.eval_lengths=[10,20]")
    (path,) = Path("runs").glob("*/*/*/result.json")
    data = json.loads(path.read_text())
    assert set(data["test"]) == {"10", "20"} and set(data["test"]["10"]) == {"loss", "accuracy"}
    assert data["baseline_loss"]["20"] == pytest.approx(2 * 0.6931471805599453)
    # U (4H, 6), W (4H, H), b (4H), V (4, H), c (4) with H = 8
    assert data["parameters"] == 4 * 8 * 6 + 4 * 8 * 8 + 4 * 8 + 4 * 8 + 4
    assert data["state_size"] == 16
    assert data["config"]["task"]["length"] == 10 and data["config"]["seed"] == 0
    assert data["versions"]["torch"] == torch.__version__
    assert data["identity"].startswith(data["hash"]) and len(data["identity"]) == 64
    assert data["data"] is None and data["revisions"] == {} and data["continued_from"] is None
    assert data["solved_on_test"] == (data["test"]["10"]["accuracy"] > 0.99)
    for name, digest in data["sha256"].items():
        assert hashlib.sha256((path.parent / name).read_bytes()).hexdigest() == digest
    assert set(data["sha256"]) == {"config.yaml", "metrics.csv", "checkpoints/best.pt"}
    assert data["wall_time_s"] > 0 and data["sequences_per_s"] > 0 and data["peak_memory_bytes"] > 1e7
    assert result == seqbench.train(seqbench.compose([*QUICK, "task.eval_lengths=[10,20]"]))[0]


@pytest.mark.slow
def test_the_hash_is_of_what_decides_the_numbers() -> None:
    def hash_of(*overrides: str) -> str:
        return plan(seqbench.compose([*QUICK, *overrides])).hash

    same = ["seed=3", "n_seeds=2", "runs_dir=x", "data_dir=y", "logger=wandb", "trainer.num_threads=1"]
    same += ["trainer.progress=false", "trainer.checkpoint_every=1", "trainer.seeds_together=false"]
    for override in same:
        assert hash_of(override) == hash_of()
    assert hash_of("model=leaky_rnn", "model.engine=loop") != hash_of("model.engine=loop") != hash_of()
    other = ["task.length=11", "model.hidden_size=9", "optim.lr=0.1", "optim=adamw", "trainer.max_steps=61"]
    other += ["trainer.num_threads=2", "trainer.devices=2", "model.engine=loop"]
    other += ["batch_size=9", "trainer.precision=64-true", "model=gru", "model.cell.forget_bias=0"]
    hashes = {hash_of(override) for override in [*other, "seed=0"]}
    assert len(hashes) == len(other) + 1
    budget = plan(seqbench.compose([*QUICK, "model.hidden_size=null", "model.param_budget=10000"]))
    assert budget.hash == hash_of(f"model.hidden_size={budget.config['model']['hidden_size']}")


@pytest.mark.slow
@pytest.mark.parametrize("more", [["optim.truncate=5", "model=lstm"], ["optim=sgd_omega", "model=rnn"]])
def test_two_processes_that_share_ragged_batches_train_as_one(more: list[str]) -> None:
    """Every number that is logged and measured, of two seeds, with seven rows for two processes of a CPU."""
    args = [
        "task=embedded_reber",
        "task.length=16",
        "task.eval_size=9",
        "model.hidden_size=5",
        "batch_size=7",
    ]
    args += ["n_seeds=2", "optim.clip_norm=0.1", "trainer.max_steps=6", "trainer.eval_every=3", "logger=none"]
    args += ["trainer.precision=64-true", "trainer.accelerator=cpu", "trainer.stop_when_solved=false", *more]
    one = train(*args, "runs_dir=one")
    run = [sys.executable, "-m", "seqbench", *args, "runs_dir=two", "trainer.devices=2"]
    outside = {k: v for k, v in os.environ.items() if k not in ("LOCAL_RANK", "NODE_RANK")}
    two = subprocess.run(run, capture_output=True, text=True, timeout=240, env=outside)
    assert two.returncode == 0, two.stderr
    for result in one:
        paths = [next(Path(place).glob(f"*/*/seed-{result.seed}")) for place in ("one", "two")]
        data = json.loads((paths[1] / "result.json").read_text())
        assert data["hash"] != result.hash and data["steps"] == result.steps == 6
        assert data["device"].startswith("2 × ")
        for length, metrics in result.test.items():
            assert data["test"][length] == pytest.approx(metrics, rel=1e-10)
        rows = []
        for path in paths:
            with (path / "metrics.csv").open() as file:
                its = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
            rows.append([{name: value for name, value in row.items() if name != "seconds"} for row in its])
        assert {"train_loss", "gradient_norm"} < set(rows[0][0]) and len(rows[0]) == 2
        for mine, theirs in zip(*rows, strict=True):
            assert theirs == pytest.approx(mine, rel=1e-10, abs=1e-12)


def test_a_batch_is_a_sequence_for_each_part_at_least() -> None:
    assert plan(seqbench.compose([*QUICK, "trainer.devices=3", "trainer.accelerator=cpu"])).world_size == 3
    for overrides, words in (
        (
            ["trainer.devices=9"],
            "batch_size=8 is too small for trainer.devices=9, as each part needs a sequence",
        ),
        (
            ["trainer.accumulate=9"],
            "small for trainer.accumulate=9, as each part needs a sequence; give at least 9.",
        ),
        (["trainer.devices=3", "trainer.accumulate=3"], "too small for trainer.devices=3 with trainer.acc"),
        (["trainer.accumulate=0"], "trainer.accumulate=0 must be at least 1"),
        (["trainer.strategy=fsdp", "trainer.devices=2"], "trainer.strategy=fsdp must be one of auto, ddp"),
    ):
        with pytest.raises(ConfigError, match=words):
            plan(seqbench.compose([*QUICK, "trainer.accelerator=cpu", *overrides]))

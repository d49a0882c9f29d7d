"""Runs that are stopped by a signal: the last finished evaluation is on disk, and they go on from there."""

from __future__ import annotations

import csv
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import seqbench
from seqbench.cli import main
from seqbench.errors import ConfigError
from seqbench.runs import execute
from seqbench.runs.differences import differences
from seqbench.runs.files import load_sealed
from seqbench.runs.record import Record
from seqbench.training.learner import SequenceLearner

ARGS = ["task=temporal_order", "task.length=10", "task.eval_size=40", "model=leaky_rnn"]
ARGS += ["model.hidden_size=8", "logger=none", "batch_size=16", "optim.schedule=cosine"]
ARGS += ["trainer.max_steps=100", "trainer.eval_every=20", "trainer.checkpoint_every=1000"]
ARGS += ["trainer.stop_when_solved=false"]
SIGNALS = {signal.SIGINT: "stopped.", signal.SIGTERM: "stopped by SIGTERM."}


def train(*overrides: str) -> list[seqbench.Result]:
    return seqbench.train(seqbench.compose([*ARGS, *overrides]))


def command(*overrides: str) -> int:
    """Run the command line in this process, and return its exit code."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(sys, "argv", ["seqbench", *ARGS, *overrides])
        main()
    return int(end.value.code or 0)


def folders(runs_dir: str) -> list[Path]:
    return sorted(Path(runs_dir).glob("*/*/seed-*"))


def steps_of(folder: Path) -> list[int]:
    """Return the steps of the evaluations in metrics.csv."""
    with (folder / "metrics.csv").open() as file:
        return [int(row["step"]) for row in csv.DictReader(file)]


def saved_step(folder: Path) -> int:
    return int(load_sealed(folder / "checkpoints" / "last.pt")["record"]["step"])


def raises_in_training(number: signal.Signals, step: int) -> Callable[..., object]:
    """Return a training step that a signal comes into, once it is at `step`."""
    through = SequenceLearner.training_step

    def train_on(learner: SequenceLearner, batches: list[object], index: int) -> object:
        if learner.step >= step:
            signal.raise_signal(number)
        return through(learner, batches, index)

    return train_on


@pytest.mark.parametrize("number", SIGNALS)
def test_a_stopped_command_keeps_its_last_evaluation_and_goes_on_bit_for_bit(
    number: signal.Signals, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    train("n_seeds=3", "runs_dir=whole")
    for step in (20, 60):  # stopped twice
        with monkeypatch.context() as patch:
            patch.setattr(SequenceLearner, "training_step", raises_in_training(number, step))
            assert command("n_seeds=3", "runs_dir=stopped") == 128 + number
        said = capsys.readouterr().err.strip()
        assert said == f"seqbench: {SIGNALS[number]} The same command resumes it."
        for folder in folders("stopped"):
            assert saved_step(folder) == steps_of(folder)[-1] == step
            assert not (folder / ".lock").exists() and not (folder / "result.json").exists()
    train("seed=1", "runs_dir=stopped")  # one of them alone
    assert command("n_seeds=3", "runs_dir=stopped") == 0
    assert len(folders("whole")) == 3
    for whole, stopped in zip(folders("whole"), folders("stopped"), strict=True):
        assert steps_of(stopped) == [20, 40, 60, 80, 100] and differences(whole, stopped) == []


def test_so_does_a_program_that_is_interrupted(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [signal.getsignal(number) for number in SIGNALS]
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(SequenceLearner, "training_step", raises_in_training(signal.SIGINT, 40))
        train()
    (folder,) = folders("runs")
    assert saved_step(folder) == 40 and [signal.getsignal(number) for number in SIGNALS] == before


def test_a_program_that_has_sigterm_ends_with_its_code(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch, pytest.raises(SystemExit) as end:
        patch.setattr(SequenceLearner, "training_step", raises_in_training(signal.SIGTERM, 40))
        train()
    (folder,) = folders("runs")
    # Lightning's handler waits for the end of the batch, and this one is the last before an evaluation.
    assert end.value.code == 143 and saved_step(folder) == steps_of(folder)[-1] == 60


def test_an_evaluation_that_is_being_recorded_is_not_torn(monkeypatch: pytest.MonkeyPatch) -> None:
    through = Record.add

    def add(record: Record, row: dict[str, float], *more: object) -> None:
        if row["step"] == 40 and record.folder.name == "seed-0":
            signal.raise_signal(signal.SIGTERM)
        through(record, row, *more)

    with monkeypatch.context() as patch:
        patch.setattr(Record, "add", add)
        assert command("n_seeds=2") == 143
    assert [saved_step(folder) for folder in folders("runs")] == [40, 40]


def test_nor_is_one_whose_checkpoint_was_not_written(monkeypatch: pytest.MonkeyPatch) -> None:
    through, saved = Record.save, []

    def save(record: Record, checkpoint: dict[str, object]) -> None:
        saved.append(record.folder.name)
        if saved == ["seed-0", "seed-1"]:
            raise KeyboardInterrupt
        through(record, checkpoint)

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Record, "save", save)
        train("n_seeds=2", "trainer.checkpoint_every=20")
    assert saved == ["seed-0", "seed-1", "seed-1"]
    assert [saved_step(folder) for folder in folders("runs")] == [20, 20]


@pytest.mark.parametrize("more", [["trainer.max_steps=40"], ["trainer.patience=1", "optim.lr=1e-30"]])
def test_of_a_run_that_has_ended_its_test_alone_is_repeated(
    monkeypatch: pytest.MonkeyPatch, more: list[str]
) -> None:
    train(*more, "runs_dir=whole")
    with monkeypatch.context() as patch:
        patch.setattr(SequenceLearner, "test_step", lambda *_: signal.raise_signal(signal.SIGTERM))
        assert command(*more, "runs_dir=stopped") == 143
    (whole,), (folder,) = folders("whole"), folders("stopped")
    assert saved_step(folder) == 40 and not (folder / "result.json").exists()
    with monkeypatch.context() as patch:
        patch.setattr(SequenceLearner, "training_step", lambda *_: pytest.fail("nothing is left to train"))
        train(*more, "runs_dir=stopped")
    assert differences(whole, folder) == []


def test_results_are_written_before_a_signal_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    through = execute.write_result

    def write(folder: Path, result: seqbench.Result) -> None:
        if result.seed == 0:
            signal.raise_signal(signal.SIGINT)
        through(folder, result)

    monkeypatch.setattr(execute, "write_result", write)
    assert command("n_seeds=2", "trainer.max_steps=20") == 130
    assert [(folder / "result.json").exists() for folder in folders("runs")] == [True, True]


def test_a_run_that_is_refused_leaves_no_checkpoint(monkeypatch: pytest.MonkeyPatch) -> None:
    through = SequenceLearner.training_step

    def refuse(learner: SequenceLearner, batches: list[object], index: int) -> object:
        if learner.step >= 40:
            raise ConfigError("on purpose")
        return through(learner, batches, index)

    monkeypatch.setattr(SequenceLearner, "training_step", refuse)
    with pytest.raises(ConfigError, match="on purpose"):
        train()
    assert not folders("runs")


#: A command that sends itself a signal at step 60.
SENDER = """
import os
from seqbench.cli import main
from seqbench.training.learner import SequenceLearner

through = SequenceLearner.training_step

def train(learner, batches, index):
    if learner.step >= 60:
        os.kill(os.getpid(), NUMBER)
    return through(learner, batches, index)

SequenceLearner.training_step = train
main()
"""


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
def test_a_process_that_has_a_signal_says_one_sentence_and_goes_on_bit_for_bit(
    number: signal.Signals,
) -> None:
    train("runs_dir=whole")
    program = SENDER.replace("NUMBER", str(int(number)))
    command = [sys.executable, "-c", program, *ARGS, "runs_dir=stopped"]
    said = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert said.returncode == 128 + number and said.stdout.count("\n") == 2
    assert said.stderr.strip() == f"seqbench: {SIGNALS[number]} The same command resumes it."
    (folder,) = folders("stopped")
    assert saved_step(folder) == 60
    again = [sys.executable, "-m", "seqbench", *ARGS, "runs_dir=stopped"]
    subprocess.run(again, check=True, capture_output=True, timeout=120)
    assert differences(folders("whole")[0], folder) == []

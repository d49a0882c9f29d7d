"""Several processes that share batches: the steps are those of one, and where one ends, all do."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
import torch

import seqbench
from seqbench.runs.differences import differences
from seqbench.runs.files import load_sealed

#: Five steps, each with the loss and the gradient of every parameter.
STEPS = """
import sys
import lightning, torch, seqbench

class Steps(lightning.Callback):
    def __init__(self):
        self.found = []

    def on_train_batch_end(self, trainer, module, outputs, batch, index):
        if trainer.is_global_zero:
            gradients = [p.grad.clone() for p in module.parameters() if p.grad is not None]
            self.found.append([outputs["loss"], *gradients])

steps = Steps()
seqbench.train(seqbench.compose(sys.argv[2:]), callbacks=[steps])
if steps.found:
    torch.save(steps.found, sys.argv[1])
"""
#: A command whose process RANK has signal NUMBER at step 60.
SENDER = """
import os
from seqbench.cli import main
from seqbench.training.learner import SequenceLearner

through = SequenceLearner.training_step

def train(learner, batches, index):
    if learner.step == 60 and learner.global_rank == RANK:
        os.kill(os.getpid(), NUMBER)
    return through(learner, batches, index)

SequenceLearner.training_step = train
main()
"""
#: Rows with different numbers of targets, with one target after different lengths, in two parts, and others.
RAGGED = {
    "plain": ["task=embedded_reber", "task.length=16", "model=lstm"],
    "characters": ["task=reverse_string", "task.length=6", "model=gru"],
    "truncated": ["task=embedded_reber", "task.length=16", "model=rnn", "optim.truncate=5"],
    "two sequences": ["task=reverse", "task.length=5", "model=seq2seq_attention"],
    "a tree": ["task=listops", "model=tree_lstm", "model.hidden_size=6"],
}
ARGS = ["task=temporal_order", "task.length=10", "task.eval_size=40", "model=leaky_rnn", "logger=none"]
ARGS += ["model.hidden_size=8", "batch_size=15", "trainer=ddp_cpu", "trainer.stop_when_solved=false"]
ARGS += ["trainer.max_steps=100", "trainer.eval_every=20", "trainer.checkpoint_every=1000"]


def run(program: str, *args: str) -> subprocess.CompletedProcess[str]:
    Path("program.py").write_text(program)
    command = [sys.executable, "program.py", *args]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, start_new_session=True)


def send(number: signal.Signals, rank: int, *args: str) -> subprocess.CompletedProcess[str]:
    return run(SENDER.replace("RANK", str(rank)).replace("NUMBER", str(int(number))), *args)


def alive() -> list[str]:
    """Return the commands of processes that run the program here."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if (process / "cwd").resolve() == Path.cwd() and process.name != str(os.getpid()):
                found.append((process / "cmdline").read_text().replace("\0", " "))
    return found


def folder(runs_dir: str) -> Path:
    (found,) = Path(runs_dir).glob("*/*/seed-0")
    return found


def saved_step(runs_dir: str) -> int:
    return int(load_sealed(folder(runs_dir) / "checkpoints" / "last.pt")["record"]["step"])


def stream_args(*more: str) -> list[str]:
    """Return a run on streams of a text, in seven rows, so that the shares of two processes differ."""
    Path("book.txt").write_text("the quick brown fox jumps over the lazy dog\n" * 20)
    args = ["task=text", "task.path=book.txt", "task.length=6", "task.validation_streams=3", "model=lstm"]
    args += ["batch_size=7", "model.hidden_size=6", "logger=none", "trainer=ddp_cpu", "trainer.eval_every=10"]
    return [*args, "trainer.stop_when_solved=false", *more]


#: What a run with several devices prints before it ends.
SIZE = "156 parameters, at most 100 steps\n"


@pytest.mark.slow
def test_a_killed_process_ends_the_run_with_a_sentence_and_the_checkpoint_stays() -> None:
    said = send(signal.SIGKILL, 1, *ARGS)
    assert said.returncode == 1 and said.stdout == SIZE
    assert said.stderr == (
        "seqbench: process 2 of the 2 that share batches was killed by SIGKILL, as the system does where "
        "memory is short. The same command resumes the run from its last checkpoint.\n"
    )
    assert saved_step("runs") == 60 and not (folder("runs") / "result.json").exists()
    assert alive() == []


@pytest.mark.slow
def test_one_that_fails_alone_does_so_too_and_no_other_seed_waits_for_it() -> None:
    program = SENDER.replace("RANK", "1").replace("os.kill(os.getpid(), NUMBER)", "raise ValueError('mine')")
    said = run(program, *ARGS, "n_seeds=2")
    assert said.returncode == 1 and "ValueError: mine" in said.stderr and "gloo" not in said.stderr
    assert "process 2 of the 2 that share batches ended with the exit code 1. The same" in said.stderr
    assert saved_step("runs") == 60 and alive() == []


@pytest.mark.slow
def test_where_the_first_one_fails_its_error_is_the_runs_and_the_others_end() -> None:
    program = SENDER.replace("RANK", "0").replace("os.kill(os.getpid(), NUMBER)", "raise ValueError('mine')")
    said = run(program, *ARGS, "n_seeds=2")
    assert said.returncode == 1 and "failed: ValueError: mine" in said.stdout
    assert said.stderr == (
        "seqbench: the processes that share batches ended with the run before; the same command goes on with "
        "the seeds that are missing.\n"
    )
    assert saved_step("runs") == 60 and alive() == []


@pytest.mark.slow
def test_where_the_first_one_is_killed_no_process_is_left() -> None:
    said = send(signal.SIGKILL, 0, *ARGS)
    assert said.returncode == -signal.SIGKILL and not said.stderr
    until = time.monotonic() + 30
    while alive() and time.monotonic() < until:
        time.sleep(0.1)
    assert alive() == []


@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_stops_all_and_the_run_goes_on_bit_for_bit(number: signal.Signals) -> None:
    assert run(SENDER.replace("RANK", "9"), *ARGS, "runs_dir=whole").returncode == 0
    # Ctrl-C reaches every process of a terminal, and so does the SIGTERM of a scheduler.
    to_all = SENDER.replace("os.getpid()", "0").replace("RANK", "0").replace("NUMBER", str(int(number)))
    said = run(to_all, *ARGS)
    assert said.returncode == 128 + number and said.stderr.startswith("\nseqbench: stopped")
    assert saved_step("runs") == 60 and alive() == []
    assert run(SENDER.replace("RANK", "9"), *ARGS).returncode == 0
    assert differences(folder("whole"), folder("runs")) == []


@pytest.mark.slow
@pytest.mark.parametrize("name", RAGGED)
def test_five_steps_of_two_processes_are_those_of_one(name: str) -> None:
    args = [*RAGGED[name], "model.hidden_size=6", "batch_size=7", "task.eval_size=10", "logger=none"]
    args += ["trainer.precision=64-true", "trainer.max_steps=5", "trainer.eval_every=5"]
    args += ["trainer=ddp_cpu", "trainer.stop_when_solved=false"]
    found = []
    for devices in (1, 2):
        said = run(STEPS, f"{devices}.pt", *args, f"trainer.devices={devices}", f"runs_dir={devices}")
        assert said.returncode == 0, said.stderr
        found.append(torch.load(f"{devices}.pt"))
    alone, shared = found
    assert len(alone) == 5 and len(alone[0]) > 3
    torch.testing.assert_close(shared, alone, rtol=1e-10, atol=1e-10)
    results = [seqbench.load_results(name).iloc[0] for name in ("1", "2")]
    assert results[0]["hash"] != results[1]["hash"] and results[1]["device"].startswith("2 × ")


@pytest.mark.slow
def test_streams_of_two_processes_carry_the_state_of_one() -> None:
    args = stream_args("trainer.precision=64-true", "trainer.max_steps=20")
    found = []
    for devices in (1, 2):
        said = run(STEPS, f"{devices}.pt", *args, f"trainer.devices={devices}", f"runs_dir={devices}")
        assert said.returncode == 0, said.stderr
        found.append(torch.load(f"{devices}.pt"))
    alone, shared = found
    assert len(alone) == 20, "more than an epoch, of 18 steps"
    torch.testing.assert_close(shared, alone, rtol=1e-10, atol=1e-10)
    states = [load_sealed(folder(name) / "checkpoints" / "last.pt")["carried"] for name in ("1", "2")]
    assert [len(leaf) for leaf in states[1]] == [7, 7]  # of all rows, whichever process has them
    torch.testing.assert_close(states[1], states[0], rtol=1e-10, atol=1e-10)
    tested = [json.loads((folder(name) / "result.json").read_text())["test"]["6"] for name in ("1", "2")]
    assert tested[0] == pytest.approx(tested[1], rel=1e-10)


@pytest.mark.slow
def test_killed_in_mid_epoch_they_go_on_with_the_state_of_each_row() -> None:
    args = stream_args("trainer.max_steps=100", "trainer.checkpoint_every=20")
    assert run(SENDER.replace("RANK", "9"), *args, "runs_dir=whole").returncode == 0
    assert send(signal.SIGKILL, 1, *args).returncode == 1
    assert saved_step("runs") == 60
    assert run(SENDER.replace("RANK", "9"), *args).returncode == 0
    assert differences(folder("whole"), folder("runs")) == []

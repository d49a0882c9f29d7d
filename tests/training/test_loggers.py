"""W&B, offline: what a reader of the run finds."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

import seqbench

QUICK = ["task=latch", "task.length=6", "task.eval_size=20", "model.hidden_size=4", "batch_size=4"]
SHORT = [*QUICK, "trainer.max_steps=4", "trainer.eval_every=2"]


def inspect(folder: Path, *options: str) -> str:
    wandb = Path(sys.executable).with_name("wandb")
    said = subprocess.run(
        [wandb, "leet", "inspect", *options, "--json", folder], capture_output=True, text=True
    )
    assert said.returncode == 0, said.stderr + said.stdout
    return said.stdout


def test_every_seed_is_a_run_of_its_own_with_its_figures() -> None:
    results = seqbench.train(seqbench.compose([*SHORT, "n_seeds=2", "logger.tags=[mine]"]))
    folders = sorted(Path("runs/wandb").glob("offline-run-*"))
    assert len(folders) == 2
    for folder, result in zip(sorted(folders, key=lambda f: f.name.split("-")[-2]), results, strict=True):
        summary = json.loads(inspect(folder, "--summary"))
        assert f'"test/6/accuracy": {result.test["6"]["accuracy"]}' in json.dumps(summary)
        everything = inspect(folder)
        assert f"latch/lstm-{result.hash}" in everything
        for word in ("latch", "lstm", "mine", "train"):
            assert f'"{word}"' in everything


def test_a_failed_run_ends_as_failed(monkeypatch: pytest.MonkeyPatch) -> None:
    import wandb

    from seqbench.models.cells import LSTM

    codes = []
    finish = wandb.Run.finish

    def note(run: wandb.Run, exit_code: int | None = None) -> None:
        codes.append(exit_code)
        finish(run, exit_code)

    monkeypatch.setattr(wandb.Run, "finish", note)
    seqbench.train(seqbench.compose([*SHORT, "seed=1"]))
    monkeypatch.setattr(LSTM, "native", lambda *_: 1 / 0)
    (result,) = seqbench.train(seqbench.compose(SHORT))
    assert result.status == "failed" and "ZeroDivisionError" in str(result.error)
    assert codes == [0, 1]

"""Training within a program that has set torch, warnings and logs its own way."""

from __future__ import annotations

import logging
import os
import warnings
from pathlib import Path

import pytest
import torch

import seqbench
from seqbench.runs import surroundings
from seqbench.runs.surroundings import ATTRIBUTES, SETTINGS, own_surroundings
from seqbench.training.workers import Workers, flushes_denormals

TINY = [
    "task=adding",
    "task.length=5",
    "task.eval_size=20",
    "model=lstm",
    "model.hidden_size=4",
    "batch_size=4",
]
TINY += ["trainer.max_steps=3", "trainer.eval_every=2", "logger=none"]


def numbers(runs_dir: str) -> list[object]:
    (result,) = seqbench.train(seqbench.compose([*TINY, f"runs_dir={runs_dir}"]))
    assert result.status == "finished", result.error
    return [result.test, result.validation, result.best_step]


def state() -> list[object]:
    """Return all that a program can set."""
    return [
        *(read() for read, _, _ in SETTINGS),
        *(getattr(place, name) for place, name, _ in ATTRIBUTES),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        *(torch.get_default_device(), torch.is_grad_enabled(), torch.is_inference_mode_enabled()),
        *(torch.is_autocast_enabled("cpu"), torch.get_num_threads(), torch.get_rng_state().tolist()),
        list(warnings.filters),
        *(logging.getLogger(name).level for name in ("lightning.pytorch", "wandb", "lightning.fabric", "")),
        dict(os.environ),
    ]


@pytest.fixture(scope="module")
def alone(tmp_path_factory: pytest.TempPathFactory) -> list[object]:
    return numbers(str(tmp_path_factory.mktemp("runs")))


def test_numbers_are_those_of_a_process_of_ones_own(alone: list[object]) -> None:
    torch.set_default_dtype(torch.float64)
    torch.set_default_device("meta")
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.set_float32_matmul_precision("medium")
    torch.backends.mkldnn.enabled = False
    torch.set_flush_denormal(True)
    logging.getLogger("lightning.pytorch").setLevel(logging.DEBUG)
    logging.getLogger("wandb").setLevel(logging.INFO)
    try:
        with torch.inference_mode(), torch.autocast("cpu", torch.bfloat16), warnings.catch_warnings():
            warnings.filterwarnings("always", message="mine")
            before = state()
            found = numbers("within")
            assert state() == before
    finally:
        torch.set_default_dtype(torch.float32)
        torch.set_default_device(None)
        torch.use_deterministic_algorithms(False)
        torch.set_float32_matmul_precision("highest")
        torch.backends.mkldnn.enabled = True
        torch.set_flush_denormal(False)
    assert found == alone


def test_the_smallest_numbers_are_zero_in_every_thread_of_a_run() -> None:
    assert not flushes_denormals()
    with own_surroundings(), Workers(2) as workers:
        assert flushes_denormals() and workers.map(lambda _: flushes_denormals(), range(4)) == [True] * 4
    with Workers(2) as workers:
        assert workers.map(lambda _: flushes_denormals(), range(4)) == [False] * 4
    assert not flushes_denormals()


def test_the_smallest_numbers_decide_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of a GRU whose gradient vanishes over 400 steps."""
    small = ["task=latch", "task.length=400", "task.eval_size=20", "model=gru", "trainer.max_steps=4"]
    small += ["batch_size=4", "trainer.eval_every=2", "logger=none"]

    def found(runs_dir: str) -> list[object]:
        (result,) = seqbench.train(seqbench.compose([*small, f"runs_dir={runs_dir}"]))
        weights = torch.load(next(Path(runs_dir).rglob("best.pt")), weights_only=True)
        return [result.test, result.validation, str(weights)]

    flushed = found("flushed")
    kept = tuple((*its[:2], its[2] if its[1] is not torch.set_flush_denormal else False) for its in SETTINGS)
    monkeypatch.setattr(surroundings, "SETTINGS", kept)
    assert found("kept") == flushed


@pytest.mark.parametrize("host", [torch.no_grad, torch.inference_mode, torch.random.fork_rng])
def test_one_thing_at_a_time(alone: list[object], host: type) -> None:
    with host():
        assert numbers("within") == alone


def test_a_program_that_has_set_nothing_finds_it_so(alone: list[object]) -> None:
    before = state()
    assert numbers("again") == alone and state() == before


def test_what_was_set_is_put_back_where_a_run_is_refused() -> None:
    torch.set_default_dtype(torch.float64)
    try:
        with pytest.raises(seqbench.errors.ConfigError):
            seqbench.train(seqbench.compose([*TINY, "task.length=1"]))
        assert torch.get_default_dtype() == torch.float64
    finally:
        torch.set_default_dtype(torch.float32)

"""The choice of an execution mode: by measurement, and of nothing but speed."""

from __future__ import annotations

import pytest
import torch

import seqbench
from seqbench.config.build import build_optimizer_config
from seqbench.training import execution_mode
from seqbench.training.batches import TrainingStream
from seqbench.training.execution_mode import ExecutionMode, fastest_mode
from seqbench.training.seed_stack import SeedStack
from seqbench.training.updates import GradientDescent


def setting(preset: str, seeds: int, *overrides: str):
    cfg = seqbench.compose([f"model={preset}", "task=adding", "task.length=20", *overrides])
    task = seqbench.build_task(cfg)
    stack = SeedStack([seqbench.build_model(cfg, task) for _ in range(seeds)])
    if seeds > 1:
        stack.stack_parameters()
    update = GradientDescent(stack, task.targets, build_optimizer_config(cfg))
    return update, TrainingStream(task, range(seeds), 8, 0, 10, 10).example()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """Let each mode take the seconds that are given."""

    def set(seconds: dict[ExecutionMode, float]) -> None:
        def measured(update, batch, asked):
            return {mode: seconds[mode] for mode in asked if mode in seconds}

        monkeypatch.setattr(execution_mode, "_measure", measured)

    return set


def test_the_fastest_is_taken_where_it_is_clearly_so(clock) -> None:
    update, batch = setting("rnn", 3)
    plain, together, compiled = (
        ExecutionMode(False, "auto"),
        ExecutionMode(True, "auto"),
        ExecutionMode(True, "compile"),
    )
    clock({plain: 1e-3, together: 0.5e-3})
    assert fastest_mode(update, batch, 10, "auto") == together
    clock({plain: 1e-3, together: 0.95e-3})
    assert fastest_mode(update, batch, 10, "auto") == plain
    clock({plain: 1e-3, together: 0.5e-3, compiled: 0.1e-3})
    assert fastest_mode(update, batch, 10, "auto") == together, "it is not worth to compile for 10 steps"
    if execution_mode.can_compile(torch.device("cpu")):
        assert fastest_mode(update, batch, 10**6, "auto") == compiled
        assert fastest_mode(update, batch, 10**6, True) == compiled


def test_what_is_given_is_not_measured(clock) -> None:
    clock({})
    assert fastest_mode(*setting("rnn", 2, "model.engine=loop"), 10, True) == ExecutionMode(True, "loop")
    assert fastest_mode(*setting("rnn", 1, "model.engine=native"), 10, "auto") == ExecutionMode(
        False, "native"
    )


def test_measuring_leaves_weights_and_generators_as_they_were() -> None:
    update, batch = setting("gru", 3)
    before = [p.detach().clone() for p in update.stack.trainable()]
    state = torch.get_rng_state()
    mode = fastest_mode(update, batch, 10, "auto")
    assert mode.engine == "auto"
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, before, update.stack.trainable()))
    assert all(not gradient.any() for gradient in update.stack.gradients())


def test_native_kernels_are_kept_where_vmap_cannot_take_them() -> None:
    """A mode that fails is left out."""
    update, batch = setting("lstm", 2, "model.engine=native")
    assert fastest_mode(update, batch, 10, "auto") == ExecutionMode(False, "native")

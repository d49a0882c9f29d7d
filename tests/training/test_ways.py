"""The choice of a way: by measurement, and of nothing but speed."""

from __future__ import annotations

import pytest
import torch

import seqbench
from seqbench.training import ways
from seqbench.training.data import TrainingStream
from seqbench.training.seeds import SeedStack
from seqbench.training.ways import Way, fastest


def setting(preset: str, seeds: int, *overrides: str):
    cfg = seqbench.compose([f"model={preset}", "task=adding", "task.length=20", *overrides])
    task = seqbench.build_task(cfg)
    stack = SeedStack([seqbench.build_model(cfg, task) for _ in range(seeds)])
    if seeds > 1:
        stack.tie()
    return stack, task.targets, TrainingStream(task, range(seeds), 8, 0, 10, 10).example()


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch):
    """Let each way take the seconds that are given."""

    def set(seconds: dict[Way, float]) -> None:
        def measured(stack, target, batch, asked):
            return {way: seconds[way] for way in asked if way in seconds}

        monkeypatch.setattr(ways, "_measure", measured)

    return set


def test_the_fastest_is_taken_where_it_is_clearly_so(clock) -> None:
    stack, target, batch = setting("rnn", 3)
    plain, together, compiled = Way(False, "auto"), Way(True, "auto"), Way(True, "compile")
    clock({plain: 1e-3, together: 0.5e-3})
    assert fastest(stack, target, batch, 10, "auto") == together
    clock({plain: 1e-3, together: 0.95e-3})
    assert fastest(stack, target, batch, 10, "auto") == plain
    clock({plain: 1e-3, together: 0.5e-3, compiled: 0.1e-3})
    assert fastest(stack, target, batch, 10, "auto") == together, "it is not worth to compile for 10 steps"
    if ways.can_compile(torch.device("cpu")):
        assert fastest(stack, target, batch, 10**6, "auto") == compiled
        assert fastest(stack, target, batch, 10**6, True) == compiled


def test_what_is_settled_is_not_measured(clock) -> None:
    clock({})
    assert fastest(*setting("rnn", 2, "model.engine=loop"), 10, True) == Way(True, "loop")
    assert fastest(*setting("rnn", 1, "model.engine=native"), 10, "auto") == Way(False, "native")


def test_measuring_leaves_weights_and_generators_as_they_were() -> None:
    stack, target, batch = setting("gru", 3)
    before = [p.detach().clone() for p in stack.trainable()]
    state = torch.get_rng_state()
    way = fastest(stack, target, batch, 10, "auto")
    assert way.engine == "auto"
    assert torch.equal(torch.get_rng_state(), state)
    assert all(map(torch.equal, before, stack.trainable()))
    assert all(not gradient.any() for gradient in stack.gradients())


def test_native_kernels_are_kept_where_vmap_cannot_take_them() -> None:
    """A way that cannot be gone is left out."""
    stack, target, batch = setting("lstm", 2, "model.engine=native")
    assert fastest(stack, target, batch, 10, "auto") == Way(False, "native")

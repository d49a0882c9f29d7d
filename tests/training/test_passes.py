"""A pass: what its steps compute with."""

from __future__ import annotations

import torch

import seqbench
from seqbench.config.build import build_optimizer_config
from seqbench.training.passes import Pass

LATCH = ("task=latch", "task.length=6", "model=leaky_rnn", "model.hidden_size=5", "optim.lr=0.1")


def weights_after(steps_per_context: int) -> list[torch.Tensor]:
    """Return the weights after four steps in mixed precision, so many of them under one autocast."""
    cfg = seqbench.compose(LATCH)
    task = seqbench.build_task(cfg)
    torch.manual_seed(0)
    its = Pass([seqbench.build_model(cfg, task)], task, build_optimizer_config(cfg), max_steps=4)
    stream = task.train_batches(0, 5)
    for step in range(0, 4, steps_per_context):
        with torch.autocast("cpu", torch.bfloat16):
            assert its.train([next(stream) for _ in range(steps_per_context)], step) == steps_per_context
    return [parameter.detach() for parameter in its.together.parameters()]


def test_in_mixed_precision_a_step_computes_with_the_weights_of_the_last_one() -> None:
    """Autocast keeps its casts of weights until it ends; a call of Lightning's takes several steps in one."""
    for ours, expected in zip(weights_after(4), weights_after(1), strict=True):
        assert torch.equal(ours, expected)


def test_the_means_are_of_the_steps_since_the_last_ones() -> None:
    cfg = seqbench.compose(LATCH)
    task = seqbench.build_task(cfg)
    its = Pass([seqbench.build_model(cfg, task)], task, build_optimizer_config(cfg), max_steps=4)
    assert its.take_means() == [{}]
    stream, found = task.train_batches(0, 5), []
    for step in range(3):
        its.train([next(stream)], step)
        found.append(its.last)
    (means,) = its.take_means()
    assert [means["train_loss"], means["gradient_norm"]] == (sum(found) / 3).tolist()
    assert its.take_means() == [{}]

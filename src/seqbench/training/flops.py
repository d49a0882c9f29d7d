"""Floating-point operations of training, counted."""

from __future__ import annotations

from typing import cast

import torch
from torch import nn
from torch.nn.attention import SDPBackend, sdpa_kernel
from torch.utils.flop_counter import FlopCounterMode

from seqbench.tasks.base import Task
from seqbench.training.optimisation import OptimizerConfig
from seqbench.training.seed_stack import OneModel
from seqbench.training.updates import update_for


def step_flops(model: nn.Module, task: Task, config: OptimizerConfig, batch_size: int) -> int:
    """Return how many floating-point operations one optimisation step takes, forward and backward.

    Those of products of matrices are counted, a multiplication and an addition as two, as torch's
    `FlopCounterMode` does; what is done number by number, the optimiser included, is not, nor are solvers of
    linear systems and matrix exponentials. One sequence is counted and two are: products of the weights
    alone are in both once, and all else grows with the sequences. Torch's own kernels and compiled ones are
    no products that could be counted: the cells must be unfolded by a loop or a scan. A loop does much of a
    matrix memory number by number, so that its count is a fraction of a scan's. Ω is counted as if no
    gradient vanished, at every step of the rows.

    Args:
        model: whose engine is `loop` or `scan`. The step changes it.
        task: what it learns.
        config: how it is optimised.
        batch_size: sequences of a step.
    """
    update = update_for(OneModel(model), task.targets, config)
    update.every_step = True
    parameters = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = config.build(parameters or [nn.Parameter(torch.zeros(()))])
    batch = next(task.train_batches(seed=0, batch_size=2))
    one, two = 0, 0
    for rows in (1, 2):
        # The kernel of attention on a CPU is none of those that torch counts; its formula in products is.
        with sdpa_kernel(SDPBackend.MATH), FlopCounterMode(display=False) as counter:
            update.step(batch.rows(0, rows), optimizer, torch.autograd.backward)
        one, two = two, cast(int, counter.get_total_flops())
    return one + (batch_size - 1) * (two - one)

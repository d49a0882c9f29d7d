"""The surroundings of a run: what a program has set for torch, warnings and logs is none of its own."""

from __future__ import annotations

import logging
import os
import warnings
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

import torch

from seqbench.training.workers import flushes_denormals

#: How each of torch's global settings is read, how it is set, and what it is for a run: as in a fresh
#: process, but that numbers under 1e-38 are zero. They add nothing to a sum of others, and a processor takes
#: many times as long for one. Gradients that vanish are full of them: a GRU of 400 steps trained seven times
#: as slowly.
SETTINGS: tuple[tuple[Callable[[], Any], Callable[[Any], Any], Any], ...] = (
    (torch.get_default_dtype, torch.set_default_dtype, torch.float32),
    (torch.are_deterministic_algorithms_enabled, torch.use_deterministic_algorithms, False),
    (torch.is_anomaly_enabled, torch.autograd.set_detect_anomaly, False),
    (torch.get_float32_matmul_precision, torch.set_float32_matmul_precision, "highest"),
    (flushes_denormals, torch.set_flush_denormal, True),
)
#: Settings that are attributes: where, which, and what it is in a fresh process.
ATTRIBUTES: tuple[tuple[Any, str, Any], ...] = (
    (torch.backends.cudnn, "enabled", True),
    (torch.backends.cudnn, "benchmark", False),
    (torch.backends.cudnn, "deterministic", False),
    (torch.backends.cudnn, "allow_tf32", False),  # trainer.precision=32-true means it
    (torch.backends.mkldnn, "enabled", True),
)
#: Loggers that speak of what a run has no use for.
QUIET = ("lightning.pytorch", "lightning.fabric", "wandb")


#: Lightning sets this variable for deterministic runs.
WORKSPACE = "CUBLAS_WORKSPACE_CONFIG"


@contextmanager
def own_surroundings() -> Iterator[None]:
    """Give a run the same settings, whatever the program around it has set; then put all back.

    The program may call within `torch.inference_mode()`, `no_grad`, `autocast` or on another default device,
    with another default dtype, with deterministic algorithms or with filters of its own for warnings.
    """
    with ExitStack() as stack:
        stack.enter_context(warnings.catch_warnings())
        warnings.filterwarnings("ignore", module="lightning.*")
        for name in QUIET:
            logger = logging.getLogger(name)
            stack.callback(logger.setLevel, logger.level)
            logger.setLevel(logging.ERROR)
        warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
        for read, write, ours in SETTINGS:
            before = read()
            if write is torch.use_deterministic_algorithms:
                stack.callback(write, before, warn_only=warn_only)
            else:
                stack.callback(write, before)
            if before != ours:
                write(ours)
        for place, name, fresh in ATTRIBUTES:
            stack.callback(setattr, place, name, getattr(place, name))
            if getattr(place, name) != fresh:
                setattr(place, name, fresh)
        stack.callback(_set_variable, WORKSPACE, os.environ.get(WORKSPACE))
        if torch.get_default_device().type != "cpu":
            stack.enter_context(torch.device("cpu"))
        for device in ("cpu", "cuda"):
            if torch.is_autocast_enabled(device):
                stack.enter_context(torch.autocast(device, enabled=False))
        stack.enter_context(torch.inference_mode(False))
        stack.enter_context(torch.enable_grad())
        yield


def _set_variable(name: str, value: str | None) -> None:
    if value is None:
        os.environ.pop(name, None)
    else:
        os.environ[name] = value

"""What a training step of a run costs, counted once for each configuration and kept."""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch
from omegaconf import OmegaConf, open_dict

from seqbench.config.build import ModelFactory, build_optimizer_config, build_task
from seqbench.config.trust import still_allowed
from seqbench.errors import one_line, say_once
from seqbench.runs.files import write_atomically
from seqbench.runs.result import Result
from seqbench.tasks.span import Span
from seqbench.training.flops import step_flops

#: Raised when the way to count changes, so that nothing is read that was counted in another.
COUNTED = 4


class Costs:
    """Floating-point operations of training steps, by the identity of runs.

    Args:
        file: where they are kept; None keeps them for this process alone.
    """

    def __init__(self, file: Path | None = None) -> None:
        self.file = file
        self._known: dict[str, int] = {}
        if file is not None:
            with suppress(OSError, ValueError, TypeError, KeyError):  # then they are counted again
                kept = json.loads(file.read_text(encoding="utf-8"))
                if kept["counted"] == COUNTED:
                    self._known = {its: n for its, n in dict(kept["flops"]).items() if isinstance(n, int)}

    def of(self, result: Result) -> int | None:
        """Return the operations of one optimisation step of a run, the whole batch.

        None where they cannot be counted, which is said: the code is not allowed here, or the model takes no
        batch of one sequence or of two.
        """
        if result.identity not in self._known:
            try:
                self._known[result.identity] = _counted(result.config, result.execution.get("engine"))
            except Exception as error:  # whatever the code of another package raises
                reason = one_line(error)
                say_once(f"the FLOPs of {result.model} on {result.task} are not counted: {reason}.")
                return None
        return self._known[result.identity]

    def keep(self) -> None:
        """Write what is known.

        Raises:
            StoreError: the file cannot be written.
        """
        if self.file is not None:
            write_atomically(self.file, json.dumps({"counted": COUNTED, "flops": self._known}) + "\n")


class Uncounted(Costs):
    """Operations that are not counted, which takes a second a model."""

    def of(self, result: Result) -> None:
        return None


def span_of(config: dict[str, Any]) -> Span | None:
    """Return the span of the task of a run's configuration.

    Raises:
        ConfigError: the task is of a package that is not allowed here.
    """
    return build_task(_configuration(config)).span


def _counted(config: dict[str, Any], engine: object) -> int:
    """Return the operations of a step of a run, by the engine that it trained with.

    What a scan or chunks of steps compute in products of matrices, a loop computes number by number, and more
    cheaply. Other engines have the products of a loop, and hide them.
    """
    cfg = _configuration(config)
    if "engine" in cfg.model:
        cfg.model.engine = "scan" if engine == "scan" else "loop"
    with torch.random.fork_rng():
        torch.manual_seed(0)  # what a model computes may depend on its weights
        task = build_task(cfg)
        model = ModelFactory(cfg, task)()
        return step_flops(model, task, build_optimizer_config(cfg), cfg.batch_size)


def _configuration(config: dict[str, Any]) -> Any:
    """Return the configuration of a run, in which nothing is allowed that the user has not."""
    cfg: Any = OmegaConf.create(config)
    with open_dict(cfg):
        cfg.allowed_packages = still_allowed(config.get("allowed_packages"))
    return cfg

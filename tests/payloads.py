"""What the tests of trust share: payloads, which would leave a file in the working directory if they ran."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from omegaconf import DictConfig, OmegaConf

from seqbench.config.build import build_model, build_task
from seqbench.errors import ConfigError
from seqbench.runs.result import Result
from seqbench.runs.store import BEST_WEIGHTS, write_result

#: What leaves the file `ran`: as a node, and as a module that is imported.
TOUCH = {"_target_": "subprocess.call", "args": ["touch", "ran"]}
MODULE = "import pathlib\npathlib.Path('ran').touch()\n"
TINY = ["task=latch", "task.length=5", "task.eval_size=8", "model=rnn", "model.hidden_size=3", "logger=none"]


def write(path: str, text: str) -> None:
    """Write a file of the working directory."""
    Path(path).parent.mkdir(parents=True, exist_ok=True)
    Path(path).write_text(text)


def refused(sentence: str, call: Callable[..., Any], *args: Any) -> None:
    """Assert that a call is refused in one sentence, which begins so."""
    with pytest.raises(ConfigError) as caught:
        call(*args)
    said = str(caught.value)
    assert said.startswith(sentence) and "\n" not in said, said


def stored(cfg: DictConfig) -> Path:
    """Store a run of a configuration with the weights that it starts from; return its folder."""
    folder = Path("runs/latch/rnn-0/seed-0")
    folder.joinpath("checkpoints").mkdir(parents=True)
    OmegaConf.save(cfg, folder / "config.yaml")
    torch.save(build_model(cfg, build_task(cfg)).state_dict(), folder / BEST_WEIGHTS)
    config: Any = OmegaConf.to_container(cfg)
    write_result(folder, Result("latch", "rnn", "0", 0, "finished", config))
    return folder

"""`seqbench analyse NAME …`: what goes on inside models, for one configuration or several."""

from __future__ import annotations

from collections.abc import Sequence
from importlib import import_module
from itertools import product
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

from omegaconf import DictConfig, OmegaConf

from seqbench.config.build import build_task
from seqbench.config.compose import compose, explain
from seqbench.errors import ConfigError, StoreError, nearest

if TYPE_CHECKING:
    from torch import Tensor

    from seqbench.tasks.base import Task

#: Name -> the module whose `main` runs it with the arguments after the name, and what it shows.
ANALYSES = {
    "gradient_flow": (
        "seqbench.analysis.gradient_flow_report",
        "how gradients fall with distance from the loss",
    ),
    "memory": (
        "seqbench.analysis.memory_report",
        "what a trained model reads from its memory, and writes into it",
    ),
}


def main(argv: list[str]) -> int:
    """Run `seqbench analyse` with the arguments after that word; return the exit code.

    Raises:
        ConfigError: there is no such analysis.
    """
    if not argv or argv[0] in ("-h", "--help"):
        print("usage: seqbench analyse NAME [KEY=VALUE …]; `seqbench analyse NAME --help` says more.\n")
        for name, (_, shows) in ANALYSES.items():
            print(f"  {name:{max(map(len, ANALYSES))}}  {shows}")
        return 0
    if argv[0] not in ANALYSES:
        raise ConfigError(
            f"There is no analysis {argv[0]!r}.{nearest(argv[0], ANALYSES)} There are: {', '.join(ANALYSES)}."
        )
    code: int = import_module(ANALYSES[argv[0]][0]).main(argv[1:])
    return code


def jobs(overrides: Sequence[str]) -> list[tuple[str, DictConfig]]:
    """Return every configuration of a sweep, each with a name that tells it from the others.

        model=rnn,lstm task.length=50,100      rnn (length=50), rnn (length=100), lstm (length=50), …

    Args:
        overrides: `key=value` and `group=preset`; values with commas between them make a sweep.

    Raises:
        ConfigError: a preset, key or value is wrong.
    """
    from hydra.core.override_parser.overrides_parser import OverridesParser
    from hydra.errors import HydraException

    try:
        parsed = OverridesParser.create().parse_overrides(list(overrides))
        sweeps = [o for o in parsed if o.is_sweep_override()]
        choices = [
            [f"{arg.partition('=')[0]}={value}" for value in o.sweep_string_iterator()]
            if o in sweeps
            else [arg]
            for o, arg in zip(parsed, overrides, strict=True)
        ]
    except HydraException as error:
        raise explain(error) from error
    places = [i for i, o in enumerate(parsed) if o in sweeps and o.key_or_group != "model"]
    found = []
    for job in product(*choices):
        cfg = compose(job)
        said = ", ".join(f"{parsed[i].key_or_group.rpartition('.')[2]}={_value(job[i])}" for i in places)
        found.append((f"{cfg.preset.model} ({said})" if said else str(cfg.preset.model), cfg))
    return found


def trained(folder: Path) -> tuple[DictConfig, Task, dict[str, Tensor]]:
    """Return a trained run's configuration, its task, ready to be read, and its best weights.

    Raises:
        StoreError: the folder is not that of a trained run, or damaged.
    """
    import torch

    try:
        cfg = OmegaConf.load(folder / "config.yaml")
        weights = torch.load(folder / "checkpoints" / "best.pt", map_location="cpu", weights_only=True)
    except OSError as error:
        raise StoreError(
            f"{folder} is not the folder of a trained run: {error.filename} cannot be read."
        ) from error
    except (RuntimeError, UnpicklingError, EOFError) as error:
        raise StoreError(f"{folder / 'checkpoints' / 'best.pt'} is not what a run writes.") from error
    assert isinstance(cfg, DictConfig)
    task = build_task(cfg)
    task.prepare(cfg.batch_size)
    return cfg, task, weights


def _value(override: str) -> str:
    return override.partition("=")[2]

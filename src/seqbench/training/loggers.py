"""Where metrics go besides `metrics.csv`.

A logger preset names a class of Lightning's, or a function of this module's kind: it takes a `RunInfo` as
`info` and the preset's values, and returns a Lightning logger.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any, Literal

from lightning.pytorch.loggers import Logger, WandbLogger
from matplotlib.figure import Figure


@dataclass
class RunInfo:
    """What a logger may want to know of a run.

    Attributes:
        group: `<task>/<model>-<hash>`, the same for every seed.
        seed: the run's seed.
        id: stays the same when the run goes on after a stop.
        runs_dir: where all runs live.
        tags: words to find the run by.
        config: the whole configuration.
    """

    group: str
    seed: int
    id: str
    runs_dir: Path
    tags: list[str] = field(default_factory=list)
    config: dict[str, Any] = field(default_factory=dict)


def wandb(
    info: RunInfo,
    project: str = "seqbench",
    entity: str | None = None,
    mode: Literal["auto", "online", "offline", "disabled"] = "auto",
    tags: Sequence[str] = (),
) -> Logger:
    """Log to Weights & Biases: one run for each seed, grouped by configuration.

    Args:
        info: the run.
        project: W&B project.
        entity: W&B team or user; None for the account's own.
        mode: auto is online where somebody is logged in and offline elsewhere, without a question;
            the environment variable WANDB_MODE goes before it.
        tags: more tags.

    Files lie in `<runs_dir>/wandb`; `wandb sync` uploads an offline run later.
    """
    import wandb as client

    logging.getLogger("wandb").setLevel(logging.ERROR)
    chosen: Any = mode
    if mode == "auto":
        chosen = os.environ.get("WANDB_MODE") or ("online" if _logged_in() else "offline")
    settings = client.Settings(silent=True, console="off", init_timeout=30)
    options: dict[str, Any] = {
        "project": project,
        "entity": entity,
        "name": f"{info.group} seed {info.seed}",
        "id": info.id,
        "dir": str(info.runs_dir.resolve()),  # its server process may stand in another folder
        "group": info.group,
        "job_type": "train",
        "tags": [*info.tags, *tags],
        "config": info.config,
        "settings": settings,
        "resume": "allow" if chosen == "online" else None,
        "reinit": "create_new",  # seeds side by side have a run each
    }
    try:
        run = client.init(mode=chosen, **options)
    except client.errors.CommError:  # logged in, and no network
        run = client.init(mode="offline", **options | {"resume": None})
    run.define_metric("*", step_metric="trainer/global_step")
    return WandbLogger(experiment=run)


@cache
def _logged_in() -> bool:
    import wandb as client

    try:
        return client.login(prompt=False)
    except Exception:  # a key that is no key, a server that does not answer
        return False


def log_figure(logger: WandbLogger, name: str, figure: Figure, step: int) -> None:
    """Show a figure among a run's pictures."""
    logger.log_image(name, [figure], step=step)


def finish(logger: Logger | None, summary: dict[str, Any], failed: bool) -> None:
    """Close a logger with the figures that sum the run up, and with how the run ended."""
    if isinstance(logger, WandbLogger):
        run = logger.experiment
        run.summary.update(summary)
        run.finish(exit_code=1 if failed else 0)
    elif logger is not None:
        logger.log_metrics({k: v for k, v in summary.items() if isinstance(v, int | float)})
        logger.finalize("failed" if failed else "success")

"""`hydra/launcher=local`: each job of a sweep in processes of its own on this machine.

Hydra imports every plugin at every start, so that nothing heavy is imported here.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from hydra._internal.utils import get_args_parser
from hydra.core.utils import JobReturn, JobStatus
from hydra.plugins.launcher import Launcher
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig, OmegaConf


def places_of_presets(overrides: Sequence[str]) -> list[str]:
    """Return the words of the command line that say where presets lie.

    Args:
        overrides: those of Hydra's own keys.
    """
    from seqbench.config.presets import OF_COMMAND

    given = vars(get_args_parser().parse_args(sys.argv[1:]))
    given["config_dir"] = os.environ.get(OF_COMMAND) or given["config_dir"]
    names = ("config_path", "config_name", "config_dir")
    options = [f"--{name.replace('_', '-')}={given[name]}" for name in names if given[name] is not None]
    return [*options, *(text for text in overrides if text.startswith("hydra.searchpath"))]


class LocalLauncher(Launcher):
    """Hands the jobs of a sweep to `seqbench.sweeps.launch`.

    Attributes:
        composes_all: it composes every job before it runs one, so that a sweeper has no need to. (Hydra
            imports a plugin's module twice, so that its class is two, and `isinstance` of no use.)
    """

    composes_all = True

    def __init__(self, **settings: Any) -> None:
        self.settings = settings
        self.config: DictConfig
        self.hydra_context: HydraContext
        self.task_function: Any

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.task_function, self.config = hydra_context, task_function, config

    def launch(self, job_overrides: Sequence[Sequence[str]], initial_job_idx: int) -> Sequence[JobReturn]:
        from seqbench.config.explain import explain
        from seqbench.errors import ConfigError, SeqbenchError
        from seqbench.sweeps.job import Job, labels

        jobs = []
        for i, (typed, label) in enumerate(zip(job_overrides, labels(job_overrides), strict=True)):
            try:
                config = self.hydra_context.config_loader.load_sweep_config(self.config, list(typed))
            except Exception as error:  # Hydra's, OmegaConf's, YAML's
                if not label or isinstance(error, SeqbenchError):
                    raise
                raise ConfigError(f"{label}: {explain(error, typed)}") from error
            plain: Any = OmegaConf.to_container(config, resolve=False)
            node = plain.pop("hydra")
            task = list(node["overrides"]["task"])
            choices = node["runtime"]["choices"]
            label = label or f"{choices['model']} {choices['task']}"
            where = places_of_presets(node["overrides"]["hydra"])
            jobs.append(Job(initial_job_idx + i, task, plain, choices, label, where))
        folder = Path(str(self.config.hydra.sweep.dir))
        log = self.task_function.log
        log.add_errors(self.run(jobs, folder, log.add_run))
        return [JobReturn(overrides=job.typed, status=JobStatus.COMPLETED) for job in jobs]

    def run(self, jobs: list[Any], folder: Path, on_run: Callable[[Path], object]) -> list[int]:
        """Run the jobs; return the exit codes of what failed. Arguments are those of `sweeps.launch`."""
        from seqbench.config.refusal import made
        from seqbench.sweeps.launch import launch
        from seqbench.sweeps.sweep import Settings

        return launch(jobs, folder, made(Settings, self.settings, "hydra.launcher"), on_run)

"""`hydra/launcher=slurm` and `ray`: the jobs of a sweep on a cluster.

Hydra imports every plugin at every start, so that nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from hydra_plugins.seqbench.local import LocalLauncher


class SlurmLauncher(LocalLauncher):
    """Hands the jobs of a sweep to `seqbench.sweeps.slurm`."""

    def run(self, jobs: list[Any], folder: Path, on_run: Callable[[Path], object]) -> list[int]:
        from seqbench.config.refusal import made
        from seqbench.sweeps.slurm import SlurmSettings, launch

        return launch(jobs, folder, made(SlurmSettings, self.settings, "hydra.launcher"), on_run)


class RayLauncher(LocalLauncher):
    """Hands the jobs of a sweep to `seqbench.sweeps.ray`."""

    def run(self, jobs: list[Any], folder: Path, on_run: Callable[[Path], object]) -> list[int]:
        from seqbench.config.refusal import made
        from seqbench.sweeps.ray import RaySettings, launch

        return launch(jobs, folder, made(RaySettings, self.settings, "hydra.launcher"), on_run)

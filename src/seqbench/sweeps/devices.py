"""Which jobs run at the same time, and on which devices."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field

from seqbench.errors import ConfigError
from seqbench.processes import available_cores
from seqbench.sweeps.job import Facts

VISIBLE = "CUDA_VISIBLE_DEVICES"
#: Shares of a GPU are added up: three thirds make one.
ROUNDING = 1e-6


@dataclass
class Share:
    """What a process has of the machine: cores, or parts of GPUs; and the variables that tell it."""

    cores: int = 0
    gpus: dict[str, float] = field(default_factory=dict)

    @property
    def environment(self) -> Mapping[str, str]:
        """The environment variables of the process."""
        return {VISIBLE: ",".join(self.gpus)} if self.gpus else {}


class Devices:
    """The cores and GPUs of this machine, as far as they are free.

    Args:
        n_jobs: processes at a time, at most; None for as many as there are GPUs, or cores, for.
        gpus_per_job: a fraction of a GPU or a whole number of them; None for `trainer.devices`.
        gpus: how many there are.

    Raises:
        ConfigError: what is asked for does not fit.
    """

    def __init__(self, n_jobs: int | None, gpus_per_job: float | None, gpus: int) -> None:
        self.n_jobs = n_jobs
        self.per_job = gpus_per_job
        self.cores = available_cores()
        visible = os.environ.get(VISIBLE, "")
        names = visible.split(",") if visible else [str(i) for i in range(gpus)]
        self.free = dict.fromkeys(names[:gpus], 1.0)
        self.idle = self.cores
        self.running = 0
        if n_jobs is not None and n_jobs < 1:
            raise ConfigError(f"hydra.launcher.n_jobs={n_jobs} must be at least 1.")
        if gpus_per_job is not None:
            self._check(gpus_per_job, gpus)

    @staticmethod
    def _check(per_job: float, gpus: int) -> None:
        key = f"hydra.launcher.gpus_per_job={per_job:g}"
        if gpus == 0:
            raise ConfigError(f"{key} divides GPUs, and no job of this sweep trains on one.")
        if per_job <= 0 or (per_job > 1 and per_job != int(per_job)):
            raise ConfigError(f"{key} must be a fraction of a GPU, such as 0.5, or a whole number of them.")
        if per_job > gpus:
            raise ConfigError(f"{key} is more than the {gpus} that there are.")

    def slots(self, facts: Facts) -> int:
        """Return how many processes of a kind there is room for when nothing runs."""
        if facts.accelerator == "cpu":
            most = self.cores // self._cores_of(facts)
        else:
            wanted = self._gpus_of(facts)
            most = (
                len(self.free) // int(wanted) if wanted >= 1 else len(self.free) * int(1 / wanted + ROUNDING)
            )
        return max(1, most if self.n_jobs is None else self.n_jobs)

    def take(self, facts: Facts) -> Share | None:
        """Take what a process needs; None if that is not free."""
        if self.n_jobs is not None and self.running >= self.n_jobs:
            return None
        if facts.accelerator == "cpu":
            wanted = self._cores_of(facts)
            if self.n_jobs is None and wanted > self.idle:
                return None
            share = Share(cores=wanted)
        elif (found := self._free_gpus(self._gpus_of(facts))) is None:
            return None
        else:
            share = Share(gpus=found)
        self.running += 1
        self.idle -= share.cores
        for name, part in share.gpus.items():
            self.free[name] -= part
        return share

    def give_back(self, share: Share) -> None:
        """Make free what a process had."""
        self.running -= 1
        self.idle += share.cores
        for name, part in share.gpus.items():
            self.free[name] += part

    def _cores_of(self, facts: Facts) -> int:
        return min(facts.threads * facts.devices, self.cores)

    def _gpus_of(self, facts: Facts) -> float:
        return float(facts.devices) if self.per_job is None else self.per_job

    def _free_gpus(self, wanted: float) -> dict[str, float] | None:
        """Return GPUs with enough left, those first that have least; None if there are not as many."""
        part, count = min(wanted, 1.0), max(1, int(wanted))
        fitting = [name for name, left in self.free.items() if left > part - ROUNDING]
        fitting.sort(key=lambda name: self.free[name])
        return dict.fromkeys(fitting[:count], part) if len(fitting) >= count else None

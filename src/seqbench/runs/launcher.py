"""The start of the processes that share batches on one machine, one for each device."""

from __future__ import annotations

import signal
from collections.abc import Callable
from typing import Any

import lightning as L
from lightning.pytorch.strategies import DDPStrategy
from lightning.pytorch.strategies.launchers.subprocess_script import _SubprocessScriptLauncher

from seqbench.processes import watch
from seqbench.signals import SIGNALS


class SharedBatches(DDPStrategy):
    """Lightning's DDP, but for how processes are started and how they end."""

    def _configure_launcher(self) -> None:
        assert self.cluster_environment is not None
        self._launcher = Launcher(self.cluster_environment, self.num_processes, self.num_nodes)


class Launcher(_SubprocessScriptLauncher):
    """Starts the other processes as Lightning does, by the command of this one.

    Lightning's own launcher kills this process where another one has ended, and sets the number of threads.
    """

    def launch(
        self, function: Callable[..., Any], *args: Any, trainer: L.Trainer | None = None, **kwargs: Any
    ) -> Any:
        self.cluster_environment.validate_settings(num_devices=self.num_processes, num_nodes=self.num_nodes)
        if not self.cluster_environment.creates_processes_externally:
            # They inherit that signals are blocked: Ctrl-C reaches all processes of a terminal, and the first
            # one ends the others once it has a checkpoint.
            before = signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
            try:
                self._call_children_scripts()
            finally:
                watch(self.procs)
                signal.pthread_sigmask(signal.SIG_SETMASK, before)
        return function(*args, **kwargs)

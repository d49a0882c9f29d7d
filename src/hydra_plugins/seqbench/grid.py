"""`hydra/sweeper=grid`: every combination of values, of which some may go together, for each line of a file.

Hydra imports every plugin at every start, so that nothing heavy is imported here.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.plugins import Plugins
from hydra.plugins.launcher import Launcher
from hydra.plugins.sweeper import Sweeper
from hydra.types import HydraContext, TaskFunction
from omegaconf import DictConfig

from seqbench.errors import reader_may_leave


class GridSweeper(Sweeper):
    """Makes the jobs of a sweep, and hands them to the launcher all at once.

    Args:
        params: what a preset sweeps over. A key that is typed, or in a line of the file, counts instead.
        zip: groups of keys whose values go together.
        jobs: a file; each of its lines is a sweep of its own, with what is typed.
    """

    def __init__(
        self,
        params: Mapping[str, Any] | None = None,
        zip: Sequence[Sequence[str]] = (),
        jobs: str | None = None,
    ) -> None:
        self.params = dict(params or {})
        self.zipped = zip
        self.file = jobs
        self.config: DictConfig
        self.hydra_context: HydraContext
        self.launcher: Launcher

    def setup(self, *, hydra_context: HydraContext, task_function: TaskFunction, config: DictConfig) -> None:
        self.hydra_context, self.config = hydra_context, config
        self.launcher = Plugins.instance().instantiate_launcher(
            hydra_context=hydra_context, task_function=task_function, config=config
        )

    def sweep(self, arguments: list[str]) -> Any:
        from seqbench.sweeps.grid import Line, combinations, read_lines

        lines = [Line([])] if self.file is None else read_lines(self.file)
        parser = OverridesParser.create(config_loader=self.hydra_context.config_loader)
        typed = parser.parse_overrides(arguments)
        jobs: list[list[str]] = []
        for line in lines:
            with line.named_in_errors():
                own = parser.parse_overrides(line.arguments)
                line.check({str(override.key_or_group) for override in typed}, own)
                fixed = {override.key_or_group for override in (*typed, *own)}
                left = [
                    f"{key}={'null' if value is None else value}"
                    for key, value in self.params.items()
                    if key not in fixed
                ]
                made = combinations([*parser.parse_overrides(left), *typed, *own], self.zipped)
                if self.file is not None:
                    self._compose(made[0])
                jobs += made
        jobs = [list(job) for job in dict.fromkeys(map(tuple, jobs))]
        if not self.config.hydra.launcher.get("dry_run"):
            with reader_may_leave():
                print(f"{len(jobs)} job{'s' * (len(jobs) != 1)}; a line for each that has ended.")
        if not getattr(self.launcher, "composes_all", False):
            for job in jobs:
                self._compose(job)
        results = self.launcher.launch(jobs, initial_job_idx=0)
        for result in results:
            _ = result.return_value  # raises the error of a job that another launcher has not handled
        return [results]

    def _compose(self, job: Sequence[str]) -> None:
        """Raise what composing a job raises, before any of them runs."""
        self.hydra_context.config_loader.load_sweep_config(self.config, list(job))

"""Statistics of the runs in a cell of a comparison, one file each."""

from __future__ import annotations

from importlib import import_module

from seqbench.errors import ConfigError
from seqbench.results.summaries.base import Cell, Row, Summary
from seqbench.results.summaries.metric_mean import MetricMean
from seqbench.results.summaries.parameters import Parameters
from seqbench.results.summaries.solve_rate import SolveRate
from seqbench.results.summaries.steps_to_solve import StepsToSolve
from seqbench.results.summaries.throughput import Throughput

__all__ = ["DEFAULT", "Cell", "Row", "Summary", "find"]

#: What a comparison shows unless it is given other summaries.
DEFAULT: tuple[Summary, ...] = (MetricMean(), SolveRate(), StepsToSolve(), Parameters(), Throughput())


def find(name: str) -> Summary:
    """Return the summary of the class `package.module.Class`.

    Raises:
        ConfigError: there is no such class, or it is not a summary.
    """
    module, _, class_name = name.rpartition(".")
    try:
        found = getattr(import_module(module), class_name)
    except (ImportError, AttributeError, ValueError) as error:
        raise ConfigError(f"The summary {name} cannot be found: {error}.") from error
    if not (isinstance(found, type) and issubclass(found, Summary)):
        raise ConfigError(f"{name} is not a subclass of seqbench.results.summaries.Summary.")
    try:
        return found()
    except TypeError as error:
        raise ConfigError(f"The summary {name} cannot be made: {error}.") from error

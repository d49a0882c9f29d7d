"""Statistics of the runs in a cell of a comparison, one file each."""

from __future__ import annotations

from seqbench.config.targets import locate
from seqbench.config.trust import BUILT_IN
from seqbench.errors import ConfigError, one_line
from seqbench.results.summaries.base import Cell, Row, Summary
from seqbench.results.summaries.metric_median import MetricMedian
from seqbench.results.summaries.own import checked
from seqbench.results.summaries.parameters import Parameters
from seqbench.results.summaries.solve_rate import SolveRate
from seqbench.results.summaries.solved_metric import SolvedMetric
from seqbench.results.summaries.steps_to_solve import StepsToSolve

__all__ = ["DEFAULT", "Cell", "Row", "Summary", "find"]

#: What a comparison shows unless it is given other summaries.
DEFAULT: tuple[Summary, ...] = (MetricMedian(), SolvedMetric(), SolveRate(), StepsToSolve(), Parameters())


def find(name: str) -> Summary:
    """Return the summary of the class `package.module.Class`, whose package is trusted because it was named.

    Raises:
        ConfigError: there is no such class, it is not a summary, or it cannot be made.
    """
    package = name.partition(".")[0]
    found = locate(name, "--summary", Summary, [] if package in BUILT_IN else [package])
    try:
        summary: Summary = found()
    except Exception as error:  # whatever a user's code raises
        raise ConfigError(f"The summary {name} cannot be made: {one_line(error)}.") from error
    return checked(summary)
